"""The story that the product is made for, by the screen alone: from an empty start to a delivered postback, and what follows."""

import html
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.looking import Troubles, looking
from tests.browser.partners import Network, network
from tests.journey.running import Receiver, Tracker, eventually

pytestmark = pytest.mark.journey


@pytest.fixture
def source() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def shop() -> Iterator[Network]:
    with network() as started:
        yield started


def test_a_newcomer_gets_from_an_empty_start_to_delivered_postbacks_and_mends_a_broken_receiver(
    chromium: Browser, owner: Page, window: tuple[Page, Troubles], tracker: Tracker, source: Receiver, shop: Network
) -> None:
    save_source(owner, source)
    shop.pixel_code = save_network(owner)
    save_offer(owner, shop)
    link = save_campaign(owner)

    with looking(chromium, shop.url) as (visitor, _):
        visitor.goto(link.replace("${SUBID}", "first-visitor"))
        expect(visitor).to_have_title("The offer")
    convert_by_network(tracker, shop.click_ids[0])
    eventually(lambda: source.those("cid", b"first-visitor"))

    with looking(chromium, shop.url) as (visitor, _):
        visitor.goto(link.replace("${SUBID}", "second-visitor"))
        visitor.get_by_role("link", name="Buy").click()
        expect(visitor).to_have_title("Thanks")
        eventually(lambda: source.those("cid", b"second-visitor"))

    with looking(chromium, shop.url) as (visitor, _):
        visitor.goto(link.replace("${SUBID}", "third-visitor"))
        expect(visitor).to_have_title("The offer")
    convert_by_hand(owner, shop.click_ids[2])
    eventually(lambda: source.those("cid", b"third-visitor"))
    see_delivered(owner, 3)

    source.status = 500
    with looking(chromium, shop.url) as (visitor, _):
        visitor.goto(link.replace("${SUBID}", "fourth-visitor"))
        expect(visitor).to_have_title("The offer")
    convert_by_network(tracker, shop.click_ids[3])
    eventually(lambda: len(source.those("cid", b"fourth-visitor")) == 2)
    eventually(lambda: tracker.all_of("postbacks", state="waiting"))
    mend_and_resend(owner, source)
    read_trace(owner)
    assert window[1].found == []


def save_source(page: Page, source: Receiver) -> None:
    """From a preset, with a postback URL made by clicking macros."""
    page.get_by_role("link", name="Traffic sources").first.click()
    page.get_by_role("link", name="Choose a preset").click()
    page.get_by_label("Search", exact=True).fill("propeller")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="PropellerAds", exact=True).click()
    field = page.get_by_label("Postback URL", exact=True)
    field.fill(f"{source.url}/postback?cid=")
    open_macros(page)
    page.get_by_role("button", name="{externalid}", exact=True).click()
    expect(page.get_by_role("button", name="{externalid}", exact=True)).to_have_attribute("aria-pressed", "true")
    field.press_sequentially("&payout=")
    page.get_by_role("button", name="{payout}", exact=True).click()
    expect(field).to_have_value(f"{source.url}/postback?cid={{externalid}}&payout={{payout}}")
    expect(page.locator("[data-preview]").first).to_contain_text(f"{source.url}/postback?cid=")
    save(page)


def save_network(page: Page) -> str:
    """With the network's macros in the link builder; answers the pixel code to copy."""
    page.goto("/panel/networks/new")
    page.get_by_label("Name", exact=True).fill("The network")
    page.get_by_label("Click ID parameter").fill("sub1")
    page.get_by_label("macro for cid").fill("{sub1}")
    page.get_by_label("macro for payout").fill("{payout}")
    save(page)
    expect(page.get_by_label("Postback URL", exact=True)).to_have_value(
        re.compile(r"/postback\?cid={sub1}&payout={payout}")
    )
    code = page.get_by_label("Pixel code").input_value()
    return code.replace("{payout}", "4").replace(html.escape("{sub1}"), "")


def save_offer(page: Page, shop: Network) -> None:
    """With the address as the network shows it, and our click id put in."""
    page.goto("/panel/offers/new")
    page.get_by_label("Name", exact=True).fill("The offer")
    page.get_by_label("Network", exact=True).select_option(label="The network")
    field = page.get_by_label("Offer URL", exact=True)
    field.fill(f"{shop.url}/click?sub1=")
    open_macros(page)
    page.get_by_role("button", name="{clickid}", exact=True).click()
    save(page)


def save_campaign(page: Page) -> str:
    """Return the campaign link to paste into the source."""
    page.goto("/panel/campaigns/new")
    page.get_by_label("Name", exact=True).fill("The campaign")
    expect(page.get_by_label("Traffic source", exact=True)).to_have_value("1")
    expect(page.get_by_label("Offer", exact=True)).to_have_value("1")
    save(page)
    link = page.get_by_label("Campaign link").input_value()
    assert "external_id=${SUBID}" in link
    return link


def convert_by_network(tracker: Tracker, click_id: str) -> None:
    """The first way: S2S."""
    assert tracker.notify(f"cid={click_id}&payout=12.5&status=approved").body == b"OK\n"


def convert_by_hand(page: Page, click_id: str) -> None:
    """The third way."""
    page.goto("/panel/conversions/new")
    page.get_by_label("Click ID", exact=True).fill(click_id)
    page.get_by_label("Payout", exact=True).fill("7")
    save(page, "Add conversion")


def see_delivered(page: Page, count: int) -> None:
    """Conversions - Out tells of so many deliveries."""
    page.get_by_role("link", name="Conversions - Out").first.click()
    rows = page.get_by_role("row").filter(has_text="delivered")
    expect(rows).to_have_count(count)
    expect(page.get_by_role("main")).to_contain_text("cid=first-visitor")


def mend_and_resend(page: Page, source: Receiver) -> None:
    """The failure and its retries are seen; once the receiver works again the postback is sent again by hand."""
    page.goto("/panel/postbacks")
    row = page.get_by_role("row").filter(has_text="fourth-visitor")
    expect(row).to_contain_text("500")
    row.get_by_role("link").first.click()
    expect(page.get_by_role("main")).to_contain_text("500")
    source.status = 200
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("main")).to_contain_text("cancelled")
    page.get_by_role("button", name="Resend unchanged").click()
    eventually(lambda: len(source.those("cid", b"fourth-visitor")) >= 3)
    expect(page.get_by_role("main")).to_contain_text("delivered")


def read_trace(page: Page) -> None:
    """The whole story of the fourth visitor, found by the source's click id."""
    page.get_by_label("Search by name or ID").fill("fourth-visitor")
    page.keyboard.press("Enter")
    story = page.get_by_role("main")
    for part in (
        "A visitor followed the campaign link",
        "The visitor was redirected to the offer",
        "A conversion was registered",
        "500",
    ):
        expect(story).to_contain_text(part)


def save(page: Page, name: str = "Save") -> None:
    """Presses the form's button and waits for the page that says that it is done."""
    page.get_by_role("button", name=name, exact=True).last.click()
    page.get_by_role("status").first.wait_for()


def open_macros(page: Page) -> None:
    """Unfolds the list of macros, if it is not open."""
    chips = page.locator("details.macros").first
    if chips.get_attribute("open") is None:
        chips.locator("summary").click()
