"""The findings of the doctor: a place, how bad it is, a sentence and a remedy."""

import enum

import msgspec

from clickloop.store.file_fault import RESTORE_BACKUP

RESTORE = f"{RESTORE_BACKUP.capitalize()}."
"""The remedy for a damaged store."""


class Verdict(enum.StrEnum):
    """The state of what was looked at."""

    WELL = "well"
    WARNING = "warning"
    FAULT = "fault"


class Finding(msgspec.Struct, frozen=True):
    """A result of one look. ``remedy`` is empty where all is well."""

    place: str
    verdict: Verdict
    sentence: str
    remedy: str = ""
