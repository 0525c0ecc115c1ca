"""Landings and tracked pages on another site than the tracker's, in a real browser, with and without its cookies."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from clickloop.click.page.page_event import PageEventKind
from clickloop.conversion.notice import read_notice
from tests.browser.fronts import ALL, NONE, THIRD_PARTY, TRACKER, Front, both_fronts, self_made_certificate, visiting
from tests.browser.looking import PATIENCE_MS
from tests.edge.edge_running import started
from tests.edge.landing_process import LandingProcess
from tests.journey.running import eventually
from tests.landings import KEY

pytestmark = pytest.mark.journey

LANDING, SHOP = "landing.example", "shop.example"
VISITS = 5
LINKS_OF_LONG_PAGES = (500, 2_000)
LINKS = """
<title>Quiz</title><form><input name=clickid></form>
<a id=numbered href="https://go.example/click/1">One</a>
<a id=plain href="https://go.example/click">Any</a>
<a id=macro href="https://first.example/o?s={clickid}">Direct</a>
<a id=offer data-clickloop-offer="2">Two</a>
<a id=other href="/terms?page=1#top">Terms</a>
"""
READY = "window.ready = 0; document.addEventListener('clickloop:ready', () => window.ready++);"


def script(more: str = f"data-campaign={KEY}") -> str:
    return f"<script>{READY}</script><script src='https://{TRACKER}/track.js' {more} async></script>"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LandingProcess]:
    folder = tmp_path_factory.mktemp("edge") / "data"
    for edge in started(LandingProcess(folder, trusted_proxies="127.0.0.0/8")):
        assert isinstance(edge, LandingProcess)
        yield edge


@pytest.fixture(scope="module")
def fronts(edge: LandingProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Front]]:
    with both_fronts(edge, self_made_certificate(tmp_path_factory.mktemp("tls"))) as made:
        made["https"].pages |= {
            f"{LANDING}/quiz": LINKS + script(),
            f"{LANDING}/plain": LINKS,
            f"{SHOP}/p": LINKS + script(),
            f"{SHOP}/consent": LINKS + script(f"data-campaign={KEY} data-consent"),
            **{
                f"{SHOP}/{links}-links": script() + "<a href='/x'>x</a>" * links + LINKS
                for links in LINKS_OF_LONG_PAGES
            },
            f"{SHOP}/image": f"{LINKS}<noscript><img src='https://{TRACKER}/track.gif?campaign={KEY}'></noscript>",
        }
        yield made


def land(page: Page) -> str:
    """Follow the campaign link to the landing, and wait for its script; return the click id in its address."""
    page.goto(f"https://{TRACKER}/c/{KEY}?external_id=e&zone=7")
    page.wait_for_function("window.ready > 0", timeout=PATIENCE_MS)
    return str(page.evaluate("new URL(location).searchParams.get('cid')"))


def open_page(page: Page, address: str) -> str:
    """Open a tracked page; return the click id that its script has."""
    page.goto(address)
    page.wait_for_function("window.ready > 0", timeout=PATIENCE_MS)
    return str(page.evaluate("clickloop.cid"))


def pressed(page: Page, link: str) -> str:
    """Press a link; return the click id that the offer is given."""
    page.click(f"#{link}")
    page.wait_for_url("**/o?s=*", timeout=PATIENCE_MS)
    return str(page.evaluate("new URL(location).searchParams.get('s')"))


@pytest.mark.parametrize("blocks", [NONE, THIRD_PARTY, ALL])
def test_every_landing_click_finds_its_click_whatever_cookies_the_browser_blocks(
    edge: LandingProcess, fronts: dict[str, Front], tmp_path: Path, blocks: str
) -> None:
    found = []
    with visiting(tmp_path / "profile", fronts, blocks) as page:
        for number in range(VISITS):
            for link in ("numbered", "plain", "offer", "macro"):
                click_id = land(page)
                found.append(pressed(page, link) == click_id)
                if number:
                    page.context.clear_cookies()
    assert found == [True] * (4 * VISITS)


@pytest.mark.parametrize("blocks", [THIRD_PARTY, ALL])
def test_every_press_on_a_tracked_page_finds_its_click(
    edge: LandingProcess, fronts: dict[str, Front], tmp_path: Path, blocks: str
) -> None:
    found = []
    with visiting(tmp_path / "profile", fronts, blocks) as page:
        for number in range(VISITS):
            click_id = open_page(page, f"https://{SHOP}/p?external_id={number}&zone=9")
            assert edge.click(click_id).external_id == str(number)
            found.append(pressed(page, "numbered") == click_id)
    assert found == [True] * VISITS


def test_where_only_third_party_cookies_are_blocked_a_page_without_script_works_too(
    edge: LandingProcess, fronts: dict[str, Front], tmp_path: Path
) -> None:
    with visiting(tmp_path / "profile", fronts, THIRD_PARTY) as page:
        click_id = land(page)
        page.goto(f"https://{LANDING}/plain")
        assert pressed(page, "numbered") == click_id


def test_the_script_fills_links_and_fields_and_says_when_it_is_ready(
    edge: LandingProcess, fronts: dict[str, Front], tmp_path: Path
) -> None:
    with visiting(tmp_path / "profile", fronts, THIRD_PARTY) as page:
        click_id = land(page)
        links = page.evaluate("[...document.querySelectorAll('a')].map((a) => a.getAttribute('href'))")
        filled = page.input_value("input[name=clickid]")
        values = page.evaluate("clickloop.values")
        ready = page.evaluate("window.ready")
        cookie = page.evaluate("document.cookie")
    assert links == [
        f"https://{TRACKER}/click/1?cid={click_id}",
        f"https://{TRACKER}/click?cid={click_id}",
        f"https://first.example/o?s={click_id}",
        f"https://{TRACKER}/click/2?cid={click_id}",
        "/terms?page=1#top",
    ]
    assert (filled, ready, cookie) == (click_id, 1, f"clickloop={click_id}")
    assert (values["device"], "ip" in values, "externalid" in values) == ("desktop", False, False)


def test_links_and_fields_that_a_page_adds_later_are_filled_when_they_are_used(
    edge: LandingProcess, fronts: dict[str, Front], tmp_path: Path
) -> None:
    with visiting(tmp_path / "profile", fronts, THIRD_PARTY) as page:
        click_id = land(page)
        page.evaluate(
            "document.body.insertAdjacentHTML('beforeend', '<a id=late href=\"https://go.example/click/2\"><b>Late</b></a>')"
        )
        assert pressed(page, "late b") == click_id


def test_a_landing_view_is_recorded_once_per_view_and_a_reload_is_no_click(
    edge: LandingProcess, fronts: dict[str, Front], tmp_path: Path
) -> None:
    with visiting(tmp_path / "profile", fronts, THIRD_PARTY) as page:
        click_id = open_page(page, f"https://{SHOP}/p?external_id=reload")
        before = edge.clicks()
        page.reload()
        page.wait_for_function("window.ready > 0", timeout=PATIENCE_MS)
        again = page.evaluate("clickloop.cid")
        inner = open_page(page, f"https://{SHOP}/p")
        another_ad = open_page(page, f"https://{SHOP}/p?external_id=another")
    assert (again, inner) == (click_id, click_id)
    assert another_ad != click_id
    assert edge.clicks() == before + 1
    views = [event for event in edge.page_events() if event.click_id == click_id]
    assert [event.kind for event in views] == [PageEventKind.LANDING_VIEW] * 2
    assert all(0 < event.loaded_ms < 60_000 for event in views)


def test_a_landing_reached_by_a_campaign_link_is_viewed_and_not_clicked_again(
    edge: LandingProcess, fronts: dict[str, Front], tmp_path: Path
) -> None:
    before = edge.clicks()
    with visiting(tmp_path / "profile", fronts, THIRD_PARTY) as page:
        click_id = land(page)
    assert edge.clicks() == before + 1
    kinds = [event.kind for event in edge.page_events() if event.click_id == click_id]
    assert kinds == [PageEventKind.LANDING_VIEW]


def test_links_work_though_the_report_is_blocked(
    edge: LandingProcess, fronts: dict[str, Front], tmp_path: Path
) -> None:
    fronts["https"].blocked.add("/track")
    try:
        with visiting(tmp_path / "profile", fronts, ALL) as page:
            click_id = land(page)
            assert pressed(page, "numbered") == click_id
    finally:
        fronts["https"].blocked.clear()


def test_events_and_conversions_of_a_page_reach_us_and_its_payout_does_not_count(
    edge: LandingProcess, fronts: dict[str, Front], tmp_path: Path
) -> None:
    with visiting(tmp_path / "profile", fronts, THIRD_PARTY) as page:
        page.goto(f"https://{SHOP}/p?external_id=events")
        page.wait_for_function("window.clickloop", timeout=PATIENCE_MS)
        # Before or after it is ready: what is early waits.
        page.evaluate("clickloop.event(1, 2.5); clickloop.event(2)")
        page.evaluate("clickloop.convert({status: 'lead', txid: 'T1', payout: 99})")
        page.wait_for_function("window.ready > 0", timeout=PATIENCE_MS)
        click_id = page.evaluate("clickloop.cid")
        eventually(lambda: len([event for event in edge.page_events() if event.click_id == click_id]) == 2)
        eventually(lambda: any(click_id in raw.query for raw in edge.notices()))
    found = [event.events for event in edge.page_events() if event.click_id == click_id]
    assert sorted(map(str, found)) == ["{1: 2500000}", "{2: 1000000}"]
    (raw,) = (raw for raw in edge.notices() if click_id in raw.query)
    notice = read_notice(raw)
    assert (notice.click_id_text, notice.status_word, notice.txid, notice.payout_text) == (click_id, "lead", "T1", "")
    assert "page_payout=99" in raw.query


def test_a_page_that_asks_for_consent_sends_nothing_before_it(
    edge: LandingProcess, fronts: dict[str, Front], tmp_path: Path
) -> None:
    before = edge.clicks()
    with visiting(tmp_path / "profile", fronts, NONE) as page:
        page.goto(f"https://{SHOP}/consent")
        page.wait_for_function("window.clickloop", timeout=PATIENCE_MS)
        page.wait_for_load_state("networkidle")
        assert (page.evaluate("document.cookie"), edge.clicks()) == ("", before)
        page.evaluate("clickloop.consent()")
        page.wait_for_function("window.ready > 0", timeout=PATIENCE_MS)
        assert page.evaluate("document.cookie").startswith("clickloop=")
    assert edge.clicks() == before + 1


def test_without_scripts_an_image_registers_the_visit_and_the_button_works(
    edge: LandingProcess, fronts: dict[str, Front], tmp_path: Path
) -> None:
    before = edge.clicks()
    with visiting(tmp_path / "profile", fronts, NONE, javascript=False) as page:
        page.goto(f"https://{SHOP}/image?external_id=none")
        page.wait_for_load_state("networkidle")
        page.click("#numbered")
        page.wait_for_url("**/o?s=*", timeout=PATIENCE_MS)
        click_id = page.url.partition("s=")[2][:26]
    assert edge.clicks() == before + 1
    assert edge.click(click_id).campaign_id == 7


def test_the_script_takes_steps_in_proportion_to_the_links_of_the_page(
    edge: LandingProcess, fronts: dict[str, Front], tmp_path: Path
) -> None:
    """How many milliseconds it blocks a page is measured by ``bench.track_script``."""
    steps = []
    for links in LINKS_OF_LONG_PAGES:
        with visiting(tmp_path / f"profile-{links}", fronts, THIRD_PARTY) as page:
            steps.append(executed_blocks(page, f"https://{SHOP}/{links}-links?external_id=long"))
    few, many = steps
    assert few < 1_000
    assert many < 2 * few * LINKS_OF_LONG_PAGES[1] / LINKS_OF_LONG_PAGES[0]


def executed_blocks(page: Page, address: str) -> int:
    """Open a tracked page; return how many blocks of ``track.js`` the browser has executed."""
    profiler = page.context.new_cdp_session(page)
    profiler.send("Profiler.enable")
    profiler.send("Profiler.startPreciseCoverage", {"callCount": True, "detailed": True})
    open_page(page, address)
    (script,) = (
        script for script in profiler.send("Profiler.takePreciseCoverage")["result"] if "/track.js" in script["url"]
    )
    return sum(part["count"] for function in script["functions"] for part in function["ranges"])
