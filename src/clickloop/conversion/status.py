"""Statuses of conversions: the user's table, and the words that networks send for each."""

import enum
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec


class CountsAs(enum.StrEnum):
    """How conversions with a status count: only confirmed ones count as revenue."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"


class Status(msgspec.Struct, frozen=True):
    """A status: a stable key, a name for display and for ``{conversion.group}``, and how it counts."""

    key: str
    name: str
    counts_as: CountsAs


SALE = Status("sale", "Sale", CountsAs.CONFIRMED)
"""The status of a notice that names none."""
OTHER = Status("other", "Other", CountsAs.PENDING)
"""The status of an unknown word: registered, but never counted as confirmed revenue."""


class StatusWords(msgspec.Struct, frozen=True):
    """A status and the words that networks send for it, in the form of ``word_key``."""

    status: Status
    words: tuple[str, ...]
    version: int = 0
    """See ``store.ledger.setup.versions``; 0: not saved yet."""


def word_key(word: str) -> str:
    """Return the form in which words are matched: trimmed, lower case."""
    return word.strip().lower()


class StatusTable:
    """The user's statuses and their words. Immutable; a status's key is one of its words."""

    def __init__(self, rows: Iterable[StatusWords]) -> None:
        rows = tuple(rows)
        self._by_key = MappingProxyType({row.status.key: row.status for row in rows})
        by_word = {row.status.key: row.status for row in rows if row.status.key != OTHER.key}
        by_word.update((word_key(word), row.status) for row in rows for word in row.words)
        self._by_word = MappingProxyType(by_word)

    def of_word(self, word: str, own: Mapping[str, str] = MappingProxyType({})) -> Status | None:
        """Return the status of a network's word; without a word, ``sale``; None for an unmapped word.

        ``own`` maps the network's own words to status keys; they take precedence over the common words.
        """
        key = word_key(word)
        if own and (status := self._by_key.get(own.get(key, ""))):
            return status
        return self._by_word.get(key) if key else self.of_key(SALE.key) or SALE

    def of_key(self, key: str) -> Status | None:
        """Return the status with this key; None: there is none."""
        return self._by_key.get(key)

    @property
    def other(self) -> Status:
        """The status for unknown words, with the user's name for it."""
        return self._by_key.get(OTHER.key, OTHER)
