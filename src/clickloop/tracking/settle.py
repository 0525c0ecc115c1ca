"""Settle clicks from the journal into the facts, notices into the ledger, and its outbox into the facts; each exactly once."""

from collections.abc import Sequence

import msgspec

from clickloop.conversion.notice import RawNotice
from clickloop.store.facts.facts import FactsStore, SegmentRefusedError
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
from clickloop.tracking.damage_isolation import take_notices_isolating_damage
from clickloop.tracking.judging import ClickJudge
from clickloop.tracking.notices import Intake, NoticeResult

MAX_CLICK_SEGMENTS = 256  # a backlog may have many small ones, and the engine opens each
MAX_CLICK_BYTES = 32 * 1024 * 1024
"""Maximum size of one load of the facts, in bytes."""
CLICKS_PER_QUERY = 5_000
"""Clicks of a doubtful segment looked up per query of the facts."""
MAX_NOTICE_SEGMENTS = 64  # keeps a round short: notices that come meanwhile wait for it
MAX_DEFERRED_BYTES = 128 * 1024
"""Bytes of deferred notices per round; they take a fraction of a second, so others wait no longer than that."""
OUTBOX_BATCH = 5_000  # one load of the facts; its rows are in memory twice

_decoder = msgspec.json.Decoder(RawNotice)


class ClickBatch(msgspec.Struct, frozen=True):
    """The result of one round of settling clicks. ``more``: segments are left, call again at once."""

    clicks: int
    segments: int
    damages: tuple[Damage, ...]
    more: bool


def settle_clicks(
    reader: JournalReader, facts: FactsStore, stream: str = CLICKS_STREAM, judge: ClickJudge | None = None
) -> ClickBatch:
    """Load a bounded batch of closed segments into the facts and remove them from the journal.

    ``judge``: None for one that judges uniqueness only.

    Resumes after a crash at any point. Raise FactsError or OSError when a store fails: nothing is lost, call again later.
    """
    waiting = reader.closed_segments(stream)
    damages = reader.missing()
    batch = _batch(waiting)
    verified = [reader.verify(segment) for segment in batch]
    damages += [damage for contents in verified for damage in contents.damages]
    loading = _Loading(reader, facts, judge or ClickJudge(facts), damages)
    readable = [contents for contents in verified if contents.count >= 0]
    doubtful = [contents for contents in readable if contents.segment.doubtful or contents.damages]
    # Sound segments first: clicks that a copied or restored segment repeats are then in the facts and can be skipped.
    clicks, settled = _load(loading, [contents for contents in readable if contents not in doubtful])
    for contents in doubtful:
        added, loaded = _load(loading, [_unrepeated(reader, facts, contents, damages)])
        clicks += added
        settled += loaded
    # Only after the load was committed: after a crash before this the segment is loaded again, and the facts know its name.
    reader.settled([contents.segment for contents in settled])
    # Only when the segment cannot come back: until then its name keeps it from being counted twice.
    facts.forget_segments([contents.segment.name for contents in settled])
    return ClickBatch(clicks, len(settled), tuple(damages), len(batch) < len(waiting))


class _Loading(msgspec.Struct, frozen=True):
    """What loading segments works with. ``damages`` is added to."""

    reader: JournalReader
    facts: FactsStore
    judge: ClickJudge
    damages: list[Damage]


def _load(loading: _Loading, segments: list[SegmentContents]) -> tuple[int, list[SegmentContents]]:
    """Load segments, removing records that are not clicks. Return the number of clicks added, and the segments as loaded."""
    clicks = 0
    while True:
        # Anew each time: segments that were loaded before a refusal are among the visitors seen.
        fresh = [one.segment for one in segments if not loading.facts.has_loaded(one.segment.name)]
        judgements = loading.judge.judge((segment.name, loading.reader.read(segment).lines) for segment in fresh)
        try:
            clicks += loading.facts.load_clicks(segments, judgements)
        except SegmentRefusedError as refusal:
            clicks += refusal.loaded
            segments = [_cleaned(loading, contents, refusal) for contents in segments]
        else:
            loading.judge.loaded()
            return clicks, segments


class _ClickLine(msgspec.Struct, frozen=True):
    click_id: str = ""


_click_line = msgspec.json.Decoder(_ClickLine)


def _unrepeated(
    reader: JournalReader, facts: FactsStore, contents: SegmentContents, damages: list[Damage]
) -> SegmentContents:
    """Return the segment without clicks already in the facts: it may have been copied, or restored after it was settled."""
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
        f"{len(lines) - len(fresh)} of {len(lines)} records of {contents.segment.path} were already in the facts and are not "
        "counted twice. The segment was copied, or restored after it had been processed."
    )
    damages.append(Damage(DamageKind.REPEATED, str(contents.segment.path), 0, contents.segment.size, sentence))
    return reader.rewrite(contents.segment, fresh)


def _click_id(line: bytes) -> str:
    try:
        return _click_line.decode(line).click_id
    # The load refuses the line and reports why.
    except msgspec.DecodeError:
        return ""


def _batch(waiting: Sequence[Segment]) -> Sequence[Segment]:
    """Return as many of the oldest segments as fit in one transaction; at least one."""
    size = 0
    for index, segment in enumerate(waiting):
        size += segment.size
        if index and (size > MAX_CLICK_BYTES or index >= MAX_CLICK_SEGMENTS):
            return waiting[:index]
    return waiting


def _cleaned(loading: _Loading, contents: SegmentContents, refusal: SegmentRefusedError) -> SegmentContents:
    """Return the segment without records that are not clicks if it is the refused one, else as it is."""
    if contents.segment.name != refusal.segment_name:
        return contents
    cleaned = loading.reader.keep_only(contents.segment, loading.facts.accepts_click, "it is not a click")
    if not cleaned.damages:
        raise refusal
    loading.damages.extend(cleaned.damages)
    return cleaned


class NoticeBatch(msgspec.Struct, frozen=True):
    """The result of one round of settling notices. ``more``: segments are left, call again at once."""

    results: tuple[NoticeResult, ...]
    damages: tuple[Damage, ...]
    more: bool


def settle_notices(reader: JournalReader, intake: Intake, now_ms: int) -> NoticeBatch:
    """Load the notices of closed segments into the ledger, exactly once, and remove the segments from the journal.

    Resumes after a crash at any point, because notices are recognised by their ids. Errors of the ledger propagate: call again
    later.
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
    results = take_notices_isolating_damage(intake, raws, now_ms, names)
    # After the ledger's commit: after a crash in between, notices are recognised by their ids.
    reader.settled([contents.segment for contents in whole])
    with intake.ledger.write() as tx:
        # Last: while a segment is in the journal, its recorded name keeps it from being read again.
        forget_settled(tx, names)
    return NoticeBatch(tuple(results), tuple(damages), len(batch) < len(waiting))


def _notice_batch(waiting: Sequence[Segment]) -> list[Segment]:
    """Return the segments of the next round: round-robin over the writers, plus so few deferred ones that they delay nothing."""
    ordinary = _round_robin([segment for segment in waiting if not segment.is_deferred])
    batch = ordinary[:MAX_NOTICE_SEGMENTS]
    size = 0
    for segment in _round_robin([segment for segment in waiting if segment.is_deferred]):
        size += segment.size
        batch.append(segment)
        if size >= MAX_DEFERRED_BYTES or len(batch) >= 2 * MAX_NOTICE_SEGMENTS:
            break
    return batch


def _round_robin(segments: Sequence[Segment]) -> list[Segment]:
    """Return the segments with the oldest of each writer first, then the second of each, and so on."""
    rounds: dict[str, int] = {}
    numbered = []
    for segment in segments:
        number = rounds[segment.writer] = rounds.get(segment.writer, 0) + 1
        numbered.append((number, segment))
    # Sorting is stable: within a round the order of the writers stays.
    numbered.sort(key=lambda pair: pair[0])
    return [segment for _, segment in numbered]


def settle_facts(ledger: Ledger, facts: FactsStore) -> int:
    """Copy a batch of the ledger's outbox to the facts, exactly once. Return the number of rows that left the outbox.

    After a crash between load and deletion the same rows are read again: the facts skip them, and they are deleted then.
    """
    with ledger.read() as tx:
        rows = oldest_facts(tx, OUTBOX_BATCH)
    if not rows:
        return 0
    # Outside any transaction of the ledger: a load takes long, and would block other writers.
    facts.load_facts(rows)
    with ledger.write() as tx:
        delete_facts(tx, [outbox_id for outbox_id, _ in rows])
    return len(rows)


def _readable(reader: JournalReader, contents: SegmentContents) -> SegmentContents:
    """Return the segment without intact records that are not notices; those are set aside and reported as damage."""
    if all(_is_notice(line) for line in contents.lines):
        return contents
    cleaned = reader.keep_only(contents.segment, _is_notice, "it is not a notice")
    return msgspec.structs.replace(reader.read(cleaned.segment), damages=contents.damages + cleaned.damages)


def _is_notice(line: bytes) -> bool:
    try:
        _decoder.decode(line)
    except msgspec.DecodeError:
        return False
    return True
