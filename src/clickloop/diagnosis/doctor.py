"""``clickloop doctor``: examine a whole data folder, with or without a running server.

The stores are opened but never changed. Each check yields findings with a remedy for each problem. A check that cannot run is a
finding, too.
"""

import os
import platform
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from clickloop import __version__
from clickloop.alarm.alarms import MIN_FREE_PERCENT, free_files_percent
from clickloop.clock import MINUTE_MS
from clickloop.diagnosis.doctor_checks import alarm_findings, facts_findings
from clickloop.diagnosis.doctor_finding import RESTORE, DoctorFinding, DoctorVerdict
from clickloop.diagnosis.doctor_geo import geo_findings
from clickloop.diagnosis.doctor_journal import MAX_SHOWN, journal_findings
from clickloop.diagnosis.self_audit import audit_everything
from clickloop.machine.secret_box import secret_box_of
from clickloop.people.user import THIS_MACHINE
from clickloop.plural import pluralize
from clickloop.postback.state import STORED, PostbackState
from clickloop.store.damage_log import unconfirmed_damages, unconfirmed_repairs
from clickloop.store.delivery_hold import read_hold
from clickloop.store.facts.facts import FactsError
from clickloop.store.file_fault import RESTORE_BACKUP, trailing_bytes
from clickloop.store.identity import FACTS_FILE, LEDGER_FILE, is_filled
from clickloop.store.journal.marks import missing_ranges
from clickloop.store.journal.segment import (
    STREAMS,
)
from clickloop.store.ledger.audit.rows import (
    RowFault,
    accept_checksum_mismatches,
    checksum_mismatches,
    click_ids_of_rows,
    count_faulty_rows,
    find_faulty_rows,
)
from clickloop.store.ledger.ledger import Ledger, LedgerError
from clickloop.store.ledger.logs.audit_log import Action, insert_change
from clickloop.store.ledger.logs.postback_states import IS_UNFINISHED
from clickloop.store.ledger.migrations import HEAD
from clickloop.store.ledger.queue.holding import paused_rules
from clickloop.store.ledger.queue.receivers import stored_receivers, waiting_counts
from clickloop.store.ledger.schema.tables import fact_outbox, notices, postback_rules, postbacks, receivers
from clickloop.store.ledger.sqlite.integrity import file_problems
from clickloop.stores import engine_versions, refusal_of

LATE_MS = 10 * MINUTE_MS
"""Time after which work that is due counts as stuck."""
MAX_OUTBOX_ROWS = 50_000  # ten batches: the facts have not taken any for a while
MAX_NAMED = 1_000
"""Maximum number of rows that a confirmation lists in the audit log."""
_LOST = (
    f"Rows were lost or changed by hand. {RESTORE_BACKUP.capitalize()}, or report these lines to the Clickloop project."
)
_WRONG = (
    "Check the disk, and what else writes to the ledger. "
    f"Then {RESTORE_BACKUP}, or accept the rows: clickloop doctor --confirm"
)


def examine(folder: Path, now_ms: int, geo_base: str = "") -> tuple[DoctorFinding, ...]:
    """Return all findings for a data folder. ``geo_base``: the setting of that name."""
    findings = [*_versions(), *_disk(folder), *journal_findings(folder, now_ms), *_lost_records(folder)]
    refused = _refusal(folder)
    findings += refused
    if refused and not is_filled(folder / LEDGER_FILE):
        return (*findings, *alarm_findings(folder, now_ms))  # opening the ledger would create it
    try:
        ledger = Ledger.open(folder / LEDGER_FILE, secret_box_of(folder))
    except LedgerError as error:
        findings.append(DoctorFinding("ledger", DoctorVerdict.FAULT, str(error), RESTORE))
    else:
        try:
            unfinished = partial(_unfinished, is_on_hold=read_hold(folder) is not None)
            for look in (_integrity, _audit, unfinished, _held, _waiting_notices, _outbox):
                findings += _guarded(look, ledger, now_ms)
        finally:
            ledger.close()
    findings += [*_hold(folder), *facts_findings(folder), *geo_findings(folder, geo_base, now_ms)]
    findings += alarm_findings(folder, now_ms)
    return tuple(findings)


def confirm_rows(folder: Path, now_ms: int) -> int:
    """Accept the ledger's rows that do not match their checksums, list them in the audit log, and return their number.

    Raise LedgerError.
    """
    if not is_filled(folder / LEDGER_FILE):
        return 0  # opening the ledger would create it
    ledger = Ledger.open(folder / LEDGER_FILE, secret_box_of(folder))
    try:
        with ledger.write() as tx:
            wrong = accept_checksum_mismatches(tx)
            if wrong:
                rows = [f"{found.row_id}: {found.fault}" for found in wrong[:MAX_NAMED]]
                before = {"rows": len(wrong), "which": rows}
                insert_change(
                    tx, THIS_MACHINE, now_ms, noun="health", record_id="rows", action=Action.CHANGED, before=before
                )
            return len(wrong)
    finally:
        ledger.close()


def _refusal(folder: Path) -> list[DoctorFinding]:
    """Check whether the stores belong together. A store that cannot be opened is reported by its own check."""
    try:
        refused = refusal_of(folder)
    except (LedgerError, FactsError, SQLAlchemyError):
        return []
    if refused is None and (trailing := trailing_bytes(folder / LEDGER_FILE, folder / FACTS_FILE)):
        return [
            DoctorFinding(
                "stores", DoctorVerdict.WARNING, trailing, "They are ignored. Find out what else writes to this file."
            )
        ]
    if refused is None:
        return [DoctorFinding("stores", DoctorVerdict.WELL, "Ledger, facts, key and folder belong together.")]
    return [
        DoctorFinding(
            "stores", DoctorVerdict.FAULT, str(refused), "Follow this message. The server cannot start before that."
        )
    ]


def _lost_records(folder: Path) -> Iterator[DoctorFinding]:
    """Find unconfirmed damage to the journal, and missing segments."""
    remedy = "Check the disk, and what deletes files. Once you have dealt with it, run: clickloop doctor --confirm"
    files = unconfirmed_repairs(folder)
    for sentence in files[:MAX_SHOWN]:
        yield DoctorFinding("stores", DoctorVerdict.WARNING, sentence, remedy)
    sentences = [sentence for sentence in unconfirmed_damages(folder) if sentence not in files]
    for stream in STREAMS:
        for writer, first, last in missing_ranges(folder / "journal", folder / "settled", stream):
            path = folder / "journal" / stream / writer
            if not any(str(path) in sentence for sentence in sentences):
                sentences.append(
                    f"{path}: segments {first} to {last} were written but are missing, with all their records."
                )
    for sentence in sentences[:MAX_SHOWN]:
        yield DoctorFinding("journal", DoctorVerdict.FAULT, sentence, remedy)
    if len(sentences) > MAX_SHOWN:
        yield DoctorFinding("journal", DoctorVerdict.FAULT, f"{len(sentences) - MAX_SHOWN} more.", remedy)
    if not sentences:
        yield DoctorFinding("journal", DoctorVerdict.WELL, "No missing segments, no unconfirmed damage.")


def _guarded(
    look: Callable[[Ledger, int], Iterator[DoctorFinding]], ledger: Ledger, now_ms: int
) -> list[DoctorFinding]:
    """Return the findings of a check, or a fault if the ledger cannot be read."""
    try:
        return list(look(ledger, now_ms))
    except SQLAlchemyError as error:
        detail = str(getattr(error, "orig", None) or error)
        return [DoctorFinding("ledger", DoctorVerdict.FAULT, f"Cannot read the ledger: {detail}", RESTORE)]


def _versions() -> Iterator[DoctorFinding]:
    parts = (
        f"Clickloop {__version__}",
        f"Python {platform.python_version()}",
        *engine_versions(),
        f"ledger schema {HEAD}",
    )
    yield DoctorFinding("versions", DoctorVerdict.WELL, ", ".join(parts))


def _disk(folder: Path) -> Iterator[DoctorFinding]:
    disk = os.statvfs(folder)
    percent = 100.0 * disk.f_bavail / max(1, disk.f_blocks)
    sentence = f"{disk.f_bavail * disk.f_frsize / 2**30:.1f} GiB free, {percent:.1f}%."
    if (files := free_files_percent(disk)) < MIN_FREE_PERCENT:
        sentence += f" Of the files (inodes) that it can hold {files:.1f}% are free."
    if min(percent, files) < MIN_FREE_PERCENT:
        yield DoctorFinding(
            "disk", DoctorVerdict.FAULT, sentence, "Free some space, or move the data folder to a larger disk."
        )
    else:
        yield DoctorFinding("disk", DoctorVerdict.WELL, sentence)


def _integrity(ledger: Ledger, _now_ms: int) -> Iterator[DoctorFinding]:
    with ledger.read() as tx:
        problems = file_problems(tx)
    if problems is None:
        yield DoctorFinding("ledger", DoctorVerdict.WELL, "The database server is up. It checks its own files.")
    elif problems:
        yield DoctorFinding("ledger", DoctorVerdict.FAULT, " ".join(problems), RESTORE)
    else:
        yield DoctorFinding("ledger", DoctorVerdict.WELL, "The file is intact.")


def _audit(ledger: Ledger, _now_ms: int) -> Iterator[DoctorFinding]:
    audited = audit_everything(ledger)
    parts = " + ".join(f"{audited.in_states.get(state, 0)} {state}" for state in STORED)
    changes = pluralize(audited.changes, "conversion change")
    sentence = f"{changes}, {pluralize(audited.decisions, 'decision')} = {parts}."
    if audited.mismatches:
        lost = len(audited.mismatches)
        sentence = f"{lost} of {changes} {'does' if lost == 1 else 'do'} not add up."
    verdict = DoctorVerdict.FAULT if audited.mismatches else DoctorVerdict.WELL
    yield DoctorFinding("audit", verdict, sentence, _LOST if audited.mismatches else "")
    with ledger.read() as tx:
        shown = audited.mismatches[:MAX_SHOWN]
        counts = count_faulty_rows(tx)
        faulty = find_faulty_rows(tx, MAX_SHOWN) if any(counts.values()) else []
        wrong = list(checksum_mismatches(tx))
        counts |= Counter(found.fault for found in wrong)
        faulty += wrong[:MAX_SHOWN]
        ids = [mismatch.conversion_id for mismatch in shown] + [found.row_id for found in faulty]
        clicks = click_ids_of_rows(tx, ids)
    for mismatch in shown:
        detail = f"Conversion {mismatch.conversion_id}, version {mismatch.version}. {mismatch.sentence}"
        yield DoctorFinding("audit", DoctorVerdict.FAULT, detail, _see(clicks, mismatch.conversion_id))
    for fault, count in counts.items():
        if count:
            remedy = _WRONG if fault in (RowFault.CONVERSION_CHECK, RowFault.POSTBACK_CHECK) else _LOST
            yield DoctorFinding("audit", DoctorVerdict.FAULT, f"{fault.sentence} Rows affected: {count}.", remedy)
    for found in faulty:
        yield DoctorFinding(
            "audit", DoctorVerdict.FAULT, f"{found.row_id}: {found.fault.sentence}", _see(clicks, found.row_id)
        )


def _see(clicks: Mapping[str, str], row_id: str) -> str:
    """Return how to see the history of a conversion or postback."""
    click_id = clicks.get(row_id)
    return f"To see its history, run: clickloop trace {click_id}" if click_id else "Its click is unknown."


def _unfinished(ledger: Ledger, now_ms: int, *, is_on_hold: bool) -> Iterator[DoctorFinding]:
    """Check that each unfinished postback has a next attempt, and that none is overdue unless its rule or receiver is paused."""
    table = postbacks.c
    timeless = select(func.count()).where(
        (table.state == PostbackState.WAITING) & table.next_attempt_at.is_(None)
        | (table.state == PostbackState.SENDING) & table.lease_until.is_(None)
    )
    late = (
        select(func.count())
        .select_from(postbacks)
        .join(postback_rules, postback_rules.c.id == table.rule_id, isouter=True)
        .join(receivers, receivers.c.receiver == table.receiver, isouter=True)
        .where(postback_rules.c.paused_at.is_(None), receivers.c.opened_at.is_(None))
        .where(func.coalesce(receivers.c.held_until, 0) <= now_ms)
        .where(
            (table.state == PostbackState.WAITING) & (table.next_attempt_at < now_ms - LATE_MS)
            | (table.state == PostbackState.SENDING) & (table.lease_until < now_ms - LATE_MS)
        )
    )
    with ledger.read() as tx:
        without, overdue = tx.scalar(timeless) or 0, tx.scalar(late) or 0
        unfinished = tx.scalar(select(func.count()).where(IS_UNFINISHED)) or 0
    if without:
        have = pluralize(without, "unfinished postback has", "unfinished postbacks have")
        yield DoctorFinding("postbacks", DoctorVerdict.FAULT, f"{have} no time for the next attempt.", _LOST)
    if overdue and not is_on_hold:  # while postbacks are on hold, ``_hold`` explains the delay
        sentence = f"{pluralize(overdue, 'postback is', 'postbacks are')} overdue by more than ten minutes."
        yield DoctorFinding(
            "postbacks",
            DoctorVerdict.WARNING,
            sentence,
            "Start the server, or check its log for why it is not sending them.",
        )
    if not without and not overdue:
        yield DoctorFinding(
            "postbacks",
            DoctorVerdict.WELL,
            f"{unfinished:,} unfinished, all scheduled, none overdue.",
        )


def _held(ledger: Ledger, _now_ms: int) -> Iterator[DoctorFinding]:
    """Find postbacks that wait for a paused rule, even an archived one, or for a paused receiver."""
    with ledger.read() as tx:
        rules = paused_rules(tx)
        waiting = waiting_counts(
            tx, [receiver.receiver for receiver in stored_receivers(tx) if receiver.pause is not None]
        )
    for rule in rules:
        archived = " and archived" if rule.archived else ""
        sentence = f"Rule {rule.rule_id} {rule.name!r} is paused{archived}: {_wait(rule.waiting)}."
        remedy = f"Correct its URL if necessary and resume it, or run: clickloop cancel --rule {rule.rule_id}"
        yield DoctorFinding("postbacks", DoctorVerdict.WARNING, sentence, remedy)
    for receiver, count in sorted(waiting.items()):
        sentence = f"The receiver {receiver} is paused: {_wait(count)}."
        remedy = f"Clickloop keeps probing it. To probe it at once: POST /api/v1/receivers/{receiver}/probe"
        yield DoctorFinding("postbacks", DoctorVerdict.WARNING, sentence, remedy)


def _hold(folder: Path) -> Iterator[DoctorFinding]:
    """Find out whether all postbacks are on hold, which explains overdue ones."""
    hold = read_hold(folder)
    if hold is not None:
        remedy = "Cancel what the original has already sent, then release the rest: clickloop release"
        yield DoctorFinding("postbacks", DoctorVerdict.WARNING, f"All postbacks are on hold: {hold.why}.", remedy)


def _wait(count: int) -> str:
    return pluralize(count, "postback is waiting", "postbacks are waiting")


def _waiting_notices(ledger: Ledger, now_ms: int) -> Iterator[DoctorFinding]:
    query = select(func.count()).where(notices.c.outcome == "waiting")
    with ledger.read() as tx:
        waiting = tx.scalar(query) or 0
        stuck = tx.scalar(query.where(notices.c.look_again_at < now_ms - LATE_MS)) or 0
    if stuck:
        sentence = f"{pluralize(stuck, 'incoming postback')} should have been checked again more than ten minutes ago."
        yield DoctorFinding(
            "notices",
            DoctorVerdict.WARNING,
            sentence,
            "Start the server, or check its log for why it is not processing them.",
        )
    else:
        yield DoctorFinding("notices", DoctorVerdict.WELL, f"{waiting:,} waiting for their click, none overdue.")


def _outbox(ledger: Ledger, _now_ms: int) -> Iterator[DoctorFinding]:
    with ledger.read() as tx:
        queued = tx.scalar(select(func.count()).select_from(fact_outbox)) or 0
    sentence = f"{pluralize(queued, 'row')} to be copied from the ledger."
    if queued > MAX_OUTBOX_ROWS:
        yield DoctorFinding(
            "facts", DoctorVerdict.WARNING, sentence, "Start the server, or check its log for why they are not copied."
        )
    else:
        yield DoctorFinding("facts", DoctorVerdict.WELL, sentence)
