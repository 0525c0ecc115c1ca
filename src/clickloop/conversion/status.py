"""Statuses: the user's own table of what a conversion can be, and the words that networks send for each."""

import enum

import msgspec


class CountsAs(enum.StrEnum):
    """How a status counts in money: only confirmed revenue is revenue."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"


class Status(msgspec.Struct, frozen=True):
    """A status: a stable key, a name for people and for ``{conversion.group}``, and how it counts."""

    key: str
    name: str
    counts_as: CountsAs
