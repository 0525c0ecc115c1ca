"""Marks that the edge gives a click before it redirects the visitor."""

from msgspec.structs import replace

from clickloop.click.marks.lists_in_use import mark_lists
from clickloop.click.marks.request_marks import MarkLists
from clickloop.click.place import NOWHERE, Place
from clickloop.click.routing.routes import Routes
from clickloop.click.visitor import Visitors
from clickloop.edge.message import HttpRequest
from clickloop.setup.catalog import Catalog, CatalogCampaign, CatalogFlow, CatalogList, CatalogOffer
from clickloop.setup.condition import Condition, Operator
from clickloop.setup.flow import FlowParts, OfferShare, Path, Rule
from clickloop.setup.instance import InstanceSettings, IpStorage
from clickloop.setup.mark import Mark, MarkSetting
from clickloop.tracking.take import record_clicks, take_click
from tests.tracking.test_take import PHONE, an_edge, recorded

HOSTED, HOME = "198.51.100.8", "192.0.2.1"
CAMPAIGN = CatalogCampaign(
    id=7,
    key="Ab12Cd",
    name="Summer",
    source_id=3,
    source_name="Source",
    active=True,
    domain="",
    fallback_url="",
    cost_micros=None,
    cost_currency="",
    rows=(),
    flow_id=9,
)
OFFERS = tuple(CatalogOffer(number, "Offer", f"https://o{number}.example/", 5, "Net") for number in (11, 12))
PLAIN = FlowParts(default_paths=(Path(id=1, offers=(OfferShare(11, 1),)),))
BOTS_ELSEWHERE = FlowParts(
    rules=(
        Rule(
            id=2,
            conditions=(Condition(field="mark", values=("bot_useragent", "datacenter")),),
            paths=(Path(id=3, offers=(OfferShare(12, 1),)),),
        ),
    ),
    default_paths=PLAIN.default_paths,
)


class Networks:
    """A base that knows one hosted address in Brazil."""

    def place(self, ip: str) -> Place:
        return Place(country="BR", asn="16509") if ip == HOSTED else NOWHERE


def clicked(
    ip: str = HOME,
    useragent: bytes = PHONE,
    *own: MarkSetting,
    parts: FlowParts = PLAIN,
    instance: InstanceSettings = InstanceSettings(public_url=""),  # noqa: B008 – it is frozen
    visitors: Visitors | None = None,
    **headers: bytes,
) -> tuple[str, int]:
    """Return the marks in the record of a visitor's click, and the offer that they went to."""
    edge, clicks, _ = an_edge()
    edge.visitors = visitors or Visitors(Networks())
    catalog = Catalog((replace(CAMPAIGN, marks=own),), OFFERS, flows=(CatalogFlow(9, 1, parts),), instance=instance)
    edge.routes = Routes(catalog, "")
    given = {b"user-agent": useragent} | {name.replace("_", "-").encode(): value for name, value in headers.items()}
    take_click(edge, HttpRequest(b"GET", b"/c/Ab12Cd", b"", given, b"", ip, True, "track.example"), b"Ab12Cd")
    record_clicks(edge)
    click = recorded(clicks)
    return click.marks, click.offer_id


def test_a_person_at_home_has_no_marks() -> None:
    assert clicked() == ("", 11)


def test_a_script_in_a_data_center_has_the_marks_of_both() -> None:
    assert clicked(HOSTED, b"python-requests/2.32.3") == ("bot_useragent,datacenter", 11)


def test_a_rule_sends_marked_visitors_elsewhere() -> None:
    assert clicked(HOSTED, parts=BOTS_ELSEWHERE) == ("datacenter", 12)
    assert clicked(HOME, parts=BOTS_ELSEWHERE) == ("", 11)


def test_a_mark_that_is_off_for_the_campaign_is_not_given_and_no_rule_sees_it() -> None:
    assert clicked(HOSTED, PHONE, MarkSetting(Mark.DATACENTER, False), parts=BOTS_ELSEWHERE) == ("", 11)


def test_a_campaign_s_switch_wins_over_the_instance_s() -> None:
    instance = InstanceSettings(public_url="", marks=(MarkSetting(Mark.DATACENTER, False),))
    assert clicked(HOSTED, instance=instance)[0] == ""
    assert clicked(HOSTED, PHONE, MarkSetting(Mark.DATACENTER), instance=instance)[0] == "datacenter"


def test_a_missing_referrer_and_a_strange_language_are_marked_where_that_is_on() -> None:
    on = (MarkSetting(Mark.NO_REFERRER), MarkSetting(Mark.LANGUAGE_COUNTRY), MarkSetting(Mark.DATACENTER, False))
    assert clicked(HOSTED, PHONE, *on, accept_language=b"ru")[0] == "no_referrer,language_country"
    assert clicked(HOSTED, PHONE, *on, accept_language=b"pt-BR", referer=b"https://a.example/")[0] == ""


def test_lists_compare_the_whole_address_even_if_only_a_part_of_it_is_stored() -> None:
    visitors = Visitors(Networks())
    visitors.set_ip_storage(IpStorage.NONE)
    visitors.use_mark_lists(MarkLists(ips=(f"{HOME}/32",), useragents=("sm-a546b",)))
    assert clicked(visitors=visitors)[0] == "listed_ip,listed_useragent"


def test_a_changed_list_takes_effect_for_visitors_who_were_seen_before() -> None:
    visitors = Visitors(Networks())
    assert clicked(visitors=visitors)[0] == ""
    visitors.use_mark_lists(MarkLists(ips=(HOME,)))
    assert clicked(visitors=visitors)[0] == "listed_ip"
    visitors.use_mark_lists(MarkLists())
    assert clicked(visitors=visitors)[0] == ""


def test_the_lists_of_marks_are_those_that_the_settings_name() -> None:
    lists = (CatalogList(1, ("192.0.2.1",)), CatalogList(2, ("bad",)), CatalogList(3, ("x",)))
    instance = InstanceSettings(public_url="", ip_lists=(1, 9), useragent_lists=(2,))
    assert mark_lists(instance, lists) == MarkLists(("192.0.2.1",), ("bad",))


def test_100_000_listed_addresses_cost_a_visitor_one_search() -> None:
    entries = tuple(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" for number in range(0, 200_000, 2))
    visitors = Visitors(Networks())
    visitors.use_mark_lists(MarkLists(ips=entries))
    assert clicked("10.0.0.2", visitors=visitors)[0] == "listed_ip"
    assert clicked("10.0.0.3", visitors=visitors)[0] == ""


def test_a_negated_rule_takes_visitors_without_the_mark() -> None:
    condition = Condition(field="mark", op=Operator.NOT_IN, values=("datacenter",))
    parts = replace(BOTS_ELSEWHERE, rules=(replace(BOTS_ELSEWHERE.rules[0], conditions=(condition,)),))
    assert clicked(HOME, parts=parts)[1] == 12
    assert clicked(HOSTED, parts=parts)[1] == 11
