"""The files of the geo bases, which may be missing, half downloaded or replaced at run time. Visitors are redirected all the same."""

import contextlib
import os
import re
import shutil
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

import msgspec

from clickloop.click.geo.geo_base import GeoBase
from clickloop.click.geo.included import IncludedCountries
from clickloop.click.geo.merged import MergedBases
from clickloop.click.geo.mmdb import GeoBaseError, GeoField, MmdbBase

POLL_SECONDS = 10.0  # a base changes about once a month; each poll costs a stat per file
GEO_FOLDER = "geo"
"""Folder of the data folder. Every ``.mmdb`` file in it is used."""
_COPY_PREFIX = "geo-"
_SEPARATORS = re.compile("[:,]")

FileState = tuple[int, int, int]


def geo_paths(setting: str, folder: Path) -> tuple[Path, ...]:
    """Return the files of the bases, in order of preference: those of the setting, then those in the data folder's ``geo``.

    ``setting``: paths of files and folders, separated by colons or commas.
    """
    texts = [setting] if Path(setting).exists() else _SEPARATORS.split(setting)
    paths = [Path(text.strip()) for text in texts if text.strip()]
    found: list[Path] = []
    for path in (*paths, folder / GEO_FOLDER):
        found += _bases_in(path) if path.is_dir() or path == folder / GEO_FOLDER else [path]
    return tuple(dict.fromkeys(found))


def state_of(path: Path) -> FileState | None:
    """Return a value that changes when the file does, or None if it does not exist."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino


def _bases_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".mmdb")
    except FileNotFoundError:
        return []
    except OSError:
        return [folder]  # opening it says why


def needs_included(setting: str, provided: Iterable[GeoField], *, faulty: bool) -> bool:
    """Return whether countries come from the included base where no other has them.

    Not where the setting names bases with countries. If one of them cannot be opened, it may be the one: the country is then
    unknown rather than an old one.
    """
    return not setting or (not faulty and GeoField.COUNTRY not in provided)


class _OpenedFile(msgspec.Struct):
    """A file as of the last look, and the base that is in use: of this state or an earlier one."""

    last: FileState | None
    opened: FileState | None = None
    base: MmdbBase | None = None
    fault: str = ""


class GeoFiles:
    """The geo bases of a tracker. ``look`` reloads changed files; ``base`` is then another object, and the old one stays valid.

    Private copies in the folder ``run`` are memory-mapped: if a download overwrote a mapped file in place, the next look-up would
    kill the process with SIGBUS.
    """

    def __init__(self, setting: str, folder: Path) -> None:
        self._setting = setting
        self._folder = folder
        self._copies = folder / "run"
        self._files: dict[Path, _OpenedFile] = {}
        self._included: IncludedCountries | None = None
        self._included_fault = ""
        for path in geo_paths(setting, folder):
            self._files[path] = file = _OpenedFile(state_of(path))
            self._open(path, file)
        self._delete_old_copies()
        self.base: GeoBase = self._merged()

    @property
    def faults(self) -> tuple[str, ...]:
        """Return why files are not in use, or only as they were before; empty if all are."""
        faults = [file.fault for file in self._files.values()]
        return tuple(fault for fault in (*faults, self._included_fault) if fault)

    def look(self) -> bool:
        """Open the files that have changed, but not since the previous call. Return whether ``base`` was replaced.

        A file that cannot be opened leaves its earlier state in use. Takes milliseconds, or the time to copy a base.
        """
        paths = geo_paths(self._setting, self._folder)
        changed = False
        for path in paths:
            file = self._files.setdefault(path, _OpenedFile(None))
            state = state_of(path)
            # A file that is still being written changes between two calls.
            is_stable, file.last = state == file.last, state
            if state is not None and state != file.opened and is_stable:
                changed |= self._open(path, file)
        for path in self._files.keys() - set(paths):
            file = self._files[path]
            # Gone from its folder. Only at the second look: one file may be about to take the other's place.
            if file.last is None:
                changed |= file.base is not None
                del self._files[path]
            file.last = None
        if changed:
            self._delete_old_copies()
            # In the order of the paths, which may have changed.
            self._files = {path: self._files[path] for path in (*paths, *self._files) if path in self._files}
            self.base = self._merged()
        return changed

    def _open(self, path: Path, file: _OpenedFile) -> bool:
        file.opened = file.last
        try:
            file.base = self._opened(path, file.last)
        except GeoBaseError as fault:
            file.fault = str(fault)
            return False
        file.fault = ""
        return True

    def _opened(self, path: Path, state: FileState | None) -> MmdbBase:
        """Open a private copy, made by the first process that needs it; the original if copying fails."""
        MmdbBase(path, mapped=False).close()
        with contextlib.suppress(OSError, GeoBaseError):
            if state is not None:
                return MmdbBase(self._copy(path, state))
        return MmdbBase(path)

    def _copy(self, path: Path, state: FileState) -> Path:
        """Return a private copy. Raise OSError, or GeoBaseError if the file was changed meanwhile and is no base now."""
        copy = self._copies / _copy_name(path, state)
        fresh = copy.with_suffix(f".{os.getpid()}")
        try:
            if not copy.exists():
                self._copies.mkdir(mode=0o700, parents=True, exist_ok=True)
                shutil.copyfile(path, fresh)
                MmdbBase(fresh, mapped=False).close()  # a bad copy must not get the name
                fresh.replace(copy)
        finally:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
        return copy

    def _delete_old_copies(self) -> None:
        """Delete copies of former states. Processes that have them mapped keep them until they reload."""
        used = {
            _copy_name(path, state) for path, file in self._files.items() for state in (file.opened, file.last) if state
        }
        with contextlib.suppress(OSError):
            for copy in self._copies.glob(f"{_COPY_PREFIX}*.mmdb"):
                if copy.name not in used:
                    copy.unlink(missing_ok=True)

    def _merged(self) -> MergedBases:
        bases = [file.base for file in self._files.values() if file.base is not None]
        provided = {field for base in bases for field in base.description.provides}
        faulty = any(file.fault for file in self._files.values())
        if self._included is None and needs_included(self._setting, provided, faulty=faulty):
            try:
                self._included = IncludedCountries()
            except Exception as fault:  # a third-party package must not keep visitors from being redirected
                self._included_fault = str(fault)
        return MergedBases(bases, self._included)


def _copy_name(path: Path, state: FileState) -> str:
    name = blake2b(os.fsencode(path.absolute()), digest_size=6).hexdigest()
    return f"{_COPY_PREFIX}{name}-{state[0]}-{state[1]}.mmdb"
