"""The interface of the facts: an append-only table of additive rows, which also finds clicks by id."""

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

import msgspec

from clickloop.click.click import Click
from clickloop.click.click_log import ClickFilter
from clickloop.click.marks.rate_tally import RatedClick
from clickloop.click.page.page_event import PageEvent, PageEventKind
from clickloop.report.click_rows import ConversionSum
from clickloop.report.evidence import ClickEvidence, LandingEvidence
from clickloop.report.page_event_fact import PageEventFact
from clickloop.report.query import ExchangeRate, Report, ReportQuery
from clickloop.store.facts.cost_facts import CostFacts, CostReader
from clickloop.store.facts.judgements import NO_JUDGEMENTS, Judgements, SeenVisitor
from clickloop.store.facts.learning_facts import LearningFacts
from clickloop.store.facts.mark_facts import MarkFacts, MarkReader
from clickloop.store.facts.offer_visit_counts import OfferVisitCounts
from clickloop.store.facts.rollup_facts import RollupFacts
from clickloop.store.journal.segment import SegmentContents

MAX_PAGE_EVENTS = 200
"""Maximum number of page events per click that a look-up returns, the newest: anyone with a click id can send any number."""


class FactsError(Exception):
    """The facts cannot be opened, read or written; the operation had no effect."""


class FactsDamagedError(FactsError):
    """The database file is damaged."""


class FactsMemoryError(FactsError):
    """The operation needs more memory, or more room for what it sets aside on disk, than the facts may use."""


class FactsInUseError(FactsError):
    """Another process has the database open."""


class SegmentRefusedError(FactsError):
    """A segment has a record that is not a click. ``loaded``: number of clicks added from the segments before it."""

    def __init__(self, segment_name: str, detail: str, loaded: int = 0) -> None:
        super().__init__(
            f"segment {segment_name} holds a record that is not a click: {detail}; cut it out and load the rest"
        )
        self.segment_name = segment_name
        self.detail = detail
        self.loaded = loaded


class UnreadableRange(msgspec.Struct, frozen=True, kw_only=True):
    """A range of rows in which a column cannot be read."""

    table: str
    column: str
    first_row: int
    last_row: int
    why: str


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """The result of verifying. ``next_column``: where to continue; None if everything was read."""

    columns: int
    rows: int
    unreadable: tuple[UnreadableRange, ...] = ()
    unknown_page_events: int = 0
    """Number of page events that are in no figure because their click is unknown. Counted with the first columns."""
    next_column: int | None = None


class WaitingPageEvent(msgspec.Struct, frozen=True):
    """A page event whose click has not arrived. ``first_look_at``: when the core first looked for it, Unix milliseconds."""

    event: PageEvent
    first_look_at: int


class KnownOfPageEvents(msgspec.Struct, frozen=True):
    """The clicks, landing clicks and ids that the facts have for a batch of page events."""

    screenings: dict[str, str] = {}
    """The ``screening`` of each of their clicks that exists, by click id; empty if the click counts."""
    pressed: frozenset[tuple[str, int]] = frozenset()
    """Click ids and buttons with a counted landing click."""
    event_ids: frozenset[str] = frozenset()
    """Those of the events that are in the facts, or wait there for their click."""


class FactsReader(Protocol):
    """The methods of a store of facts that only read. Call them from any thread."""

    @property
    def marks(self) -> MarkReader:
        """Return the marks of its clicks."""
        ...

    @property
    def costs(self) -> CostReader:
        """Return the cost that was entered."""
        ...

    def find_clicks(self, click_ids: Collection[str]) -> dict[str, Click]:
        """Return the clicks with these ids, by id; unknown ids are absent."""
        ...

    def clicks_page(self, wanted: ClickFilter, limit: int, before_click_id: str = "") -> list[Click]:
        """Return a page of the click log, newest first."""
        ...

    def recent_clicks(self, most: int, campaign_id: int | None = None) -> dict[int, ClickEvidence]:
        """Return, by campaign (all, or one), a summary of its last ``most`` counted clicks, if it has any."""
        ...

    def find_page_events(
        self, click_ids: Collection[str], kind: PageEventKind | None = None, most: int = MAX_PAGE_EVENTS
    ) -> dict[str, tuple[PageEvent, ...]]:
        """Return the ``most`` newest page events of each click that has any, oldest first, also those that wait for it."""
        ...

    def unknown_shares(self, campaign_ids: Collection[int], fields: Collection[str], since_at: int) -> dict[str, float]:
        """Return, by field, the share of the campaigns' counted clicks since then without a value; none without clicks."""
        ...

    def recent_landing_clicks(self, since: int, campaign_id: int | None = None) -> list[LandingEvidence]:
        """Return a summary of each landing's landing clicks since a moment, of all campaigns or one."""
        ...

    def report(self, query: ReportQuery, rates: Sequence[ExchangeRate]) -> Report:
        """Return the sums of a query's groups, and the totals. ``rates`` convert into the query's currency."""
        ...

    def count_clicks(self, campaign_id: int, since: int, until: int) -> int:
        """Return the number of a campaign's counted clicks from ``since`` to before ``until``, in Unix milliseconds."""
        ...

    def click_rows(
        self, campaign_id: int, since: int, until: int, columns: Sequence[str]
    ) -> Iterator[list[tuple[object, ...]]]:
        """Yield those clicks in batches, in no order: the fields of ``ClickRow``, then ``columns``, which are fields of a click.

        ``unique`` is what conditions took it for: ``Click.was_routed_as_unique``.

        Memory is bounded by a batch. Close the iterator if you stop early: it reads from one state of the facts.
        """
        ...

    def rated_clicks(self, since: int, until: int, *, most: int) -> Iterator[RatedClick]:
        """Yield the latest counted clicks of a period in the order of their times, about ``most``. Close it if you stop early."""
        ...

    def earned(self, campaign_id: int, since: int, until: int) -> dict[str, list[ConversionSum]]:
        """Return the conversions of those clicks, by click id and currency. Clicks without any are absent."""
        ...

    @property
    def learning(self) -> LearningFacts:
        """Return what learning paths earned."""
        ...

    @property
    def offer_visits(self) -> OfferVisitCounts:
        """Return the counts of the visitors that offers got."""
        ...

    def verify(self, first_column: int = 0, seconds: float = float("inf")) -> Verification:
        """Read every block, or as many columns as the time allows, at least one. Raise FactsError."""
        ...


class FactsStore(FactsReader, Protocol):
    """The methods of every store of facts. Load from one thread at a time; read from any."""

    @property
    def marks(self) -> MarkFacts:
        """Return the marks of its clicks."""
        ...

    @property
    def costs(self) -> CostFacts:
        """Return the cost that was entered."""
        ...

    @property
    def rollups(self) -> RollupFacts:
        """Return the roll-ups that reports read where they can."""
        ...

    def load_clicks(self, segments: Sequence[SegmentContents], judgements: Judgements = NO_JUDGEMENTS) -> int:
        """Add the clicks of verified segments, each segment exactly once. Return the number of clicks added.

        ``judgements`` change their lines; visitors seen in a segment are added in its transaction.
        """
        ...

    def seen_visitors(self, visitors: Collection[int], since: int, until: int) -> list[SeenVisitor]:
        """Return the latest unique click of each of these visitors, by campaign and epoch, in a period (Unix milliseconds)."""
        ...

    def forget_visitors(self, before_at: int) -> int:
        """Delete the visitors seen before that moment (Unix milliseconds). Return the number of rows deleted."""
        ...

    def has_loaded(self, name: str) -> bool:
        """Return whether a segment's name is remembered as loaded."""
        ...

    def forget_segments(self, names: Collection[str]) -> None:
        """Forget the names of segments that have left the journal for good."""
        ...

    def accepts_click(self, line: bytes) -> bool:
        """Return whether a journal line can be loaded as a click. Slow: use it to find the bad line of a refused segment."""
        ...

    def load_facts(self, rows: Sequence[tuple[int, bytes]]) -> int:
        """Add outbox rows of the ledger (id, ``ConversionFact`` as JSON), each id exactly once. Return the number added.

        Ids need not ascend between calls: rows may be committed in another order than their ids were assigned.
        """
        ...

    def load_page_events(
        self,
        facts: Sequence[PageEventFact],
        waiting: Sequence[WaitingPageEvent],
        no_longer_waiting: Collection[str],
        segments: Sequence[str] = (),
    ) -> None:
        """Add rows with the dimensions of their clicks, keep events that wait, and forget those with these ids, all or nothing.

        ``segments``: names to remember as loaded, with the last events of these segments.
        """
        ...

    def known_of_page_events(self, events: Sequence[PageEvent]) -> KnownOfPageEvents:
        """Return what is known of these events and of their clicks."""
        ...

    def waiting_page_events(self, after_id: str, limit: int) -> list[WaitingPageEvent]:
        """Return events that wait for their click, in the order of their ids, from after an id."""
        ...

    def last_outbox_id(self) -> int:
        """Return the highest id taken from the ledger's outbox."""
        ...

    def loads(self) -> int:
        """Return the number of loads ever committed."""
        ...

    def rows_loaded(self) -> int:
        """Return the number of rows added since the store was opened: while it stays, so do all counts. Costs nothing."""
        ...

    def installation(self) -> str:
        """Return the id of the installation that these facts belong to; empty before ``stamp``."""
        ...

    def stamp(self, installation: str) -> None:
        """Write the id of the installation that these facts belong to, once."""
        ...

    def forget_conversions(self, outbox_taken: int, refilled_to: int = 0) -> None:
        """Delete all rows of conversions. ``outbox_taken``: the outbox id up to which rows count as taken from now on.

        The ledger hands them over again in rows up to ``refilled_to``. These get the marks that their clicks have in the facts.
        """
        ...

    def is_refilling(self) -> bool:
        """Return whether conversions are handed over again that have not been taken yet."""
        ...

    def delete_clicks(self, before_at: int) -> int:
        """Delete clicks from before that moment with their page events, at most one day's per call, but no conversions.

        Return the number of rows deleted.
        """
        ...

    def checkpoint(self) -> None:
        """Write everything into the database file, so that a copy of it is complete."""
        ...

    def close(self) -> None:
        """Write everything to disk and close the files."""
        ...
