"""Caps in words. Pure."""

from clickloop.setup.offer_cap import CapUnit, OfferCap, cap_words, counted_words
from clickloop.text import readable

SECONDS_TO_TAKE_EFFECT = 1
"""The time within which a reached cap is in force at all edges."""


def offer_label(offer_id: int, name: str) -> str:
    """Return an offer as ``offer 3 'Sweeps'``."""
    return f"offer {offer_id} {readable(name)!r}" if name else f"offer {offer_id}"


def instead_sentence(offer: str, cap: OfferCap | None, instead: str, *, is_now: bool = False) -> str:
    """Return why visitors go to another offer, or went. ``cap`` None: it is no longer known. ``instead``: empty for none."""
    what = f"its cap of {cap_words(cap)}" if cap is not None else "its cap"
    so = f"so {instead}" if instead else f"so it {'is' if is_now else 'was'} out of the rotation"
    return f"{offer[0].upper()}{offer[1:]} {'has' if is_now else 'had'} reached {what}, {so}."


def overshoot_sentence(cap: OfferCap, per_second: float) -> str:
    """Return by how much a cap may be exceeded. ``per_second``: the present rate of what it counts."""
    more = -(-per_second * SECONDS_TO_TAKE_EFFECT // 1)
    rate = f", about {counted_words(int(more), cap)} at the present rate" if more >= 1 else ""
    under_way = (
        " Visitors whom the offer already has may still convert after that, and these conversions count, too."
        if cap.of is CapUnit.CONVERSIONS
        else ""
    )
    return (
        "A reached cap is in force within a second, so the offer may get what comes in one second more"
        f"{rate}.{under_way}"
    )
