"""A newcomer's walk, from the printed link to a delivered postback: what it takes, and what they are told on the way."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.looking import PASSWORD, Troubles
from tests.browser.partners import Network, network
from tests.journey.running import Receiver, Tracker, eventually

pytestmark = pytest.mark.journey

MAX_CLICKS = 16
MAX_FIELDS = 8


@pytest.fixture
def source() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def shop() -> Iterator[Network]:
    with network() as started:
        yield started


class Newcomer:
    """Somebody who counts what they have to do."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = 0
        self.fields = 0

    def click(self, target: Locator) -> None:
        """Click something."""
        self.clicks += 1
        target.click()

    def press(self, button: str) -> None:
        """Click the last button of that name: Save stands at the end of its form."""
        self.click(self.page.get_by_role("button", name=button, exact=True).last)

    def follow(self, link: str) -> None:
        """Click the first link whose text holds this one."""
        self.click(self.page.get_by_role("main").get_by_role("link", name=link).first)

    def fill(self, label: str, text: str) -> None:
        """Fill in a field."""
        self.fields += 1
        self.page.get_by_label(label, exact=True).fill(text)

    def is_at_step(self, number: int) -> None:
        """Assert that the page says where in the walk it is."""
        expect(self.page.get_by_role("navigation", name="Getting started")).to_contain_text(f"Step {number} of 5")


def test_the_loop_works_after_sixteen_clicks_and_eight_fields(
    window: tuple[Page, Troubles], tracker: Tracker, source: Receiver, shop: Network
) -> None:
    page, troubles = window
    newcomer = Newcomer(page)
    eventually(lambda: "/panel/welcome?key=" in tracker.log_text())
    printed = re.search(r"http://\S+/panel/welcome\?key=\S+", tracker.log_text())
    assert printed is not None

    page.goto(printed[0])
    newcomer.fill("Password", PASSWORD)
    newcomer.fill("Repeat password", PASSWORD)
    newcomer.press("Create account")
    expect(page.get_by_role("main")).to_contain_text("Five steps close the loop")
    newcomer.click(page.locator("a.button", has_text="Add a traffic source"))
    newcomer.is_at_step(1)
    newcomer.follow("Start without a preset")
    newcomer.is_at_step(1)
    newcomer.fill("Name", "My source")
    newcomer.fill("Placeholder of external_id", "${SUBID}")
    expect(page.get_by_label("Link preview")).to_have_value(re.compile(r"external_id=\$\{SUBID\}"))
    newcomer.fill("Postback URL", f"{source.url}/postback?cid={{externalid}}&payout={{payout}}")
    newcomer.press("Save")

    newcomer.follow("Step 2 of 5: add a network")
    newcomer.is_at_step(2)
    newcomer.follow("Everflow")
    newcomer.is_at_step(2)
    newcomer.press("Save")

    newcomer.follow("Step 3 of 5: add an offer")
    newcomer.is_at_step(3)
    newcomer.fill("Name", "My offer")
    newcomer.fill("Offer URL", f"{shop.url}/click?offer=1")
    newcomer.press("Save")
    expect(page.get_by_role("status")).to_contain_text("click ID parameter was added")
    expect(page.get_by_label("Offer URL")).to_have_value(f"{shop.url}/click?offer=1&sub1={{clickid}}")

    newcomer.follow("Step 4 of 5: create a campaign")
    newcomer.is_at_step(4)
    newcomer.fill("Name", "My campaign")
    newcomer.press("Save")

    newcomer.follow("Step 5 of 5: test the loop")
    newcomer.is_at_step(5)
    with page.expect_popup() as opened:
        newcomer.follow("Open the test link")
    expect(opened.value).to_have_title("The offer")
    page.bring_to_front()
    newcomer.clicks += 1  # on the tab
    newcomer.follow("Convert it")
    newcomer.press("Convert by hand")
    expect(page.get_by_role("heading", name="Your loop works")).to_be_visible()

    assert [request.path for request in source.requests] == ["/postback"]
    assert source.requests[0].value("cid").startswith(b"test-")
    assert source.requests[0].value("payout") == b"1"
    assert newcomer.clicks <= MAX_CLICKS
    assert newcomer.fields <= MAX_FIELDS

    expect(page.get_by_role("main")).to_contain_text("What comes next")
    expect(page.get_by_role("link", name="Paste the campaign link into your traffic source")).to_be_visible()
    expect(page.get_by_role("navigation", name="Getting started")).to_have_count(0)
    page.get_by_role("link", name="Go to the dashboard").click()
    expect(page.get_by_role("heading", name="Your loop works")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("Tests are not counted")
    assert troubles.found == []


def test_a_test_whose_postback_fails_says_so_and_where_to_look(
    owner: Page, tracker: Tracker, source: Receiver, shop: Network
) -> None:
    source.status = 400
    source_url = f"{source.url}/postback?cid={{externalid}}"
    tracker.made("traffic-sources", {"name": "Source", "postback_url": source_url})
    tracker.made("offers", {"name": "Offer", "url": f"{shop.url}/click?sub1={{clickid}}"})
    tracker.made("campaigns", {"name": "Campaign", "source_id": 1, "offers": [{"offer_id": 1}]})
    owner.goto("/panel/try/test")
    with owner.expect_popup():
        owner.get_by_role("link", name="Open the test link").click()
    owner.bring_to_front()
    owner.get_by_role("link", name="Convert it").click()
    owner.get_by_role("button", name="Convert by hand").click()
    expect(owner.get_by_role("main")).to_contain_text("The last attempt failed")
    expect(owner.get_by_role("heading", name="Your loop works")).to_have_count(0)
    owner.get_by_role("link", name="Watch it").click()
    expect(owner.get_by_role("main")).to_contain_text("400")
