"""What counts as unique: by the signed cookie, else by the daily hash, from the edge to the report."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from bench.uniqueness import Browsers, compare
from clickloop.click.click import Flag
from clickloop.click.redirect import MAX_COOKIE_BYTES
from clickloop.click.routing.visitor_values import click_value_of
from clickloop.click.visitor_cookie import VisitorCookies
from clickloop.clock import DAY_MS
from clickloop.setup.returning import UniqueBy
from clickloop.tracking.retention import VisitorRetention
from tests.tracking.unique_visits import FIRST, HOUR, NOON, PHONE, SECOND, Browser, Tracker, routes

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/604.1"
FROZEN = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36"
)


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    tracker = Tracker(tmp_path)
    yield tracker
    tracker.facts.close()


def clicks_of(tracker: Tracker, visits: list[tuple[int, Callable[[], str]]]) -> list[str]:
    """Make visits, each so many milliseconds after noon, and settle them."""
    ids = []
    for after_ms, visit in visits:
        tracker.now = NOON + after_ms
        ids.append(visit())
    tracker.settle()
    return ids


def cases() -> dict[str, Callable[[Tracker], tuple[list[tuple[int, Callable[[], str]]], list[bool]]]]:
    """Return cases: visits with their times, and which are unique."""

    def with_cookies(at: Tracker, **more: str) -> Browser:
        return Browser(at, **more)  # type: ignore[arg-type]

    def without(at: Tracker, ip: str = "198.51.100.7", useragent: str = PHONE) -> Browser:
        return Browser(at, ip, useragent, stores_cookies=False)

    def repeated(browser: Browser, *times: int) -> list[tuple[int, Callable[[], str]]]:
        return [(at, browser.visit) for at in times]

    def two_tabs(at: Tracker, browser: Browser) -> list[tuple[int, Callable[[], str]]]:
        return [(0, lambda: browser.request().click_id), (5, browser.visit)]

    def tabs_of_a_known_browser(at: Tracker) -> list[tuple[int, Callable[[], str]]]:
        browser = Browser(at)
        return [(0, lambda: browser.visit("Camp02")), (9, lambda: browser.request().click_id), (9, browser.visit)]

    def on_two_domains(browser: Browser) -> list[tuple[int, Callable[[], str]]]:
        hosts = ("go.example", "go.example.net")
        return [(at, lambda host=hosts[at % 2]: browser.visit(host=host)) for at in range(4)]  # type: ignore[misc]

    def relay(at: Tracker) -> list[tuple[int, Callable[[], str]]]:
        browser = Browser(at, "172.225.0.1", IPHONE, stores_cookies=False)
        other = Browser(at, "172.225.0.2", IPHONE, stores_cookies=False)
        return [(0, browser.visit), (1, other.visit), (2, browser.visit)]

    def relay_with_cookies(at: Tracker) -> list[tuple[int, Callable[[], str]]]:
        browser = Browser(at, "172.225.0.1", IPHONE)

        def moved() -> str:
            browser.ip = "172.225.0.2"
            return browser.visit()

        return [(0, browser.visit), (1, moved)]

    def frozen(at: Tracker, *, stores_cookies: bool) -> list[tuple[int, Callable[[], str]]]:
        people = [Browser(at, "203.0.113.9", FROZEN, stores_cookies=stores_cookies) for _ in range(2)]
        return [(0, people[0].visit), (HOUR, people[1].visit), (2 * HOUR, people[1].visit)]

    def cleared(at: Tracker) -> list[tuple[int, Callable[[], str]]]:
        browser = Browser(at)

        def clear() -> str:
            browser.cookies.clear()
            return browser.visit()

        return [(0, browser.visit), (HOUR, clear)]

    def prefetched(at: Tracker) -> list[tuple[int, Callable[[], str]]]:
        browser = Browser(at)
        return [(0, lambda: browser.visit(purpose=b"prefetch")), (9, browser.visit), (19, browser.visit)]

    day, hour = DAY_MS, HOUR
    return {
        "several clicks with cookies": lambda at: (repeated(with_cookies(at), 0, 9, hour), [True, False, False]),
        "several clicks without cookies": lambda at: (repeated(without(at), 0, 9, hour), [True, False, False]),
        "over midnight without cookies": lambda at: (repeated(without(at), 0, day - 1), [True, False]),
        "a day later": lambda at: (repeated(with_cookies(at), 0, day, day + 9), [True, True, False]),
        "a day later without cookies": lambda at: (repeated(without(at), 0, day, day + 9), [True, True, False]),
        "days apart without cookies": lambda at: (repeated(without(at), 0, 3 * day), [True, True]),
        "two tabs at a first visit": lambda at: (two_tabs(at, with_cookies(at)), [True, False]),
        "two tabs without cookies": lambda at: (two_tabs(at, without(at)), [True, False]),
        "two tabs of a browser with an older cookie": lambda at: (tabs_of_a_known_browser(at), [True, True, False]),
        "a cookie per domain": lambda at: (on_two_domains(with_cookies(at)), [True, False, False, False]),
        "Private Relay without cookies counts each of its addresses": lambda at: (relay(at), [True, True, False]),
        "Private Relay with cookies": lambda at: (relay_with_cookies(at), [True, False]),
        "two people behind one address with the same frozen user agent": lambda at: (
            frozen(at, stores_cookies=False),
            [True, False, False],
        ),
        "the same two people with cookies": lambda at: (frozen(at, stores_cookies=True), [True, False, False]),
        "other user agents behind one address": lambda at: (
            [(0, without(at).visit), (1, without(at, useragent=IPHONE).visit)],
            [True, True],
        ),
        "cookies cleared": lambda at: (cleared(at), [True, False]),
        "a prefetch is not counted and makes nobody known": lambda at: (prefetched(at), [True, True, False]),
        "no address": lambda at: ([(0, without(at, "").visit), (1, without(at, "").visit)], [True, True]),
    }


@pytest.mark.parametrize("case", cases().values(), ids=cases())
def test_the_unique_clicks_of(
    case: Callable[[Tracker], tuple[list[tuple[int, Callable[[], str]]], list[bool]]], tracker: Tracker
) -> None:
    visits, unique = case(tracker)
    assert tracker.unique(*clicks_of(tracker, visits)) == unique


def test_a_campaign_that_recognises_for_ever_does_so_by_the_cookie_and_once_a_day_without(tracker: Tracker) -> None:
    tracker.edge.routes = routes(replace(FIRST, unique_within_seconds=0), SECOND)
    kept, none = Browser(tracker), Browser(tracker, "198.51.100.8", stores_cookies=False)
    ids = clicks_of(tracker, [(at, one.visit) for at in (0, 300 * DAY_MS) for one in (kept, none)])
    assert tracker.unique(*ids) == [True, True, False, True]


@pytest.mark.parametrize("stores_cookies", [True, False])
def test_on_the_instance_a_click_on_any_campaign_makes_a_visitor_known(tracker: Tracker, stores_cookies: bool) -> None:
    tracker.edge.routes = routes(FIRST, replace(SECOND, unique_by=UniqueBy.INSTANCE))
    browser = Browser(tracker, stores_cookies=stores_cookies)
    ids = clicks_of(
        tracker,
        [
            (0, lambda: browser.visit("Camp01")),
            (HOUR, lambda: browser.visit("Camp02")),
            (DAY_MS + 1, lambda: browser.visit("Camp02")),
            (DAY_MS + 2, lambda: browser.visit("Camp01")),
        ],
    )
    assert tracker.unique(*ids) == [True, False, True, True]


@pytest.mark.parametrize("stores_cookies", [True, False])
@pytest.mark.parametrize("scope", list(UniqueBy))
def test_after_a_reset_each_visitor_is_unique_once_more(
    tracker: Tracker, stores_cookies: bool, scope: UniqueBy
) -> None:
    tracker.edge.routes = routes(replace(FIRST, unique_by=scope), SECOND)
    browser = Browser(tracker, stores_cookies=stores_cookies)
    ids = clicks_of(tracker, [(0, lambda: browser.visit("Camp02")), (1, browser.visit), (2, browser.visit)])
    tracker.edge.routes = routes(replace(FIRST, unique_by=scope, unique_epoch=1), SECOND)
    ids += clicks_of(tracker, [(3, browser.visit), (4, browser.visit), (5, lambda: browser.visit("Camp02"))])
    first_is_unique = scope is UniqueBy.CAMPAIGN
    assert tracker.unique(*ids) == [True, first_is_unique, False, True, False, False]
    assert [tracker.click(one).unique_epoch for one in ids] == [0, 0, 0, 1, 1, 0]


@pytest.mark.parametrize("settled_first", ["old", "new"])
def test_clicks_under_way_when_the_epoch_is_raised_count_the_same_in_any_order(
    tracker: Tracker, settled_first: str
) -> None:
    other = tracker.new_edge()
    other.routes = routes(replace(FIRST, unique_epoch=1), SECOND)
    browser = Browser(tracker, stores_cookies=False)
    ids = [browser.visit(), browser.visit(), browser.visit(edge=other), browser.visit(edge=other)]
    tracker.settle(*((tracker.edge, other) if settled_first == "old" else (other, tracker.edge)))
    assert tracker.unique(*ids) == [True, False, True, False]


def test_a_cookie_from_an_edge_that_knows_a_reset_earlier_is_not_new_to_the_others(tracker: Tracker) -> None:
    ahead = tracker.new_edge()
    ahead.routes = routes(replace(FIRST, unique_epoch=1), SECOND)
    browser = Browser(tracker)
    ids = [browser.visit(edge=ahead), browser.visit(), browser.visit(edge=ahead)]
    tracker.settle(ahead, tracker.edge)
    assert tracker.unique(*ids) == [True, False, False]


BAD_COOKIES = {
    "forged": lambda good: VisitorCookies(b"x" * 16).write(VisitorCookies(b"k" * 16).read(good)),
    "cut": lambda good: good[:-6],
    "4 KB": lambda _good: "1" + "A" * (MAX_COOKIE_BYTES - 1),
    "of a future version": lambda good: "2" + good[1:],
    "empty": lambda _good: "",
}


@pytest.mark.parametrize("spoil", BAD_COOKIES.values(), ids=BAD_COOKIES)
def test_with_a_bad_cookie_the_hash_decides_and_the_cookie_is_replaced(
    tracker: Tracker, spoil: Callable[[str], str]
) -> None:
    browser, other = Browser(tracker), Browser(tracker, "203.0.113.5")
    first = browser.visit()
    other.cookies["go.example"] = browser.cookies["go.example"] = spoil(browser.cookies["go.example"])
    ids = [first, browser.visit(), other.visit(), other.visit()]
    tracker.settle()
    assert tracker.unique(*ids) == [True, False, True, False]
    assert tracker.edge.cookies.read(other.cookies["go.example"]).visits_of(FIRST.id) == 2


def test_a_cookie_of_another_campaign_knows_nothing_of_this_one(tracker: Tracker) -> None:
    browser = Browser(tracker)
    ids = [browser.visit("Camp02"), browser.visit(), browser.visit("Camp02")]
    tracker.settle()
    assert tracker.unique(*ids) == [True, True, False]


def test_a_cookie_replayed_by_many_clients_makes_one_unique_click(tracker: Tracker) -> None:
    owner = Browser(tracker)
    owner.visit("Camp02")
    cookie = owner.cookies["go.example"]
    ids = []
    for number in range(500):
        client = Browser(tracker, f"203.0.{number // 250}.{number % 250}")
        client.cookies["go.example"] = cookie
        ids.append(client.visit())
    tracker.settle()
    assert tracker.unique(*ids) == [True, *[False] * 499]


def test_a_recognised_click_says_why_and_is_replayed_as_it_was_routed(tracker: Tracker) -> None:
    browser = Browser(tracker, stores_cookies=False)
    first, second = browser.visit(), browser.visit()
    tracker.settle()
    click = tracker.click(second)
    assert (click.unique, click.known, click.flags) == (False, False, Flag.RECOGNISED)
    assert click.target.endswith("u=1")  # the edge knows the cookie only
    assert click_value_of(click, "unique") == "yes"
    assert tracker.click(first).flags == ""
    rows = [row for rows in tracker.facts.click_rows(1, NOON, NOON + 1, ["unique"]) for row in rows]
    assert [row[-1] for row in rows] == [True, True]


def test_a_restart_of_the_core_forgets_no_visitor(tracker: Tracker) -> None:
    browser = Browser(tracker, stores_cookies=False)
    first = browser.visit()
    tracker.settle()
    tracker.reopen()
    second = browser.visit()
    tracker.settle()
    assert tracker.unique(first, second) == [True, False]


def test_no_fact_has_a_hash_and_the_table_of_visitors_keeps_two_days(tracker: Tracker) -> None:
    browser = Browser(tracker, stores_cookies=False)
    ids = clicks_of(tracker, [(0, browser.visit), (DAY_MS, browser.visit)])
    retention = VisitorRetention(tracker.facts)
    seen = {tracker.edge.visitor_hashes.today(browser.ip, PHONE.encode(), NOON + day * DAY_MS) for day in (0, 1)}
    numbers = [int(one, 16) for one in seen]
    for name in ("visitor", "visitor_before", "cookie"):
        assert not hasattr(tracker.click(ids[0]), name)
    retention(NOON + 2 * DAY_MS)
    assert len(tracker.facts.seen_visitors(numbers, 0, NOON * 2)) == 2  # a backlog may need them
    retention.is_behind = False
    retention(NOON + DAY_MS)
    assert len(tracker.facts.seen_visitors(numbers, 0, NOON * 2)) == 2
    retention(NOON + 2 * DAY_MS)
    assert len(tracker.facts.seen_visitors(numbers, 0, NOON * 2)) == 1


@pytest.mark.parametrize("browsers", list(Browsers))
def test_every_report_counts_as_many_unique_clicks_as_a_plain_model(browsers: Browsers) -> None:
    found = compare(browsers, people=150, count=1_500)
    assert found.wrong == ()
    assert 0 < found.unique < found.visits
