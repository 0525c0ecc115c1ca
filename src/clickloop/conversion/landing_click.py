"""Which landing click a new conversion belongs to, and thus its offer and network. Pure."""

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


def click_with_offer(click: Click, presses: Sequence[PageEvent], notice: Notice, network_of: NetworkOf) -> Click:
    """Return the click with the offer and network of the landing click that a new conversion belongs to.

    It is the latest landing click before the conversion whose network accepts the notice, else the latest before it; without one
    there is no offer. A click that led directly to an offer keeps it. ``presses``: the click's landing clicks, oldest first.
    """
    if not click.came_over_page:
        return click
    until_at = _latest_press_at(notice)
    earlier = [press for press in presses if press.offer_id and not press.screening and press.at <= until_at]
    if not earlier:
        # The click of an earlier conversion has that one's offer.
        return msgspec.structs.replace(click, offer_id=0, network_id=0)
    accepting = [press for press in earlier if _accepts(network_of(press.network_id), notice)]
    chosen = (accepting or earlier)[-1]
    return msgspec.structs.replace(click, offer_id=chosen.offer_id, network_id=chosen.network_id)


def wait_for_landing_clicks(
    click: Click, notice: Notice, settled_to: int | None, first_look_at: int, now_ms: int
) -> Waiting | None:
    """Return until when a notice waits for earlier landing clicks to be settled; None: they are.

    ``settled_to``: the moment up to which they are; None if unknown. A person or a file that reports a conversion does so later
    than that, and never waits.
    """
    if not notice.channel.is_public or not click.came_over_page:
        return None
    if settled_to is not None and settled_to >= min(notice.at, first_look_at):
        return None
    return Waiting(now_ms + min(max(now_ms - first_look_at, FIRST_RECHECK_MS), MAX_RECHECK_MS))


def _latest_press_at(notice: Notice) -> int:
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
