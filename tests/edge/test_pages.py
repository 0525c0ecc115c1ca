"""The endpoints for pages: raw requests to a real edge without a core, and the contents of its journal."""

import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clickloop.click_id import ClickIds
from clickloop.setup.flow import FlowParts, Rule
from clickloop.setup.redirect import RedirectMode
from clickloop.store.unknown_links import read_unknown_links
from clickloop.tracking.click_lookup import LOOKUP_SECONDS
from tests.edge.edge_running import KEY as SECRET
from tests.edge.landing_process import (
    LandingProcess,
    cookie_header,
    cookies_of,
    landing_process,
    parameters_of,
)
from tests.journey.running import Connection, eventually, request_of
from tests.landings import FALLBACK, FIRST, KEY, OTHER_KEY, OTHER_PATH, PATH, catalog

PAGE = "https://shop.example/p"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LandingProcess]:
    yield from landing_process(tmp_path_factory.mktemp("edge") / "data")


@pytest.fixture
def own_edge(tmp_path: Path) -> Iterator[LandingProcess]:
    """An edge of one test, which changes its set-up."""
    yield from landing_process(tmp_path / "data")


def test_a_landing_click_is_in_the_journal_when_the_visitor_is_redirected(edge: LandingProcess) -> None:
    click_id, cookies = edge.land()
    answer = edge.ask("GET", f"/click/1?cid={click_id}", cookie_header(cookies))
    assert answer.status == 302
    assert parameters_of(answer)["s"] == click_id
    (event,) = [event for event in edge.page_events() if event.click_id == click_id]
    assert (event.offer_id, event.button, event.target) == (FIRST, 1, answer.headers["location"])


def test_the_press_sets_both_cookies_and_the_second_press_needs_nothing_else(edge: LandingProcess) -> None:
    click_id, cookies = edge.land()
    pressed = edge.ask("GET", "/click", cookie_header(cookies))
    kept = cookies | cookies_of(pressed)
    assert set(cookies_of(pressed)) == {"clickloop", "clickloop_v"}
    again = edge.ask("GET", "/click", cookie_header(kept))
    assert again.headers["location"] == pressed.headers["location"]
    flags = [event.flags for event in edge.page_events() if event.click_id == click_id]
    assert flags == ["", "repeated"]


def test_a_cookie_works_after_the_edge_was_killed(tmp_path: Path) -> None:
    """The core is not running at all."""
    for first in landing_process(tmp_path / "first"):
        click_id, cookies = first.land()
    for second in landing_process(tmp_path / "second"):  # with the same key
        answer = second.ask("GET", "/click/1", cookie_header(cookies))
        assert parameters_of(answer)["s"] == click_id


def test_without_a_core_a_visitor_without_a_cookie_gets_the_fallback_at_once(edge: LandingProcess) -> None:
    unknown = ClickIds(SECRET).new(int(time.time() * 1000))
    begun = time.monotonic()
    answer = edge.ask("GET", f"/click?cid={unknown}")
    assert time.monotonic() - begun < LOOKUP_SECONDS
    assert answer.headers["location"] == FALLBACK
    assert [event.flags for event in edge.page_events() if event.click_id == unknown] == ["fallback"]


@pytest.mark.parametrize(
    "target",
    [
        "/click/1&cid={}",
        "/click/1/?cid={}",
        "//click/1?cid={}",
        "/click/1%3Fcid={}",
        "/click/1?amp;cid={}",
        "/click/1;cid={}",
        "/click/1?CID={}",
        "/click/1?subid={}",
    ],
)
def test_a_mangled_click_url_still_finds_its_click(edge: LandingProcess, target: str) -> None:
    click_id, _ = edge.land()
    answer = edge.ask("GET", target.format(click_id))
    assert (answer.status, parameters_of(answer)["s"]) == (302, click_id)
    assert parameters_of(answer).get("x") == "e"


@pytest.mark.parametrize("off", [{"active": False}, {"weight": 0}, {"rule": False}])
def test_a_visitor_on_the_landing_of_a_path_that_is_switched_off_reaches_its_offers(
    own_edge: LandingProcess, off: dict[str, Any]
) -> None:
    click_id, cookies = own_edge.land()
    of = catalog()
    path = msgspec.structs.replace(PATH, **{name: value for name, value in off.items() if name != "rule"})
    other = msgspec.structs.replace(OTHER_PATH, id=23)
    parts = FlowParts(rules=(Rule(id=31, active=off.get("rule", True), paths=(path,)),), default_paths=(other,))
    flows = (msgspec.structs.replace(of.flows[0], parts=parts), *of.flows[1:])
    own_edge.publish_catalog(msgspec.structs.replace(of, flows=flows))
    eventually(lambda: "landing" not in own_edge.ask("GET", f"/c/{KEY}").headers.get("location", ""))
    assert (
        own_edge.ask("GET", f"/click/1?cid={click_id}", cookie_header(cookies))
        .headers["location"]
        .startswith("https://first.example/o")
    )


def test_a_click_url_takes_no_post(edge: LandingProcess) -> None:
    assert edge.ask("POST", "/click", body=b"a=b").status == 405


@pytest.mark.parametrize("path", ["/clicks", "/click1", "/trackx", "/track.jsx", "/track/1"])
def test_other_paths_are_unknown(edge: LandingProcess, path: str) -> None:
    assert edge.ask("GET", path).status == 404


@pytest.mark.parametrize(
    "cookie",
    [
        "clickloop_v=1" + "A" * 4095,
        "clickloop_v=2abc",
        "clickloop_v=",
        "clickloop_v=1" + "=" * 40,
        "clickloop=01kjmm87x09z14xzr1jgrhd1se",
        "x" * 8000,
    ],
)
def test_a_cookie_that_is_not_ours_counts_as_none(edge: LandingProcess, cookie: str) -> None:
    answer = edge.ask("GET", "/click/1", {"Cookie": cookie})
    assert (answer.status, answer.headers["location"]) == (302, FALLBACK)


@pytest.mark.parametrize("name", ["clickloop_v", "clickloop"])
def test_a_cookie_that_a_neighbour_set_under_the_same_name_hides_none(edge: LandingProcess, name: str) -> None:
    click_id, cookies = edge.land()
    header = f"{name}=1planted; {name}={cookies[name]}"
    answer = edge.ask("GET", "/click/1", {"Cookie": header})
    assert parameters_of(answer)["s"] == click_id


def test_ten_thousand_events_take_one_press(edge: LandingProcess) -> None:
    click_id, cookies = edge.land()
    events = "&".join(f"event{number % 40}={number}" for number in range(10_000))
    assert edge.ask("GET", f"/click/1?cid={click_id}&{events}"[:100_000], cookie_header(cookies)).status == 302
    (event,) = [event for event in edge.page_events() if event.click_id == click_id]
    assert 0 < len(event.events) <= 30


def test_landing_clicks_without_a_click_id_are_counted_for_the_core(own_edge: LandingProcess) -> None:
    own_edge.ask("GET", "/click")
    own_edge.ask("GET", "/click/2?cid=x")
    eventually(lambda: read_unknown_links(own_edge.folder).lost_landing_clicks == 2)


# The script ---------------------------------------------------------------------------------------------------------


def test_the_script_is_small_and_kept_for_an_hour(edge: LandingProcess) -> None:
    plain = edge.ask("GET", "/track.js")
    packed = edge.ask("GET", "/track.js", {"Accept-Encoding": "gzip, br"})
    assert gzip.decompress(packed.body) == plain.body
    assert len(packed.body) <= 3 * 1024
    assert (packed.headers["content-encoding"], packed.headers["cache-control"]) == ("gzip", "public, max-age=3600")
    assert plain.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "set-cookie" not in plain.headers


def test_a_browser_that_has_the_script_is_told_so(edge: LandingProcess) -> None:
    etag = edge.ask("GET", "/track.js").headers["etag"]
    with Connection(edge.port) as connection:
        again = connection.ask("GET", "/track.js", {"If-None-Match": f"W/{etag}", "Accept-Encoding": "gzip"})
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", etag)
        assert connection.ask("HEAD", "/track.js").status == 200
        assert connection.ask("GET", "/health").status == 200


def test_any_origin_may_report_without_credentials(edge: LandingProcess) -> None:
    headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    preflight = edge.ask("OPTIONS", "/track", headers)
    assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (204, "*")
    assert "access-control-allow-credentials" not in preflight.headers
    answer = edge.ask("POST", "/track", {"Origin": "null"}, json.dumps({"campaign": KEY, "url": PAGE}).encode())
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "*")


def test_a_report_is_in_the_journal_when_it_is_answered(edge: LandingProcess) -> None:
    answer = edge.report({"campaign": KEY, "url": f"{PAGE}?external_id=e&cost=9"})
    click = edge.click(answer["cid"])
    assert (click.external_id, click.cost_micros, click.landing_id) == ("e", 0, 3)
    assert answer["offers"][1] == {"n": 2, "url": f"http://tracker.example/click/2?cid={answer['cid']}"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"url": 5}', 400),
        (b"x" * (4 * 1024 + 1), 413),
        (b"x" * (200 * 1024), 413),
    ],
)
def test_anything_but_a_report_is_refused_with_a_sentence(edge: LandingProcess, body: bytes, status: int) -> None:
    before = edge.clicks()
    answer = edge.ask("POST", "/track", {"Content-Length": str(len(body))}, body)
    assert answer.status == status
    assert answer.body.endswith(b".\n")
    assert edge.clicks() == before


def test_ten_megabytes_are_refused_before_they_are_read(edge: LandingProcess) -> None:
    with Connection(edge.port) as connection:
        connection.send(request_of("POST", "/track", {"Content-Length": str(10 * 1024 * 1024)}))
        assert connection.answer("POST").status == 413


def test_a_report_of_no_campaign_is_answered_with_nothing(edge: LandingProcess) -> None:
    assert edge.report({"campaign": "nobody", "url": PAGE}) == {}


def test_an_image_registers_a_visit_and_sets_the_cookies(edge: LandingProcess) -> None:
    answer = edge.ask("GET", f"/track.gif?campaign={KEY}&external_id=img", {"Referer": f"{PAGE}?zone=9"})
    assert (answer.status, answer.headers["content-type"]) == (200, "image/gif")
    cookies = cookies_of(answer)
    click = edge.click(cookies["clickloop"])
    assert (click.external_id, click.v1) == ("img", "9")
    pressed = edge.ask("GET", "/click/1", cookie_header(cookies))
    assert parameters_of(pressed)["s"] == click.click_id


def test_a_head_request_for_the_image_registers_nothing(edge: LandingProcess) -> None:
    before = edge.clicks()
    assert edge.ask("HEAD", f"/track.gif?campaign={KEY}").status == 200
    assert edge.clicks() == before


def test_the_pixel_as_a_script_is_a_notice_and_never_cached(edge: LandingProcess) -> None:
    click_id, _ = edge.land()
    answer = edge.ask("GET", f"/pixel.js?cid={click_id}&payout=2&txid=t1")
    assert (answer.status, answer.body, answer.headers["cache-control"]) == (200, b"", "no-store, max-age=0")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["x-clickloop-outcome"] == "accepted"
    (notice,) = [notice for notice in edge.notices() if click_id in notice.query]
    assert notice.query.endswith("payout=2&txid=t1")


def test_a_thousand_reports_from_one_address_are_answered(edge: LandingProcess) -> None:
    before = edge.clicks()
    body = json.dumps({"campaign": OTHER_KEY, "url": PAGE}).encode()
    with Connection(edge.port) as connection:
        answers = [connection.ask("POST", "/track", body=body).status for _ in range(1000)]
    assert set(answers) == {200}
    assert edge.clicks() == before + 1000


# The second hop -----------------------------------------------------------------------------------------------------


def test_a_double_meta_refresh_goes_by_a_signed_page_of_ours(own_edge: LandingProcess) -> None:
    path = msgspec.structs.replace(PATH, redirect=RedirectMode.DOUBLE_META)
    own_edge.publish_catalog(catalog(path=path, redirect_domain="hop.example"))
    eventually(lambda: own_edge.ask("GET", f"/c/{KEY}").status == 200)
    _, cookies = _landed(own_edge)
    answer = own_edge.ask("GET", "/click/2", cookie_header(cookies))
    hop = _refresh_of(answer.body)
    assert (answer.status, hop.startswith("http://hop.example/r/")) == (200, True)
    second = own_edge.ask("GET", hop.removeprefix("http://hop.example"))
    assert (second.status, second.headers["referrer-policy"]) == (200, "no-referrer")
    assert _refresh_of(second.body).startswith("https://second.example/o?s=")
    assert own_edge.ask("GET", hop.removeprefix("http://hop.example")[:-3]).status == 404


def test_the_second_page_is_on_the_host_that_the_visitor_asked_whatever_host_they_name(
    own_edge: LandingProcess,
) -> None:
    own_edge.publish_catalog(catalog(redirect=RedirectMode.DOUBLE_META))
    eventually(lambda: own_edge.ask("GET", f"/c/{KEY}").status == 200)
    for host in ("", "evil.example", '"><script>', "go.example:99999"):
        hop = _refresh_of(own_edge.ask("GET", f"/c/{KEY}", {"Host": host}).body)
        assert hop.startswith("/r/")
        assert _refresh_of(own_edge.ask("GET", hop).body).startswith("https://landing.example/quiz")


def test_a_visitor_whose_address_is_too_long_for_a_second_page_goes_there_from_the_first(
    own_edge: LandingProcess,
) -> None:
    own_edge.publish_catalog(
        catalog("https://landing.example/?z={zone}&x={externalid}", redirect=RedirectMode.DOUBLE_META)
    )
    eventually(lambda: own_edge.ask("GET", f"/c/{KEY}").status == 200)
    face = "%F0%9F%98%80" * 1000
    answer = own_edge.ask("GET", f"/c/{KEY}?zone={face[:12000]}&external_id={face}")
    assert _refresh_of(answer.body).startswith("https://landing.example/?z=%F0%9F")


def _landed(edge: LandingProcess) -> tuple[str, dict[str, str]]:
    cookies = cookies_of(edge.ask("GET", f"/c/{KEY}"))
    return cookies["clickloop"], cookies


def _refresh_of(page: bytes) -> str:
    return page.decode().partition('content="0;url=')[2].partition('"')[0]


@pytest.mark.parametrize("token", ["", "x", "A" * 20_000, "%00", "../c/" + KEY])
def test_a_token_that_is_not_ours_leads_nowhere(edge: LandingProcess, token: str) -> None:
    answer = edge.ask("GET", f"/r/{token}")
    assert answer.status == 404
    assert "location" not in answer.headers
