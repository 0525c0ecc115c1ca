"""/statuses: what a conversion can be, how each counts, and the words that networks send for it."""

import re
from collections.abc import Sequence
from typing import Annotated

import msgspec
from litestar import Router, delete, get, patch, post
from litestar.exceptions import HTTPException
from litestar.params import JSONBody
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import Connection

from clickloop.conversion.status import OTHER, SALE, CountsAs, Status, StatusWords, word_key
from clickloop.setup.fault import Fault, FaultCode, InvalidInputError, invalid, text_faults
from clickloop.setup.reading import given_or
from clickloop.setup.record import Versioned
from clickloop.store.ledger.logs.audit_entry import note_change
from clickloop.store.ledger.setup.networks import find_networks, networks_with_status
from clickloop.store.ledger.setup.postback_rules import KeptRule, live_rules_for_status
from clickloop.store.ledger.setup.statuses import (
    delete_status,
    free_words_of,
    insert_status,
    insert_words,
    is_status_used,
    networks_of_unmapped_words,
    status_rows,
    unmapped_words,
    update_status,
)
from clickloop.store.ledger.setup.versions import StaleRecordError, next_version
from clickloop.web.api.all_faults import tells_all
from clickloop.web.api.body import CheckedBody
from clickloop.web.api.context import Context
from clickloop.web.api.paging import KeyPath
from clickloop.web.api.problem import not_found
from clickloop.web.api.wire import shown

NOUN = "statuses"

MAX_WORDS = 200  # no status needs as many

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


MoreWords = Annotated[
    list[str],
    Meta(description="Words that it gets besides those it has. One that it has already stays.", examples=[["upsold"]]),
]
FewerWords = Annotated[
    list[str], Meta(description="Words that are taken from it. One that it has not is passed over.", examples=[["dep"]])
]


class StatusUpdate(msgspec.Struct, kw_only=True):
    """What to change of a status; what is left out stays. words replaces all words that it has: to give it one more, add_words."""

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


class StatusView(Versioned, frozen=True, kw_only=True):
    """A status."""

    key: Key
    name: Name
    counts_as: Counts
    words: Words


class ChangedStatusView(StatusView, frozen=True, kw_only=True):
    """A status after a change."""

    dropped_words: Annotated[
        Words,
        Meta(
            description="Words that it had before: conversions with one of these stand under other from now on, "
            "until a status claims it."
        ),
    ]


class WordNetwork(msgspec.Struct, kw_only=True):
    """A network that sent a word, and what the word means there."""

    id: int
    name: str
    mapped_to: Annotated[Key | None, Meta(description="By the network's own words; null: the common words apply.")]


class UnmappedWordView(msgspec.Struct, kw_only=True):
    """A word that networks sent when no status claimed it."""

    word: str
    conversions: Annotated[int, Meta(description="How many conversions stand under it as other.")]
    mapped_to: Annotated[
        Key | None, Meta(description="The status that it was given to since: run its notices again. null: none.")
    ]
    networks: Annotated[
        list[WordNetwork],
        Meta(
            description="The networks that sent it, and what it means there; that takes precedence over the common meaning."
        ),
    ]


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
        senders = networks_of_unmapped_words(tx, [word.word for word in words])
        found = {network.id: network for network in find_networks(tx, {one for ids in senders.values() for one in ids})}
    holders = {word: row.status.key for row in rows for word in row.words}
    return StatusList(
        items=[_view(row) for row in rows],
        next_cursor=None,
        unmapped_words=[
            UnmappedWordView(
                word=shown(word.word),
                conversions=word.conversions,
                mapped_to=holders.get(word_key(word.word)),
                networks=[
                    WordNetwork(
                        id=number,
                        name=shown(found[number].name),
                        mapped_to=found[number].status_words.get(word_key(word.word)),
                    )
                    for number in senders.get(word.word, ())
                    if number in found
                ],
            )
            for word in words
        ],
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
        insert_status(tx, Status(data.key, data.name, data.counts_as), next_version(0, context.clock()))
        insert_words(tx, data.key, words)
        view = _view(_status(tx, data.key))
        note_change(tx, context, NOUN, data.key, after=view)
    context.on_setup_changed()
    return view


def change_status(context: Context, key: KeyPath, data: JSONBody[StatusUpdate]) -> ChangedStatusView:
    """Changes what is given; dropped_words tells which words it lost.

    Conversions that are there already are counted as they were until their notices are run again.
    """
    with context.ledger.write() as tx:
        before = context.current(_status(tx, key))
        words = _changed_words(before.words, data)
        name = given_or(data.name, before.status.name)
        faults = text_faults("name", name, 100, required=True) + _update_faults(data, words, key, status_rows(tx))
        if faults:
            raise InvalidInputError(tuple(faults))
        changed = Status(key, name, given_or(data.counts_as, before.status.counts_as))
        update_status(tx, changed, before.version, context.clock())
        free_words_of(tx, key)
        insert_words(tx, key, words)
        after = _status(tx, key)
        note_change(tx, context, NOUN, key, _view(before), _view(after))
    context.on_setup_changed()
    dropped = [shown(word) for word in before.words if word not in after.words]
    return ChangedStatusView(**msgspec.structs.asdict(_view(after)), dropped_words=dropped)


def _changed_words(before: Sequence[str], data: StatusUpdate) -> list[str]:
    """The words that a status has after a change: those given or before, the added ones, less the removed ones."""
    removed = {word_key(word) for word in given_or(data.remove_words, [])}
    words = [*given_or(data.words, list(before)), *given_or(data.add_words, [])]
    return [word for word in words if word_key(word) not in removed]


def _update_faults(data: StatusUpdate, words: list[str], key: str, rows: list[StatusWords]) -> list[Fault]:
    added, removed = given_or(data.add_words, []), given_or(data.remove_words, [])
    both = {word_key(word) for word in added} & {word_key(word) for word in removed}
    faults = _word_faults(given_or(data.words, []), key, rows) + _word_faults(added, key, rows, "add_words")
    if both:
        sentence = f"{', '.join(sorted(both))[:100]!r} stands in add_words and in remove_words: leave one out."
        faults.append(Fault("remove_words", FaultCode.CONFLICT, sentence))
    if len(removed) > MAX_WORDS:
        faults.append(Fault("remove_words", FaultCode.TOO_MANY, f"At most {MAX_WORDS} words are taken at once."))
    if len({word_key(word) for word in words}) > MAX_WORDS and not faults:
        faults.append(Fault("add_words", FaultCode.TOO_MANY, f"A status has at most {MAX_WORDS} words."))
    return faults


def remove_status(context: Context, key: KeyPath) -> StatusView:
    """Removes a status that no conversion has. sale and other always stay: they stand for no word and an unknown word.

    409: postback rules wait for it, or networks have words of their own for it; they are named.
    """
    with context.ledger.write() as tx:
        row = context.current(_status(tx, key))
        if key in (SALE.key, OTHER.key):
            raise invalid("key", FaultCode.RESERVED, f"The status {key} always stays: rename it instead.")
        if is_status_used(tx, key):
            raise invalid("key", FaultCode.IN_USE, f"Conversions have the status {key}: it cannot be removed.")
        if waiting := live_rules_for_status(tx, key):
            raise HTTPException(status_code=409, detail=_still_selected(key, waiting))
        if using := networks_with_status(tx, key):
            raise HTTPException(status_code=409, detail=_still_meant(key, using))
        free_words_of(tx, key)
        if not delete_status(tx, key, row.version):
            raise StaleRecordError(0)
        note_change(tx, context, NOUN, key, before=_view(row))
    context.on_setup_changed()
    return _view(row)


def _still_selected(key: str, rules: list[KeptRule]) -> str:
    names = ", ".join(f"{kept.rule.rule_id} {shown(kept.rule.name)!r}" for kept in rules[:5])
    more = f" and {len(rules) - 5} more" if len(rules) > 5 else ""
    wait = "rule waits" if len(rules) == 1 else "rules wait"
    return (
        f"{len(rules)} postback {wait} for the status {key}: {names}{more}. Take it out of the conditions first, or archive "
        "what is not needed."
    )


def _still_meant(key: str, names: list[str]) -> str:
    listed = ", ".join(repr(shown(name)) for name in names[:5])
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"Words of {listed}{more} are mapped to the status {key}. Map them to another status on the network's page first."


def _word_faults(words: list[str], key: str, rows: list[StatusWords], field: str = "words") -> list[Fault]:
    holders = {word: row.status.key for row in rows for word in row.words}
    faults = []
    if len(words) > MAX_WORDS:
        faults.append(Fault(field, FaultCode.TOO_MANY, f"A status has at most {MAX_WORDS} words."))
    for position, word in enumerate(words[:MAX_WORDS]):
        place = f"{field}[{position}]"
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
        version=row.version,
        name=shown(row.status.name),
        counts_as=row.status.counts_as,
        words=[shown(word) for word in row.words],
    )


router = Router(
    f"/{NOUN}",
    route_handlers=[
        get("/", sync_to_thread=True, summary="List statuses")(list_statuses),
        get("/{key:str}", sync_to_thread=True, summary="Read a status")(read_status),
        post("/", dto=CheckedBody, return_dto=None, sync_to_thread=True, summary="Create a status")(
            tells_all(create_status)
        ),
        patch("/{key:str}", dto=CheckedBody, return_dto=None, sync_to_thread=True, summary="Change a status")(
            tells_all(change_status)
        ),
        delete("/{key:str}", status_code=200, sync_to_thread=True, summary="Remove a status")(remove_status),
    ],
    tags=["Statuses"],
)
