"""The geo base as a file that may be missing, half downloaded or replaced while visitors come: they are redirected all the same."""

import contextlib
import os
import shutil
from pathlib import Path

from clickloop.click.geo import GeoBase, MmdbGeoBase, ShippedGeoBase

POLL_SECONDS = 10.0  # the file changes once a month; a look costs a stat
_COPY_PREFIX = "geo-"

_State = tuple[int, int, int]


class NoGeoBase:
    """Knows no country."""

    def country(self, ip: str) -> str:
        """See ``GeoBase``."""
        return ""


class GeoFile:
    """The base of a path, or the shipped one for an empty path. ``look`` takes over a file that has changed.

    A private copy below ``copies`` is mapped into memory: a download that overwrites the original in place would end the process
    with SIGBUS at the next look-up.
    """

    def __init__(self, path: str, copies: Path) -> None:
        self._path = path
        self._copies = copies
        self._opened: _State | None = None
        self._last: _State | None = None
        self.base: GeoBase = NoGeoBase()
        self.fault = ""
        """Why the file is not in use, for the log; empty: it is."""
        if path:
            self._last = _state_of(path)
            self._open(self._last)
        else:
            try:
                self.base = ShippedGeoBase()
            except Exception as fault:  # whatever is wrong with a package of others, visitors come first
                self.fault = str(fault)

    def look(self) -> bool:
        """Open a file that has changed and did not change since the last look. Return whether ``base`` is another one now.

        A file that cannot be opened leaves the base that is in use.
        """
        if not self._path:
            return False
        state = _state_of(self._path)
        is_stable, self._last = state == self._last, state
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
        """Return a private copy of the file as it is now, made by the process that needs it first; the original where there is no room."""
        copy = self._copies / f"{_COPY_PREFIX}{state[0]}-{state[1]}.mmdb"
        fresh = copy.with_suffix(f".{os.getpid()}")
        try:
            if not copy.exists():
                self._copies.mkdir(mode=0o700, parents=True, exist_ok=True)
                shutil.copyfile(self._path, fresh)
                MmdbGeoBase(fresh).close()  # a bad one is not kept
                fresh.replace(copy)
                for old in self._copies.glob(f"{_COPY_PREFIX}*.mmdb"):
                    if old != copy:
                        old.unlink(missing_ok=True)  # who has it open keeps it until they take the new one
        except OSError:
            return Path(self._path)
        finally:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
        return copy


class GeoCheck:
    """Tells the core what is wrong with the file that the edges use."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._checked: object = None
        self._alarms: tuple[str, ...] = ()

    def alarms(self) -> tuple[str, ...]:
        """Return the alarm about a file that cannot be used. Costs one ``stat`` while the file stays as it is."""
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
                f"{fault} New visitors have no country, or the country from the file used before; put a good file there, which "
                "is picked up within half a minute, or unset CLICKLOOP_GEO_BASE and restart"
            )
            self._alarms = (text,)
        return self._alarms


def _state_of(path: str) -> _State | None:
    """Return what changes when the file does; None: it is not there."""
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino
