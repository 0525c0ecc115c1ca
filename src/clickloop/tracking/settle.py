"""Settling notices and what they owe the facts: from the journal into the ledger, from the ledger's outbox into the facts."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from clickloop.conversion.notice import RawNotice
from clickloop.store.journal.reader import JournalReader
from clickloop.store.journal.segment import Damage, SegmentContents
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.outbox import delete_facts_to, facts_after
from clickloop.store.ledger.segments import forget_settled
from clickloop.tracking.notices import Desk, NoticeResult, take_notices

NOTICES_STREAM = "notices"
BATCH_SEGMENTS = 64
OUTBOX_BATCH = 5_000

_decoder = msgspec.json.Decoder(RawNotice)


class FactsTaker(Protocol):
    """Where facts go."""

    def load_facts(self, rows: Sequence[tuple[int, bytes]]) -> int:
        """Adds rows exactly once by their outbox id."""
        ...

    def last_outbox_id(self) -> int:
        """The last outbox id taken."""
        ...


class NoticeBatch(msgspec.Struct, frozen=True):
    """What one round did. ``more``: there are segments left, go on at once."""

    results: tuple[NoticeResult, ...]
    damages: tuple[Damage, ...]
    more: bool


def settle_notices(reader: JournalReader, desk: Desk, now_ms: int) -> NoticeBatch:
    """Takes the notices of closed segments into the ledger, exactly once, and puts the segments away.

    Killed at any point, it goes on where it was: a notice is known by its id. Raises when the ledger fails: call again later.
    """
    waiting = reader.closed_segments(NOTICES_STREAM)
    damages = reader.missing()
    read = [_readable(reader, reader.read(segment)) for segment in waiting[:BATCH_SEGMENTS]]
    damages += [damage for contents in read for damage in contents.damages]
    whole = [contents for contents in read if contents.count >= 0]
    if not whole:
        return NoticeBatch((), tuple(damages), False)
    names = [contents.segment.name for contents in whole]
    raws = [_decoder.decode(line) for contents in whole for line in contents.lines]
    results = take_notices(desk, raws, now_ms, names)
    reader.settled([contents.segment for contents in whole])
    with desk.ledger.write() as tx:
        forget_settled(tx, names)
    return NoticeBatch(tuple(results), tuple(damages), len(waiting) > BATCH_SEGMENTS)


def settle_facts(ledger: Ledger, facts: FactsTaker) -> int:
    """Hands the facts what the ledger owes them, exactly once; answers how many rows."""
    with ledger.read() as tx:
        rows = facts_after(tx, 0, OUTBOX_BATCH)
    if not rows:
        return 0
    taken = facts.load_facts(rows)
    with ledger.write() as tx:
        delete_facts_to(tx, rows[-1][0])
    return taken


def _readable(reader: JournalReader, contents: SegmentContents) -> SegmentContents:
    """The segment without records that are whole but no notices, which are kept aside and told."""
    if all(_is_notice(line) for line in contents.lines):
        return contents
    cleaned = reader.keep_only(contents.segment, _is_notice, "it is no notice")
    return msgspec.structs.replace(reader.read(cleaned.segment), damages=contents.damages + cleaned.damages)


def _is_notice(line: bytes) -> bool:
    try:
        _decoder.decode(line)
    except msgspec.DecodeError:
        return False
    return True
