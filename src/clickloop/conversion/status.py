"""Statuses: the user's own table of what a conversion can be, and the words that networks send for each."""

import enum
from collections.abc import Iterable, Mapping
from types import MappingProxyType

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


SALE = Status("sale", "Sale", CountsAs.CONFIRMED)
"""What a notice without a status means."""
OTHER = Status("other", "Other", CountsAs.PENDING)
"""What an unknown word means: registered, never counted as confirmed revenue."""


class StatusWords(msgspec.Struct, frozen=True):
    """A status and the words that networks send for it, in the form of ``word_key``."""

    status: Status
    words: tuple[str, ...]
    version: int = 0
    """See ``store.ledger.setup.versions``; 0: not saved yet."""


def word_key(word: str) -> str:
    """The form in which words are matched: trimmed, lower case."""
    return word.strip().lower()


class StatusTable:
    """The user's statuses and what each word stands for. Immutable; a status's own key is one of its words."""

    def __init__(self, rows: Iterable[StatusWords]) -> None:
        rows = tuple(rows)
        self._by_key = MappingProxyType({row.status.key: row.status for row in rows})
        by_word = {row.status.key: row.status for row in rows if row.status.key != OTHER.key}
        by_word.update((word_key(word), row.status) for row in rows for word in row.words)
        self._by_word = MappingProxyType(by_word)

    def of_word(self, word: str, own: Mapping[str, str] = MappingProxyType({})) -> Status | None:
        """Return the status behind a network's word; without a word, ``sale``; None for a word that nobody mapped yet.

        ``own`` are the network's own words and the keys of their statuses, which count before the common ones.
        """
        key = word_key(word)
        if own and (status := self._by_key.get(own.get(key, ""))):
            return status
        return self._by_word.get(key) if key else self.of_key(SALE.key) or SALE

    def of_key(self, key: str) -> Status | None:
        """The status of that key."""
        return self._by_key.get(key)

    @property
    def other(self) -> Status:
        """The status for unknown words, by the name that the user gave it."""
        return self._by_key.get(OTHER.key, OTHER)
