"""Reports of track.js: when a visit is a click and when a view, what is believed, and what the page is told."""

import msgspec
import pytest
from msgspec.structs import replace

from clickloop.click.page.page_event import PageEventKind
from clickloop.click.page.page_report import MAX_REPORT_BYTES, Hints, PageReport, image_report, read_report
from clickloop.setup.flow import LandingShare, OfferShare
from clickloop.tracking.notice_limits import MAX_PAGE_REPORTS_PER_ADDRESS
from clickloop.tracking.pages.page_reports import MAX_QUERY_BYTES_OVER_RATE, RELOAD_MS, TakenReport, take_page_report
from tests.landings import FIRST, KEY, OTHER_KEY, PATH, SECOND, catalog
from tests.tracking.landing_edge import LandingEdge, Visitor, values

PAGE = "https://shop.example/p"


def reported(visitor: Visitor, report: PageReport, **headers: bytes) -> TakenReport:
    return take_page_report(visitor.at.edge, visitor.request(b"/track", b"", b"POST", **headers), report)


def visited(at: LandingEdge, query: str = "external_id=e&zone=7", **more: object) -> TakenReport:
    return reported(Visitor(at), PageReport(campaign=KEY, url=f"{PAGE}?{query}", **more))  # type: ignore[arg-type]


def test_a_visit_without_a_click_id_is_a_click_with_the_parameters_of_the_page() -> None:
    at = LandingEdge()
    taken = visited(at, "external_id=e%26&Zone=z+1&utm=x#part", referrer="https://ads.example/", language="de-DE")
    (click,) = at.recorded_clicks()
    assert taken.answer.cid == click.click_id
    assert (click.campaign_id, click.external_id, click.v1, click.path_id, click.landing_id, click.offer_id) == (
        7,
        "e&",
        "z 1",
        21,
        3,
        0,
    )
    assert (click.referrer, click.language, click.country, click.device, click.target) == (
        "https://ads.example/",
        "de-de",
        "DE",
        "mobile",
        "",
    )
    assert (click.unique, click.flags, click.screening) == (True, "", "")
    assert at.recorded_events() == []


def test_the_page_is_told_its_links_and_what_is_known_of_the_visitor() -> None:
    at = LandingEdge()
    answer = visited(at).answer
    assert [(link.n, link.url) for link in answer.offers] == [
        (number, f"http://track.example/click/{number}?cid={answer.cid}") for number in (1, 2)
    ]
    assert answer.values == {
        "country": "DE",
        "country.name": "Germany",
        "device": "mobile",
        "brand": "Samsung",
        "model": "SM-A546B",
        "os": "Android",
        "browser": "Chrome Mobile",
    }


def test_a_press_on_the_page_finds_its_click_with_and_without_the_core() -> None:
    at = LandingEdge()
    answer = visited(at).answer
    visitor = Visitor(at, keeps_cookies=False)
    remembered = values(visitor.press(answer.cid, "/1"))
    assert (remembered["s"], remembered["x"], remembered["z"]) == (answer.cid, "e", "7")
    at.forget()
    (click,) = at.recorded_clicks()
    assert values(visitor.press(answer.cid, "/1", core=click)) == remembered


def test_two_tracked_pages_in_two_tabs_keep_their_clicks() -> None:
    at = LandingEdge()
    visitor = Visitor(at)
    first, second = visited(at).answer.cid, visited(at).answer.cid
    assert values(visitor.press(second, "/2"))["s"] == second
    assert values(visitor.press(first, "/2"))["s"] == first
    at.forget()
    (click,) = (click for click in at.recorded_clicks() if click.click_id == first)
    visitor.cookies.clear()
    visitor.press(second, "/1", core=at.recorded_clicks()[1])
    assert values(visitor.press(first, "/2", core=click))["s"] == first


def test_the_cost_in_a_pages_url_is_not_believed() -> None:
    at = LandingEdge()
    visited(at, "cost=500&external_id=e")
    (click,) = at.recorded_clicks()
    assert (click.cost_micros, click.cost_currency) == (0, "")


def test_a_fixed_cost_per_click_holds_for_pages_too() -> None:
    at = LandingEdge(catalog(cost_micros=20_000))
    visited(at, "cost=500")
    assert at.recorded_clicks()[0].cost_micros == 20_000


def test_a_page_reached_by_a_campaign_link_is_a_view_of_that_click() -> None:
    at = LandingEdge()
    click_id = Visitor(at).visit()
    at.now += 2 * RELOAD_MS  # the visitor left the landing open
    taken = reported(Visitor(at), PageReport(campaign=KEY, url=f"{PAGE}?cid={click_id}", cid=click_id, loaded=812.4))
    assert taken.answer.cid == click_id
    assert len(taken.answer.offers) == 2
    assert len(at.recorded_clicks()) == 1
    (event,) = at.recorded_events()
    assert (event.kind, event.click_id, event.loaded_ms) == (PageEventKind.LANDING_VIEW, click_id, 812)


@pytest.mark.parametrize(("after_ms", "clicks", "views"), [(RELOAD_MS - 1, 1, 1), (RELOAD_MS, 2, 0)])
def test_a_reload_within_half_an_hour_is_a_view(after_ms: int, clicks: int, views: int) -> None:
    at = LandingEdge()
    first = visited(at)
    at.now += after_ms
    visited(at, cid=first.answer.cid)
    assert (len(at.recorded_clicks()), len(at.recorded_events())) == (clicks, views)


def test_a_later_click_of_a_browser_that_sends_the_signed_cookie_is_not_unique() -> None:
    at = LandingEdge()
    visitor = Visitor(at)
    first = reported(visitor, PageReport(campaign=KEY, url=PAGE))
    visitor.cookies["clickloop_v"] = first.visitor_cookie
    at.now += RELOAD_MS
    reported(visitor, PageReport(campaign=KEY, url=PAGE, cid=first.answer.cid))
    assert [click.unique for click in at.recorded_clicks()] == [True, False]


def test_a_later_click_without_it_is_left_to_settling_by_the_same_hash() -> None:
    at = LandingEdge()
    first = visited(at)
    at.now += RELOAD_MS
    visited(at, cid=first.answer.cid)
    assert [click.unique for click in at.recorded_clicks()] == [True, True]
    assert len({msgspec.json.decode(line)["visitor"] for line in at.clicks.lines}) == 1


def test_a_button_pressed_after_a_page_that_could_set_no_cookie_makes_the_visitor_known() -> None:
    at = LandingEdge()
    visitor = Visitor(at)
    first = reported(visitor, PageReport(campaign=KEY, url=PAGE))
    visitor.press(first.answer.cid)
    visitor.visit()
    assert [click.known for click in at.recorded_clicks()] == [False, True]


def test_a_page_of_another_campaign_is_a_click_of_its_own() -> None:
    at = LandingEdge()
    first = visited(at)
    reported(Visitor(at), PageReport(campaign=OTHER_KEY, url=PAGE, cid=first.answer.cid))
    assert [click.campaign_id for click in at.recorded_clicks()] == [7, 8]


@pytest.mark.parametrize("cid", ["x", "01kjmm87x09z14xzr1jgrhd1se"])
def test_a_forged_click_id_is_none(cid: str) -> None:
    at = LandingEdge()
    taken = reported(Visitor(at), PageReport(campaign=KEY, url=f"{PAGE}?cid={cid}", cid=cid))
    assert [click.click_id for click in at.recorded_clicks()] == [taken.answer.cid]


@pytest.mark.parametrize("campaign", ["", "nobody", None, "é"])
def test_of_no_campaign_nothing_is_recorded(campaign: str | None) -> None:
    at = LandingEdge()
    taken = reported(Visitor(at), PageReport(campaign=campaign, url=PAGE))
    assert (taken.answer.cid, at.recorded_clicks(), at.recorded_events()) == ("", [], [])


def test_events_of_a_page_are_recorded_with_their_click() -> None:
    at = LandingEdge()
    click_id = visited(at).answer.cid
    reported(Visitor(at), PageReport(cid=click_id, events={"1": "3", "2": "-1.5", "31": "1", "x": "1"}))
    (event,) = at.recorded_events()
    assert (event.kind, event.click_id, event.events, event.flags) == (
        PageEventKind.EVENT,
        click_id,
        {1: 3_000_000, 2: -1_500_000},
        "event_unreadable",
    )


def test_events_without_a_genuine_click_id_are_of_nobody() -> None:
    at = LandingEdge()
    assert reported(Visitor(at), PageReport(cid="x", campaign=KEY, events={"1": "1"})).answer.cid == ""
    assert (at.recorded_clicks(), at.recorded_events()) == ([], [])


def test_a_thousand_reports_a_second_from_one_address_are_all_recorded_and_short() -> None:
    at = LandingEdge()
    long = "external_id=e&zone=" + "z" * 900
    for _ in range(1000):
        visited(at, long, referrer="https://ads.example/" + "r" * 400)
    lines = [len(line) for line in (at.recorded_clicks(), at.clicks.lines)[1]]
    assert len(lines) == 1000
    assert max(lines) < 2 * MAX_REPORT_BYTES
    assert max(lines[MAX_PAGE_REPORTS_PER_ADDRESS:]) < 600 + MAX_QUERY_BYTES_OVER_RATE
    assert len(at.edge.recent_visits) == 1000


def test_a_bot_that_runs_the_script_is_recorded_and_not_counted() -> None:
    at = LandingEdge()
    reported(
        Visitor(at), PageReport(campaign=KEY, url=PAGE), user_agent=b"Googlebot/2.1 (+http://www.google.com/bot.html)"
    )
    assert at.recorded_clicks()[0].screening


def test_of_a_paused_campaign_the_visit_is_recorded_with_its_flag() -> None:
    at = LandingEdge(catalog(active=False))
    taken = visited(at)
    assert taken.answer.cid
    assert at.recorded_clicks()[0].flags == "fallback"


def test_with_several_landings_none_is_taken_for_the_page() -> None:
    path = replace(PATH, landings=(LandingShare(3), LandingShare(4)), offers=(OfferShare(FIRST), OfferShare(SECOND)))
    more = catalog(path=path)
    at = LandingEdge(replace(more, landings=(*more.landings, replace(more.landings[0], id=4))))
    visited(at)
    assert at.recorded_clicks()[0].landing_id == 0


def test_an_image_on_a_page_without_scripts_registers_the_visit() -> None:
    at = LandingEdge()
    report = image_report(f"campaign={KEY}&external_id=e".encode(), f"{PAGE}?zone=7".encode(), "")
    taken = reported(Visitor(at), report)
    (click,) = at.recorded_clicks()
    assert (click.external_id, click.v1, click.click_id) == ("e", "7", taken.answer.cid)
    assert at.edge.cookies.read(taken.visitor_cookie).visits[0].click_id == click.click_id


def test_an_image_can_carry_events_and_a_click_id() -> None:
    report = image_report(b"cid=01ABC&event1=2&EVENT2=-1&eventx=3", b"", "01cookie")
    assert (report.cid, report.events) == ("01ABC", {"1": "2", "2": "-1"})
    assert image_report(b"campaign=K", b"", "01cookie").cid == "01cookie"


def test_hints_are_accepted_and_odd_ones_are_refused_whole() -> None:
    assert read_report(b'{"hints": {"model": "Pixel 9", "mobile": true}}').hints == Hints(model="Pixel 9", mobile=True)
