"""Requests to create or change a status, and their checks."""

import re
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from clickloop.conversion.status import CountsAs, StatusWords, word_key
from clickloop.setup.fault import FaultCode, FieldFault, text_faults

MAX_WORDS = 200  # no status needs as many
MAX_WORD_LENGTH = 200
MAX_NAME_LENGTH = 100

_KEY = re.compile(r"[a-z][a-z0-9_]{0,31}")

Key = Annotated[
    str,
    Meta(
        description="Permanent identifier: a lowercase letter, then lowercase letters, digits or underscores.",
        examples=["deposit"],
    ),
]
Name = Annotated[str, Meta(description="Display name, also the value of {conversion.group}.", examples=["Deposit"])]
Counts = Annotated[
    CountsAs, Meta(description="How conversions with this status count. Only confirmed revenue counts as revenue.")
]
Words = Annotated[
    list[str],
    Meta(
        description="Words that networks send for this status. Case and surrounding spaces are ignored.",
        examples=[["ftd", "dep"]],
    ),
]
MoreWords = Annotated[
    list[str],
    Meta(description="Words to add. Words the status already has are kept.", examples=[["upsold"]]),
]
FewerWords = Annotated[
    list[str], Meta(description="Words to remove. Words the status doesn't have are ignored.", examples=[["dep"]])
]


class StatusUpdate(msgspec.Struct, kw_only=True):
    """Changes to a status. Omitted fields stay unchanged. words replaces all words; use add_words to add some."""

    name: Name | UnsetType = UNSET
    counts_as: Counts | UnsetType = UNSET
    words: Words | UnsetType = UNSET
    add_words: MoreWords | UnsetType = UNSET
    remove_words: FewerWords | UnsetType = UNSET


class StatusCreation(msgspec.Struct, kw_only=True):
    """A status to create."""

    key: Key
    name: Name
    counts_as: Counts
    words: Words | UnsetType = UNSET


def changed_words(before: Sequence[str], change: StatusUpdate) -> list[str]:
    """Return the words of a status after a change: the given or previous ones plus the added, minus the removed ones."""
    removed = {word_key(word) for word in change.remove_words or ()}
    words = [*(before if change.words is UNSET else change.words), *(change.add_words or ())]
    return [word for word in words if word_key(word) not in removed]


def creation_faults(new: StatusCreation, rows: Sequence[StatusWords]) -> list[FieldFault]:
    """Return the faults of a new status beside the ``rows`` that exist."""
    faults = _name_faults(new.name)
    if not _KEY.fullmatch(new.key):
        sentence = "Use a lowercase letter followed by at most 31 lowercase letters, digits or underscores."
        faults.append(FieldFault("key", FaultCode.NOT_A_KEY, sentence))
    if any(row.status.key == new.key for row in rows):
        faults.append(FieldFault("key", FaultCode.TAKEN, f"A status {new.key!r} already exists."))
    return faults + _word_faults(new.words or (), new.key, rows, "words")


def update_faults(change: StatusUpdate, after: StatusWords, rows: Sequence[StatusWords]) -> list[FieldFault]:
    """Return the faults of a change that makes a status into ``after``, beside the ``rows`` that exist."""
    key, added, removed = after.status.key, change.add_words or (), change.remove_words or ()
    faults = _name_faults(after.status.name)
    faults += _word_faults(change.words or (), key, rows, "words") + _word_faults(added, key, rows, "add_words")
    if both := {word_key(word) for word in added} & {word_key(word) for word in removed}:
        sentence = f"{', '.join(sorted(both))[:100]!r} is in both add_words and remove_words. Leave one out."
        faults.append(FieldFault("remove_words", FaultCode.CONFLICT, sentence))
    if len(removed) > MAX_WORDS:
        sentence = f"At most {MAX_WORDS} words can be removed at once."
        faults.append(FieldFault("remove_words", FaultCode.TOO_MANY, sentence))
    if len({word_key(word) for word in after.words}) > MAX_WORDS and not faults:
        faults.append(FieldFault("add_words", FaultCode.TOO_MANY, _TOO_MANY_WORDS))
    return faults


_TOO_MANY_WORDS = f"A status can have at most {MAX_WORDS} words."


def _name_faults(name: str) -> list[FieldFault]:
    return text_faults("name", name, MAX_NAME_LENGTH, required=True)


def _word_faults(words: Sequence[str], key: str, rows: Sequence[StatusWords], field: str) -> list[FieldFault]:
    holders = {word: row.status.key for row in rows for word in row.words}
    faults = [FieldFault(field, FaultCode.TOO_MANY, _TOO_MANY_WORDS)] if len(words) > MAX_WORDS else []
    for position, word in enumerate(words[:MAX_WORDS]):
        path = f"{field}[{position}]"
        faults += text_faults(path, word, MAX_WORD_LENGTH, required=True)
        holder = holders.get(word_key(word), key)
        if holder != key:
            sentence = f"{word[:50]!r} is already mapped to {holder}. Remove it there first."
            faults.append(FieldFault(path, FaultCode.TAKEN, sentence))
    return faults
