"""Settle page events from the journal into the facts, exactly once. Events wait there until their click arrives."""

import time
from collections.abc import Callable, Collection, Sequence

import msgspec

from clickloop.click.page.page_event import PageEvent, PageEventKind
from clickloop.conversion.attribution import SETTLED_SLACK_MS, WAIT_MS
from clickloop.machine.log import log
from clickloop.report.page_event_fact import PageEventFact, page_event_facts
from clickloop.store.facts.facts import FactsStore, KnownOfPageEvents, WaitingPageEvent
from clickloop.store.journal.reader import JournalReader
from clickloop.store.journal.segment import PAGE_EVENTS_STREAM, Damage, Segment, SegmentContents
from clickloop.tracking.click_progress import ClickProgress

MAX_SEGMENTS = 64
MAX_BYTES = 4 * 1024 * 1024
"""Maximum size of the segments per round, in bytes, since their events are in memory."""
EVENTS_PER_LOAD = 5_000
"""Page events per load. Their rows are in memory twice."""
CHECK_SECONDS = 0.1
"""Pause between checks of waiting events for clicks that were settled meanwhile."""
IDLE_CHECK_SECONDS = 5.0
"""Pause between checks if no clicks were settled, for events whose wait ends."""
_PAUSE_FACTOR = 10
"""After a check, pause for this many times its duration."""
_MAX_NUMBER = 2**63 - 1  # of a column

_decoder = msgspec.json.Decoder(PageEvent)


class PageEventBatch(msgspec.Struct, frozen=True):
    """The result of one round. ``more``: segments are left, call again at once."""

    events: int
    segments: int
    damages: tuple[Damage, ...]
    more: bool


def settle_page_events(reader: JournalReader, facts: FactsStore, now_ms: int) -> PageEventBatch:
    """Load a bounded batch of closed segments into the facts and remove them from the journal.

    Resumes after a crash at any point, because page events are recognised by their ids, and a copied or restored segment is not
    counted twice. Raise FactsError or OSError when a store fails: nothing is lost, call again later.
    """
    waiting = reader.closed_segments(PAGE_EVENTS_STREAM)
    damages = reader.missing()
    batch = _batch(waiting)
    read = [_readable(reader, reader.read(segment)) for segment in batch]
    damages += [damage for contents in read for damage in contents.damages]
    whole = [contents for contents in read if contents.count >= 0]
    if not whole:
        return PageEventBatch(0, 0, tuple(damages), False)
    fresh = [contents for contents in whole if not facts.has_loaded(contents.segment.name)]
    events = [_decoder.decode(line) for contents in fresh for line in contents.lines]
    _load(facts, events, [contents.segment.name for contents in fresh], now_ms)
    # Only after the load was committed: after a crash before this the segment is read again, and the facts know its name.
    reader.settled([contents.segment for contents in whole])
    facts.forget_segments([contents.segment.name for contents in whole])
    return PageEventBatch(len(events), len(whole), tuple(damages), len(batch) < len(waiting))


def _load(facts: FactsStore, events: Sequence[PageEvent], segments: Sequence[str], now_ms: int) -> None:
    """Add the events in the order in which they happened. The last load records the segments as loaded."""
    ordered = sorted(events, key=lambda event: (event.at, event.event_id))
    for start in range(0, max(len(ordered), 1), EVENTS_PER_LOAD):
        chunk = ordered[start : start + EVENTS_PER_LOAD]
        rows, missing = _sorted_out(chunk, facts.known_of_page_events(chunk))
        waiting = [WaitingPageEvent(event, now_ms) for event in missing]
        is_last = start + EVENTS_PER_LOAD >= len(ordered)
        facts.load_page_events(rows, waiting, (), segments if is_last else ())


def _sorted_out(
    events: Sequence[PageEvent], known: KnownOfPageEvents, unknown_clicks: Collection[str] = ()
) -> tuple[list[PageEventFact], list[PageEvent]]:
    """Return the rows of new events in the order given, and the events whose click is missing.

    Events of ``unknown_clicks``, which will not arrive any more, get rows, too.
    """
    rows: list[PageEventFact] = []
    missing: list[PageEvent] = []
    seen, pressed = set(known.event_ids), set(known.pressed)
    for event in events:
        if event.event_id in seen:
            continue
        seen.add(event.event_id)
        screening = known.screenings.get(event.click_id)
        if screening is None and event.click_id not in unknown_clicks:
            missing.append(event)
            continue
        press = (event.click_id, event.button)
        is_press = event.kind is PageEventKind.LANDING_CLICK
        rows += page_event_facts(event, screening, is_repeated=is_press and press in pressed)
        if is_press and not event.screening and screening == "":
            pressed.add(press)
    return rows, missing


class WaitingPageEvents:
    """Adds events that wait for their click once it arrives. Call ``step`` from the thread that settles page events."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._look_at = float("-inf")
        self._idle_look_at = float("-inf")
        self._batches = -1
        self._pass_of = 0
        self._checked_to = ""

    def step(self, facts: FactsStore, progress: ClickProgress, now_ms: int) -> int:
        """Check a bounded number of events if it is due. Return the number of events that no longer wait.

        An event is stored as that of an unknown click once ten minutes have passed since the first look-up and the click segments
        older than that are settled.
        """
        started = self._monotonic()
        if not self._checked_to:
            self._pass_of = progress.batches
        is_due = self._pass_of != self._batches or started >= self._idle_look_at
        if not is_due or started < self._look_at:
            return 0
        settled_to = progress.settled_to  # before the look-up: a segment settled later proves nothing about its result
        waiting = facts.waiting_page_events(self._checked_to, EVENTS_PER_LOAD)
        done = _end_waiting(facts, waiting, settled_to, now_ms)
        if len(waiting) == EVENTS_PER_LOAD:
            self._checked_to = waiting[-1].event.event_id
        else:
            self._checked_to = ""
            self._batches = self._pass_of
            self._idle_look_at = started + IDLE_CHECK_SECONDS
        self._look_at = started + max(CHECK_SECONDS, _PAUSE_FACTOR * (self._monotonic() - started))
        return done


def _end_waiting(facts: FactsStore, waiting: Sequence[WaitingPageEvent], settled_to: int | None, now_ms: int) -> int:
    """Add the waiting events whose clicks have arrived, or will not arrive any more. Return their number."""
    if not waiting:
        return 0
    events = sorted((one.event for one in waiting), key=lambda event: (event.at, event.event_id))
    # Without the ids: the waiting events themselves are among them.
    known = msgspec.structs.replace(facts.known_of_page_events(events), event_ids=frozenset())
    lost = {one.event.click_id for one in waiting if _is_over(one, settled_to, now_ms)} - known.screenings.keys()
    rows, missing = _sorted_out(events, known, lost)
    done = {event.event_id for event in events} - {event.event_id for event in missing}
    if not done:
        return 0
    facts.load_page_events(rows, (), done)
    if lost:
        unknown = [event for event in events if event.click_id in lost]
        log("page events of unknown clicks are in no figure", events=len(unknown), first=unknown[0].event_id)
    return len(done)


def _is_over(waiting: WaitingPageEvent, settled_to: int | None, now_ms: int) -> bool:
    first_look_at = min(waiting.first_look_at, now_ms)  # the clock may have been fast then
    is_settled = settled_to is not None and settled_to >= first_look_at + SETTLED_SLACK_MS
    return is_settled and now_ms >= first_look_at + WAIT_MS


def _batch(waiting: Sequence[Segment]) -> Sequence[Segment]:
    """Return as many of the oldest segments as fit into a round; at least one."""
    size = 0
    for index, segment in enumerate(waiting):
        size += segment.size
        if index and (size > MAX_BYTES or index >= MAX_SEGMENTS):
            return waiting[:index]
    return waiting


def _readable(reader: JournalReader, contents: SegmentContents) -> SegmentContents:
    """Return the segment without intact records that are not page events; those are set aside and reported as damage."""
    if all(_is_page_event(line) for line in contents.lines):
        return contents
    cleaned = reader.keep_only(contents.segment, _is_page_event, "it is not a page event")
    return msgspec.structs.replace(reader.read(cleaned.segment), damages=contents.damages + cleaned.damages)


def _is_page_event(line: bytes) -> bool:
    """Return whether a line is a page event whose numbers fit into the facts."""
    try:
        event = _decoder.decode(line)
    except msgspec.DecodeError:
        return False
    numbers = (event.at, event.button, event.offer_id, event.network_id, event.loaded_ms, *event.events.values())
    return all(-_MAX_NUMBER <= number <= _MAX_NUMBER for number in (*numbers, *event.events))
