"""/statuses: what a conversion can be, how each counts, and the words that networks send for it."""

import re
from typing import Annotated

import msgspec
from litestar import Router, delete, get, patch, post
from litestar.params import JSONBody
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import Connection

from clickloop.campaign.fault import Fault, FaultCode, InvalidInputError, text_faults
from clickloop.conversion.status import OTHER, SALE, CountsAs, Status, StatusWords, word_key
from clickloop.store.ledger.statuses import (
    delete_status,
    free_words_of,
    insert_status,
    insert_words,
    is_status_used,
    status_rows,
    unmapped_words,
    update_status,
)
from clickloop.web.api.body import StrictBody, given_or
from clickloop.web.api.context import Context
from clickloop.web.api.noting import note_change
from clickloop.web.api.paging import KeyPath
from clickloop.web.api.problem import invalid, not_found
from clickloop.web.api.wire import shown

NOUN = "statuses"

_KEY = re.compile(r"[a-z][a-z0-9_]{0,31}")

Key = Annotated[
    str, Meta(description="Lasting: a small letter, then small letters, digits or _.", examples=["deposit"])
]
Name = Annotated[str, Meta(description="What people and {conversion.group} call it.", examples=["Deposit"])]
Counts = Annotated[CountsAs, Meta(description="Only confirmed revenue is revenue.")]
Words = Annotated[
    list[str],
    Meta(description="Words that networks send for it, matched trimmed and in any case.", examples=[["ftd", "dep"]]),
]


class StatusUpdate(msgspec.Struct, kw_only=True):
    """What to change of a status; what is left out stays. Words replace all words before."""

    name: Name | UnsetType = UNSET
    counts_as: Counts | UnsetType = UNSET
    words: Words | UnsetType = UNSET


class StatusCreation(msgspec.Struct, kw_only=True):
    """A status to create."""

    key: Key
    name: Name
    counts_as: Counts
    words: Words | UnsetType = UNSET


class StatusView(msgspec.Struct, kw_only=True):
    """A status."""

    key: Key
    name: Name
    counts_as: Counts
    words: Words


class UnmappedWordView(msgspec.Struct, kw_only=True):
    """A word that networks sent and no status claims."""

    word: str
    conversions: Annotated[int, Meta(description="How many conversions stand under it as other.")]


class StatusList(msgspec.Struct, kw_only=True):
    """All statuses in their order, and what networks sent that none of them claims."""

    items: list[StatusView]
    next_cursor: Annotated[str | None, Meta(description="Always null: there are few.")]
    unmapped_words: Annotated[
        list[UnmappedWordView], Meta(description="Give one to a status, then run its notices again.")
    ]


def list_statuses(context: Context) -> StatusList:
    """All statuses, and the words that wait for mapping."""
    with context.ledger.read() as tx:
        rows = status_rows(tx)
        words = unmapped_words(tx, 100)
    return StatusList(
        items=[_view(row) for row in rows],
        next_cursor=None,
        unmapped_words=[UnmappedWordView(word=shown(word.word), conversions=word.conversions) for word in words],
    )


def read_status(context: Context, key: KeyPath) -> StatusView:
    """One status."""
    with context.ledger.read() as tx:
        return _view(_status(tx, key))


def create_status(context: Context, data: JSONBody[StatusCreation]) -> StatusView:
    """Creates a status after the last one."""
    words = given_or(data.words, [])
    with context.ledger.write() as tx:
        rows = status_rows(tx)
        faults = text_faults("name", data.name, 100, required=True)
        if not _KEY.fullmatch(data.key):
            sentence = "A small letter, then at most 31 small letters, digits or _ are expected."
            faults.append(Fault("key", FaultCode.NOT_A_KEY, sentence))
        if any(row.status.key == data.key for row in rows):
            faults.append(Fault("key", FaultCode.TAKEN, f"There is a status {data.key!r} already."))
        faults += _word_faults(words, data.key, rows)
        if faults:
            raise InvalidInputError(tuple(faults))
        insert_status(tx, Status(data.key, data.name, data.counts_as))
        insert_words(tx, data.key, words)
        view = _view(_status(tx, data.key))
        note_change(tx, context, NOUN, data.key, after=view)
    context.on_setup_changed()
    return view


def change_status(context: Context, key: KeyPath, data: JSONBody[StatusUpdate]) -> StatusView:
    """Changes what is given. Conversions that are there already are counted as they were until their notices are run again."""
    with context.ledger.write() as tx:
        before = _status(tx, key)
        words = given_or(data.words, list(before.words))
        name = given_or(data.name, before.status.name)
        faults = text_faults("name", name, 100, required=True) + _word_faults(words, key, status_rows(tx))
        if faults:
            raise InvalidInputError(tuple(faults))
        update_status(tx, Status(key, name, given_or(data.counts_as, before.status.counts_as)))
        free_words_of(tx, key)
        insert_words(tx, key, words)
        view = _view(_status(tx, key))
        note_change(tx, context, NOUN, key, _view(before), view)
    context.on_setup_changed()
    return view


def remove_status(context: Context, key: KeyPath) -> StatusView:
    """Removes a status that no conversion has. sale and other always stay: they stand for no word and an unknown word."""
    with context.ledger.write() as tx:
        row = _status(tx, key)
        if key in (SALE.key, OTHER.key):
            raise invalid("key", FaultCode.RESERVED, f"The status {key} always stays: rename it instead.")
        if is_status_used(tx, key):
            raise invalid("key", FaultCode.IN_USE, f"Conversions have the status {key}: it cannot be removed.")
        free_words_of(tx, key)
        delete_status(tx, key)
        note_change(tx, context, NOUN, key, before=_view(row))
    context.on_setup_changed()
    return _view(row)


def _word_faults(words: list[str], key: str, rows: list[StatusWords]) -> list[Fault]:
    holders = {word: row.status.key for row in rows for word in row.words}
    faults = []
    if len(words) > 200:
        faults.append(Fault("words", FaultCode.TOO_MANY, "A status has at most 200 words."))
    for position, word in enumerate(words[:200]):
        place = f"words[{position}]"
        faults += text_faults(place, word, 200, required=True)
        holder = holders.get(word_key(word), key)
        if holder != key:
            faults.append(
                Fault(place, FaultCode.TAKEN, f"{word[:50]!r} is a word of {holder}: take it away there first.")
            )
    return faults


def _status(tx: Connection, key: str) -> StatusWords:
    found = next((row for row in status_rows(tx) if row.status.key == key), None)
    if found is None:
        raise not_found("status of that key")
    return found


def _view(row: StatusWords) -> StatusView:
    return StatusView(
        key=row.status.key,
        name=shown(row.status.name),
        counts_as=row.status.counts_as,
        words=[shown(word) for word in row.words],
    )


router = Router(
    f"/{NOUN}",
    route_handlers=[
        get("/", sync_to_thread=True, summary="List statuses")(list_statuses),
        get("/{key:str}", sync_to_thread=True, summary="Read a status")(read_status),
        post("/", dto=StrictBody, return_dto=None, sync_to_thread=True, summary="Create a status")(create_status),
        patch("/{key:str}", dto=StrictBody, return_dto=None, sync_to_thread=True, summary="Change a status")(
            change_status
        ),
        delete("/{key:str}", status_code=200, sync_to_thread=True, summary="Remove a status")(remove_status),
    ],
    tags=["Statuses"],
)
