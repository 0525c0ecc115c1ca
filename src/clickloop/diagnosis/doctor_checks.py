"""Checks of the doctor without the ledger: every block of the facts, alarms and heartbeats."""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from clickloop.alarm.alarms import CORE, read_alarms
from clickloop.alarm.heartbeat import beat_age_seconds
from clickloop.diagnosis.doctor_finding import RESTORE, DoctorFinding, DoctorVerdict
from clickloop.machine.core_client import NotRunningError, call_core
from clickloop.plural import pluralize
from clickloop.store.facts.facts import FactsError, FactsInUseError, FactsStore, UnreadableRange, Verification
from clickloop.store.file_fault import RESTORE_BACKUP
from clickloop.store.identity import FACTS_FILE, has_been_used
from clickloop.stores import open_facts

MAX_SILENT_SECONDS = 30.0  # a heartbeat comes every second; a busy core may miss some
MAX_SHOWN = 5  # findings per kind; more add nothing
_PATIENCE_SECONDS = 600.0
"""Maximum time for a running server to read all facts, at some seconds per request."""
_TOO_MANY_REQUESTS = 429


def facts_findings(folder: Path) -> Iterator[DoctorFinding]:
    """Read every column of the facts: directly, or by the running server if it has them open."""
    path = folder / FACTS_FILE
    if not path.exists():
        remedy = "The server creates it when it first starts."
        if has_been_used(folder):
            remedy = "Put it back or restore a backup. See docs/how-to/lost-stores.md for other ways."
        yield DoctorFinding("facts", DoctorVerdict.WARNING, f"{path} is missing.", remedy)
        return
    began = time.monotonic()
    try:
        facts = open_facts(path)
    except FactsInUseError:
        yield from _look_through_server(folder, began)
        return
    except FactsError as error:
        yield DoctorFinding("facts", DoctorVerdict.FAULT, str(error), RESTORE)
        return
    try:
        read = facts.verify()
        differing = 0 if read.unreadable else _differing_days(facts)
    except FactsError as error:
        yield DoctorFinding("facts", DoctorVerdict.FAULT, str(error), RESTORE)
        return
    finally:
        facts.close()
    yield from _findings_of(read.unreadable, read.columns, read.rows, "Checked", began)
    yield from _unknown_clicks(read.unknown_page_events)
    if differing:
        sentence = f"The roll-ups that reports read differ from the facts on {pluralize(differing, 'day')}."
        yield DoctorFinding("facts", DoctorVerdict.FAULT, sentence, "Run clickloop rebuild, which makes them anew.")


def _differing_days(facts: FactsStore) -> int:
    """Return the number of days whose roll-ups differ from the facts."""
    first, last = facts.rollups.days() or (0, -1)
    return sum(facts.rollups.differences(day) > 0 for day in range(first, last + 1))


def _look_through_server(folder: Path, began: float) -> Iterator[DoctorFinding]:
    """Let the running server read the facts, a bounded number of columns per request."""
    unreadable: list[UnreadableRange] = []
    columns = rows = unknown = 0
    following: int | None = 0
    try:
        while following is not None and time.monotonic() - began < _PATIENCE_SECONDS:
            answer = call_core(folder, "POST", f"/api/v1/health/facts?first_column={following}")
            if answer.status == _TOO_MANY_REQUESTS:
                time.sleep(1.0)  # another check is running
                continue
            if answer.status != 200:
                sentence = f"The server answered {answer.status} when asked to check the facts."
                yield DoctorFinding("facts", DoctorVerdict.FAULT, sentence, "Check the server's log.")
                return
            read = msgspec.json.decode(answer.body, type=Verification)
            unreadable += read.unreadable
            unknown += read.unknown_page_events
            columns, rows, following = columns + read.columns, max(rows, read.rows), read.next_column
    except NotRunningError as error:
        yield DoctorFinding("facts", DoctorVerdict.WARNING, str(error), "Check the server's log.")
        return
    if following is not None:
        sentence = f"Only {columns} columns were checked in {_PATIENCE_SECONDS:.0f} s."
        yield DoctorFinding("facts", DoctorVerdict.WARNING, sentence, "Stop the server and run clickloop doctor again.")
    yield from _findings_of(tuple(unreadable), columns, rows, "Checked by the running server", began)
    yield from _unknown_clicks(unknown)


def _findings_of(
    unreadable: tuple[UnreadableRange, ...], columns: int, rows: int, how: str, began: float
) -> Iterator[DoctorFinding]:
    for one in unreadable[:MAX_SHOWN]:
        sentence = f"{one.table}.{one.column} cannot be read in rows {one.first_row} to {one.last_row}: {one.why}"
        remedy = f"Check the disk, then {RESTORE_BACKUP}. Conversions are in the ledger and not affected."
        yield DoctorFinding("facts", DoctorVerdict.FAULT, sentence, remedy)
    if len(unreadable) > MAX_SHOWN:
        more = pluralize(len(unreadable) - MAX_SHOWN, "more range")
        yield DoctorFinding("facts", DoctorVerdict.FAULT, f"{more} cannot be read.", RESTORE)
    if not unreadable:
        sentence = f"{how} in {time.monotonic() - began:.1f} s: {pluralize(columns, 'column')}, {pluralize(rows, 'row')}, all intact."
        yield DoctorFinding("facts", DoctorVerdict.WELL, sentence)


def _unknown_clicks(page_events: int) -> Iterator[DoctorFinding]:
    if page_events:
        sentence = f"The clicks of {pluralize(page_events, 'page event')} are unknown, so they are in no figure."
        remedy = "See the findings about the journal: click segments may be lost. Otherwise the clicks were recorded elsewhere."
        yield DoctorFinding("facts", DoctorVerdict.WARNING, sentence, remedy)


def alarm_findings(folder: Path, now_ms: int) -> Iterator[DoctorFinding]:
    """Yield the alarms of all processes, and whether the core is silent."""
    alarms = read_alarms(folder)
    lives = _lives(folder)
    age = beat_age_seconds(folder, CORE, now_ms)
    if lives and age is not None and age > MAX_SILENT_SECONDS:
        sentence = f"The core has been silent for {age:.0f} s."
        yield DoctorFinding("heartbeat", DoctorVerdict.WARNING, sentence, "Check the log, or restart Clickloop.")
    for alarm in alarms:
        if lives:
            yield DoctorFinding(
                "alarm",
                DoctorVerdict.WARNING,
                f"{alarm.sentence[0].upper()}{alarm.sentence[1:]}",
                "The alarm ends when its cause is fixed.",
            )
        else:
            sentence = f"Alarm when the core last ran: {alarm.sentence}"
            remedy = "The core is not running. Start it; the alarm ends when its cause is fixed."
            yield DoctorFinding("alarm", DoctorVerdict.WARNING, sentence, remedy)


def _lives(folder: Path) -> bool:
    try:
        call_core(folder, "GET", "/api/v1/clicks?limit=1")
    except NotRunningError:
        return False
    return True
