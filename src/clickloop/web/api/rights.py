"""The right that an endpoint requires: named by the endpoint or its router, else ``WORK`` if it changes something."""

from litestar.handlers import BaseRouteHandler

from clickloop.people.user import Right

READING = frozenset({"GET", "HEAD", "OPTIONS"})
RIGHT = "right"
"""The key in ``opt`` of an endpoint or router for the right that it requires. None: any valid token will do."""


def right_of(handler: BaseRouteHandler, method: str) -> Right | None:
    """Return the right that an endpoint requires, None if it requires none."""
    right: Right | None = handler.opt.get(RIGHT, None if method in READING else Right.WORK)
    return right
