"""The facts: what must be counted, one append-only table of additive rows, and the click looked up by its id."""

from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec

from clickloop.click.click import Click
from clickloop.click.click_log import ClickFilter
from clickloop.report.evidence import Clicks
from clickloop.report.query import Rate, Report, ReportQuery
from clickloop.store.journal.segment import SegmentContents


class FactsError(Exception):
    """The facts cannot be opened, read or written; nothing of what was asked has happened."""


class FactsDamagedError(FactsError):
    """The database file is not whole."""


class FactsInUseError(FactsError):
    """Another process has the database open."""


class SegmentRefusedError(FactsError):
    """A segment holds a record that is no click. ``loaded``: clicks of segments before it that were added all the same."""

    def __init__(self, segment_name: str, detail: str, loaded: int = 0) -> None:
        super().__init__(
            f"segment {segment_name} holds a record that is no click: {detail}; cut it out and load the rest"
        )
        self.segment_name = segment_name
        self.detail = detail
        self.loaded = loaded


class UnreadableRange(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of a column that cannot be read."""

    table: str
    column: str
    first_row: int
    last_row: int
    why: str


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """The result of reading. ``next_column`` None: everything was read."""

    columns: int
    rows: int
    unreadable: tuple[UnreadableRange, ...] = ()
    next_column: int | None = None


class FactsReader(Protocol):
    """The methods of a store of facts that only read; for any thread."""

    def find_clicks(self, click_ids: Collection[str]) -> dict[str, Click]:
        """The clicks with these ids; those that are not there are absent."""
        ...

    def clicks_page(self, wanted: ClickFilter, limit: int, before_click_id: str = "") -> list[Click]:
        """Clicks, newest first."""
        ...

    def recent_clicks(self, most: int, campaign_id: int | None = None) -> dict[int, Clicks]:
        """By campaign (all, or one), its last clicks that count, at most ``most`` of each; campaigns without any are absent."""
        ...

    def report(self, query: ReportQuery, rates: Sequence[Rate]) -> Report:
        """The sums of a query's groups, and of all of them. Money is converted by ``rates``, which are into the query's currency."""
        ...

    def verify(self, first_column: int = 0, seconds: float = float("inf")) -> Verification:
        """Read every block, or as many columns as the time allows, at least one. Raise FactsError."""
        ...


class Facts(FactsReader, Protocol):
    """What every store of facts can do. Loading is for one thread at a time; reading for any."""

    def load_clicks(self, segments: Sequence[SegmentContents]) -> int:
        """Adds the clicks of verified segments, each segment exactly once for ever; answers how many were added now."""
        ...

    def has_loaded(self, name: str) -> bool:
        """Return whether a segment's name is remembered as loaded."""
        ...

    def forget_segments(self, names: Collection[str]) -> None:
        """Says that these segments are out of the journal for good, so that their names need no longer be remembered."""
        ...

    def accepts_click(self, line: bytes) -> bool:
        """Whether one journal line could be loaded as a click. Slow: for finding the one in a segment that cannot."""
        ...

    def load_facts(self, rows: Sequence[tuple[int, bytes]]) -> int:
        """Add rows of the ledger's outbox (id, ``ConversionFact`` as JSON), each id exactly once for ever. Return how many were added.

        Ids need not ascend from one call to the next: rows are committed in another order than their ids were given out.
        """
        ...

    def last_outbox_id(self) -> int:
        """Return the highest id that was taken of the ledger's outbox."""
        ...

    def loads(self) -> int:
        """Return how many loads have been committed, ever."""
        ...

    def installation(self) -> str:
        """Return the id of the installation that these facts are of; empty before ``stamp``."""
        ...

    def stamp(self, installation: str) -> None:
        """Write whose facts these are."""
        ...

    def forget_conversions(self, outbox_taken: int) -> None:
        """Delete all that came of conversions. ``outbox_taken``: the rows of the ledger's outbox that count as taken from now on."""
        ...

    def delete_clicks(self, before_at: int) -> int:
        """Deletes clicks from before that moment, at most those of one day at a time; answers how many. Conversions stay."""
        ...

    def checkpoint(self) -> None:
        """Bring everything into the database file, so that a copy of it is whole."""
        ...

    def close(self) -> None:
        """Writes all down and lets the files go."""
        ...
