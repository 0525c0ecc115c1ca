"""The set-up of the pages: a landing behind a rule by country, and a page that is tracked directly. Created over the HTTP API."""

import msgspec

from clickloop.demo.page_plan import BUTTONS, FIRST_OFFER, LANDING_COUNTRIES, PAGE_OFFERS
from clickloop.demo.setup import Created, DemoSetup, make_offer
from clickloop.demo.standins import LANDING_PATH, TRACKED_PATH, PageCode
from clickloop.demo.tracker import Tracker

RULE = "Germany and the UK"
OTHERS_WEIGHTS = (60, 40)


class PageSetup(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of the set-up that visitors and checks need."""

    link: str
    """The link of the campaign with the landing, with the source's macros."""
    page_link: str
    """The address of the page that is tracked directly, with the same parameters."""
    campaign_id: int
    """The campaign with the rule by country."""
    page_campaign_id: int
    landing_id: int
    offer_ids: tuple[int, ...]
    """The offer of each button, in order."""
    codes: dict[str, PageCode]
    """The code to paste into the page at each path."""

    def offer_id(self, number: str) -> int:
        """Return the id of an offer by its number at the network; 0 if it is none of the buttons'."""
        return dict(zip(PAGE_OFFERS, self.offer_ids, strict=True)).get(number, 0)


async def set_up_pages(tracker: Tracker, demo_setup: DemoSetup, pages_url: str) -> PageSetup:
    """Create landings, offers, and two campaigns with flows."""
    offers = [
        await make_offer(
            tracker, demo_setup.network_id, demo_setup.offer_address, FIRST_OFFER + place, f"Quiz prize {place + 1}"
        )
        for place in range(BUTTONS)
    ]
    landing = {"name": "Quiz", "url": f"{pages_url}{LANDING_PATH}?country={{country}}", "buttons": BUTTONS}
    quiz = await tracker.request("POST", "/landings", landing, Created)
    landing = {"name": "Shop", "url": f"{pages_url}{TRACKED_PATH}", "buttons": BUTTONS}
    shop = await tracker.request("POST", "/landings", landing, Created)
    shares = [{"offer_id": offer.id} for offer in offers]
    weighted = [share | {"weight": weight} for share, weight in zip(shares, OTHERS_WEIGHTS, strict=True)]

    def over(page: Created) -> dict[str, object]:
        return {
            "name": "Two buttons",
            "target": "landing_and_offer",
            "landings": [{"landing_id": page.id}],
            "offers": shares,
        }

    rule = {
        "name": RULE,
        "conditions": [{"field": "country", "op": "in", "values": LANDING_COUNTRIES}],
        "paths": [over(quiz)],
    }
    others = {"name": "To offers", "offers": weighted}
    campaign = {
        "name": "Quiz by country",
        "source_id": demo_setup.source_id,
        "flow": {"rules": [rule], "default_paths": [others]},
    }
    made = await tracker.request("POST", "/campaigns", campaign, Created)
    campaign = {
        "name": "Shop page",
        "source_id": demo_setup.source_id,
        "flow": {"default_paths": [over(shop)]},
    }
    direct = await tracker.request("POST", "/campaigns", campaign, Created)
    return PageSetup(
        link=made.link,
        page_link=f"{pages_url}{TRACKED_PATH}?{made.link.partition('?')[2]}",
        campaign_id=made.id,
        page_campaign_id=direct.id,
        landing_id=quiz.id,
        offer_ids=tuple(offer.id for offer in offers),
        codes={
            LANDING_PATH: await tracker.request("GET", f"/landings/{quiz.id}/codes", None, PageCode),
            TRACKED_PATH: await tracker.request(
                "GET", f"/landings/{shop.id}/codes?campaign_id={direct.id}", None, PageCode
            ),
        },
    )
