"""Landing clicks: which visit they belong to, where they lead, and what is recorded of them."""

import base64
from collections import Counter
from urllib.parse import urlsplit

import msgspec
import pytest
from msgspec.structs import replace

from clickloop.click.page.page_event import PageEventFlag, PageEventKind
from clickloop.click.passed_query import click_id_names
from clickloop.setup.flow import FlowParts, OfferShare, Path, PathTarget
from clickloop.setup.redirect import PassQuery, RedirectMode
from tests.landings import FALLBACK, FIRST, OTHER_KEY, PATH, SECOND, SECOND_URL, catalog
from tests.tracking.landing_edge import LandingEdge, Visitor, site, values

FORGED = "01kjmm87x09z14xzr1jgrhd1se"


def test_the_landing_gets_the_click_id_and_the_offer_gets_it_too() -> None:
    at = LandingEdge()
    visitor = Visitor(at)
    click_id = visitor.visit()
    (click,) = at.recorded_clicks()
    assert (click.target, click.landing_id, click.offer_id) == (f"https://landing.example/quiz?cid={click_id}", 3, 0)
    gone = visitor.press(click_id, "/1")
    assert values(gone) == {"s": click_id, "x": "e&x", "z": "z 1", "c": "DE", "l": "3-Quiz A"}
    (event,) = at.recorded_events()
    assert (event.kind, event.click_id, event.button, event.offer_id, event.network_id, event.found_by) == (
        PageEventKind.LANDING_CLICK,
        click_id,
        1,
        FIRST,
        5,
        "cid",
    )
    assert (event.flags, event.screening, event.target) == ("", "", gone.location if gone else "")


def test_nothing_is_in_the_journal_before_the_events_are_recorded() -> None:
    at = LandingEdge()
    visitor = Visitor(at)
    visitor.press(visitor.visit())
    assert not at.events.lines
    assert at.events.waiting


def test_the_cookie_alone_is_enough_after_a_restart_of_the_edge_and_without_the_core() -> None:
    at = LandingEdge()
    visitor = Visitor(at)
    click_id = visitor.visit()
    at.forget()
    assert values(visitor.press(button="/1")) == {"s": click_id, "x": "e&x", "z": "z 1", "c": "DE", "l": "3-Quiz A"}
    assert not visitor.asked_core
    assert at.recorded_events()[0].found_by == "cookie"


def test_the_referrers_click_id_tells_two_tabs_apart() -> None:
    at = LandingEdge()
    visitor = Visitor(at)
    first, second = visitor.visit(), visitor.visit()
    referrer = f"https://landing.example/quiz?cid={first}".encode()
    assert values(visitor.press(button="/2", referer=referrer))["s"] == first
    assert values(visitor.press(button="/2"))["s"] == first  # the latest that was pressed
    assert values(visitor.press(second, button="/2"))["s"] == second
    assert [event.found_by for event in at.recorded_events()] == ["referrer", "cookie", "cid"]
    assert not any(PageEventFlag.OLD_CLICK_ID in event.flags for event in at.recorded_events())


def test_without_a_cookie_the_edge_that_took_the_visit_remembers_it() -> None:
    at = LandingEdge()
    visitor = Visitor(at, keeps_cookies=False)
    click_id = visitor.visit()
    assert values(visitor.press(click_id.upper(), "/2"))["s"] == click_id
    assert not visitor.asked_core


def test_without_a_cookie_the_core_is_asked_and_the_offer_is_the_same() -> None:
    at = LandingEdge()
    visitor = Visitor(at, keeps_cookies=False)
    for _ in range(20):
        click_id = visitor.visit()
        (click,) = (click for click in at.recorded_clicks() if click.click_id == click_id)
        remembered = visitor.press(click_id)
        at.forget()
        looked_up = visitor.press(click_id, core=click)
        assert visitor.asked_core
        assert remembered is not None
        assert looked_up is not None
        assert remembered.location == looked_up.location


def test_without_cookie_and_core_the_visitor_goes_to_the_instances_fallback_and_the_press_is_recorded() -> None:
    at = LandingEdge()
    visitor = Visitor(at, keeps_cookies=False)
    click_id = visitor.visit()
    at.forget()
    gone = visitor.press(click_id, "/1", "event1=2")
    assert gone is not None
    assert gone.location == FALLBACK
    (event,) = at.recorded_events()
    assert (event.click_id, event.flags, event.events) == (click_id, "fallback", {1: 2_000_000})


@pytest.mark.parametrize("cid", ["", FORGED, "x" * 4000, "{clickid}"])
def test_without_a_genuine_click_id_there_is_the_fallback(cid: str) -> None:
    at = LandingEdge()
    gone = Visitor(at).press(cid)
    assert gone is not None
    assert (gone.location, gone.click_id) == (FALLBACK, "")
    assert at.recorded_events() == []


def test_without_any_fallback_there_is_a_404() -> None:
    at = LandingEdge(fallback="")
    assert Visitor(at).press(FORGED) is None


def test_a_forged_click_id_counts_as_none_and_the_cookie_serves() -> None:
    at = LandingEdge()
    visitor = Visitor(at)
    click_id = visitor.visit()
    assert values(visitor.press(FORGED, "/2"))["s"] == click_id
    assert at.recorded_events()[0].found_by == "cookie"


def test_the_same_button_leads_to_the_same_offer_and_counts_once() -> None:
    at = LandingEdge()
    visitor = Visitor(at)
    click_id = visitor.visit()
    hosts = [site(visitor.press(click_id)) for _ in range(3)]
    assert len(set(hosts)) == 1
    assert [event.flags for event in at.recorded_events()] == ["", "repeated", "repeated"]


def test_another_button_has_an_offer_of_its_own() -> None:
    at = LandingEdge()
    visitor = Visitor(at)
    click_id = visitor.visit()
    assert [site(visitor.press(click_id, button)) for button in ("/1", "/2", "/1")] == [
        "first.example",
        "second.example",
        "first.example",
    ]
    assert [event.flags for event in at.recorded_events()] == ["", "", "repeated"]


def test_a_repeat_is_recognised_without_cookies() -> None:
    at = LandingEdge()
    visitor = Visitor(at, keeps_cookies=False)
    click_id = visitor.visit()
    visitor.press(click_id, "/1")
    visitor.press(click_id, "/1")
    assert [event.flags for event in at.recorded_events()] == ["", "repeated"]


def test_without_a_number_offers_are_chosen_by_weight() -> None:
    path = replace(PATH, offers=(OfferShare(FIRST, 100), OfferShare(SECOND, 300)))
    at = LandingEdge(catalog(path=path))
    visitor = Visitor(at, keeps_cookies=False)
    found = Counter(site(visitor.press(visitor.visit())) for _ in range(2000))
    # Four standard deviations of a binomial distribution around 1,500.
    assert 1422 < found["second.example"] < 1578


@pytest.mark.parametrize(
    ("button", "host", "flag"),
    [
        ("/3", "second.example", "button_beyond_last"),
        ("/1000000000", "second.example", "button_beyond_last"),
        ("/0", None, "button_unreadable"),
        ("/-1", None, "button_unreadable"),
        ("/two", None, "button_unreadable"),
    ],
)
def test_an_odd_button_still_leads_to_an_offer(button: str, host: str | None, flag: str) -> None:
    at = LandingEdge()
    visitor = Visitor(at)
    found = site(visitor.press(visitor.visit(), button))
    assert found in ({host} if host else {"first.example", "second.example"})
    assert at.recorded_events()[0].flags == flag


def test_an_archived_offer_is_out_and_its_button_leads_to_another() -> None:
    at = LandingEdge()
    visitor = Visitor(at)
    click_id = visitor.visit()
    visitor.press(click_id, "/1")
    at.publish(catalog(offers=((SECOND, SECOND_URL),)))
    assert site(visitor.press(click_id, "/1")) == "second.example"


def test_of_a_paused_campaign_visitors_go_to_its_fallback() -> None:
    at = LandingEdge()
    visitor = Visitor(at)
    click_id = visitor.visit()
    at.publish(catalog(active=False))
    gone = visitor.press(click_id, "/1")
    assert gone is not None
    assert gone.location == "https://campaign.example/fallback"
    (event,) = at.recorded_events()
    assert (event.offer_id, "fallback" in event.flags) == (0, True)


def test_a_click_id_of_another_campaign_belongs_to_its_own_click() -> None:
    at = LandingEdge()
    visitor = Visitor(at)
    visitor.visit()
    other = visitor.visit(key=OTHER_KEY)
    (click,) = (click for click in at.recorded_clicks() if click.click_id == other)
    assert site(visitor.press(other, "/1", core=click)) == "direct.example"
    assert at.recorded_events()[0].click_id == other


def test_behind_another_campaigns_flow_cookie_and_core_give_the_same_offer() -> None:
    of = catalog()
    through = Path(id=22, target=PathTarget.CAMPAIGN, campaign_id=7)
    flows = (of.flows[0], replace(of.flows[1], parts=FlowParts(default_paths=(through,))))
    at = LandingEdge(replace(of, flows=flows))
    for _ in range(20):
        visitor = Visitor(at)
        click_id = visitor.visit(key=OTHER_KEY)
        (click,) = (click for click in at.recorded_clicks() if click.click_id == click_id)
        assert (click.campaign_id, click.path_id, click.landing_id, bool(click.hops)) == (8, 21, 3, True)
        by_cookie = visitor.press(click_id)
        at.forget()
        without = Visitor(at, keeps_cookies=False)
        by_core = without.press(click_id, core=click)
        assert without.asked_core
        assert by_cookie is not None
        assert by_core is not None
        assert by_cookie.location == by_core.location


def test_a_cached_page_with_an_old_click_id_is_reported_and_the_visitors_own_visit_is_served() -> None:
    at = LandingEdge()
    somebody = Visitor(at)
    old = somebody.visit()
    at.now += 60_000
    visitor = Visitor(at)
    own = visitor.visit()
    assert values(visitor.press(old, "/2"))["s"] == own
    (event,) = at.recorded_events()
    assert (event.click_id, event.flags) == (own, "old_click_id")


def test_a_cached_page_is_recognised_without_the_core_too() -> None:
    at = LandingEdge()
    old = Visitor(at).visit()
    at.now += 60_000
    visitor = Visitor(at)
    own = visitor.visit()
    at.forget()
    assert values(visitor.press(old, "/2"))["s"] == own
    assert at.recorded_events()[0].flags == "old_click_id"


def test_a_click_id_newer_than_the_cookie_is_not_an_old_one() -> None:
    at = LandingEdge()
    visitor = Visitor(at)
    visitor.visit()
    at.now += 60_000
    newer = Visitor(at).visit()
    assert values(visitor.press(newer, "/2"))["s"] == newer
    assert at.recorded_events()[0].flags == ""


@pytest.mark.parametrize("purpose", [b"prefetch", b"prefetch;prerender"])
def test_a_prefetch_is_recorded_and_not_counted_and_the_press_behind_it_is_no_repeat(purpose: bytes) -> None:
    at = LandingEdge()
    visitor = Visitor(at)
    click_id = visitor.visit()
    visitor.press(click_id, "/1", purpose=purpose)
    visitor.press(click_id, "/1")
    assert [(event.screening, event.flags) for event in at.recorded_events()] == [("prefetch", ""), ("", "")]


def test_a_head_request_is_recorded_and_not_counted() -> None:
    at = LandingEdge()
    visitor = Visitor(at)
    visitor.press(visitor.visit(), method=b"HEAD")
    assert at.recorded_events()[0].screening == "head_request"


def test_events_come_with_the_press() -> None:
    at = LandingEdge()
    visitor = Visitor(at)
    visitor.press(visitor.visit(), query="event1=2&event7=-1.5&event3=x")
    (event,) = at.recorded_events()
    assert (event.events, event.flags) == ({1: 2_000_000, 7: -1_500_000}, "event_unreadable")


def test_redirect_mode_and_passed_query_are_the_paths() -> None:
    path = replace(PATH, redirect=RedirectMode.FOUND_NO_REFERRER, pass_query=PassQuery.CLICK_IDS)
    at = LandingEdge(catalog(path=path))
    visitor = Visitor(at)
    gone = visitor.press(visitor.visit(), "/2", "fbclid=F&foo=1&event1=1")
    assert gone is not None
    assert gone.mode is RedirectMode.FOUND_NO_REFERRER
    assert values(gone).keys() == {"s", "fbclid"}


def test_click_ids_of_the_users_own_platforms_are_passed_on_too() -> None:
    path = replace(PATH, pass_query=PassQuery.CLICK_IDS)
    at = LandingEdge(catalog(path=path))
    at.edge.click_id_names = click_id_names(["adclid"])
    visitor = Visitor(at)
    click_id = visitor.visit()
    assert values(visitor.press(click_id, "/2", "AdClid=7&fbclid=F&foo=1")).keys() == {"s", "AdClid", "fbclid"}


def test_values_too_long_for_a_cookie_come_from_the_core_else_they_are_empty_and_flagged() -> None:
    at = LandingEdge()
    visitor = Visitor(at)
    long = "x" * 1000
    click_id = visitor.visit(f"external_id={long}&zone=1".encode())
    assert len(visitor.cookies["clickloop_v"]) < 500
    (click,) = at.recorded_clicks()
    assert values(visitor.press(click_id, "/1"))["x"] == long  # from memory
    at.forget()
    assert values(visitor.press(click_id, "/1", core=click))["x"] == long
    assert visitor.asked_core
    at.forget()
    gone = visitor.press(click_id, "/1")
    assert site(gone) == "first.example"
    assert "x" not in values(gone)
    assert "values_unknown" in at.recorded_events()[-1].flags


def _cookie_of_a_future_version(value: str) -> str:
    return "2" + value[1:]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda value: value[:-5],
        lambda value: value[:30],
        lambda value: "1" + "A" * 4095,
        lambda value: value[:20] + ("B" if value[20] != "B" else "C") + value[21:],
        _cookie_of_a_future_version,
        lambda value: "1" + base64.b64encode(b"\0" * 12 + msgspec.msgpack.encode([[], []])).decode(),
    ],
)
def test_a_spoiled_cookie_is_none_and_the_pages_click_id_serves(spoil: object) -> None:
    at = LandingEdge()
    visitor = Visitor(at)
    click_id = visitor.visit()
    visitor.cookies = {"clickloop_v": spoil(visitor.cookies["clickloop_v"])}  # type: ignore[operator]
    assert values(visitor.press(click_id, "/2"))["s"] == click_id
    visitor.cookies = {"clickloop_v": spoil(visitor.cookies["clickloop_v"])}  # type: ignore[operator]
    gone = visitor.press(button="/2")
    assert gone is not None
    assert gone.location == FALLBACK


def test_a_visitors_value_never_makes_another_host() -> None:
    hostile = b"external_id=@evil.example%2F&zone=//evil.example/%5C%0d%0a"
    at = LandingEdge(
        catalog(
            landing_url="https://landing.example/{zone}?x={externalid}",
            offers=((FIRST, "https://first.example/{externalid|raw}{zone|raw}"),),
        )
    )
    visitor = Visitor(at)
    click_id = visitor.visit(hostile)
    assert urlsplit(at.recorded_clicks()[0].target).netloc == "landing.example"
    gone = visitor.press(click_id)
    assert site(gone) == "first.example"
    assert gone is not None
    assert "\r" not in gone.location
    assert "\n" not in gone.location
