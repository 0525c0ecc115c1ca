"""The doctor's findings on the geo bases: their kind, age and coverage."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from clickloop.click.geo.check import INCLUDED, MAX_AGE_DAYS, GeoCheck
from clickloop.click.geo.mmdb import GeoField
from clickloop.diagnosis.doctor_finding import DoctorFinding, DoctorVerdict
from clickloop.machine.core_client import NotRunningError, call_core
from clickloop.plural import pluralize

_PLACE = "geo"
_NEWER = "Get a newer one. The free ones: clickloop geo fetch"
_HOW = "docs/how-to/geo.md says where to get a base. The free ones: clickloop geo fetch"


class _Base(msgspec.Struct, frozen=True):
    """A base, as the API and the local check report it."""

    path: str
    kind: str
    age_days: int | None
    is_old: bool
    provides: tuple[GeoField, ...]
    fault: str


class _Geo(msgspec.Struct, frozen=True):
    bases: tuple[_Base, ...]


class _Health(msgspec.Struct, frozen=True):
    geo: _Geo


def geo_findings(folder: Path, setting: str, now_ms: int) -> Iterator[DoctorFinding]:
    """Yield a finding for each base: as the running server has it, else of the setting and the data folder."""
    bases = _of_server(folder)
    if bases is None:
        bases = [
            _Base(one.path, one.kind, one.age_days(now_ms), one.is_old(now_ms), one.provides, one.fault)
            for one in GeoCheck(setting, folder).reports()
        ]
    for base in bases:
        yield _finding(base)
    provided = {field for base in bases for field in base.provides}
    missing = [field.value for field in GeoField if field not in provided]
    if missing:
        sentence = f"No base has {', '.join(missing)}: unknown for new visitors."
        yield DoctorFinding(_PLACE, DoctorVerdict.WELL, sentence, _HOW)


def _of_server(folder: Path) -> Sequence[_Base] | None:
    """Return the bases that the running server uses; None if there is no answer."""
    try:
        answer = call_core(folder, "GET", "/api/v1/health")
        return msgspec.json.decode(answer.body, type=_Health).geo.bases if answer.status == 200 else None
    except (NotRunningError, msgspec.DecodeError):
        return None


def _finding(base: _Base) -> DoctorFinding:
    if base.fault:
        remedy = "Put a good file there, which a running tracker loads by itself, or take it away."
        return DoctorFinding(_PLACE, DoctorVerdict.WARNING, base.fault, remedy)
    age = "of unknown age" if base.age_days is None else f"{pluralize(base.age_days, 'day')} old"
    name = "The included base" if base.path == INCLUDED else base.path
    sentence = f"{name}: {base.kind}, {age}, with {', '.join(base.provides)}."
    if base.is_old and base.path != INCLUDED:
        old = f" Bases are out of date after {MAX_AGE_DAYS} days."
        return DoctorFinding(_PLACE, DoctorVerdict.WARNING, sentence + old, _NEWER)
    return DoctorFinding(_PLACE, DoctorVerdict.WELL, sentence)
