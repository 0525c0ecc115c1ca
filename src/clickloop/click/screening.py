"""Screening: whether a click counts. One that does not is recorded all the same, with the reason."""

from clickloop.click.click import Screening


def screen(method: bytes, purpose: bytes, preview_bot: bool) -> Screening | None:
    """Why this click is not counted, or None when it is.

    ``purpose`` is the value of Sec-Purpose, Purpose, X-Purpose or X-Moz, by which browsers mark what nobody looked at yet.
    """
    if method == b"HEAD":
        return Screening.HEAD_REQUEST
    if purpose:
        lowered = purpose.lower()
        if b"prefetch" in lowered or b"prerender" in lowered or b"preview" in lowered:
            return Screening.PREFETCH
    if preview_bot:
        return Screening.PREVIEW_BOT
    return None
