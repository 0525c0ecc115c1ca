"""The geo base file, which may be missing, half downloaded or replaced at run time. Visitors are redirected all the same."""

import contextlib
import os
import shutil
from pathlib import Path

from clickloop.click.geo import GeoBase, MmdbGeoBase, ShippedGeoBase

POLL_SECONDS = 10.0  # the file changes about once a month; each poll costs a stat
_COPY_PREFIX = "geo-"

_State = tuple[int, int, int]


class NoGeoBase:
    """The base used while there is none: every country is unknown."""

    def country(self, ip: str) -> str:
        return ""


class GeoFile:
    """The geo base at a path, or the shipped one for an empty path. ``look`` reloads a changed file.

    A private copy in the folder ``copies`` is memory-mapped: if a download overwrote the mapped file in place, the next look-up
    would kill the process with SIGBUS.
    """

    def __init__(self, path: str, copies: Path) -> None:
        self._path = path
        self._copies = copies
        self._opened: _State | None = None
        self._last: _State | None = None
        self.base: GeoBase = NoGeoBase()
        self.fault = ""
        """Why the file is not in use; empty if it is."""
        if path:
            self._last = _state_of(path)
            self._open(self._last)
        else:
            try:
                self.base = ShippedGeoBase()
            except Exception as fault:  # a third-party package must not keep visitors from being redirected
                self.fault = str(fault)

    def look(self) -> bool:
        """Open the file if it has changed, but not since the previous call. Return whether ``base`` was replaced.

        If the file cannot be opened, the current base stays in use.
        """
        if not self._path:
            return False
        state = _state_of(self._path)
        is_stable, self._last = state == self._last, state  # a file still being written changes between two calls
        if state is None or state == self._opened or not is_stable:
            return False
        return self._open(state)

    def _open(self, state: _State | None) -> bool:
        self._opened = state
        try:
            MmdbGeoBase(Path(self._path)).close()
            self.base = MmdbGeoBase(self._copy(state) if state is not None else Path(self._path))
        except ValueError as fault:
            self.fault = str(fault)
            return False
        self.fault = ""
        return True

    def _copy(self, state: _State) -> Path:
        """Return a private copy of the file, made by the first process that needs it; the original if copying fails."""
        copy = self._copies / f"{_COPY_PREFIX}{state[0]}-{state[1]}.mmdb"
        fresh = copy.with_suffix(f".{os.getpid()}")
        try:
            if not copy.exists():
                self._copies.mkdir(mode=0o700, parents=True, exist_ok=True)
                shutil.copyfile(self._path, fresh)
                MmdbGeoBase(fresh).close()  # raises for a bad copy before it gets its name
                fresh.replace(copy)
                for old in self._copies.glob(f"{_COPY_PREFIX}*.mmdb"):
                    if old != copy:
                        old.unlink(missing_ok=True)  # processes that have it mapped keep it until they reload
        except OSError:
            return Path(self._path)
        finally:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
        return copy


class GeoCheck:
    """The core's check of the file that the edges use."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._checked: object = None
        self._alarms: tuple[str, ...] = ()

    def alarms(self) -> tuple[str, ...]:
        """Return an alarm if the file cannot be used. Costs one ``stat`` while the file is unchanged."""
        if not self._path:
            return ()
        state = _state_of(self._path)
        if state is not None and state == self._checked:
            return self._alarms
        self._checked, self._alarms = state, ()
        try:
            MmdbGeoBase(Path(self._path)).close()
        except ValueError as fault:
            text = (
                f"{fault} New visitors get no country, or one from the previous file. Put a valid file there, which is loaded "
                "within half a minute, or unset CLICKLOOP_GEO_BASE and restart"
            )
            self._alarms = (text,)
        return self._alarms


def _state_of(path: str) -> _State | None:
    """Return a value that changes when the file does, or None if it does not exist."""
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino
