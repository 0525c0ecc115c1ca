"""A path that learns: its weights, and what they rest on, compared with what visitors did."""

import asyncio
import time
from collections import Counter

import msgspec

from clickloop.demo.check import Check, check, check_number
from clickloop.demo.observed import ObservedTraffic
from clickloop.demo.page_plan import PlannedRoute
from clickloop.demo.page_setup import PageSetup
from clickloop.demo.tracker import Tracker
from clickloop.diagnosis.route.learned import LearningProgress, PathWeightsView
from clickloop.learning.weights import WHOLE
from clickloop.setup.flow import FlowParts, Path
from clickloop.setup.learning import Goal, Learning

LEARN_SECONDS = 30.0
"""Maximum time until there are weights; after that the checks report that there are none."""
POLL_SECONDS = 0.25
# Visitors of the demo convert within seconds, so that visits of any age count.
_LEARNING = Learning(goal=Goal.CONVERSIONS_PER_VISIT, delay_hours=0)


class _Campaign(msgspec.Struct):
    flow: FlowParts


async def learn_weights(tracker: Tracker, page_setup: PageSetup) -> PathWeightsView:
    """Set the path past the landing to learn, and return its weights once it has."""
    address = f"/campaigns/{page_setup.campaign_id}"
    flow = (await tracker.request("GET", address, None, _Campaign)).flow
    paths = tuple(_learning(path) for path in flow.default_paths)
    changed = msgspec.structs.replace(flow, default_paths=paths)
    await tracker.request("PATCH", address, {"flow": msgspec.to_builtins(changed)}, _Campaign)
    give_up = time.monotonic() + LEARN_SECONDS
    while True:
        weights = await tracker.request("GET", f"/paths/{paths[0].id}/weights", None, PathWeightsView)
        if weights.state is LearningProgress.LEARNED or time.monotonic() > give_up:
            return weights
        await asyncio.sleep(POLL_SECONDS)


def _learning(path: Path) -> Path:
    return msgspec.structs.replace(path, learning=_LEARNING)


def check_learning(seen: ObservedTraffic, page_setup: PageSetup, weights: PathWeightsView) -> tuple[Check, ...]:
    """Return the checks of the weights and their evidence."""
    items = [item for split in weights.splits for item in split.items]
    direct = [visit for visit in seen.page_visits if visit.planned.route is PlannedRoute.PAST_LANDING]
    visits = Counter(page_setup.offer_id(visit.offer) for visit in direct)
    conversions = Counter(page_setup.offer_id(visit.offer) for visit in direct if visit.planned.visitor.steps)
    shown = ", ".join(f"{item.name} {item.percent}" for item in items)
    return (
        check(
            "Visits and conversions behind the learned weights",
            {item.id: (item.visits, item.conversions) for item in items},
            {offer_id: (visits[offer_id], conversions[offer_id]) for offer_id in page_setup.offer_ids},
            f"{shown}, from {conversions.total():,} conversions of {visits.total():,} visits" if items else "",
        ),
        check_number("Sum of the learned weights", sum(item.weight for item in items), WHOLE),
    )
