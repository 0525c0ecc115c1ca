"""The walkthrough on a new instance: five steps to a closed loop, their progress, and the tasks that follow."""

from urllib.parse import urlsplit

import msgspec

from clickloop.click.click_log import ClickFilter, ScreeningFilter
from clickloop.people.user import Right
from clickloop.store.ledger.logs.postbacks import was_delivered_recently
from clickloop.store.ledger.setup.names import RecordKind, newest_names
from clickloop.web.api.context import ApiContext
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.viewer import Viewer

NEEDED = frozenset({RecordKind.SOURCE, RecordKind.NETWORK, RecordKind.OFFER, RecordKind.CAMPAIGN})
"""Records that a loop needs."""
_JUST_CREATED = (FlashMessage.CREATED, FlashMessage.FILLED_IN)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class WalkthroughStep(msgspec.Struct, frozen=True):
    """A step. ``of``: the kind of record that it adds; None: the test of the loop."""

    of: RecordKind | None
    title: str
    sentence: str
    address: str
    done: bool


class Walkthrough(msgspec.Struct, frozen=True):
    """The steps, and the number of the page's own step, from 1."""

    steps: list[WalkthroughStep]
    number: int

    @property
    def step(self) -> WalkthroughStep:
        return self.steps[self.number - 1]


class NextTask(msgspec.Struct, frozen=True):
    """A task for when the loop works."""

    title: str
    sentence: str
    address: str


def existing_kinds(context: ApiContext) -> frozenset[RecordKind]:
    """Return the kinds of setup records that exist, archived ones included."""
    with context.ledger.read() as tx:
        return frozenset(named for named in RecordKind if newest_names(tx, named, 1))


def has_clicks(context: ApiContext) -> bool:
    """Return whether there is any click, tests included."""
    return bool(context.facts.clicks_page(ClickFilter(), 1))


def has_counted_clicks(context: ApiContext) -> bool:
    """Return whether there is any click that reports count: no test, no preview."""
    return bool(context.facts.clicks_page(ClickFilter(screening=ScreeningFilter.COUNTED), 1))


def loop_has_closed(context: ApiContext) -> bool:
    """Return whether any postback was delivered, tests included."""
    with context.ledger.read() as tx:
        return was_delivered_recently(tx)


def steps_of(existing: frozenset[RecordKind], campaign_id: int | None = None) -> list[WalkthroughStep]:
    """Return the steps. ``existing``: kinds of records that exist; ``campaign_id``: campaign to test; None: the user chooses."""
    return [
        WalkthroughStep(
            RecordKind.SOURCE,
            "Add a traffic source",
            "Where you buy clicks. A preset fills in its parameters and its postback URL.",
            "/panel/traffic-sources/presets",
            RecordKind.SOURCE in existing,
        ),
        WalkthroughStep(
            RecordKind.NETWORK,
            "Add a network",
            "Where your offers come from. You get the postback URL to paste there.",
            "/panel/networks/presets",
            RecordKind.NETWORK in existing,
        ),
        WalkthroughStep(
            RecordKind.OFFER,
            "Add an offer",
            "The page that visitors go to, with our click ID in its URL.",
            "/panel/offers/new",
            RecordKind.OFFER in existing,
        ),
        WalkthroughStep(
            RecordKind.CAMPAIGN,
            "Create a campaign",
            "It connects the source with your offers. You paste its link into the traffic source.",
            "/panel/campaigns/new",
            RecordKind.CAMPAIGN in existing,
        ),
        WalkthroughStep(
            None,
            "Test the loop",
            "A test click and a test conversion travel all the way and back to the source. Reports do not count them.",
            f"/panel/try/test{f'?campaign_id={campaign_id}' if campaign_id else ''}",
            done=False,
        ),
    ]


def first_undone(context: ApiContext) -> WalkthroughStep:
    """Return the first step that is not done."""
    return next(step for step in steps_of(existing_kinds(context)) if not step.done)


def walkthrough_at(context: ApiContext, viewer: Viewer, of: RecordKind | None) -> Walkthrough | None:
    """Return the walkthrough for the page of a step; None if the step is done or obsolete, or the user may not do it."""
    if not viewer.may(Right.WORK):
        return None
    steps = steps_of(existing_kinds(context))
    number = next(at for at, step in enumerate(steps, 1) if step.of is of)
    if steps[number - 1].done or (of is None and (loop_has_closed(context) or has_counted_clicks(context))):
        return None
    return Walkthrough(steps, number)


def next_step(context: ApiContext, viewer: Viewer, campaign_id: int | None = None) -> Walkthrough | None:
    """Return the next step for the page of a just created record; None otherwise, and once all records exist and clicks came."""
    if viewer.flash not in _JUST_CREATED:
        return None
    existing = existing_kinds(context)
    if existing >= NEEDED and has_clicks(context):
        return None
    steps = steps_of(existing, campaign_id)
    return Walkthrough(steps, next(at for at, step in enumerate(steps, 1) if not step.done))


def next_tasks(context: ApiContext, viewer: Viewer, campaign_id: int | None = None) -> list[NextTask]:
    """Return the tasks once the loop works. ``campaign_id``: the tested campaign; None: link to the lists."""
    campaign = f"/panel/campaigns/{campaign_id}#links" if campaign_id else "/panel/campaigns"
    found = [
        NextTask(
            "Paste the campaign link into your traffic source",
            "Copy it unchanged: the source fills in its own macros.",
            campaign,
        ),
        NextTask(
            "Give your network its postback URL",
            "Once per network. It then reports every conversion automatically.",
            campaign if campaign_id else "/panel/networks",
        ),
    ]
    if urlsplit(context.base_url).hostname in _LOOPBACK:
        sentence = (
            f"Links begin with {context.base_url}, which only this machine can open. Set the public URL in Settings."
        )
        address = "/panel/settings" if viewer.may(Right.ADMINISTER) else "/panel/health"
        found.insert(0, NextTask("Put the tracker on a domain", sentence, address))
    alarms = "Send them to Telegram, Slack or any URL. This works even when the core is down."
    return [*found, NextTask("Choose where alarms go", alarms, "/panel/health#alarms")]
