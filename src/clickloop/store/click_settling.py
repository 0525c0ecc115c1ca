"""Settling clicks: from the journal's closed segments into the facts, exactly once."""

from collections.abc import Sequence

import msgspec

from clickloop.store.facts.facts import Facts, SegmentRefusedError
from clickloop.store.journal.reader import JournalReader
from clickloop.store.journal.segment import Damage, Segment, SegmentContents

CLICKS_STREAM = "clicks"
BATCH_SEGMENTS = 4_096
BATCH_OCTETS = 128 * 1024 * 1024


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
    clicks = 0
    while True:
        try:
            clicks += facts.load_clicks(readable)
            break
        except SegmentRefusedError as refusal:
            clicks += refusal.loaded
            readable = [_cleaned(reader, facts, contents, refusal, damages) for contents in readable]
    reader.settled([contents.segment for contents in readable])
    facts.forget_segments([contents.segment.name for contents in readable])
    return ClickBatch(clicks, len(readable), tuple(damages), len(batch) < len(waiting))


def _batch(waiting: Sequence[Segment]) -> Sequence[Segment]:
    """As many of the oldest as may be loaded in one transaction; at least one."""
    octets = 0
    for index, segment in enumerate(waiting):
        octets += segment.octets
        if index and (octets > BATCH_OCTETS or index >= BATCH_SEGMENTS):
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
