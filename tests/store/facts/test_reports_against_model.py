"""Random queries of random facts have the figures of a plain model: all of them, in every group, in order."""

import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import msgspec
import pytest

from clickloop.click.click import Click
from clickloop.click.marks.mark_correction import MarkChange
from clickloop.click.page.page_event import PageEvent
from clickloop.click_id import ClickIds
from clickloop.clock import DAY_MS, HOUR_MS
from clickloop.report.column import Column, figure_of, formula_column, kinds_of
from clickloop.report.condition import conditions_of
from clickloop.report.fact import ConversionFact
from clickloop.report.formula.parsing import parse_formula
from clickloop.report.measure import USUAL, Measure
from clickloop.report.page_event_fact import PageEventFact, page_event_facts
from clickloop.report.period import start_of_day
from clickloop.report.query import (
    Dimension,
    DimensionFilter,
    ExchangeRate,
    FilterOperator,
    Grouping,
    MomentRange,
    Parameter,
    ReportQuery,
    SortOf,
    TimeBasis,
)
from clickloop.store.facts.facts import FactsStore
from clickloop.store.journal.segment import Segment, SegmentContents, closed_segment_bytes
from tests.store.counting import differing_days
from tests.store.facts.report_model import Fact, Model, narrowed
from tests.store.facts.test_reports import OPENERS

D = Dimension
IS, NOT = FilterOperator.IN, FilterOperator.NOT_IN
HAS, LACKS = FilterOperator.CONTAINS, FilterOperator.NOT_CONTAINS
NUMERIC = tuple(operator for operator in FilterOperator if operator.is_numeric)
FIRST = date(2026, 3, 20)
DAYS = 30
BEGIN = 1_773_964_800_000  # 2026-03-20T00:00:00Z
ZONES = ("UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia")
STATUSES = {"sale": "confirmed", "hold": "pending", "lead": "pending", "rejected": "rejected"}
ZONE = Parameter("Zone", ((1, 1), (2, 3)))
GROUPINGS: tuple[Grouping, ...] = (
    *(D.CAMPAIGN, D.SOURCE, D.OFFER, D.LANDING, D.COUNTRY, D.OS_VERSION, D.REFERRER, D.UNIQUE, D.MARK, D.SCREENING),
    *(D.DAY, D.HOUR, D.WEEKDAY, D.HOUR_OF_DAY, D.STATUS, D.COUNTS_AS, D.DELAY, D.VISIT_NUMBER, D.V1, D.V3, ZONE),
)
FORMULAS = (
    "profit / clicks",
    "if(cost >= 0.5, revenue / cost, 0)",
    "conversions.hold - event3 + 2",
    "max(revenue.hold, revenue.sale, cost) * clicks",
    "nullif(conversions, pending) / (clicks - 3)",
    "-roi * 100 - cr",
    "min(epc, cpc) / 3",
    "cost * clicks * clicks * 999999999999 * 999999 * 999999",
)
CONDITIONS = (
    "cost >= 0.2 and conversions = 0",
    "clicks > 1",
    "roi < -10%",
    "revenue.hold > cost",
    "delay_p50 > 3600",
    "profit / clicks != 0 and clicks_recorded < 30",
)
RATES = (
    ExchangeRate("EUR", BEGIN // DAY_MS - 3, 1_083_712_345_678),
    ExchangeRate("EUR", BEGIN // DAY_MS + 9, 912_345_000_001),
    ExchangeRate("GBP", BEGIN // DAY_MS + 15, 1_300_000_000_000),
)


class World:
    """Random facts in a store and in the model."""

    def __init__(self, facts: FactsStore, folder: Path, seed: int) -> None:
        self.facts, self.folder, self.chance = facts, folder, random.Random(seed)
        self._ids = ClickIds(b"k" * 32)
        self._money = ("USD",) if seed % 3 == 0 else ("USD", "EUR", "GBP", "")
        clicks = self._clicks()
        happened: list[Fact] = [(click, None) for click in clicks]
        happened += self._conversions(clicks)
        happened += self._page_events(clicks)
        self.model = Model(self._with_new_marks(clicks, happened), RATES)

    def _pick(self, *values: Any) -> Any:
        return self.chance.choice(values)

    def _at(self) -> int:
        return BEGIN + self.chance.randrange(DAYS * DAY_MS)

    def _clicks(self) -> list[Click]:
        clicks = []
        for _ in range(160):
            at = self._at()
            fields = {
                "click_id": self._ids.new(at),
                "at": at,
                "campaign_id": self._pick(1, 2, 3),
                "source_id": self._pick(1, 2, 4),
                "offer_id": self._pick(0, 5, 6),
                "landing_id": self._pick(0, 0, 8),
                "cost_micros": self._pick(0, 1, 70_001, 999_999),
                "cost_currency": self._pick(*self._money[:3]),  # known for every cost
                "country": self._pick("", "DE", "FR"),
                "os": self._pick("", "iOS", "Android"),
                "os_version": self._pick("", "17.1"),
                "referrer": self._pick("", "https://News.example/a?b", "http://b.example:8080#x"),
                "unique": self._pick(True, False),
                "visit_number": self._pick(0, 1, 2),
                "marks": self._pick("", "", "repeat", "datacenter,repeat"),
                "screening": self._pick("", "", "", "", "prefetch", "test"),
                "v1": self._pick("", "zone-A", "zone-b", "0.25", "12"),
                "v3": self._pick("", "7", "x'); DROP", "ZONE-A"),
            }
            clicks.append(msgspec.convert(fields, Click))
        path = self.folder / "00000001.ndjson"
        path.write_bytes(closed_segment_bytes(1, [msgspec.json.encode(one)[:-1] + b',"crc":1}' for one in clicks]))
        self.facts.load_clicks([SegmentContents(Segment(path, "clicks", "w", 1, path.stat().st_size), len(clicks))])
        return clicks

    def _conversions(self, clicks: list[Click]) -> list[Fact]:
        rows: list[ConversionFact] = []
        for number in range(70):
            click = self.chance.choice(clicks)
            at = click.at + self._pick(-5_000, 0, 59_999, 3_600_000, DAY_MS, 9 * DAY_MS)
            status, currency = self._pick(*STATUSES), self._pick(*self._money)
            micros = self._pick(0, 3, 1_000_001, 25_500_000)
            offered = msgspec.structs.replace(click, offer_id=self._pick(click.offer_id, 6, 7))
            rows.append(_conversion(offered, number, at, status, currency, micros, 1))
            if self.chance.random() < 0.4:  # decided later, or taken back
                rows.append(_conversion(offered, number, at, status, currency, micros, -1))
                if self.chance.random() < 0.8:
                    rows.append(_conversion(offered, number, at, self._pick(*STATUSES), currency, micros, 1))
        self.facts.load_facts([(number + 1, msgspec.json.encode(row)) for number, row in enumerate(rows)])
        return [(row.click, row) for row in rows]

    def _page_events(self, clicks: list[Click]) -> list[Fact]:
        found: list[tuple[Click, PageEventFact]] = []
        for number in range(60):
            click = self.chance.choice(clicks)
            event = {
                "click_id": click.click_id,
                "event_id": f"e{number:04d}",
                "at": click.at + self._pick(1, HOUR_MS, 3 * DAY_MS),
                "kind": self._pick("landing_click", "landing_view", "event"),
                "button": 1,
                "offer_id": self._pick(0, 6),
                "screening": "",
                "events": {3: self._pick(1, 2_500_000)} if self.chance.random() < 0.5 else {},
            }
            made = page_event_facts(msgspec.convert(event, PageEvent), click.screening, is_repeated=False)
            found += [(click, row) for row in made]
        self.facts.load_page_events([row for _, row in found], (), ())
        return [(click, row) for click, row in found]

    def _with_new_marks(self, clicks: list[Click], happened: list[Fact]) -> list[Fact]:
        """Correct the marks of some clicks, and return all facts with the new ones."""
        gained = {click.click_id for click in clicks if click.screening == "" and self.chance.random() < 0.2}
        changes = [MarkChange(click_id, gained="no_referrer", lost="repeat") for click_id in sorted(gained)]
        self.facts.marks.correct_late(changes, BEGIN, BEGIN)
        return [(_remarked(click) if click.click_id in gained else click, fact) for click, fact in happened]

    def query(self) -> ReportQuery:
        """Return a random query."""
        zone = ZoneInfo(self._pick(*ZONES))
        start = FIRST + timedelta(self.chance.randrange(-2, 20))
        days = self._pick(1, 3, 10, 40)
        group_by = tuple(self.chance.sample(GROUPINGS, self._pick(0, 1, 1, 2, 3, 5)))
        columns = self._columns()
        compared = None
        if self.chance.random() < 0.4:
            earlier = start - timedelta(days)
            compared = MomentRange(start_of_day(earlier, zone), start_of_day(start, zone))
        sort = None if not group_by or self.chance.random() < 0.2 else self._pick(*(columns or USUAL))
        return ReportQuery(
            from_at=start_of_day(start, zone),
            until_at=start_of_day(start + timedelta(days), zone),
            compared=compared,
            basis=self._pick(*TimeBasis),
            zone=zone.key,
            currency="USD",
            group_by=group_by,
            filters=tuple(self._filter() for _ in range(self._pick(0, 0, 1, 2))),
            conditions=conditions_of(self._pick(*CONDITIONS), STATUSES) if self.chance.random() < 0.3 else (),
            columns=columns,
            sort=sort,
            sort_of=self._pick(*SortOf) if compared else SortOf.VALUE,
            descending=self._pick(True, False),
            limit=10_000,
            statuses=self._pick((), ("hold", "sale")),
        )

    def _columns(self) -> tuple[Column, ...] | None:
        if self.chance.random() < 0.3:
            return None
        names = [*Measure, "conversions.hold", "revenue.sale", "event3"]
        columns: list[Column] = []
        for name in self.chance.sample(names, self._pick(1, 4, len(names))):
            figure = figure_of(name, STATUSES)
            assert figure is not None
            columns.append(figure)
        texts = self.chance.sample(FORMULAS, self._pick(0, 1, 3))
        columns += [formula_column(text, parse_formula(text, kinds_of(STATUSES)), STATUSES) for text in texts]
        return tuple(columns)

    def _filter(self) -> DimensionFilter:
        dimension, values, operators = self._pick(
            (D.COUNTRY, ("DE", "", "XX"), (IS, NOT)),
            (D.OFFER, ("0", "6"), (IS, NOT)),
            (D.STATUS, ("hold", "sale"), (IS, NOT)),
            (D.DELAY, ("0", "60", "3600"), (IS, NOT)),
            (D.MARK, ("", "repeat", "+repeat", "any"), (IS, NOT)),
            (D.VISIT_NUMBER, ("0", "2"), (IS, NOT)),
            (D.COUNTS_AS, ("pending", ""), (IS, NOT)),
            (D.OS_VERSION, ("", "iOS 17.1"), (IS, NOT)),
            (D.REFERRER, ("NEWS", "8080"), (HAS, LACKS)),
            (D.V1, ("zone", "B", "5"), (HAS, LACKS)),
            (ZONE, ("zone-A", ""), (IS, NOT)),
            (D.WEEKDAY, ("1", "7"), (IS, NOT)),
        )
        if self.chance.random() < 0.3:
            dimension, values = self._pick((D.V1, ("250000", "11000000")), (D.HOUR_OF_DAY, ("9000000",)))
            return DimensionFilter(dimension, (self._pick(*values),), self._pick(*NUMERIC))
        chosen = self.chance.sample(values, self._pick(1, len(values)))
        return DimensionFilter(dimension, tuple(chosen), self._pick(*operators))


def _conversion(
    click: Click, number: int, at: int, status: str, currency: str, micros: int, sign: int
) -> ConversionFact:
    counts_as = STATUSES[status]
    name = {"confirmed": "revenue_micros", "pending": "pending_micros", "rejected": "rejected_micros"}[counts_as]
    fact = {
        "click": msgspec.to_builtins(click),
        "conversion_id": f"c{number}",
        "at": at,
        "recorded_at": at,
        "status_key": status,
    }
    more = {"counts_as": counts_as, "currency": currency, "conversions": sign, name: sign * micros}
    return msgspec.convert(fact | more, ConversionFact)


def _remarked(click: Click) -> Click:
    marks = {*click.marks.split(",")} - {"", "repeat"} | {"no_referrer"}
    return msgspec.structs.replace(click, marks=",".join(sorted(marks)))


@pytest.fixture(params=[(name, seed) for name in OPENERS for seed in range(6)], ids=lambda one: f"{one[0]}-{one[1]}")
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    name, seed = cast(tuple[str, int], request.param)
    opener: Callable[[Path], FactsStore] = OPENERS[name]
    facts = opener(tmp_path)
    yield World(facts, tmp_path, seed)
    assert differing_days(facts) == []
    facts.close()


def test_every_figure_of_random_queries_is_that_of_the_model(world: World) -> None:
    for _ in range(40):
        query = world.query()
        report = world.facts.report(query, RATES)
        wanted = world.model.groups(query) if query.group_by else []
        assert [group.keys for group in report.groups] == [keys for keys, _, _ in wanted], query
        assert report.group_count == len(wanted)
        for group, (_, now, before) in zip(report.groups, wanted, strict=True):
            _assert_same(group.sums, now, query)
            if query.compared:
                assert group.before is not None
                _assert_same(group.before, before, query)
        if query.group_by or not query.conditions:
            totals, totals_before = world.model.totals(query)
            _assert_same(report.totals, totals, query)
            if report.totals_before is not None:
                _assert_same(report.totals_before, totals_before, query)


def _assert_same(found: Any, wanted: Any, query: ReportQuery) -> None:
    assert narrowed(found, query) == narrowed(wanted, query), query
    for column in USUAL if query.columns is None else query.columns:
        assert column.of(found) == column.of(wanted)
