"""Screening: decides whether a click counts. A click that does not is still recorded, with the reason."""

from clickloop.click.click import Screening


def screen(method: bytes, purpose: bytes, useragent: Screening | None, *, test: bool = False) -> Screening | None:
    """Return why a click is not counted, or None if it is.

    ``purpose`` is the value of Sec-Purpose, Purpose, X-Purpose or X-Moz, by which browsers mark speculative requests.
    ``useragent``: the reason derived from the User-Agent. ``test``: the link has a valid test mark, which takes precedence.
    """
    if test:
        return Screening.TEST
    if method == b"HEAD":
        return Screening.HEAD_REQUEST
    if purpose:
        lowered = purpose.lower()
        if b"prefetch" in lowered or b"prerender" in lowered or b"preview" in lowered:
            return Screening.PREFETCH
    return useragent
