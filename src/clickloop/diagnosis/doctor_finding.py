"""Findings of the doctor: a place, a verdict, a sentence and a remedy."""

import enum

import msgspec

from clickloop.store.file_fault import RESTORE_BACKUP

RESTORE = f"{RESTORE_BACKUP.capitalize()}."
"""The remedy for a damaged store."""


class DoctorVerdict(enum.StrEnum):
    """The result of a check."""

    WELL = "well"
    WARNING = "warning"
    FAULT = "fault"


class DoctorFinding(msgspec.Struct, frozen=True):
    """A result of one check. ``remedy`` is empty if all is well."""

    place: str
    verdict: DoctorVerdict
    sentence: str
    remedy: str = ""
