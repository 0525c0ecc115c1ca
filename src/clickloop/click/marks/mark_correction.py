"""Corrections of the marks of clicks, and how far a job is with its own. Records only."""

import msgspec

LATE = "late"
"""The origin of marks that a click gets by what its visitor does, or fails to do, on the landing."""


class MarkChange(msgspec.Struct, frozen=True):
    """Marks that a click gains and loses, each separated by commas. Its other marks stay."""

    click_id: str
    gained: str = ""
    lost: str = ""


class MarkBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of a job: it has judged all clicks after those of the batch before, up to ``last_click_id``."""

    job_id: str
    number: int
    """From 1."""
    last_click_id: str
    judged: int
    """Number of clicks judged."""
    changes: tuple[MarkChange, ...]


class MarkProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job is: its batches that are in the facts, and have not been undone."""

    batches: int = 0
    last_click_id: str = ""
    judged: int = 0
    changed: int = 0
    """Number of clicks whose marks it changed."""


class MarkCorrection(msgspec.Struct, frozen=True):
    """A change of a click's marks after it was counted. ``job_id``: that of the rerun, or ``LATE``."""

    job_id: str
    at: int
    """Unix milliseconds."""
    before: str
    after: str
