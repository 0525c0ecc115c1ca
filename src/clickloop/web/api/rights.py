"""Which Right a door asks for: named by the door or its noun, else ``WORK`` where it changes something."""

from litestar.handlers import BaseRouteHandler

from clickloop.people.user import Right

READING = frozenset({"GET", "HEAD", "OPTIONS"})
RIGHT = "right"
"""The ``opt`` of a door or a noun that names the Right it asks for; None: no more than to have come in."""


def right_of(handler: BaseRouteHandler, method: str) -> Right | None:
    """What a door asks for."""
    right: Right | None = handler.opt.get(RIGHT, None if method in READING else Right.WORK)
    return right
