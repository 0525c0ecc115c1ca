"""Taking notices in: what is registered, and the postbacks it owes, are one visible transaction."""

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TypeVar

import msgspec
from sqlalchemy import Connection

from clickloop.click_id import ClickIds
from clickloop.conversion.conversion import Change, Conversion
from clickloop.conversion.given import GivenConversion, raw_notice_of
from clickloop.conversion.notice import Door, RawNotice, RefusalReason
from clickloop.conversion.notice_log import Outcome, StoredNotice
from clickloop.postback.sending.address_guard import STRICT, AddressGuard
from clickloop.postback.sending.dns_check import RefusedNow, not_looked_up
from clickloop.report.fact import facts_of_change
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.conversions import clicks_of_conversions, conversions_of_ids
from clickloop.store.ledger.logs.notices import notices_of_ids, waiting_notices, waiting_notices_of_clicks
from clickloop.store.ledger.logs.outbox import insert_facts
from clickloop.store.ledger.logs.segments import insert_settled, settled_among
from clickloop.tracking.click_progress import ClickLookup, ClickProgress, FoundClicks
from clickloop.tracking.deciding import owe_postbacks
from clickloop.tracking.registering import Drafts, Reading, Registered, foresee, read, register

BATCH = 500
"""Notices in one transaction: it ends within a fraction of a second, so that nobody else waits long for the ledger."""

T = TypeVar("T")
_encode = msgspec.json.Encoder().encode


class Desk(msgspec.Struct, frozen=True):
    """What it takes to take notices in. Threads may share it."""

    ledger: Ledger
    clicks: ClickLookup
    click_ids: ClickIds
    new_id: Callable[[], str]
    """Makes conversion ids, and notice ids where a notice comes without a journal."""
    currency: str
    """Of the instance."""
    guard: AddressGuard = STRICT
    """Where postbacks may be sent to."""
    refused_now: RefusedNow = not_looked_up
    """For dry runs: why nothing could be sent to where a name leads now."""
    progress: ClickProgress = ClickProgress()
    """The progress of settling clicks. By default there is no journal, and everything is settled."""
    is_clock_trusted: Callable[[], bool] = lambda: True
    """While the machine's clock is in doubt no notice is refused for the age of its click."""


class NoticeResult(msgspec.Struct, frozen=True):
    """What became of a notice, and the conversion that it belongs to, as it stood after it."""

    notice: StoredNotice
    conversion: Conversion | None = None

    @property
    def outcome(self) -> Outcome:
        """What became of it."""
        return self.notice.outcome

    @property
    def reason(self) -> RefusalReason | None:
        """Why it was refused, if it was."""
        return self.notice.reason


def take_notices(
    desk: Desk, raws: Sequence[RawNotice], now_ms: int, segments: Sequence[str] = ()
) -> list[NoticeResult]:
    """Stores notices and registers what they say; answers the results in the order given.

    Promise 3: the notices, the conversions' changes, the postbacks they owe and what the facts will be told are one
    transaction. More than ``BATCH`` notices take several, and ``segments``, the journal segments that the notices are all of,
    are recorded as settled in the last one. A notice that is in the ledger already is left as it is, so after a crash the
    same call does the rest.
    """
    results: list[NoticeResult] = []
    for batch, is_last in _batches(raws):
        readings = [read(raw, desk.click_ids) for raw in batch]
        # Before the write transaction: looking up clicks may take long, and nobody else writes meanwhile.
        found = _find_clicks(desk, readings)
        with desk.ledger.write() as tx:
            known = {notice.raw.notice_id: notice for notice in notices_of_ids(tx, [raw.notice_id for raw in batch])}
            fresh = {reading.raw.notice_id: reading for reading in readings if reading.raw.notice_id not in known}
            overtaken = _overtaken(desk, tx, list(found.clicks))
            registered = _register(desk, tx, [*fresh.values(), *overtaken], found, now_ms)
            if is_last and segments:
                unsettled = set(segments) - settled_among(tx, segments)
                # With the last notices, in one commit: a segment recorded earlier could lose its rest in a crash.
                insert_settled(tx, sorted(unsettled), now_ms)
            results += _results(tx, batch, known, registered)
    return results


def look_again(desk: Desk, now_ms: int, click_ids: Collection[str] | None = None) -> list[NoticeResult]:
    """Reads waiting notices again: those that are due, or those that wait for these clicks, which have just arrived.

    Costs one index look-up when there are none. A notice is refused as ``unknown_click`` once ten minutes have passed since
    the first look and the click segments older than it are settled and readable.
    """
    return look_again_at_notices(desk, notices_to_look_at(desk, now_ms, click_ids), now_ms)


def notices_to_look_at(desk: Desk, now_ms: int, click_ids: Collection[str] | None = None) -> list[str]:
    """Return the ids of the waiting notices that are due, or that wait for these clicks."""
    with desk.ledger.read() as tx:
        if click_ids is None:
            waiting = waiting_notices(tx, now_ms, BATCH)
        else:
            waiting = [
                notice for chunk, _ in _batches(list(click_ids)) for notice in waiting_notices_of_clicks(tx, chunk)
            ]
    return [notice.raw.notice_id for notice in waiting]


def look_again_at_notices(desk: Desk, notice_ids: Sequence[str], now_ms: int) -> list[NoticeResult]:
    """Read these notices again if they still wait for their clicks."""
    return _take_again(desk, notice_ids, now_ms, _still_waiting)


Tally = Callable[[Connection, Sequence[StoredNotice], Sequence[NoticeResult]], None]
"""Writes down, in the transaction that reads notices again, what became of them: as they stood, and their results."""


def rerun(desk: Desk, notice_ids: Sequence[str], now_ms: int, tally: Tally | None = None) -> list[NoticeResult]:
    """Reads stored notices again by today's settings; answers those that are there.

    Run twice, the second time changes nothing but the count of runs. A notice that has registered a conversion keeps it; one
    that was refused may now register one. ``tally`` is called in each transaction, of at most ``BATCH`` notices.
    """
    return _take_again(desk, notice_ids, now_ms, _once_more, tally)


class Trial(msgspec.Struct, frozen=True):
    """What running notices again would do: each notice as it stands and as it would, and what follows from all of them."""

    notices: tuple[tuple[StoredNotice, StoredNotice], ...]
    changes: tuple[Change, ...]
    owed: int
    """Postbacks that would be owed."""


def try_rerun(desk: Desk, notice_ids: Sequence[str], now_ms: int) -> Trial:
    """Runs stored notices again and takes it back: the same code in a transaction that is rolled back. At most ``BATCH``."""
    with desk.ledger.read() as tx:
        seen = notices_of_ids(tx, notice_ids[:BATCH])
    found = _find_clicks(desk, [read(notice.raw, desk.click_ids) for notice in seen])
    trials: list[Trial] = []
    # Raised inside, so that the transaction rolls back; caught outside, for it is no fault.
    with contextlib.suppress(_TakenBackError), desk.ledger.write() as tx:
        # Read again: they may have changed since the clicks were looked up.
        stored = {notice.raw.notice_id: notice for notice in notices_of_ids(tx, notice_ids[:BATCH])}
        registered = _register(desk, tx, [_once_more(desk, notice) for notice in stored.values()], found, now_ms)
        pairs = tuple((stored[after.raw.notice_id], after) for after in registered.notices)
        trials.append(Trial(pairs, registered.changes, registered.owed))
        raise _TakenBackError
    return trials[0]


class _TakenBackError(Exception):
    """Ends a transaction that was only tried."""


def convert(desk: Desk, given: GivenConversion, door: Door, now_ms: int, ip: str = "") -> NoticeResult:
    """Registers a conversion that was stated by hand, over the API or in a file. The ledger's commit is its durability."""
    return take_notices(desk, [raw_notice_of(given, door, desk.new_id(), now_ms, ip)], now_ms)[0]


def foresee_notices(
    desk: Desk, raws: Sequence[RawNotice], now_ms: int, drafts: Drafts | None = None
) -> list[NoticeResult]:
    """What ``take_notices`` would answer, in the order given, by the same decisions. Registers and stores nothing.

    With ``drafts``, which take what would have been registered, a later call goes on from there.
    """
    results: list[NoticeResult] = []
    for batch, _ in _batches(raws):
        if not batch:
            break
        readings = [read(raw, desk.click_ids) for raw in batch]
        found = _find_clicks(desk, readings)
        with desk.ledger.read() as tx:
            overtaken = _overtaken(desk, tx, list(found.clicks))
            foreseen = foresee(
                tx,
                [*readings, *overtaken],
                found,
                desk.new_id,
                desk.currency,
                now_ms,
                desk.is_clock_trusted,
                drafts,
            )
            results += _results(tx, batch, {}, foreseen)
    return results


def _take_again(
    desk: Desk,
    notice_ids: Sequence[str],
    now_ms: int,
    reading_of: Callable[[Desk, StoredNotice], Reading | None],
    tally: Tally | None = None,
) -> list[NoticeResult]:
    """Registers stored notices again, each as it stands when the transaction begins."""
    results: list[NoticeResult] = []
    for batch, _ in _batches(notice_ids):
        if not batch:
            break
        with desk.ledger.read() as tx:
            seen = notices_of_ids(tx, batch)
        found = _find_clicks(desk, [read(notice.raw, desk.click_ids) for notice in seen])
        with desk.ledger.write() as tx:
            # Read again, now as the only writer: what was seen before may have changed meanwhile.
            stored = notices_of_ids(tx, batch)
            readings = [reading for notice in stored if (reading := reading_of(desk, notice)) is not None]
            overtaken = [
                reading for reading in _overtaken(desk, tx, list(found.clicks)) if reading.raw.notice_id not in batch
            ]
            registered = _register(desk, tx, [*readings, *overtaken], found, now_ms)
            came_to = _results(tx, [notice.raw for notice in stored], {}, registered)
            if tally is not None:
                tally(tx, stored, came_to)
            results += came_to
    return results


def _overtaken(desk: Desk, tx: Connection, click_ids: Sequence[str]) -> list[Reading]:
    """The notices that wait for clicks which are here by now: they came earlier than what comes now, and count before it."""
    waiting = waiting_notices_of_clicks(tx, click_ids) if click_ids else []
    return [read(notice.raw, desk.click_ids, notice, notice.runs) for notice in waiting]


def _still_waiting(desk: Desk, notice: StoredNotice) -> Reading | None:
    return read(notice.raw, desk.click_ids, notice, notice.runs) if notice.outcome is Outcome.WAITING else None


def _once_more(desk: Desk, notice: StoredNotice) -> Reading:
    return read(notice.raw, desk.click_ids, notice, notice.runs + 1)


def _find_clicks(desk: Desk, readings: Sequence[Reading]) -> FoundClicks:
    """The clicks of notices: from the ledger where they have converted before, else from the facts."""
    click_ids = {reading.click_id for reading in readings if reading.click_id}
    if not click_ids:
        return FoundClicks({})
    with desk.ledger.read() as tx:
        known = clicks_of_conversions(tx, list(click_ids))
    return desk.progress.find(desk.clicks, click_ids, known)


def _register(desk: Desk, tx: Connection, readings: Sequence[Reading], found: FoundClicks, now_ms: int) -> Registered:
    """Registers notices with all that follows from them: postbacks owed, facts to be told."""
    if not readings:
        return Registered((), (), ())
    registered = register(tx, readings, found, desk.new_id, desk.currency, now_ms, desk.is_clock_trusted)
    if registered.changes:
        owed = owe_postbacks(tx, registered.changes, now_ms, desk.new_id, guard=desk.guard)
        registered = msgspec.structs.replace(registered, owed=owed)
        if facts := [_encode(fact) for change in registered.changes for fact in facts_of_change(change)]:
            insert_facts(tx, facts)
    return registered


def _results(
    tx: Connection, raws: Sequence[RawNotice], known: dict[str, StoredNotice], registered: Registered
) -> list[NoticeResult]:
    """The result of each raw notice: of this batch, else as it stands in the ledger."""
    made = {
        notice.raw.notice_id: NoticeResult(notice, conversion)
        for notice, conversion in zip(registered.notices, registered.conversions, strict=True)
    }
    standing = [notice.conversion_id for notice in known.values() if notice.conversion_id]
    conversions = {found.conversion_id: found for found in conversions_of_ids(tx, standing)} if standing else {}
    for notice in known.values():
        made.setdefault(notice.raw.notice_id, NoticeResult(notice, conversions.get(notice.conversion_id or "")))
    return [made[raw.notice_id] for raw in raws if raw.notice_id in made]


def _batches(items: Sequence[T]) -> Iterator[tuple[Sequence[T], bool]]:
    """The items in batches, each with whether it is the last; one empty batch for no items."""
    for start in range(0, max(len(items), 1), BATCH):
        yield items[start : start + BATCH], start + BATCH >= len(items)
