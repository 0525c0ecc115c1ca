"""Screening: whether a click counts. One that does not is recorded all the same, with the reason."""

from clickloop.click.click import Screening


def screen(method: bytes, purpose: bytes, useragent: Screening | None, *, test: bool = False) -> Screening | None:
    """Why this click is not counted, or None when it is.

    ``purpose`` is the value of Sec-Purpose, Purpose, X-Purpose or X-Moz, by which browsers mark what nobody looked at yet.
    ``useragent``: why a sender of its User-Agent is no visitor.
    ``test``: its link carries a good mark of a test, which says more than all else.
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
