"""The facts in DuckDB, in one file beside the ledger. The engine's NDJSON reader loads each segment exactly once."""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Self

import duckdb
import msgspec

from clickloop.click.click import Click
from clickloop.click.click_log import ClickFilter
from clickloop.click.marks.rate_tally import RatedClick
from clickloop.click.page.page_event import PageEvent, PageEventKind
from clickloop.clock import DAY_MS
from clickloop.record_id import base32_time
from clickloop.report.click_rows import ConversionSum
from clickloop.report.evidence import ClickEvidence, LandingEvidence
from clickloop.report.page_event_fact import PageEventFact
from clickloop.report.query import ExchangeRate, Report, ReportQuery
from clickloop.store.facts.duckdb.click_pages import click_ids_page
from clickloop.store.facts.duckdb.click_rows import click_rows, count_clicks, earned
from clickloop.store.facts.duckdb.columns import (
    CLICK_FIELDS,
    click_structure,
    click_table_names,
    quoted,
)
from clickloop.store.facts.duckdb.connections import DatabaseConnections
from clickloop.store.facts.duckdb.cost.cost_facts import DuckDbCostFacts
from clickloop.store.facts.duckdb.cost.cost_rows import forget_deleted as forget_deleted_shares
from clickloop.store.facts.duckdb.learning_facts import DuckDbLearningFacts
from clickloop.store.facts.duckdb.loading.conversions import load_lines
from clickloop.store.facts.duckdb.loading.few_files import few_files
from clickloop.store.facts.duckdb.loading.inserting_clicks import MAX_CLICK_LINE_BYTES, insert_clicks
from clickloop.store.facts.duckdb.loading.outbox_ids import last_outbox_id, taken_ids, write_taken
from clickloop.store.facts.duckdb.loading.page_events import find_events, known_of, load, waiting_events
from clickloop.store.facts.duckdb.loading.seen_visitors import delete_seen, find_seen
from clickloop.store.facts.duckdb.marks.corrected import CORRECTED, CORRECTED_MARKS
from clickloop.store.facts.duckdb.marks.correcting import forget_deleted
from clickloop.store.facts.duckdb.marks.mark_facts import DuckDbMarkFacts
from clickloop.store.facts.duckdb.marks.rated_clicks import rated_clicks
from clickloop.store.facts.duckdb.offer_visit_counts import DuckDbOfferVisitCounts
from clickloop.store.facts.duckdb.opening import open_database
from clickloop.store.facts.duckdb.plain_errors import plain_errors
from clickloop.store.facts.duckdb.recent import recent_clicks, recent_landing_clicks
from clickloop.store.facts.duckdb.report.reports import read_report
from clickloop.store.facts.duckdb.rollups.rolling_up import delete_facts, merge_before
from clickloop.store.facts.duckdb.rollups.rollup_facts import DuckDbRollupFacts
from clickloop.store.facts.duckdb.unknown_shares import unknown_shares
from clickloop.store.facts.duckdb.verifying import verify
from clickloop.store.facts.facts import (
    MAX_PAGE_EVENTS,
    KnownOfPageEvents,
    SegmentRefusedError,
    Verification,
    WaitingPageEvent,
)
from clickloop.store.facts.judgements import NO_JUDGEMENTS, Judgements, SeenVisitor
from clickloop.store.journal.segment import SegmentContents

MEMORY_LIMIT_MB = 128  # a small machine has 1 GB for everything
_FORGOTTEN_PER_LOAD = 256  # each DELETE scans the table
_REFUSALS = (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.DataError)

_FIND_CLICKS = (
    f"SELECT {click_table_names().replace(quoted('marks'), CORRECTED_MARKS)} FROM facts "  # noqa: S608 – names are ours
    f"LEFT JOIN {CORRECTED} AS corrected ON click_id = corrected_id "
    "WHERE click_id = ANY($ids) AND click_id BETWEEN $first AND $last"
)
_CLICK_NAMES = tuple(field.name for field in CLICK_FIELDS)
# Double quotes within SQL's single quotes; chr() because Python 3.11 allows no quotes of either kind within this f-string.
_READ_CLICK = f"SELECT click.* FROM (SELECT from_json($line, '{click_structure().replace(chr(39), chr(34))}') AS click)"  # noqa: S608


class DuckDbFacts(DatabaseConnections):
    """Facts in a DuckDB file. One thread loads at a time, any thread reads; readers see whole transactions."""

    def __init__(self, database: duckdb.DuckDBPyConnection, spool: Path) -> None:
        super().__init__(database)
        self._spool = spool
        self._forgotten: list[str] = []
        self.learning = DuckDbLearningFacts(self._reading_plainly)
        """The counts behind learning paths."""
        self.offer_visits = DuckDbOfferVisitCounts(self._reading_plainly)
        """The visitors that offers got."""
        self._known = {row[0] for row in self._writer.execute("SELECT segment FROM loaded_segments").fetchall()}
        self.marks = DuckDbMarkFacts(self._reading_plainly, self._writing_plainly)
        """The marks of clicks."""
        self.costs = DuckDbCostFacts(self._reading_plainly, self._writing_plainly)
        """The cost that was entered."""
        self.rollups = DuckDbRollupFacts(self._reading_plainly, self._writing_plainly)
        """The roll-ups that reports read where they can."""

    @classmethod
    def open(cls, path: Path, memory_limit_mb: int = MEMORY_LIMIT_MB, threads: int = 1) -> Self:
        """Open or create the file, and add missing columns. Threads speed up large reads and cost CPU on small loads.

        Raise FactsInUseError, FactsDamagedError or FactsError.
        """
        database = open_database(path, memory_limit_mb, threads)
        return cls(database, path.with_name(path.name + ".loading"))

    def load_clicks(self, segments: Sequence[SegmentContents], judgements: Judgements = NO_JUDGEMENTS) -> int:
        """Add the clicks of verified segments, in one transaction unless a segment is refused. Skip segments loaded before."""
        with self._writing, plain_errors():
            fresh = self._not_loaded(segments)
            if not fresh:
                return 0
            try:
                return self._load_clicks(fresh, judgements)
            # The engine does not say which of several files it refuses. One by one, all others can be loaded.
            except SegmentRefusedError:
                if len(fresh) == 1:
                    raise
            return self._load_one_by_one(fresh, judgements)

    def has_loaded(self, name: str) -> bool:
        """Return whether a segment's name is remembered as loaded."""
        with self._writing:
            return name in self._known

    def seen_visitors(self, visitors: Collection[int], since: int, until: int) -> list[SeenVisitor]:
        """Return the latest unique click of each of these visitors, by campaign and epoch, in a period (Unix milliseconds)."""
        with plain_errors(), self._reading() as reader:
            return find_seen(reader, visitors, since, until)

    def forget_visitors(self, before_at: int) -> int:
        """Delete the visitors seen before that moment (Unix milliseconds). Return the number of rows deleted."""
        with self._writing, plain_errors(), self._transaction() as writer:
            return delete_seen(writer, before_at)

    def forget_segments(self, names: Collection[str]) -> None:
        """Delete the names with a later load, or on closing."""
        with self._writing:
            self._forgotten += names

    def accepts_click(self, line: bytes) -> bool:
        """Return whether msgspec and the engine read the same click from a line."""
        if len(line) >= MAX_CLICK_LINE_BYTES:
            return False
        try:
            click = msgspec.json.decode(line, type=Click)
            with self._reading() as reader:
                row = reader.execute(_READ_CLICK, {"line": line.decode()}).fetchone()
            return row is not None and row[0] is not None and _click_of(row) == click
        except (msgspec.DecodeError, UnicodeDecodeError, *_REFUSALS):
            return False

    def load_facts(self, rows: Sequence[tuple[int, bytes]]) -> int:
        """Add the rows whose outbox id has not been taken yet, and their ids in the same transaction."""
        with self._writing, plain_errors():
            with self._transaction() as writer:
                taken = taken_ids(writer)
                fresh = {outbox_id: line for outbox_id, line in rows if outbox_id not in taken}
                if not fresh:
                    return 0
                lines = load_lines(writer, fresh)
                # In the same transaction as the rows: after a crash both or neither are there, so none is counted twice.
                write_taken(writer, taken, taken.adding(fresh))
            self._count_rows(lines)
            return lines

    def load_page_events(
        self,
        facts: Sequence[PageEventFact],
        waiting: Sequence[WaitingPageEvent],
        no_longer_waiting: Collection[str],
        segments: Sequence[str] = (),
    ) -> None:
        """Add rows, change which events wait, and remember segments, in one transaction."""
        with self._writing, plain_errors():
            with self._transaction() as writer:
                load(writer, facts, waiting, no_longer_waiting)
                # In the same transaction, as for clicks.
                writer.execute(
                    "INSERT INTO loaded_segments SELECT unnest($names::VARCHAR[])", {"names": list(segments)}
                )
                writer.execute("UPDATE outbox_taken SET loads = loads + 1")
            self._known.update(segments)
            self._count_rows(len(facts))

    def known_of_page_events(self, events: Sequence[PageEvent]) -> KnownOfPageEvents:
        """Return what is known of these events and of their clicks."""
        with plain_errors(), self._reading() as reader:
            return known_of(reader, events)

    def waiting_page_events(self, after_id: str, limit: int) -> list[WaitingPageEvent]:
        """Return events that wait for their click, in the order of their ids."""
        with plain_errors(), self._reading() as reader:
            return waiting_events(reader, after_id, limit)

    def find_page_events(
        self, click_ids: Collection[str], kind: PageEventKind | None = None, most: int = MAX_PAGE_EVENTS
    ) -> dict[str, tuple[PageEvent, ...]]:
        """Return page events by click id, oldest first (3 ms for a recent click)."""
        with plain_errors(), self._reading() as reader:
            return find_events(reader, click_ids, kind, most)

    def last_outbox_id(self) -> int:
        """Return the highest outbox id taken; 0 at first."""
        with plain_errors(), self._reading() as reader:
            return last_outbox_id(reader)

    def loads(self) -> int:
        """Return the number of loads committed since the file was created. It only decreases if an older copy is put back."""
        with plain_errors(), self._reading() as reader:
            row = reader.execute("SELECT loads FROM outbox_taken").fetchone()
            return int(row[0]) if row else 0

    def installation(self) -> str:
        """Return the id of the installation that these facts belong to; empty before ``stamp``."""
        with plain_errors(), self._reading() as reader:
            row = reader.execute("SELECT id FROM installation").fetchone()
            return str(row[0]) if row else ""

    def stamp(self, installation: str) -> None:
        """Write the id of the installation, unless there is one."""
        with self._writing, plain_errors(), self._transaction() as writer:
            writer.execute(
                "INSERT INTO installation SELECT $id WHERE NOT EXISTS (FROM installation)", {"id": installation}
            )

    def forget_conversions(self, outbox_taken: int, refilled_to: int = 0) -> None:
        """Delete all facts of conversions; the ledger hands them over again in rows after ``outbox_taken``. The rest stays."""
        with self._writing, plain_errors(), self._transaction() as writer:
            delete_facts(writer, "status_key IS NOT NULL")
            writer.execute("DELETE FROM outbox_skipped")
            writer.execute(
                "UPDATE outbox_taken SET last_id = $last, refilled_to = $refilled_to",
                {"last": outbox_taken, "refilled_to": refilled_to},
            )

    def is_refilling(self) -> bool:
        """Return whether conversions are handed over again that have not been taken yet."""
        with plain_errors(), self._reading() as reader:
            row = reader.execute("SELECT last_id < refilled_to FROM outbox_taken").fetchone()
            return bool(row and row[0])

    def find_clicks(self, click_ids: Collection[str]) -> dict[str, Click]:
        """Return clicks by id. An id begins with its time, so only row groups of that time are read (2 ms for a recent click)."""
        if not click_ids:
            return {}
        # The range in addition to the list: the engine skips row groups by ranges, but not by lists.
        wanted = list(click_ids)
        with plain_errors(), self._reading() as reader:
            rows = reader.execute(_FIND_CLICKS, {"ids": wanted, "first": min(wanted), "last": max(wanted)}).fetchall()
        return {click.click_id: click for click in map(_click_of, rows)}

    def clicks_page(self, wanted: ClickFilter, limit: int, before_click_id: str = "") -> list[Click]:
        """Return clicks, newest first. Reads only row groups that may contain the page, and wide columns only for its clicks."""
        with plain_errors(), self._reading() as reader:
            ids = click_ids_page(reader, wanted, limit, before_click_id)
        found = self.find_clicks(ids)
        return [found[click_id] for click_id in ids if click_id in found]

    def recent_clicks(self, most: int, campaign_id: int | None = None) -> dict[int, ClickEvidence]:
        """Return, by campaign (all, or one), a summary of its last ``most`` counted clicks."""
        with plain_errors(), self._reading() as reader:
            return recent_clicks(reader, most, campaign_id)

    def unknown_shares(self, campaign_ids: Collection[int], fields: Collection[str], since_at: int) -> dict[str, float]:
        """Return, by field, the share of recent clicks without a value; see ``unknown_shares.unknown_shares``."""
        with plain_errors(), self._reading() as reader:
            return unknown_shares(reader, campaign_ids, fields, since_at)

    def recent_landing_clicks(self, since: int, campaign_id: int | None = None) -> list[LandingEvidence]:
        """Return a summary of each landing's landing clicks since a moment."""
        with plain_errors(), self._reading() as reader:
            return recent_landing_clicks(reader, since, campaign_id)

    def delete_clicks(self, before_at: int) -> int:
        """Delete clicks from before that moment with their page events, at most one day's per call, but no conversions.

        Return the number of rows deleted.
        """
        with self._writing, plain_errors():
            oldest = self._writer.execute("SELECT min(click_at) FROM facts WHERE status_key IS NULL").fetchone()
            if oldest is None or oldest[0] is None or oldest[0] >= before_at:
                return 0
            # Bounded: deleting years at once would block loading, and need memory for all those rows.
            until_at = min(before_at, int(oldest[0]) + DAY_MS)
            with self._transaction() as writer:
                deleted = delete_facts(writer, f"status_key IS NULL AND click_at < {until_at}")
                merge_before(writer, until_at)
                forget_deleted(writer, base32_time(until_at))
                forget_deleted_shares(writer, base32_time(until_at))
            return deleted

    def report(self, query: ReportQuery, rates: Sequence[ExchangeRate]) -> Report:
        """Return the sums of a query's groups, and the totals."""
        with plain_errors(), self._reading() as reader:
            return read_report(reader, query, rates)

    def count_clicks(self, campaign_id: int, since: int, until: int) -> int:
        """Return the number of a campaign's counted clicks in a period."""
        with plain_errors(), self._reading() as reader:
            return count_clicks(reader, campaign_id, since, until)

    def click_rows(
        self, campaign_id: int, since: int, until: int, columns: Sequence[str]
    ) -> Iterator[list[tuple[object, ...]]]:
        """Yield a campaign's counted clicks of a period in batches of few columns."""
        with plain_errors(), self._reading() as reader:
            yield from click_rows(reader, campaign_id, since, until, columns)

    def rated_clicks(self, since: int, until: int, *, most: int) -> Iterator[RatedClick]:
        """Yield the latest counted clicks of a period in the order of their times."""
        with plain_errors(), self._reading() as reader:
            yield from rated_clicks(reader, since, until, most)

    def earned(self, campaign_id: int, since: int, until: int) -> dict[str, list[ConversionSum]]:
        """Return the conversions of a campaign's clicks of a period, by click id."""
        with plain_errors(), self._reading() as reader:
            return earned(reader, campaign_id, since, until)

    def verify(self, first_column: int = 0, seconds: float = float("inf")) -> Verification:
        """Read every block, or as much as fits into the time; see ``verifying.verify``."""
        with plain_errors(), self._reading() as reader:
            return verify(reader, first_column, seconds)

    def checkpoint(self) -> None:
        """Write the log into the file. Do nothing while there are readers: file and log together are just as safe."""
        # A checkpoint needs exclusive access, and fails at once during a read.
        with self._writing, plain_errors(), contextlib.suppress(duckdb.TransactionException):
            self._writer.execute("CHECKPOINT")
            self._new_rows = 0

    def close(self) -> None:
        """Write the log into the file and close it."""
        with self._writing, plain_errors():
            self._writer.execute(_FORGET, {"names": self._forgotten})
            self._writer.close()
            self._database.close()
            self._spool.unlink(missing_ok=True)

    def _not_loaded(self, segments: Sequence[SegmentContents]) -> list[SegmentContents]:
        """Return the segments whose names are not remembered, without duplicates."""
        by_name = {contents.segment.name: contents for contents in segments}
        return [contents for name, contents in by_name.items() if name not in self._known]

    def _load_clicks(self, segments: Sequence[SegmentContents], judgements: Judgements) -> int:
        """Add clicks and the names of their segments in one transaction."""
        files = few_files(self._spool, segments)
        names = [contents.segment.name for contents in segments]
        expected = sum(contents.count for contents in segments)
        # In batches, since deleting scans the table. A name that stays a little longer does no harm.
        forgotten = self._forgotten if len(self._forgotten) >= _FORGOTTEN_PER_LOAD else []
        with self._transaction() as writer:
            if forgotten:
                writer.execute(_FORGET, {"names": forgotten})
            # In the same transaction as the clicks: after a kill before the commit, the segment is loaded again.
            writer.execute("INSERT INTO loaded_segments SELECT unnest($names::VARCHAR[])", {"names": names})
            writer.execute("UPDATE outbox_taken SET loads = loads + 1")
            try:
                added = insert_clicks(writer, files, names, judgements)
            except _REFUSALS as error:
                raise SegmentRefusedError(names[0], str(error)) from error
            # Compared with the journal's count, since lines that the engine's JSON reader skips would be lost unnoticed.
            if added != expected:
                raise SegmentRefusedError(names[0], f"{added} clicks found where {expected} were expected")
        self._known.update(names)
        self._known.difference_update(forgotten)
        self._forgotten = self._forgotten[len(forgotten) :]
        self._count_rows(added)
        return added

    def _load_one_by_one(self, segments: Sequence[SegmentContents], judgements: Judgements) -> int:
        """Load each segment in a separate transaction, up to the first that is refused."""
        loaded = 0
        for contents in segments:
            try:
                loaded += self._load_clicks([contents], judgements)
            except SegmentRefusedError as refusal:
                raise SegmentRefusedError(refusal.segment_name, refusal.detail, loaded) from refusal
        return loaded


_FORGET = "DELETE FROM loaded_segments WHERE segment = ANY($names)"


def _click_of(row: tuple[object, ...]) -> Click:
    """Return the click in a row; NULL stands for a field's default."""
    present = {name: value for name, value in zip(_CLICK_NAMES, row, strict=True) if value is not None}
    return msgspec.convert(present, Click)
