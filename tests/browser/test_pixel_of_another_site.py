"""The pixel on a page of another site than the tracker's, in a real browser: which cookie reaches us, and what the code does without.

A small server stands in front of an edge as a proxy that ends TLS; beside the tracker's host it serves the shop's pages.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from clickloop.conversion.notice import Notice, read_notice
from clickloop.setup.network import Network, pixel_code
from tests.browser.fronts import NONE, THIRD_PARTY, TRACKER, Front, both_fronts, self_made_certificate, visiting
from tests.edge.edge_running import EdgeProcess, started
from tests.journey.running import eventually

pytestmark = pytest.mark.journey

SHOP = "network.example"
"""Where the offers of the edge's campaign lead."""
NETWORK = Network(name="N", postback_parameters={"cid": "{sub1}", "payout": "{payout}"})


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeProcess]:
    """An edge behind a proxy that says whether the visitor came over https."""
    yield from started(EdgeProcess(tmp_path_factory.mktemp("edge") / "data", trusted_proxies="127.0.0.0/8"))


@pytest.fixture(scope="module")
def fronts(edge: EdgeProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Front]]:
    with both_fronts(edge, self_made_certificate(tmp_path_factory.mktemp("tls"))) as made:
        yield made


def convert(page: Page, edge: EdgeProcess, front: Front, scheme: str, cid: str) -> tuple[str, Notice]:
    """A visitor follows the campaign link and reaches the thank-you page; returns the click id and what the pixel brought.

    ``cid`` is what the page puts in place of the network's macro.
    """
    page.goto(f"{scheme}://{TRACKER}/c/aB3xY9?external_id=x")
    click_id = page.evaluate("new URL(location).searchParams.get('sub1')")
    code = pixel_code(f"{scheme}://{TRACKER}", NETWORK).replace("{payout}", "4")
    front.pages[f"{SHOP}/thanks"] = code.replace("{sub1}", click_id if cid == "known" else cid)
    known = {raw.notice_id for raw in edge.notices()}
    page.goto(f"{scheme}://{SHOP}/thanks")
    eventually(lambda: len(edge.notices()) > len(known))
    (arrived,) = (raw for raw in edge.notices() if raw.notice_id not in known)
    return click_id, read_notice(arrived)


@pytest.mark.parametrize("cid", ["", "{sub1}"])
def test_over_https_the_cookie_reaches_us_from_another_sites_page_where_the_browser_allows_it(
    edge: EdgeProcess, fronts: dict[str, Front], tmp_path: Path, cid: str
) -> None:
    with visiting(tmp_path / "profile", fronts, NONE) as page:
        click_id, notice = convert(page, edge, fronts["https"], "https", cid)
    assert (notice.click_id_text, notice.payout_text) == (click_id, "4")


def test_where_the_browser_blocks_the_cookie_the_codes_click_id_does_it(
    edge: EdgeProcess, fronts: dict[str, Front], tmp_path: Path
) -> None:
    with visiting(tmp_path / "profile", fronts, THIRD_PARTY) as page:
        _, without = convert(page, edge, fronts["https"], "https", "")
        click_id, notice = convert(page, edge, fronts["https"], "https", "known")
    assert (without.click_id_text, notice.click_id_text) == ("", click_id)


def test_over_plain_http_no_cookie_comes_from_another_sites_page(
    edge: EdgeProcess, fronts: dict[str, Front], tmp_path: Path
) -> None:
    with visiting(tmp_path / "profile", fronts, NONE) as page:
        _, without = convert(page, edge, fronts["http"], "http", "")
        click_id, notice = convert(page, edge, fronts["http"], "http", "known")
    assert (without.click_id_text, notice.click_id_text) == ("", click_id)
