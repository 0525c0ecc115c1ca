"""/statuses: the statuses of conversions, how each counts, and the words that networks send for them."""

from typing import Annotated

import msgspec
from litestar import Router, delete, get, patch, post
from litestar.exceptions import HTTPException
from litestar.params import JSONBody
from msgspec import Meta

from clickloop.conversion.status import StatusWords, word_key
from clickloop.conversion.status_change import Counts, Key, Name, StatusCreation, StatusUpdate, Words
from clickloop.logs.view import view_of
from clickloop.saving import statuses as saving
from clickloop.setup.record import Versioned
from clickloop.store.ledger.setup.networks import find_networks
from clickloop.store.ledger.setup.statuses import networks_of_unmapped_words, status_rows, unmapped_words
from clickloop.text import readable
from clickloop.web.api.all_faults import report_all_faults
from clickloop.web.api.body import CheckedBody
from clickloop.web.api.context import Context
from clickloop.web.api.paging import KeyPath

NOUN = saving.NOUN
MAX_UNMAPPED_WORDS = 100  # as many as anyone maps by hand


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
            description="Words the status no longer has. New conversions with one of them count as other until the word is "
            "assigned to a status."
        ),
    ]


class WordNetwork(msgspec.Struct, kw_only=True):
    """A network that sent a word, and what the word means there."""

    id: int
    name: str
    mapped_to: Annotated[
        Key | None, Meta(description="Status key from the network's own words; null if the common words apply.")
    ]


class UnmappedWordView(msgspec.Struct, kw_only=True):
    """A word that networks sent before any status had it."""

    word: str
    conversions: Annotated[int, Meta(description="Number of conversions that count as other because of it.")]
    mapped_to: Annotated[
        Key | None,
        Meta(
            description="Key of the status that has the word now; reprocess its incoming postbacks to apply it. null if unmapped."
        ),
    ]
    networks: Annotated[
        list[WordNetwork],
        Meta(description="Networks that sent the word. A network's own mapping takes precedence over the common one."),
    ]


class StatusList(msgspec.Struct, kw_only=True):
    """All statuses in order, and the words that networks sent without a status to match."""

    items: list[StatusView]
    next_cursor: Annotated[str | None, Meta(description="Always null; the list is complete.")]
    unmapped_words: Annotated[
        list[UnmappedWordView],
        Meta(description="Words to assign to a status. Reprocess their incoming postbacks afterwards."),
    ]


def list_statuses(context: Context) -> StatusList:
    """List all statuses, and the words waiting to be mapped."""
    with context.ledger.read() as tx:
        rows = status_rows(tx)
        words = unmapped_words(tx, MAX_UNMAPPED_WORDS)
        senders = networks_of_unmapped_words(tx, [word.word for word in words])
        found = {network.id: network for network in find_networks(tx, {one for ids in senders.values() for one in ids})}
    holders = {word: row.status.key for row in rows for word in row.words}
    return StatusList(
        items=[_view(row) for row in rows],
        next_cursor=None,
        unmapped_words=[
            UnmappedWordView(
                word=readable(word.word),
                conversions=word.conversions,
                mapped_to=holders.get(word_key(word.word)),
                networks=[
                    WordNetwork(
                        id=network_id,
                        name=readable(found[network_id].name),
                        mapped_to=found[network_id].status_words.get(word_key(word.word)),
                    )
                    for network_id in senders.get(word.word, ())
                    if network_id in found
                ],
            )
            for word in words
        ],
    )


def read_status(context: Context, key: KeyPath) -> StatusView:
    """Return a status."""
    with context.ledger.read() as tx:
        return _view(saving.find_status(tx, key))


def create_status(context: Context, data: JSONBody[StatusCreation]) -> StatusView:
    """Create a status at the end of the list."""
    return _view(saving.create(context, data, _view))


def change_status(context: Context, key: KeyPath, data: JSONBody[StatusUpdate]) -> ChangedStatusView:
    """Change the given fields. dropped_words lists the words the status lost.

    Existing conversions keep their status until their incoming postbacks are reprocessed.
    """
    before, after = saving.change(context, key, data, _view)
    dropped = [readable(word) for word in before.words if word not in after.words]
    return ChangedStatusView(**msgspec.structs.asdict(_view(after)), dropped_words=dropped)


def remove_status(context: Context, key: KeyPath) -> StatusView:
    """Delete a status that no conversion has. sale (no status word) and other (unknown words) cannot be deleted.

    Returns 409, naming them, if postback rules or networks use the status.
    """
    try:
        return _view(saving.remove(context, key, _view))
    except saving.StatusInUseError as error:
        raise HTTPException(status_code=409, detail=str(error)) from error


def _view(row: StatusWords) -> StatusView:
    return view_of(StatusView, row.status, version=row.version, words=[readable(word) for word in row.words])


router = Router(
    f"/{NOUN}",
    route_handlers=[
        get("/", sync_to_thread=True, summary="List statuses")(list_statuses),
        get("/{key:str}", sync_to_thread=True, summary="Get a status")(read_status),
        post("/", dto=CheckedBody, sync_to_thread=True, summary="Create a status")(report_all_faults(create_status)),
        patch("/{key:str}", dto=CheckedBody, sync_to_thread=True, summary="Change a status")(
            report_all_faults(change_status)
        ),
        delete("/{key:str}", status_code=200, sync_to_thread=True, summary="Delete a status")(remove_status),
    ],
    tags=["Statuses"],
)
