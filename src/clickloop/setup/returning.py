"""Returning visitors: what counts as a unique visit, and where a visitor who comes again is sent."""

import enum

DEFAULT_UNIQUE_SECONDS = 86_400
MAX_UNIQUE_SECONDS = 366 * 86_400


class UniqueBy(enum.StrEnum):
    """The scope within which a visitor counts as unique."""

    CAMPAIGN = "campaign"
    INSTANCE = "instance"
    """All campaigns together."""


class Bind(enum.StrEnum):
    """The part of the previous route that a returning visitor gets again, if it is still served."""

    NONE = "none"
    PATH = "path"
    LANDING = "landing"
    """The path and the landing."""
    OFFER = "offer"
    """The path, the landing and the offer."""


class Rotation(enum.StrEnum):
    """The way in which a returning visitor who is not bound is split among paths, landings and offers."""

    RANDOM = "random"
    UNSEEN = "unseen"
    """Items that the visitor has not seen yet come first."""
