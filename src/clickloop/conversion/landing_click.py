"""Choose the landing click that a new conversion belongs to, and thus its offer and network. Pure."""

from collections.abc import Callable, Sequence

import msgspec

from clickloop.click.click import Click
from clickloop.click.page.page_event import PageEvent
from clickloop.clock import DAY_MS
from clickloop.conversion.attribution import (
    CLOCK_SLACK_MS,
    FIRST_RECHECK_MS,
    MAX_RECHECK_MS,
    SET_BACK_MS,
    Waiting,
)
from clickloop.conversion.notice import Notice
from clickloop.conversion.terms import accepts_address, accepts_token
from clickloop.setup.network import Network

NetworkOf = Callable[[int], Network]
"""Returns a network by its number, or one without restrictions."""


def click_with_offer(click: Click, landing_clicks: Sequence[PageEvent], notice: Notice, network_of: NetworkOf) -> Click:
    """Return the click with the offer and network of the landing click that a new conversion belongs to.

    It is the latest landing click before the conversion whose network accepts the notice, else the latest before it; without one
    there is no offer. A click that led directly to an offer keeps it. ``landing_clicks``: the click's landing clicks, oldest first.
    """
    if not click.came_over_page:
        return click
    until_at = _latest_landing_click_at(notice)
    earlier = [one for one in landing_clicks if one.offer_id and not one.screening and one.at <= until_at]
    if not earlier:
        # The click of an earlier conversion has that one's offer.
        return msgspec.structs.replace(click, offer_id=0, network_id=0, instead_of=0)
    accepting = [one for one in earlier if _accepts(network_of(one.network_id), notice)]
    chosen = (accepting or earlier)[-1]
    return msgspec.structs.replace(
        click, offer_id=chosen.offer_id, network_id=chosen.network_id, instead_of=chosen.instead_of
    )


def wait_for_landing_clicks(
    click: Click, notice: Notice, settled_to: int | None, first_look_at: int, now_ms: int
) -> Waiting | None:
    """Return until when a notice waits for earlier landing clicks to be settled; None if they are.

    ``settled_to``: the moment up to which they are; None if unknown. Conversions entered by hand or uploaded come later than that and
    never wait.
    """
    if not notice.channel.is_public or not click.came_over_page:
        return None
    if settled_to is not None and settled_to >= min(notice.at, first_look_at):
        return None
    return Waiting(now_ms + min(max(now_ms - first_look_at, FIRST_RECHECK_MS), MAX_RECHECK_MS))


def _latest_landing_click_at(notice: Notice) -> int:
    """Return the time of the latest landing click that can have led to the conversion: its own time, or its arrival."""
    arrived_at = notice.at + SET_BACK_MS
    at = notice.converted_at
    if at is None:
        return arrived_at
    # A date without a time stands for the whole day.
    return min(arrived_at, at + (DAY_MS if at % DAY_MS == 0 else CLOCK_SLACK_MS))


def _accepts(network: Network, notice: Notice) -> bool:
    return not notice.channel.is_public or (
        accepts_token(network, notice.token) and accepts_address(network, notice.ip)
    )
