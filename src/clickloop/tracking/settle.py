"""Settling: clicks from the journal into the facts, notices into the ledger, and what the ledger owes the facts; each exactly once."""

from collections.abc import Sequence

import msgspec

from clickloop.conversion.notice import RawNotice
from clickloop.store.facts.facts import Facts, SegmentRefusedError
from clickloop.store.journal.reader import JournalReader
from clickloop.store.journal.segment import (
    CLICKS_STREAM,
    NOTICES_STREAM,
    Damage,
    DamageKind,
    Segment,
    SegmentContents,
)
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.outbox import delete_facts, oldest_facts
from clickloop.store.ledger.logs.segments import forget_settled
from clickloop.tracking.around_damage import take_notices_around_damage
from clickloop.tracking.notices import Desk, NoticeResult

CLICK_SEGMENTS = 256  # of an hour's backlog many small ones: the engine opens each
CLICK_OCTETS = 32 * 1024 * 1024
"""The most that one transaction of the facts takes."""
CLICKS_PER_QUERY = 5_000
"""Clicks of a doubtful segment that one query of the facts looks up."""
NOTICE_SEGMENTS = 64  # a short round: what comes meanwhile waits for it
DEFERRED_OCTETS = 128 * 1024
"""Of deferred notices in one round, a fraction of a second: others that come meanwhile wait no longer than that."""
OUTBOX_BATCH = 5_000  # one load of the facts; its rows are in memory twice

_decoder = msgspec.json.Decoder(RawNotice)


class ClickBatch(msgspec.Struct, frozen=True):
    """What one round of settling did. ``more``: there are segments left, go on at once."""

    clicks: int
    segments: int
    damages: tuple[Damage, ...]
    more: bool


def settle_clicks(reader: JournalReader, facts: Facts, stream: str = CLICKS_STREAM) -> ClickBatch:
    """Loads closed segments (a bounded batch of them) and puts them away. Killed at any point, it goes on where it was.

    Raises ``FactsError`` or ``OSError`` when a store fails: nothing is lost, call again later.
    """
    waiting = reader.closed_segments(stream)
    damages = reader.missing()
    batch = _batch(waiting)
    verified = [reader.verify(segment) for segment in batch]
    damages += [damage for contents in verified for damage in contents.damages]
    readable = [contents for contents in verified if contents.count >= 0]
    doubtful = [contents for contents in readable if contents.segment.doubtful or contents.damages]
    # The sound ones first: what a copied or returned segment repeats is then in the facts, and is left out.
    clicks, settled = _load(reader, facts, [contents for contents in readable if contents not in doubtful], damages)
    for contents in doubtful:
        added, loaded = _load(reader, facts, [_unrepeated(reader, facts, contents, damages)], damages)
        clicks += added
        settled += loaded
    # Only after the load was committed: killed before, the segment is loaded again, and the facts know its name.
    reader.settled([contents.segment for contents in settled])
    # Only when the segment cannot come back: until then its name keeps it from being counted twice.
    facts.forget_segments([contents.segment.name for contents in settled])
    return ClickBatch(clicks, len(settled), tuple(damages), len(batch) < len(waiting))


def _load(
    reader: JournalReader, facts: Facts, segments: list[SegmentContents], damages: list[Damage]
) -> tuple[int, list[SegmentContents]]:
    """Load segments, cutting out what is no click. Return how many clicks were added, and the segments as they are then."""
    clicks = 0
    while True:
        try:
            return clicks + facts.load_clicks(segments), segments
        except SegmentRefusedError as refusal:
            clicks += refusal.loaded
            segments = [_cleaned(reader, facts, contents, refusal, damages) for contents in segments]


class _ClickLine(msgspec.Struct, frozen=True):
    click_id: str = ""


_click_line = msgspec.json.Decoder(_ClickLine)


def _unrepeated(
    reader: JournalReader, facts: Facts, contents: SegmentContents, damages: list[Damage]
) -> SegmentContents:
    """Return the segment without the clicks that are in the facts already: it was copied, or put back after it was settled."""
    if facts.has_loaded(contents.segment.name):
        return contents
    lines = reader.read(contents.segment).lines
    ids = [_click_id(line) for line in lines]
    known: set[str] = set()
    for start in range(0, len(ids), CLICKS_PER_QUERY):
        known.update(facts.find_clicks({id_ for id_ in ids[start : start + CLICKS_PER_QUERY] if id_}))
    if not known:
        return contents
    fresh = [line for line, id_ in zip(lines, ids, strict=True) if id_ not in known]
    sentence = (
        f"{len(lines) - len(fresh)} of {len(lines)} records of {contents.segment.path} are in the facts already and are not counted "
        "twice: the segment was copied, or put back after it was settled."
    )
    damages.append(Damage(DamageKind.REPEATED, str(contents.segment.path), 0, contents.segment.octets, sentence))
    return reader.rewrite(contents.segment, fresh)


def _click_id(line: bytes) -> str:
    try:
        return _click_line.decode(line).click_id
    # It is refused by the load, which says why.
    except msgspec.DecodeError:
        return ""


def _batch(waiting: Sequence[Segment]) -> Sequence[Segment]:
    """As many of the oldest as may be loaded in one transaction; at least one."""
    octets = 0
    for index, segment in enumerate(waiting):
        octets += segment.octets
        if index and (octets > CLICK_OCTETS or index >= CLICK_SEGMENTS):
            return waiting[:index]
    return waiting


def _cleaned(
    reader: JournalReader, facts: Facts, contents: SegmentContents, refusal: SegmentRefusedError, damages: list[Damage]
) -> SegmentContents:
    """The refused segment without the records that are no clicks; the others as they are."""
    if contents.segment.name != refusal.segment_name:
        return contents
    cleaned = reader.keep_only(contents.segment, facts.accepts_click, "it is no click")
    if not cleaned.damages:
        raise refusal
    damages += cleaned.damages
    return cleaned


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
    batch = _notice_batch(waiting)
    read = [_readable(reader, reader.read(segment)) for segment in batch]
    damages += [damage for contents in read for damage in contents.damages]
    whole = [contents for contents in read if contents.count >= 0]
    if not whole:
        return NoticeBatch((), tuple(damages), False)
    names = [contents.segment.name for contents in whole]
    raws = [_decoder.decode(line) for contents in whole for line in contents.lines]
    results = take_notices_around_damage(desk, raws, now_ms, names)
    # After the ledger's commit: killed in between, notices are known by their ids.
    reader.settled([contents.segment for contents in whole])
    with desk.ledger.write() as tx:
        # Last: the names keep a segment that is still in the journal from being read again.
        forget_settled(tx, names)
    return NoticeBatch(tuple(results), tuple(damages), len(batch) < len(waiting))


def _notice_batch(waiting: Sequence[Segment]) -> list[Segment]:
    """Return the segments of the next round: of all writers in turn, and a few of the deferred ones, so that nobody waits for them."""
    ordinary = _in_turn([segment for segment in waiting if not segment.is_deferred])
    batch = ordinary[:NOTICE_SEGMENTS]
    octets = 0
    for segment in _in_turn([segment for segment in waiting if segment.is_deferred]):
        octets += segment.octets
        batch.append(segment)
        if octets >= DEFERRED_OCTETS or len(batch) >= 2 * NOTICE_SEGMENTS:
            break
    return batch


def _in_turn(segments: Sequence[Segment]) -> list[Segment]:
    """Return the segments with the oldest of each writer first, then the second of each, and so on."""
    turns: dict[str, int] = {}
    placed = []
    for segment in segments:
        turn = turns[segment.writer] = turns.get(segment.writer, 0) + 1
        placed.append((turn, segment))
    # A stable sort: within a turn the order of the writers stays.
    placed.sort(key=lambda pair: pair[0])
    return [segment for _, segment in placed]


def settle_facts(ledger: Ledger, facts: Facts) -> int:
    """Hand the facts what the ledger owes them, exactly once. Return the number of rows that left the outbox.

    Killed between the load and the deletion, the same rows are read again: the facts skip them, and they are deleted then.
    """
    with ledger.read() as tx:
        rows = oldest_facts(tx, OUTBOX_BATCH)
    if not rows:
        return 0
    # Outside of any transaction of the ledger: a load takes long, and the ledger has one writer.
    facts.load_facts(rows)
    with ledger.write() as tx:
        delete_facts(tx, [outbox_id for outbox_id, _ in rows])
    return len(rows)


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
