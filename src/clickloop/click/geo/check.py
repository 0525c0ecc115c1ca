"""The core's check of the edges' geo bases: the fields that they provide, their age, and faults."""

import threading
from collections.abc import Iterable
from pathlib import Path

import msgspec

from clickloop.click.geo.attribution import Attribution, attributions_of
from clickloop.click.geo.files import FileState, geo_paths, needs_included, state_of
from clickloop.click.geo.included import INCLUDED_KIND, included_built_at
from clickloop.click.geo.mmdb import BaseDescription, GeoBaseError, GeoField, MmdbBase
from clickloop.clock import DAY_MS

MAX_AGE_DAYS = 60
"""Age in days beyond which a base is out of date. Addresses move every week, and makers publish every month."""
INCLUDED = "included"


class GeoBaseReport(msgspec.Struct, frozen=True, kw_only=True):
    """A base, or a file that should be one. ``path`` is ``included`` for the base that comes with Clickloop."""

    path: str
    kind: str = ""
    built_at: int = 0
    """Unix milliseconds; 0 if unknown."""
    provides: tuple[GeoField, ...] = ()
    fault: str = ""
    """The reason why the file, or its newest state, is not in use; empty if it is."""
    attributions: tuple[Attribution, ...] = ()
    """Credits that its licence requires where its data are shown."""

    @property
    def is_included(self) -> bool:
        """Return whether it is the base that comes with Clickloop."""
        return self.path == INCLUDED

    def age_days(self, now_ms: int) -> int | None:
        """Return the base's age in days; None if unknown."""
        return max(0, now_ms - self.built_at) // DAY_MS if self.built_at else None

    def is_old(self, now_ms: int) -> bool:
        """Return whether the base is older than ``MAX_AGE_DAYS``."""
        return (self.age_days(now_ms) or 0) > MAX_AGE_DAYS


class GeoCheck:
    """Reports on the bases of a tracker. Examines a file again when it has changed. Thread-safe."""

    def __init__(self, setting: str, folder: Path) -> None:
        self._setting = setting
        self._folder = folder
        self._known: dict[Path, tuple[FileState | None, BaseDescription | str]] = {}
        self._lock = threading.Lock()

    def reports(self) -> tuple[GeoBaseReport, ...]:
        """Return a report for each base, in order of preference. Costs a ``stat`` for each while they are unchanged."""
        with self._lock:
            paths = geo_paths(self._setting, self._folder)
            self._known = {path: self._examined(path) for path in paths}
            found = [_report(path, description) for path, (_, description) in self._known.items()]
        provided = provided_fields(found)
        if needs_included(self._setting, provided, faulty=any(report.fault for report in found)):
            found.append(
                GeoBaseReport(
                    path=INCLUDED,
                    kind=INCLUDED_KIND,
                    built_at=included_built_at(),
                    provides=(GeoField.COUNTRY,),
                    attributions=attributions_of(INCLUDED_KIND, ""),
                )
            )
        return tuple(found)

    def alarms(self) -> tuple[str, ...]:
        """Return an alarm for each file that cannot be used."""
        return tuple(
            f"{report.fault} Visitors get no place from it, or one from the previous file. Put a good file there, which is "
            "loaded within half a minute, or take it away"
            for report in self.reports()
            if report.fault
        )

    def _examined(self, path: Path) -> tuple[FileState | None, BaseDescription | str]:
        state = state_of(path)
        known = self._known.get(path)
        if known is not None and state is not None and known[0] == state:
            return known
        try:
            # Not mapped: the user's file may be truncated meanwhile, which would kill the process.
            base = MmdbBase(path, mapped=False)
        except GeoBaseError as fault:
            return state, str(fault)
        base.close()
        return state, base.description


def provided_fields(reports: Iterable[GeoBaseReport]) -> frozenset[GeoField]:
    """Return the fields that the bases provide."""
    return frozenset(field for report in reports for field in report.provides)


def fields_without_base(reports: Iterable[GeoBaseReport]) -> frozenset[str]:
    """Return the fields that no base provides. Their macros are always empty."""
    return frozenset(field.value for field in GeoField if field not in provided_fields(reports))


def _report(path: Path, found: BaseDescription | str) -> GeoBaseReport:
    if isinstance(found, str):
        return GeoBaseReport(path=str(path), fault=found)
    return GeoBaseReport(
        path=str(path),
        kind=found.kind,
        built_at=found.built_at,
        provides=found.provides,
        attributions=attributions_of(found.kind, path.name),
    )
