"""Marks in DuckDB: what ``store.facts.mark_facts`` promises, each write in one transaction."""

from collections.abc import Collection, Sequence

import duckdb

from clickloop.click.marks.landing_views import LandingDay, LandingWatch
from clickloop.click.marks.mark_correction import LATE, MarkBatch, MarkChange, MarkCorrection, MarkProgress
from clickloop.click.marks.marked_click import ClickSpan, MarkedClick
from clickloop.report.click_rows import ConversionSum
from clickloop.store.facts.duckdb.connections import Reading, Writing
from clickloop.store.facts.duckdb.marks import correcting, marked_clicks


class DuckDbMarkFacts:
    """The marks of clicks in a DuckDB file."""

    def __init__(self, reading: Reading, writing: Writing) -> None:
        self._reading = reading
        self._writing = writing

    def count(self, span: ClickSpan) -> int:
        """Return the number of clicks."""
        with self._reading() as reader:
            return marked_clicks.count(reader, span)

    def clicks(self, span: ClickSpan, limit: int, after_click_id: str = "", *, with_page: bool) -> list[MarkedClick]:
        """Return the first clicks after an id, in the order of their ids."""
        with self._reading() as reader:
            return marked_clicks.clicks(reader, span, limit, after_click_id, with_page=with_page)

    def clicks_of(self, click_ids: Collection[str]) -> list[MarkedClick]:
        """Return the counted clicks with these ids, in the order of their ids."""
        with self._reading() as reader:
            return marked_clicks.clicks_of(reader, click_ids)

    def watched(self, watch: LandingWatch) -> list[str]:
        """Return the ids of clicks that a late mark may be given to."""
        with self._reading() as reader:
            return marked_clicks.watched(reader, watch)

    def oldest_at(self, after: int) -> int | None:
        """Return when the first click or page event after a moment came; None if there is none."""
        with self._reading() as reader:
            return marked_clicks.oldest_at(reader, after)

    def first_views(self, since: int, until: int) -> dict[LandingDay, int]:
        """Return the first view of each landing on each day."""
        with self._reading() as reader:
            return marked_clicks.first_views(reader, since, until)

    def earned(self, first_click_id: str, last_click_id: str) -> dict[str, list[ConversionSum]]:
        """Return the conversions of a range of clicks, by click id."""
        with self._reading() as reader:
            return marked_clicks.earned(reader, first_click_id, last_click_id)

    def progress(self, job_id: str) -> MarkProgress:
        """Return how far a job is."""
        with self._reading() as reader:
            return marked_clicks.progress(reader, job_id)

    def history(self, click_id: str) -> list[MarkCorrection]:
        """Return the corrections of a click's marks that were not undone, oldest first."""
        with self._reading() as reader:
            return marked_clicks.history(reader, click_id)

    def judged_to(self) -> int:
        """Return the moment up to which late marks have been judged."""
        with self._reading() as reader:
            return marked_clicks.judged_to(reader)

    def correct(self, batch: MarkBatch, now_ms: int) -> int:
        """Change the marks of a batch's clicks, and remember the batch in the same transaction: a second time nothing happens."""
        with self._writing() as written:
            writer = written.writer
            if marked_clicks.progress(writer, batch.job_id).batches >= batch.number:
                return 0
            corrections, written.rows = correcting.correct(writer, batch.changes)
            correcting.remember(writer, corrections, batch.job_id, batch.number, now_ms)
            writer.execute(
                "INSERT INTO mark_batches VALUES ($job_id, $number, $last_click_id, $judged, $changed)",
                {
                    "job_id": batch.job_id,
                    "number": batch.number,
                    "last_click_id": batch.last_click_id,
                    "judged": batch.judged,
                    "changed": len(corrections),
                },
            )
            _count_load(writer)
            return len(corrections)

    def undo(self, job_id: str) -> MarkProgress:
        """Take back the newest batch of a job, if it has any. Return how far the job still is."""
        with self._writing() as written:
            writer = written.writer
            newest = marked_clicks.progress(writer, job_id).batches
            written.rows = correcting.undo(writer, job_id, newest) if newest else 0
            _count_load(writer)
            return marked_clicks.progress(writer, job_id)

    def correct_late(self, changes: Sequence[MarkChange], judged_to: int, now_ms: int) -> int:
        """Change marks, and remember up to when they have been judged."""
        with self._writing() as written:
            writer = written.writer
            corrections, written.rows = correcting.correct(writer, changes)
            correcting.remember(writer, corrections, LATE, 0, now_ms)
            writer.execute("UPDATE late_marks SET judged_to = $judged_to", {"judged_to": judged_to})
            _count_load(writer)
            return len(corrections)


def _count_load(writer: duckdb.DuckDBPyConnection) -> None:
    """Count a correction as a load: a copy of the facts from before it is an older copy."""
    writer.execute("UPDATE outbox_taken SET loads = loads + 1")
