"""The health of an edge process: /health, its alarms and its heartbeat."""

import os
from pathlib import Path

import msgspec

from clickloop.alarm.alarms import FAILING_CODES, Alarm, Alarms, read_alarms
from clickloop.alarm.heartbeat import Heartbeat
from clickloop.alarm.vital_signs import VitalSigns
from clickloop.edge.untrusted_proxy import UntrustedProxies
from clickloop.machine.log import RateLimitedLog
from clickloop.store.disk_reserve import DiskReserve
from clickloop.tracking.take import Edge

CURRENT_MS = 60_000
"""How long /health reports ``failing`` after the last loss."""
_NO_ROOM_BYTES = 256 * 1024
"""With less disk space than this and no reserve to release, the next visitor would not be recorded."""


class Health(msgspec.Struct, frozen=True):
    """The response of ``/health``. It is public: numbers only, no names."""

    status: str
    """``ok``, ``degraded`` (there are alarms) or ``failing`` (clicks or notices are currently being lost)."""
    journal_lag_seconds: float
    journal_lag_segments: int
    journal_lag_bytes: int
    free_disk_bytes: int
    free_disk_percent: float
    alarms: int


class _Loss:
    """A counter of losses, with the time of the last one."""

    __slots__ = ("_run_from", "_seen", "last_at")

    def __init__(self) -> None:
        self._seen = 0
        self._run_from = 0
        self.last_at: int | None = None

    def current(self, count: int, now_ms: int) -> int:
        """Return the number lost in the current run of losses, or 0 if the last loss is more than ``CURRENT_MS`` ago."""
        if count != self._seen:
            self._seen, self.last_at = count, now_ms
        if self.last_at is None or not 0 <= now_ms - self.last_at < CURRENT_MS:
            self.last_at, self._run_from = None, count
        return count - self._run_from


class EdgeVitals:
    """The vital signs of one edge. ``watch`` runs once a second in a separate thread; ``health`` uses its result."""

    def __init__(
        self,
        folder: Path,
        name: str,
        edge: Edge,
        signs: VitalSigns,
        proxies: UntrustedProxies,
        reserve: DiskReserve,
        key_fault: str = "",
    ) -> None:
        """``key_fault``: why click ids are made under a stand-in key; empty if they are not."""
        self._folder = folder
        self._name = name
        self._edge = edge
        self._signs = signs
        self._proxies = proxies
        self._reserve = reserve
        self._start_alarms = (_key_alarm(name, key_fault),) if key_fault else ()
        self._alarms = Alarms(folder, name, edge.clock)
        self._heart = Heartbeat(folder, name)
        self._unrecorded = _Loss()
        self._unstored = _Loss()
        self._failed = RateLimitedLog("looking for alarms failed and is tried again", 60)
        self._others: tuple[Alarm, ...] = ()
        self._has_watched = False

    def watch(self) -> None:
        """Check everything, and write this edge's alarms and heartbeat for the other processes. Never raises."""
        self._heart.beat()
        try:
            self._signs.look()
            self._others = read_alarms(self._folder, self._edge.clock(), but=self._name)
            self._alarms.set("losses", self._losses())
            self._alarms.set("proxies", self._proxies.alarms())
            self._alarms.set("start", self._start_alarms)
        except Exception as fault:  # monitoring must survive the failures that it reports
            self._failed(fault=f"{type(fault).__name__}: {fault}")
        self._has_watched = True

    def health(self) -> Health:
        """Return the current health: this edge's losses up to now, the rest as of the last ``watch``."""
        if not self._has_watched:
            self.watch()
        free, percent, is_full = self._room()
        found = (*self._signs.alarms, *self._others, *self._losses(), *self._proxies.alarms(), *self._start_alarms)
        codes = {alarm.code for alarm in found}
        is_failing = bool(codes & FAILING_CODES) or is_full
        status = "failing" if is_failing else "degraded" if codes else "ok"
        journal = self._signs.journal
        return Health(
            status=status,
            journal_lag_seconds=round(journal.seconds, 3),
            journal_lag_segments=journal.segments,
            journal_lag_bytes=journal.size,
            free_disk_bytes=free,
            free_disk_percent=percent,
            alarms=len(found),
        )

    def _room(self) -> tuple[int, float, bool]:
        """Return the free bytes, the free percentage, and whether the disk is too full for the next record."""
        try:
            disk = os.statvfs(self._folder)
        except OSError:
            # The folder was moved or its disk is gone. Losses are counted anyway, and other checks raise the alarm.
            return 0, 0.0, False
        free = disk.f_bavail * disk.f_frsize
        percent = round(100.0 * disk.f_bavail / max(1, disk.f_blocks), 1)
        return free, percent, free < _NO_ROOM_BYTES and not self._reserve.held

    def _losses(self) -> list[Alarm]:
        now_ms = self._edge.clock()
        found = []
        if lost := self._unrecorded.current(self._edge.unrecorded, now_ms):
            sentence = (
                f"{lost} visitors were redirected by {self._name} without being recorded: the journal could not be written. "
                "Free up disk space."
            )
            found.append(_loss("clicks_unrecorded", sentence, self._unrecorded))
        if lost := self._unstored.current(self._edge.unstored, now_ms):
            sentence = (
                f"{lost} incoming postbacks could not be stored by {self._name} and were answered 503, so networks send them "
                "again. Free up disk space."
            )
            found.append(_loss("notices_unstored", sentence, self._unstored))
        return found


def _key_alarm(name: str, fault: str) -> Alarm:
    sentence = (
        f"{name} makes click IDs under a stand-in key: {fault}. Put click_id.key back from a backup and restart Clickloop; meanwhile "
        "visitors are redirected and incoming postbacks are stored."
    )
    return Alarm(code="key_unusable", sentence=sentence)


def _loss(code: str, sentence: str, loss: _Loss) -> Alarm:
    # Expires by itself: otherwise the file of an edge that has died would report the failure for ever.
    return Alarm(code=code, sentence=sentence, expires_at=(loss.last_at or 0) + CURRENT_MS)
