"""A newcomer's way: the steps to a closed loop, how far he is, and which one comes next."""

import msgspec

from clickloop.click.click_log import ClickFilter
from clickloop.store.ledger.names import Named, newest_names
from clickloop.web.api.context import ApiContext
from clickloop.web.panel.said import Said
from clickloop.web.panel.visit import VisitFacts

NEEDED = frozenset({Named.SOURCE, Named.NETWORK, Named.OFFER, Named.CAMPAIGN})
"""What a loop is made of."""


class Step(msgspec.Struct, frozen=True):
    """A step of a newcomer's way."""

    title: str
    sentence: str
    address: str
    done: bool


def what_there_is(context: ApiContext) -> frozenset[Named]:
    """The kinds of records of which there is at least one, archived or not."""
    with context.ledger.read() as tx:
        return frozenset(named for named in Named if newest_names(tx, named, 1))


def has_clicks(context: ApiContext) -> bool:
    """Whether any click has come, tests too."""
    return bool(context.facts.clicks_page(ClickFilter(), 1))


def steps_of(has: frozenset[Named], campaign_id: int | None = None) -> list[Step]:
    """The way, and how far he is. ``campaign_id``: the campaign to test the loop with; None: whichever he chooses."""
    return [
        Step(
            "Add a traffic source",
            "Where you buy clicks. A preset fills in its parameters and its postback URL.",
            "/panel/traffic-sources/presets",
            Named.SOURCE in has,
        ),
        Step(
            "Add a network",
            "Who your offers come from. You get the postback URL to paste there.",
            "/panel/networks/presets",
            Named.NETWORK in has,
        ),
        Step(
            "Add an offer",
            "What visitors are sent to, with our click id in its URL.",
            "/panel/offers/new",
            Named.OFFER in has,
        ),
        Step(
            "Make a campaign",
            "It joins the three. Its link goes into the traffic source.",
            "/panel/campaigns/new",
            Named.CAMPAIGN in has,
        ),
        Step(
            "Test the loop",
            "A test click and a test conversion show the whole way to the source and back, kept out of reports.",
            f"/panel/try/test{f'?campaign_id={campaign_id}' if campaign_id else ''}",
            done=False,
        ),
    ]


def first_undone(context: ApiContext) -> Step:
    """The step that comes next, whatever was done before."""
    return next(step for step in steps_of(what_there_is(context)) if not step.done)


def next_step(context: ApiContext, visit: VisitFacts, campaign_id: int | None = None) -> Step | None:
    """What to do next, on the page of what was just created; None where nothing was, or the loop has been tried."""
    if visit.said is not Said.CREATED:
        return None
    has = what_there_is(context)
    if has >= NEEDED and has_clicks(context):
        return None
    return next(step for step in steps_of(has, campaign_id) if not step.done)
