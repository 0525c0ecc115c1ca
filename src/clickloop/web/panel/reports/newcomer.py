"""A newcomer's walk: five steps to a closed loop, how far they are done, and what comes after the last one."""

from urllib.parse import urlsplit

import msgspec

from clickloop.click.click_log import ClickFilter, ScreeningFilter
from clickloop.people.user import Right
from clickloop.store.ledger.logs.postbacks import was_delivered_lately
from clickloop.store.ledger.setup.names import Named, newest_names
from clickloop.web.api.context import ApiContext
from clickloop.web.panel.frame.flash import Said
from clickloop.web.panel.frame.viewer import Viewer

NEEDED = frozenset({Named.SOURCE, Named.NETWORK, Named.OFFER, Named.CAMPAIGN})
"""What a loop is made of."""
_JUST_CREATED = (Said.CREATED, Said.FILLED_IN)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class WalkthroughStep(msgspec.Struct, frozen=True):
    """A step of the walk. ``of``: the record that it adds; None: it is the test of the loop."""

    of: Named | None
    title: str
    sentence: str
    address: str
    done: bool


class Walkthrough(msgspec.Struct, frozen=True):
    """The walk as one of its pages shows it. ``number``: of the page's step, from 1."""

    steps: list[WalkthroughStep]
    number: int

    @property
    def step(self) -> WalkthroughStep:
        """Return the page's step."""
        return self.steps[self.number - 1]


class NextTask(msgspec.Struct, frozen=True):
    """Something to do once the loop works."""

    title: str
    sentence: str
    address: str


def existing_kinds(context: ApiContext) -> frozenset[Named]:
    """The kinds of records of which there is at least one, archived or not."""
    with context.ledger.read() as tx:
        return frozenset(named for named in Named if newest_names(tx, named, 1))


def has_clicks(context: ApiContext) -> bool:
    """Whether any click has come, tests too."""
    return bool(context.facts.clicks_page(ClickFilter(), 1))


def has_counted_clicks(context: ApiContext) -> bool:
    """Return whether any click has come that counts: no test, no preview."""
    return bool(context.facts.clicks_page(ClickFilter(screening=ScreeningFilter.COUNTED), 1))


def loop_has_closed(context: ApiContext) -> bool:
    """Return whether a postback was delivered, of a test or of a visitor."""
    with context.ledger.read() as tx:
        return was_delivered_lately(tx)


def steps_of(has: frozenset[Named], campaign_id: int | None = None) -> list[WalkthroughStep]:
    """Return the steps, and which are done. ``campaign_id``: the campaign to test the loop with; None: the user chooses one."""
    return [
        WalkthroughStep(
            Named.SOURCE,
            "Add a traffic source",
            "Where you buy clicks. A preset fills in its parameters and its postback URL.",
            "/panel/traffic-sources/presets",
            Named.SOURCE in has,
        ),
        WalkthroughStep(
            Named.NETWORK,
            "Add a network",
            "Where your offers come from. You get the postback URL to paste there.",
            "/panel/networks/presets",
            Named.NETWORK in has,
        ),
        WalkthroughStep(
            Named.OFFER,
            "Add an offer",
            "The page that visitors are sent to, with our click id in its URL.",
            "/panel/offers/new",
            Named.OFFER in has,
        ),
        WalkthroughStep(
            Named.CAMPAIGN,
            "Create a campaign",
            "It connects the three. You paste its link into the traffic source.",
            "/panel/campaigns/new",
            Named.CAMPAIGN in has,
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
    """The step that comes next, whatever was done before."""
    return next(step for step in steps_of(existing_kinds(context)) if not step.done)


def walkthrough_at(context: ApiContext, viewer: Viewer, of: Named | None) -> Walkthrough | None:
    """Return the walk for a page of one of its steps; None where that step is done, or the walk is over, or is not the user's."""
    if not viewer.may(Right.WORK):
        return None
    steps = steps_of(existing_kinds(context))
    number = next(at for at, step in enumerate(steps, 1) if step.of is of)
    if steps[number - 1].done or (of is None and (loop_has_closed(context) or has_counted_clicks(context))):
        return None
    return Walkthrough(steps, number)


def next_step(context: ApiContext, viewer: Viewer, campaign_id: int | None = None) -> Walkthrough | None:
    """Return what to do next, on the page of what was just created; None where nothing was, or the loop has been tried."""
    if viewer.said not in _JUST_CREATED:
        return None
    has = existing_kinds(context)
    if has >= NEEDED and has_clicks(context):
        return None
    steps = steps_of(has, campaign_id)
    return Walkthrough(steps, next(at for at, step in enumerate(steps, 1) if not step.done))


def next_tasks(context: ApiContext, viewer: Viewer, campaign_id: int | None = None) -> list[NextTask]:
    """Return what to do once the loop works. ``campaign_id``: the campaign that was tested; None: the user chooses one."""
    campaign = f"/panel/campaigns/{campaign_id}#links" if campaign_id else "/panel/campaigns"
    found = [
        NextTask(
            "Paste the campaign link into your traffic source",
            "Copy it as it is: the source fills in its own macros.",
            campaign,
        ),
        NextTask(
            "Give your network its postback URL",
            "Once for each network; it then reports every conversion by itself.",
            campaign if campaign_id else "/panel/networks",
        ),
    ]
    if urlsplit(context.base_url).hostname in _LOOPBACK:
        sentence = f"Links begin with {context.base_url} now, which only this machine can open. Set the public URL in Settings."
        address = "/panel/settings" if viewer.may(Right.ADMINISTER) else "/panel/health"
        found.insert(0, NextTask("Put the tracker on a domain", sentence, address))
    alarms = "Have them sent to Telegram, Slack or any URL; that works even when the core is down."
    return [*found, NextTask("Choose where alarms go", alarms, "/panel/health#alarms")]
