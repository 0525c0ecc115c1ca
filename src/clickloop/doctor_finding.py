"""What one look of the doctor found."""

import enum

import msgspec


class Verdict(enum.StrEnum):
    """How well it is."""

    WELL = "well"
    WARNING = "warning"
    FAULT = "fault"


class Finding(msgspec.Struct, frozen=True):
    """What one look found. ``remedy`` is empty where all is well."""

    place: str
    verdict: Verdict
    sentence: str
    remedy: str = ""
