"""Taking clicks and notices at the edge: the journal's records, and where the visitor goes."""

from urllib.parse import parse_qs, quote, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.click.click import Click, Flag, Screening
from clickloop.click.place import NOWHERE, Place
from clickloop.click.routing.routes import Routes
from clickloop.click.trial_mark import TEST_PARAMETER, new_mark
from clickloop.click.visitor import Visitors
from clickloop.click.visitor_cookie import VisitorCookies
from clickloop.click.visitor_hash import VisitorHashes
from clickloop.click_id import ClickId, ClickIds
from clickloop.conversion.notice import Channel, RawNotice, RefusalReason
from clickloop.edge.message import HttpRequest
from clickloop.record_id import RecordIds
from clickloop.setup.catalog import Catalog, CatalogCampaign, CatalogOffer, CatalogRow
from clickloop.store.journal.writer import JournalFull
from clickloop.text import unescape_bytes
from clickloop.tracking.receiving import take_notice
from clickloop.tracking.take import Edge, record_clicks, take_click
from tests.flows import flow_in_catalog

NOW = 1_800_000_000_000
PHONE = b"Mozilla/5.0 (Linux; Android 14; SM-A546B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Mobile Safari/537.36"


class Nowhere:
    """A base that knows one address."""

    def place(self, ip: str) -> Place:
        return Place("DE") if ip == "198.51.100.7" else NOWHERE


VISITORS = Visitors(Nowhere())


class Paper:
    """A journal stream in memory; ``full`` makes it fail."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.waiting: list[bytes] = []
        self.full = False

    @property
    def gathered(self) -> int:
        return len(self.waiting)

    def gather(self, record: bytes) -> None:
        self.waiting.append(record)

    def flush(self) -> None:
        waiting, self.waiting = self.waiting, []
        if self.full:
            raise JournalFull("no room")
        self.lines += waiting

    def append(self, record: bytes) -> int:
        self.gather(record)
        self.flush()
        return len(self.lines)


def an_edge(
    url: str = "https://offer.example/?s={clickid}&x={externalid}&z={zone}", **changes: object
) -> tuple[Edge, Paper, Paper]:
    """Return an edge with one campaign ``Ab12Cd``, whose source has the rows external_id, cost and zone (V1)."""
    campaign = CatalogCampaign(
        id=7,
        key="Ab12Cd",
        name="Summer",
        source_id=3,
        source_name="Source",
        active=True,
        domain="",
        fallback_url="https://fallback.example/",
        cost_micros=None,
        cost_currency="EUR",
        rows=(CatalogRow(-1, "external_id"), CatalogRow(0, "cost"), CatalogRow(1, "zone")),
        flow_id=9,
    )
    campaign = msgspec.structs.replace(campaign, **changes)
    catalog = Catalog((campaign,), (CatalogOffer(11, "Offer", url, 5, "Net"),), flows=(flow_in_catalog((11, 1)),))
    clicks, notices = Paper(), Paper()
    edge = Edge(
        routes=Routes(catalog, ""),
        visitors=VISITORS,
        click_ids=ClickIds(b"k" * 32),
        notice_ids=RecordIds(),
        clicks=clicks,
        notices=notices,
        deferred=notices,
        clock=lambda: NOW,
        page_events=Paper(),
        draw=lambda: 1 << 62,
        cookies=VisitorCookies(b"k" * 16),
        visitor_hashes=VisitorHashes(b"k" * 16),
        currency="USD",
    )
    return edge, clicks, notices


def arriving(query: bytes, **headers: bytes) -> HttpRequest:
    """Return a GET from a phone in Germany with these headers added."""
    given_headers = {b"user-agent": PHONE} | {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return HttpRequest(b"GET", b"/c/Ab12Cd", query, given_headers, b"", "198.51.100.7", True, "track.example")


def recorded(paper: Paper) -> Click:
    """Return the only click in the journal."""
    (line,) = paper.lines
    return msgspec.json.decode(line, type=Click)


def test_a_click_is_recorded_with_all_that_is_known_of_it() -> None:
    edge, clicks, _ = an_edge()
    gone = take_click(
        edge,
        arriving(
            b"external_id=a%26b&cost=0.02&zone=z+1", referer=b"https://r.example/", accept_language=b"pt-BR,pt;q=0.9"
        ),
        b"Ab12Cd",
    )
    record_clicks(edge)
    assert gone is not None
    assert recorded(clicks) == Click(
        click_id=gone.click_id,
        at=NOW,
        campaign_id=7,
        source_id=3,
        flow_id=9,
        flow_version=1,
        path_id=1,
        offer_id=11,
        network_id=5,
        external_id="a&b",
        cost_micros=20_000,
        cost_currency="EUR",
        target=f"https://offer.example/?s={gone.click_id}&x=a%26b&z=z%201",
        domain="track.example",
        ip="198.51.100.7",
        country="DE",
        language="pt-br",
        useragent=PHONE.decode(),
        referrer="https://r.example/",
        device="mobile",
        brand="Samsung",
        model="SM-A546B",
        os="Android",
        os_version="14",
        browser="Chrome Mobile",
        browser_version="129.0",
        unique=True,
        v1="z 1",
    )
    assert gone.location == recorded(clicks).target


def test_nothing_is_in_the_journal_before_the_clicks_are_recorded() -> None:
    edge, clicks, _ = an_edge()
    take_click(edge, arriving(b""), b"Ab12Cd")
    assert not clicks.lines


def test_a_full_disk_costs_the_record_and_not_the_redirect() -> None:
    edge, clicks, _ = an_edge()
    clicks.full = True
    gone = take_click(edge, arriving(b""), b"Ab12Cd")
    take_click(edge, arriving(b""), b"Ab12Cd")
    record_clicks(edge)
    assert gone is not None
    assert gone.location
    assert edge.unrecorded == 2


@given(st.binary(max_size=60))
def test_any_external_id_reaches_the_offer_byte_for_byte(content: bytes) -> None:
    edge, clicks, _ = an_edge("https://offer.example/?x={externalid}")
    gone = take_click(edge, arriving(b"external_id=" + quote(content).encode()), b"Ab12Cd")
    record_clicks(edge)
    assert gone is not None
    query = urlsplit(gone.location).query
    assert parse_qs(query, keep_blank_values=True, encoding="latin-1")["x"][0].encode("latin-1") == content
    assert unescape_bytes(recorded(clicks).external_id) == content


def test_a_plus_in_an_external_id_stays_a_plus() -> None:
    edge, clicks, _ = an_edge()
    take_click(edge, arriving(b"external_id=YWI+Yg/=="), b"Ab12Cd")
    record_clicks(edge)
    assert recorded(clicks).external_id == "YWI+Yg/=="


def test_macros_of_the_visitor_are_filled_into_the_offer_too() -> None:
    edge, _, _ = an_edge(
        "https://offer.example/{country}/{device|upper}?n={offer.name}&c={country.name}&k={campaign.key}"
    )
    gone = take_click(edge, arriving(b""), b"Ab12Cd")
    assert gone is not None
    assert gone.location == "https://offer.example/DE/MOBILE?n=Offer&c=Germany&k=Ab12Cd"


def test_the_cost_of_the_campaign_wins_over_that_of_the_link() -> None:
    edge, clicks, _ = an_edge(cost_micros=70_000)
    take_click(edge, arriving(b"cost=9"), b"Ab12Cd")
    record_clicks(edge)
    assert (recorded(clicks).cost_micros, recorded(clicks).cost_currency) == (70_000, "EUR")


def test_an_unreadable_cost_is_flagged_and_counts_nothing() -> None:
    edge, clicks, _ = an_edge()
    take_click(edge, arriving(b"cost={bid}"), b"Ab12Cd")
    record_clicks(edge)
    assert recorded(clicks).cost_micros == 0
    assert recorded(clicks).flags == Flag.COST_UNREADABLE


@pytest.mark.parametrize(
    ("cost", "micros", "currency", "flags"),
    [
        ("0.12500000", 125_000, "EUR", ""),
        ("0.00012345678", 123, "EUR", "cost_rounded"),
        ("R%24+1.234,50", 1_234_500_000, "BRL", ""),
        ("1,234", 1_234_000_000, "EUR", "cost_ambiguous"),
        ("5+XYZ", 0, "", "cost_unreadable"),
        ("5+kr", 0, "", "cost_unreadable"),
    ],
)
def test_a_cost_is_read_by_the_grammar_of_payouts(cost: str, micros: int, currency: str, flags: str) -> None:
    edge, clicks, _ = an_edge()
    take_click(edge, arriving(f"cost={cost}".encode()), b"Ab12Cd")
    record_clicks(edge)
    click = recorded(clicks)
    assert (click.cost_micros, click.cost_currency, click.flags) == (micros, currency, flags)


def test_an_unreplaced_external_id_is_stored_and_flagged() -> None:
    edge, clicks, _ = an_edge()
    take_click(edge, arriving(b"external_id=${SUBID}"), b"Ab12Cd")
    record_clicks(edge)
    assert recorded(clicks).external_id == "${SUBID}"
    assert recorded(clicks).flags == Flag.UNREPLACED_EXTERNAL_ID


def test_an_over_long_external_id_is_cut_and_flagged() -> None:
    edge, clicks, _ = an_edge()
    take_click(edge, arriving(b"external_id=" + b"x" * 2000), b"Ab12Cd")
    record_clicks(edge)
    assert recorded(clicks).external_id == "x" * 1024
    assert recorded(clicks).flags == Flag.EXTERNAL_ID_CUT


def test_a_paused_campaign_sends_to_the_fallback_and_the_click_counts() -> None:
    edge, clicks, _ = an_edge(active=False)
    gone = take_click(edge, arriving(b""), b"Ab12Cd")
    record_clicks(edge)
    assert gone is not None
    assert gone.location == "https://fallback.example/"
    assert recorded(clicks).flags == Flag.FALLBACK
    assert recorded(clicks).screening == ""


def test_a_campaign_with_nowhere_to_send_records_the_click() -> None:
    edge, clicks, _ = an_edge(active=False, fallback_url="")
    gone = take_click(edge, arriving(b""), b"Ab12Cd")
    record_clicks(edge)
    assert gone is not None
    assert gone.location == ""
    assert recorded(clicks).campaign_id == 7


def test_an_unknown_campaign_leaves_no_trace() -> None:
    edge, clicks, _ = an_edge()
    assert take_click(edge, arriving(b""), b"ab12cd") is None
    record_clicks(edge)
    assert not clicks.lines


def test_a_visitor_whose_signed_cookie_knows_the_campaign_is_not_unique() -> None:
    edge, clicks, _ = an_edge()
    redirect = take_click(edge, arriving(b""), b"Ab12Cd")
    assert redirect is not None
    cookies = [f"clickloop_v={redirect.visitor_cookie}", f"clickloop={redirect.click_id}"]
    for cookie in cookies:
        take_click(edge, arriving(b"", cookie=f"a=1; {cookie}; b=2".encode()), b"Ab12Cd")
    record_clicks(edge)
    found = [msgspec.json.decode(line, type=Click) for line in clicks.lines]
    assert [(click.unique, click.known) for click in found] == [(True, False), (False, True), (True, False)]


def test_a_link_with_a_good_mark_makes_a_test_click_that_keeps_nothing_of_the_mark() -> None:
    edge, clicks, _ = an_edge()
    mark = new_mark(edge.click_ids, "Ab12Cd", NOW)
    take_click(edge, arriving(f"external_id=a&{TEST_PARAMETER}={mark}".encode()), b"Ab12Cd")
    record_clicks(edge)
    click = recorded(clicks)
    assert click.screening == Screening.TEST
    assert mark not in clicks.lines[0].decode()


def test_a_forged_or_old_mark_makes_a_click_that_counts() -> None:
    for mark in (
        "1",
        new_mark(ClickIds(b"x" * 32), "Ab12Cd", NOW),
        new_mark(ClickIds(b"k" * 32), "Ab12Cd", NOW - 3_600_000),
    ):
        edge, clicks, _ = an_edge()
        take_click(edge, arriving(f"{TEST_PARAMETER}={mark}".encode()), b"Ab12Cd")
        record_clicks(edge)
        assert recorded(clicks).screening == ""


def test_a_notice_is_journaled_as_it_came_with_a_first_verdict() -> None:
    edge, _, notices = an_edge()
    stored = take_notice(edge, arriving(b"cid=nonsense&payout=1&return=DONE"), Channel.S2S)
    (line,) = notices.lines
    raw = msgspec.json.decode(line, type=RawNotice)
    assert raw.query == "cid=nonsense&payout=1&return=DONE"
    assert stored.reason is RefusalReason.MALFORMED_CLICK_ID
    assert stored.return_text == "DONE"


def test_only_the_pixel_takes_the_click_id_from_the_cookie() -> None:
    edge, _, _ = an_edge()
    gone = take_click(edge, arriving(b""), b"Ab12Cd")
    assert gone is not None
    cookie = b"clickloop=" + gone.click_id.encode()
    assert take_notice(edge, arriving(b"payout=1", cookie=cookie), Channel.PIXEL).reason is None
    assert take_notice(edge, arriving(b"payout=1", cookie=cookie), Channel.S2S).reason is RefusalReason.NO_CLICK_ID
    assert isinstance(edge.click_ids.read(gone.click_id), ClickId)


def test_a_link_copied_out_of_html_brings_its_cost_and_is_flagged() -> None:
    edge, clicks, _ = an_edge()
    take_click(edge, arriving(b"external_id=a%26amp;b&amp;cost=0.5&amp;ZONE=7"), b"Ab12Cd")
    record_clicks(edge)
    click = recorded(clicks)
    assert (click.external_id, click.cost_micros, click.v1, click.flags) == (
        "a&amp;b",
        500_000,
        "7",
        Flag.NAME_MENDED,
    )


def test_a_test_link_copied_out_of_html_still_makes_a_test_click() -> None:
    edge, clicks, _ = an_edge()
    mark = new_mark(edge.click_ids, "Ab12Cd", NOW)
    take_click(edge, arriving(f"external_id=a&amp;{TEST_PARAMETER}={mark}".encode()), b"Ab12Cd")
    record_clicks(edge)
    assert recorded(clicks).screening == Screening.TEST


def test_names_of_rows_match_in_any_case() -> None:
    edge, clicks, _ = an_edge(rows=(CatalogRow(-1, "external_id"), CatalogRow(0, "cost"), CatalogRow(1, "Zone-Id")))
    take_click(edge, arriving(b"EXTERNAL_ID=a&Cost=1&zone-id=7"), b"Ab12Cd")
    record_clicks(edge)
    click = recorded(clicks)
    assert (click.external_id, click.cost_micros, click.v1, click.flags) == ("a", 1_000_000, "7", "")
