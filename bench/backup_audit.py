"""Audits a restored data folder: starts it, lets it settle, stops it, and compares it with what was acknowledged before."""

import contextlib
import sqlite3
import time
from pathlib import Path

import duckdb
import msgspec

from bench.killable import KillableTracker
from bench.machine import wait_until
from clickloop.backup.place import FolderPlace
from clickloop.clock import wall_clock
from clickloop.diagnosis.doctor import examine
from clickloop.diagnosis.doctor_finding import DoctorVerdict
from clickloop.machine.core_client import NotRunningError
from clickloop.store.journal.listing import journal_lag


class Acknowledged(msgspec.Struct):
    """The clicks and notices acknowledged to clients."""

    clicks: list[str] = []
    notices: list[tuple[str, str]] = []
    """Click id and txid."""

    def copy(self) -> "Acknowledged":
        """Return a copy of the current state."""
        return Acknowledged(list(self.clicks), list(self.notices))


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """The result of auditing a restored folder."""

    broken: tuple[str, ...]
    """A sentence for each broken promise."""
    lost: int = 0
    sent: int = 0
    clicks: int = 0
    conversions: int = 0


def audit(folder: Path, before: Acknowledged, seconds: float) -> Audit:
    """Run a tracker on a restored folder until everything is settled, then compare. Raise TimeoutError."""
    tracker = KillableTracker(folder, edges=1)
    try:
        tracker.start()
        tracker.wait_until_ready()
        wait_until(lambda: _is_settled(tracker), seconds, "the restored journal is not settled")
        tracker.stop()
    finally:
        tracker.abandon()
    log = folder.with_suffix(".log")
    damages = log.read_text(errors="replace").count("journal damaged")
    log.unlink()
    return compare(folder, before, damages)


def _is_settled(tracker: KillableTracker) -> bool:
    time.sleep(0.1)  # polling takes time from the tracker
    if any(journal_lag(tracker.folder / "journal", stream, wall_clock()).segments for stream in ("clicks", "notices")):
        return False
    with (
        contextlib.suppress(NotRunningError),
        contextlib.closing(sqlite3.connect(tracker.folder / "ledger.sqlite")) as ledger,
    ):
        query = "SELECT (SELECT count(*) FROM fact_outbox) + (SELECT count(*) FROM notices WHERE outcome = 'waiting')"
        return not ledger.execute(query).fetchone()[0] and tracker.api("GET", "delivery").status == 200
    return False


def compare(folder: Path, before: Acknowledged, damages: int) -> Audit:
    """Audit a restored folder whose tracker has settled and is stopped. ``damages``: number of damages logged for the journal."""
    place = msgspec.json.decode((folder / "place.json").read_bytes(), type=FolderPlace)
    restored_at = place.restored.restored_at if place.restored else 0
    with contextlib.closing(sqlite3.connect(folder / "ledger.sqlite")) as ledger:
        conversions = ledger.execute("SELECT click_id, txid FROM conversions").fetchall()
        outcomes = dict(ledger.execute("SELECT outcome, count(*) FROM notices GROUP BY outcome").fetchall())
        sent = ledger.execute("SELECT count(*) FROM attempts WHERE started_at >= ?", (restored_at,)).fetchone()[0]
        owed = ledger.execute("SELECT count(*) FROM postbacks").fetchone()[0]
    with contextlib.closing(duckdb.connect(str(folder / "facts.duckdb"), read_only=True)) as facts:
        clicks = [row[0] for row in facts.execute("SELECT click_id FROM facts WHERE click_id IS NOT NULL").fetchall()]
        counted = facts.execute("SELECT coalesce(sum(conversions), 0)::BIGINT FROM facts").fetchone()
    lost_clicks = len(set(before.clicks) - set(clicks))
    lost_notices = len(set(before.notices) - {(click_id, txid) for click_id, txid in conversions})
    ill = [found.sentence for found in examine(folder, wall_clock()) if found.verdict is DoctorVerdict.FAULT]
    in_facts = counted[0] if counted else 0
    checks = (
        (lost_clicks, f"{lost_clicks} clicks acknowledged before are lost"),
        (lost_notices, f"{lost_notices} notices acknowledged before are lost"),
        (len(clicks) - len(set(clicks)), "clicks are duplicated"),
        (len(conversions) - len(set(conversions)), "conversions are duplicated"),
        (in_facts != len(conversions), f"{in_facts} conversions in the facts, {len(conversions)} in the ledger"),
        (owed != len(conversions), f"{owed} postbacks of {len(conversions)} conversions"),
        (sent, f"{sent} postbacks were sent although they were on hold"),
        (outcomes.get("refused", 0), f"{outcomes.get('refused')} notices are refused"),
        (outcomes.get("waiting", 0), f"{outcomes.get('waiting')} notices wait for clicks that are not in the backup"),
        (damages, f"the journal was reported as damaged {damages} times"),
        (ill, " ".join(ill)),
    )
    return Audit(
        broken=tuple(sentence for fault, sentence in checks if fault),
        lost=lost_clicks + lost_notices,
        sent=sent,
        clicks=len(clicks),
        conversions=len(conversions),
    )
