"""Take notices: what they register, and the postbacks it creates, are one visible transaction."""

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TypeVar

import msgspec
from sqlalchemy import Connection

from clickloop.click_id import ClickIds
from clickloop.conversion.conversion import Change, Conversion
from clickloop.conversion.conversion_input import ConversionInput, raw_notice_of
from clickloop.conversion.notice import Channel, RawNotice, RefusalReason
from clickloop.conversion.notice_log import NoticeOutcome, StoredNotice
from clickloop.postback.sending.address_guard import STRICT, AddressGuard
from clickloop.postback.sending.dns_check import DnsCheck, skip_dns_check
from clickloop.report.fact import facts_of_change
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.conversions import clicks_of_conversions, conversions_of_ids
from clickloop.store.ledger.logs.notices import notices_of_ids, waiting_notices, waiting_notices_of_clicks
from clickloop.store.ledger.logs.outbox import insert_facts
from clickloop.store.ledger.logs.segments import insert_settled, settled_among
from clickloop.tracking.click_progress import ClickLookup, ClickLookupResult, ClickProgress, LandingClicks
from clickloop.tracking.deciding import owe_postbacks
from clickloop.tracking.registering import (
    DraftConversions,
    ParsedNotice,
    RegisteredBatch,
    parse_raw_notice,
    preview_registration,
    register,
)

BATCH = 500
"""Notices per transaction: it ends within a fraction of a second, so other writers do not wait long for the ledger."""

T = TypeVar("T")
_encode = msgspec.json.Encoder().encode


class Intake(msgspec.Struct, frozen=True):
    """The dependencies of taking notices. Thread-safe."""

    ledger: Ledger
    clicks: ClickLookup
    click_ids: ClickIds
    new_id: Callable[[], str]
    """Generates conversion ids, and the ids of notices that do not come through the journal."""
    currency: str
    """The instance's currency."""
    guard: AddressGuard = STRICT
    """Decides which addresses postbacks may be sent to."""
    dns_refusal: DnsCheck = skip_dns_check
    """For dry runs: returns why the address that a host name resolves to now is refused."""
    progress: ClickProgress = ClickProgress()
    """The progress of settling clicks. Default: no journal, so everything counts as settled."""
    is_clock_trusted: Callable[[], bool] = lambda: True
    """While it returns False no notice is refused for the age of its click."""
    landing_clicks: LandingClicks = LandingClicks()
    """The landing clicks, which decide a conversion's offer. Default: there are none."""


class NoticeResult(msgspec.Struct, frozen=True):
    """The outcome of a notice, and the conversion it belongs to as it was after the notice."""

    notice: StoredNotice
    conversion: Conversion | None = None

    @property
    def outcome(self) -> NoticeOutcome:
        return self.notice.outcome

    @property
    def reason(self) -> RefusalReason | None:
        """The reason for its refusal; None: it was not refused."""
        return self.notice.reason


def take_notices(
    intake: Intake, raws: Sequence[RawNotice], now_ms: int, segments: Sequence[str] = ()
) -> list[NoticeResult]:
    """Store notices, register their conversions, and return the results in the order given.

    Promise 3: the notices, the conversions' changes, the postbacks they create and the rows for the facts are one
    transaction. More than ``BATCH`` notices take several; the last one records ``segments``, whose notices these are, as
    settled. Notices already in the ledger are skipped, so after a crash the same call does the rest.
    """
    results: list[NoticeResult] = []
    for batch, is_last in _batches(raws):
        readings = [parse_raw_notice(raw, intake.click_ids) for raw in batch]
        # Before the write transaction: looking up clicks may take long, and would block all other writers.
        found = _find_clicks(intake, readings)
        with intake.ledger.write() as tx:
            known = {notice.raw.notice_id: notice for notice in notices_of_ids(tx, [raw.notice_id for raw in batch])}
            fresh = {reading.raw.notice_id: reading for reading in readings if reading.raw.notice_id not in known}
            overtaken = _overtaken(intake, tx, list(found.clicks))
            registered = _register(intake, tx, [*fresh.values(), *overtaken], found, now_ms)
            if is_last and segments:
                unsettled = set(segments) - settled_among(tx, segments)
                # With the last notices, in one commit: a segment recorded earlier could lose its rest in a crash.
                insert_settled(tx, sorted(unsettled), now_ms)
            results += _results(tx, batch, known, registered)
    return results


def recheck_due(intake: Intake, now_ms: int, click_ids: Collection[str] | None = None) -> list[NoticeResult]:
    """Recheck waiting notices: those that are due, or those that wait for these clicks, which have just arrived.

    Costs one index look-up when there are none. A notice is refused as ``unknown_click`` once ten minutes have passed since
    its first check and the click segments older than that are settled and readable. One whose visitor came over a landing
    waits until older landing clicks are settled.
    """
    return recheck_notices(intake, notices_to_recheck(intake, now_ms, click_ids), now_ms)


def notices_to_recheck(intake: Intake, now_ms: int, click_ids: Collection[str] | None = None) -> list[str]:
    """Return the ids of the waiting notices that are due, or that wait for these clicks."""
    with intake.ledger.read() as tx:
        if click_ids is None:
            waiting = waiting_notices(tx, now_ms, BATCH)
        else:
            waiting = [
                notice for chunk, _ in _batches(list(click_ids)) for notice in waiting_notices_of_clicks(tx, chunk)
            ]
    return [notice.raw.notice_id for notice in waiting]


def recheck_notices(intake: Intake, notice_ids: Sequence[str], now_ms: int) -> list[NoticeResult]:
    """Recheck those of these notices that still wait for their clicks."""
    return _reprocess(intake, notice_ids, now_ms, _if_waiting)


Tally = Callable[[Connection, Sequence[StoredNotice], Sequence[NoticeResult]], None]
"""Records progress in the transaction that reprocesses notices. Called with the notices as they were, and their results."""


def rerun(intake: Intake, notice_ids: Sequence[str], now_ms: int, tally: Tally | None = None) -> list[NoticeResult]:
    """Reprocess stored notices with today's settings. Return the results of those that exist.

    A second run changes nothing but the count of runs. A notice that has registered a conversion keeps it; one that was
    refused may register one now. ``tally`` is called in each transaction, with at most ``BATCH`` notices.
    """
    return _reprocess(intake, notice_ids, now_ms, _next_run, tally)


class RerunTrial(msgspec.Struct, frozen=True):
    """The effect that a rerun would have: pairs of each notice before and after, and what follows from all of them."""

    notices: tuple[tuple[StoredNotice, StoredNotice], ...]
    changes: tuple[Change, ...]
    owed: int
    """Number of postbacks that would be created."""


def try_rerun(intake: Intake, notice_ids: Sequence[str], now_ms: int) -> RerunTrial:
    """Reprocess at most ``BATCH`` stored notices by the same code, in a transaction that is rolled back."""
    with intake.ledger.read() as tx:
        early = notices_of_ids(tx, notice_ids[:BATCH])
    found = _find_clicks(intake, [parse_raw_notice(notice.raw, intake.click_ids) for notice in early])
    trials: list[RerunTrial] = []
    # Raised inside to roll back the transaction; caught outside because it is not an error.
    with contextlib.suppress(_RollbackError), intake.ledger.write() as tx:
        # Reread: they may have changed since the clicks were looked up.
        stored = {notice.raw.notice_id: notice for notice in notices_of_ids(tx, notice_ids[:BATCH])}
        registered = _register(intake, tx, [_next_run(intake, notice) for notice in stored.values()], found, now_ms)
        pairs = tuple((stored[after.raw.notice_id], after) for after in registered.notices)
        trials.append(RerunTrial(pairs, registered.changes, registered.owed))
        raise _RollbackError
    return trials[0]


class _RollbackError(Exception):
    """The signal to roll back the transaction of a trial."""


def convert(intake: Intake, data: ConversionInput, channel: Channel, now_ms: int, ip: str = "") -> NoticeResult:
    """Register a conversion entered by hand or over the API. The ledger's commit makes it durable: there is no journal."""
    return take_notices(intake, [raw_notice_of(data, channel, intake.new_id(), now_ms, ip)], now_ms)[0]


def preview_notices(
    intake: Intake, raws: Sequence[RawNotice], now_ms: int, drafts: DraftConversions | None = None
) -> list[NoticeResult]:
    """Return what ``take_notices`` would return, by the same decisions, without storing anything.

    ``drafts`` collect the conversions that would have been registered, so that a later call continues from there.
    """
    results: list[NoticeResult] = []
    for batch, _ in _batches(raws):
        if not batch:
            break
        readings = [parse_raw_notice(raw, intake.click_ids) for raw in batch]
        found = _find_clicks(intake, readings)
        with intake.ledger.read() as tx:
            overtaken = _overtaken(intake, tx, list(found.clicks))
            foreseen = preview_registration(
                tx,
                [*readings, *overtaken],
                found,
                intake.new_id,
                intake.currency,
                now_ms,
                intake.is_clock_trusted,
                drafts,
            )
            results += _results(tx, batch, {}, foreseen)
    return results


def _reprocess(
    intake: Intake,
    notice_ids: Sequence[str],
    now_ms: int,
    reading_of: Callable[[Intake, StoredNotice], ParsedNotice | None],
    tally: Tally | None = None,
) -> list[NoticeResult]:
    """Register stored notices again, each as it is when the transaction begins."""
    results: list[NoticeResult] = []
    for batch, _ in _batches(notice_ids):
        if not batch:
            break
        with intake.ledger.read() as tx:
            early = notices_of_ids(tx, batch)
        found = _find_clicks(intake, [parse_raw_notice(notice.raw, intake.click_ids) for notice in early])
        with intake.ledger.write() as tx:
            # Reread as the only writer: they may have changed meanwhile.
            stored = notices_of_ids(tx, batch)
            readings = [reading for notice in stored if (reading := reading_of(intake, notice)) is not None]
            overtaken = [
                reading for reading in _overtaken(intake, tx, list(found.clicks)) if reading.raw.notice_id not in batch
            ]
            registered = _register(intake, tx, [*readings, *overtaken], found, now_ms)
            batch_results = _results(tx, [notice.raw for notice in stored], {}, registered)
            if tally is not None:
                tally(tx, stored, batch_results)
            results += batch_results
    return results


def _overtaken(intake: Intake, tx: Connection, click_ids: Sequence[str]) -> list[ParsedNotice]:
    """Return the notices that were waiting for clicks now present: they came before the current batch and count before it."""
    waiting = waiting_notices_of_clicks(tx, click_ids) if click_ids else []
    return [parse_raw_notice(notice.raw, intake.click_ids, notice, notice.runs) for notice in waiting]


def _if_waiting(intake: Intake, notice: StoredNotice) -> ParsedNotice | None:
    return (
        parse_raw_notice(notice.raw, intake.click_ids, notice, notice.runs)
        if notice.outcome is NoticeOutcome.WAITING
        else None
    )


def _next_run(intake: Intake, notice: StoredNotice) -> ParsedNotice:
    return parse_raw_notice(notice.raw, intake.click_ids, notice, notice.runs + 1)


def _find_clicks(intake: Intake, readings: Sequence[ParsedNotice]) -> ClickLookupResult:
    """Return the clicks of notices: from the ledger if they have converted before, else from the facts."""
    click_ids = {reading.click_id for reading in readings if reading.click_id}
    if not click_ids:
        return ClickLookupResult({})
    with intake.ledger.read() as tx:
        known = clicks_of_conversions(tx, list(click_ids))
    return intake.landing_clicks.add_to(intake.progress.find(intake.clicks, click_ids, known))


def _register(
    intake: Intake, tx: Connection, readings: Sequence[ParsedNotice], found: ClickLookupResult, now_ms: int
) -> RegisteredBatch:
    """Register notices with everything that follows: postbacks, and rows for the facts."""
    if not readings:
        return RegisteredBatch((), (), ())
    registered = register(tx, readings, found, intake.new_id, intake.currency, now_ms, intake.is_clock_trusted)
    if registered.changes:
        owed = owe_postbacks(tx, registered.changes, now_ms, intake.new_id, guard=intake.guard)
        registered = msgspec.structs.replace(registered, owed=owed)
        if facts := [_encode(fact) for change in registered.changes for fact in facts_of_change(change)]:
            insert_facts(tx, facts)
    return registered


def _results(
    tx: Connection, raws: Sequence[RawNotice], known: dict[str, StoredNotice], registered: RegisteredBatch
) -> list[NoticeResult]:
    """Return the result of each raw notice: from this batch, else from the ledger."""
    results = {
        notice.raw.notice_id: NoticeResult(notice, conversion)
        for notice, conversion in zip(registered.notices, registered.conversions, strict=True)
    }
    known_ids = [notice.conversion_id for notice in known.values() if notice.conversion_id]
    conversions = {found.conversion_id: found for found in conversions_of_ids(tx, known_ids)} if known_ids else {}
    for notice in known.values():
        results.setdefault(notice.raw.notice_id, NoticeResult(notice, conversions.get(notice.conversion_id or "")))
    return [results[raw.notice_id] for raw in raws if raw.notice_id in results]


def _batches(items: Sequence[T]) -> Iterator[tuple[Sequence[T], bool]]:
    """Yield the items in batches, each with whether it is the last; one empty batch for no items."""
    for start in range(0, max(len(items), 1), BATCH):
        yield items[start : start + BATCH], start + BATCH >= len(items)
