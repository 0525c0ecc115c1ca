"""Reports of every store of facts: groups, filters, time zones, currencies, order and totals."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clickloop.click.click import Click
from clickloop.click.page.page_event import PageEvent
from clickloop.click_id import ClickIds
from clickloop.clock import DAY_MS, HOUR_MS
from clickloop.report.fact import ConversionFact
from clickloop.report.measure import Measure, OtherMoney
from clickloop.report.page_event_fact import page_event_facts
from clickloop.report.query import Dimension, DimensionFilter, ExchangeRate, Report, ReportQuery
from clickloop.store.facts.facts import FactsStore
from clickloop.store.journal.segment import Segment, SegmentContents, closed_segment_bytes
from tests.empty_stores import open_facts
from tests.store.counting import differing_days

OPENERS: dict[str, Callable[[Path], FactsStore]] = {"duckdb": lambda folder: open_facts(folder / "facts.duckdb")}
NOON = 1_772_366_400_000  # 2026-03-01T12:00:00Z, a Sunday
D = Dimension
TODAY = NOON // DAY_MS
E12 = 10**12


class Counted:
    """Facts in a folder, and their reports."""

    def __init__(self, folder: Path, opener: Callable[[Path], FactsStore]) -> None:
        self.folder = folder
        self.facts = opener(folder)
        self._ids = ClickIds(b"k" * 32)
        self._segments = count(1)
        self._outbox = count(1)

    def visit(self, times: int = 1, at: int = NOON, **fields: Any) -> Click:
        """Load a number of equal clicks, and return the last one."""
        usual = {"campaign_id": 1, "source_id": 2} | fields
        clicks = [self.click(at, **usual) for _ in range(times)]
        self.load(*clicks)
        return clicks[-1]

    def click(self, at: int = NOON, **fields: Any) -> Click:
        """Return a new click of campaign 1, not loaded."""
        return msgspec.convert(
            {"click_id": self._ids.new(at), "at": at, "campaign_id": 1, "source_id": 2} | fields, Click
        )

    def load(self, *clicks: Click) -> None:
        """Load these clicks."""
        number = next(self._segments)
        path = self.folder / f"{number:08d}.ndjson"
        lines = [msgspec.json.encode(click)[:-1] + b',"crc":1}' for click in clicks]
        path.write_bytes(closed_segment_bytes(number, lines))
        segment = Segment(path, "clicks", "writer", number, path.stat().st_size)
        self.facts.load_clicks([SegmentContents(segment, len(clicks))])

    def convert(self, click: Click, micros: int = 0, status: str = "sale", at: int = NOON, **fields: object) -> None:
        """Load a conversion of a click; ``conversions=-1`` reverts one."""
        counts_as = {"sale": "confirmed", "rejected": "rejected"}.get(status, "pending")
        money = {"confirmed": "revenue_micros", "rejected": "rejected_micros", "pending": "pending_micros"}[counts_as]
        fact = {
            "click": click,
            "conversion_id": "c",
            "at": at,
            "recorded_at": at,
            "status_key": status,
            "counts_as": counts_as,
            "currency": "USD",
            "conversions": 1,
            money: micros,
        }
        row = msgspec.convert(msgspec.to_builtins(fact | fields), ConversionFact)
        self.facts.load_facts([(next(self._outbox), msgspec.json.encode(row))])

    def press(self, click: Click, button: int = 1, **fields: Any) -> None:
        """Load a view of the landing, and a click on one of its buttons with a number."""
        usual = {"click_id": click.click_id, "at": NOON, "screening": ""}
        press = {"event_id": str(next(self._outbox)), "kind": "landing_click", "button": button, "events": {1: 5}}
        view = {"event_id": str(next(self._outbox)), "kind": "landing_view"}
        for event in (press | fields, view):
            rows = page_event_facts(msgspec.convert(usual | event, PageEvent), click.screening, is_repeated=False)
            self.facts.load_page_events(rows, (), ())

    def close(self) -> None:
        """Close the facts. Whatever was written, the roll-ups follow it."""
        try:
            assert differing_days(self.facts) == []
        finally:
            self.facts.close()

    def report(self, *group_by: Dimension, rates: tuple[ExchangeRate, ...] = (), **asked: Any) -> Report:
        """Return a report of the days around noon, in UTC unless specified otherwise."""
        usual: dict[str, Any] = {"from_at": NOON - 30 * DAY_MS, "until_at": NOON + 30 * DAY_MS, "currency": "USD"}
        return self.facts.report(ReportQuery(group_by=group_by, **usual | asked), rates)


@pytest.fixture(params=list(OPENERS))
def counted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Counted]:
    made = Counted(tmp_path, OPENERS[request.param])
    yield made
    made.close()


def keys(report: Report) -> list[tuple[int | str, ...]]:
    return [group.keys for group in report.groups]


def test_nothing_happened_is_an_empty_report(counted: Counted) -> None:
    for report in (counted.report(), counted.report(D.CAMPAIGN)):
        assert (report.groups, report.group_count, report.totals.clicks) == ((), 0, 0)


def test_clicks_count_by_what_they_are(counted: Counted) -> None:
    counted.visit(3, unique=True, cost_micros=5, cost_currency="USD")
    counted.visit(2)
    counted.visit(4, screening="prefetch", cost_micros=1, cost_currency="USD", unique=True)
    sums = counted.report().totals
    assert (sums.clicks, sums.unique_clicks, sums.clicks_recorded, sums.cost_micros) == (5, 3, 9, 19)


def test_test_clicks_are_left_out_with_their_cost(counted: Counted) -> None:
    counted.visit()
    counted.visit(screening="test", cost_micros=9, cost_currency="USD")
    sums = counted.report().totals
    assert (sums.clicks, sums.clicks_recorded, sums.cost_micros) == (1, 1, 0)


def test_conversions_count_by_how_their_status_counts_and_each_status_by_itself(counted: Counted) -> None:
    click = counted.visit()
    counted.convert(click, 30)
    counted.convert(click, 40, "hold")
    counted.convert(click, 50, "other")
    counted.convert(click, 60, "rejected")
    sums = counted.report(statuses=("hold", "sale", "rejected", "other", "trial")).totals
    assert (sums.confirmed, sums.pending, sums.rejected) == (1, 2, 1)
    assert (sums.revenue_micros, sums.pending_micros, sums.rejected_micros) == (30, 90, 60)
    assert sums.by_status == {"hold": 1, "sale": 1, "rejected": 1, "other": 1, "trial": 0}


def test_what_was_taken_back_counts_no_more(counted: Counted) -> None:
    click = counted.visit()
    counted.convert(click, 30, "hold")
    counted.convert(click, -30, "hold", conversions=-1)
    counted.convert(click, 30, "sale")
    sums = counted.report(statuses=("hold",)).totals
    assert (sums.confirmed, sums.pending, sums.revenue_micros, sums.pending_micros) == (1, 0, 30, 0)
    assert sums.by_status == {"hold": 0}


_VALUES: dict[Dimension, tuple[dict[str, Any], int | str]] = {
    D.CAMPAIGN: ({"campaign_id": 7}, 7),
    D.SOURCE: ({"source_id": 7}, 7),
    D.OFFER: ({"offer_id": 7}, 7),
    D.NETWORK: ({"network_id": 7}, 7),
    D.LANDING: ({"landing_id": 7}, 7),
    D.FLOW: ({"flow_id": 7}, 7),
    D.RULE: ({"rule_id": 7}, 7),
    D.PATH: ({"path_id": 7}, 7),
    D.COUNTRY: ({"country": "DE"}, "DE"),
    D.REGION: ({"region": "US-CA"}, "US-CA"),
    D.CITY: ({"city": "São Paulo"}, "São Paulo"),
    D.ISP: ({"isp": "Acme Telecom"}, "Acme Telecom"),
    D.ASN: ({"asn": "64500"}, "64500"),
    D.CONNECTION: ({"connection": "mobile"}, "mobile"),
    D.LANGUAGE: ({"language": "de"}, "de"),
    D.DEVICE: ({"device": "tv"}, "tv"),
    D.BRAND: ({"brand": "Acme"}, "Acme"),
    D.MODEL: ({"brand": "Acme", "model": "X"}, "Acme X"),
    D.OS: ({"os": "iOS"}, "iOS"),
    D.OS_VERSION: ({"os": "iOS", "os_version": "17.1"}, "iOS 17.1"),
    D.BROWSER: ({"browser": "Safari"}, "Safari"),
    D.BROWSER_VERSION: ({"browser": "Safari", "browser_version": "17"}, "Safari 17"),
    D.DOMAIN: ({"domain": "a.example"}, "a.example"),
    D.REFERRER: ({"referrer": "https://News.example/a?b"}, "news.example"),
    D.UNIQUE: ({"unique": True}, "unique"),
    D.VISIT_NUMBER: ({"visit_number": 3}, 3),
    D.MARK: ({"marks": "datacenter,repeat"}, "datacenter,repeat"),
    D.DAY: ({"at": NOON - DAY_MS}, NOON - 36 * HOUR_MS),
    D.HOUR: ({"at": NOON + 61_000}, NOON),
    D.WEEKDAY: ({"at": NOON + 2 * DAY_MS}, 2),
    D.HOUR_OF_DAY: ({"at": NOON + HOUR_MS + 1}, 13),
    **{Dimension(f"v{number}"): ({f"v{number}": "a,b"}, "a,b") for number in range(1, 31)},
}


@pytest.mark.parametrize("dimension", _VALUES)
def test_every_dimension_groups_and_filters_clicks_and_conversions(counted: Counted, dimension: Dimension) -> None:
    fields, key = _VALUES[dimension]
    at = int(str(fields.get("at", NOON)))
    counted.visit(2, at=NOON - 9 * DAY_MS - 5 * HOUR_MS, campaign_id=1, source_id=1)
    click = counted.visit(3, **fields)
    counted.convert(click, 5, at=at)
    report = counted.report(dimension)
    first = report.groups[0]
    assert (report.group_count, first.keys, first.sums.clicks, first.sums.confirmed) == (2, (key,), 3, 1)
    assert report.totals.clicks == 5
    if dimension not in (D.DAY, D.HOUR):
        only = counted.report(filters=(DimensionFilter(dimension, (str(key),)),)).totals
        assert (only.clicks, only.confirmed, only.revenue_micros) == (3, 1, 5)


def test_what_is_not_there_is_a_group_and_can_be_filtered_by(counted: Counted) -> None:
    counted.visit(2)
    counted.visit(country="DE", offer_id=4, os="iOS")
    assert keys(counted.report(D.COUNTRY)) == [("",), ("DE",)]
    assert keys(counted.report(D.OFFER)) == [(0,), (4,)]
    assert keys(counted.report(D.OS_VERSION)) == [("",), ("iOS",)]
    for nothing in (
        DimensionFilter(D.COUNTRY, ("",)),
        DimensionFilter(D.OFFER, ("0",)),
        DimensionFilter(D.OS_VERSION, ("",)),
    ):
        assert counted.report(filters=(nothing,)).totals.clicks == 2
    assert counted.report(filters=(DimensionFilter(D.COUNTRY, ("", "DE")),)).totals.clicks == 3


def test_filters_of_several_dimensions_must_all_hold(counted: Counted) -> None:
    counted.visit(1, country="DE", device="tv")
    counted.visit(2, country="DE", device="mobile")
    counted.visit(4, country="FR", device="tv")
    wanted = (DimensionFilter(D.COUNTRY, ("DE", "FR")), DimensionFilter(D.DEVICE, ("tv",)))
    assert counted.report(filters=wanted).totals.clicks == 5


def test_by_status_conversions_are_grouped_without_clicks(counted: Counted) -> None:
    click = counted.visit(5, cost_micros=1, cost_currency="USD")
    counted.convert(click, 3)
    counted.convert(click, 4, "hold")
    report = counted.report(D.STATUS, sort=None, descending=False)
    assert [(group.keys, group.sums.clicks, group.sums.cost_micros) for group in report.groups] == [
        (("hold",), 0, 0),
        (("sale",), 0, 0),
    ]
    assert (report.totals.revenue_micros, report.totals.pending_micros, report.totals.clicks) == (3, 4, 0)


def test_a_filter_by_status_narrows_conversions_alone(counted: Counted) -> None:
    click = counted.visit(5)
    counted.convert(click, 3)
    counted.convert(click, 4, "hold")
    sums = counted.report(filters=(DimensionFilter(D.STATUS, ("hold",)),)).totals
    assert (sums.clicks, sums.confirmed, sums.pending) == (5, 0, 1)


def test_page_events_have_the_dimensions_of_their_click_and_the_offer_of_the_button(counted: Counted) -> None:
    click = counted.visit(2, country="DE", landing_id=3, path_id=4)
    counted.press(click, offer_id=8, network_id=9)
    counted.visit(country="FR")
    for dimension, key in ((D.COUNTRY, "DE"), (D.LANDING, 3), (D.PATH, 4), (D.OFFER, 8), (D.NETWORK, 9)):
        groups = {group.keys[0]: group.sums for group in counted.report(dimension).groups}
        sums = groups[key]
        assert (sums.landing_clicks, sums.offer_visits, sums.events) == (1, 1, 1)
        only = counted.report(filters=(DimensionFilter(dimension, (str(key),)),)).totals
        assert (only.landing_clicks, only.events) == (1, 1)
    sums = counted.report().totals
    assert (sums.landing_visits, sums.landing_views, sums.landing_clicks, sums.events) == (2, 1, 1, 1)
    assert Measure.LP_CTR.of(sums) == 500_000


def test_page_events_count_whatever_the_currencies(counted: Counted) -> None:
    click = counted.visit(landing_id=3, cost_micros=4, cost_currency="USD")
    counted.press(click, offer_id=8)
    counted.convert(click, 6, currency="EUR")
    sums = counted.report(D.LANDING).groups[0].sums
    assert (sums.landing_clicks, sums.landing_views, sums.cost_micros) == (1, 1, 4)
    assert sums.not_converted == (OtherMoney(currency="EUR", revenue_micros=6),)


def test_a_report_by_status_has_no_page_events(counted: Counted) -> None:
    click = counted.visit(landing_id=3)
    counted.press(click)
    counted.convert(click, 6)
    sums = counted.report(D.STATUS).totals
    assert (sums.landing_clicks, sums.confirmed) == (0, 1)


def test_clean_clicks_are_those_without_marks(counted: Counted) -> None:
    counted.visit(3)
    counted.visit(2, marks="datacenter,repeat")
    counted.visit(1, screening="prefetch")
    assert (counted.report().totals.clean_clicks, counted.report().totals.clicks) == (3, 5)


def test_every_other_dimension_has_a_test_of_its_own() -> None:
    assert {*Dimension} - {*_VALUES} == {D.STATUS, D.COUNTS_AS, D.DELAY, D.SCREENING}


def test_screened_clicks_are_recorded_by_their_reason(counted: Counted) -> None:
    counted.visit(2)
    counted.visit(3, screening="prefetch")
    groups = counted.report(D.SCREENING, sort=None, descending=False).groups
    assert [(group.keys, group.sums.clicks, group.sums.clicks_recorded) for group in groups] == [
        (("",), 2, 2),
        (("prefetch",), 0, 3),
    ]


def test_conversions_are_grouped_by_the_class_of_their_delay(counted: Counted) -> None:
    click = counted.visit()
    for seconds in (0, 59, 60, 3_600, 90 * 86_400):
        counted.convert(click, 1, at=NOON + seconds * 1000)
    report = counted.report(D.DELAY, until_at=NOON + 100 * DAY_MS, sort=None, descending=False)
    assert [(group.keys[0], group.sums.confirmed) for group in report.groups] == [
        (0, 2),
        (60, 1),
        (3_600, 1),
        (30 * 86_400, 1),
    ]


def test_marks_are_a_dimension_in_which_each_click_counts_once(counted: Counted) -> None:
    counted.visit(3)
    counted.visit(2, marks="datacenter,repeat")
    counted.visit(1, marks="repeat")
    counted.convert(counted.visit(marks="repeat"), 6)
    report = counted.report(D.MARK)
    assert [(group.keys, group.sums.clicks, group.sums.clean_clicks) for group in report.groups] == [
        (("",), 3, 3),
        (("datacenter,repeat",), 2, 0),
        (("repeat",), 2, 0),
    ]
    assert report.groups[2].sums.confirmed == 1
    assert (report.totals.clicks, report.totals.clean_clicks) == (7, 3)


@pytest.mark.parametrize(
    ("values", "clicks"),
    [
        ([""], 3),
        (["any"], 7),
        (["", "any"], 10),
        (["repeat"], 4),
        (["+repeat"], 6),
        (["datacenter,repeat"], 2),
        (["+datacenter", "repeat"], 7),
        (["", "+no_view"], 3),
        (["+no_view"], 0),
    ],
)
def test_a_report_is_of_clean_clicks_of_marked_ones_or_of_those_with_a_mark(
    counted: Counted, values: list[str], clicks: int
) -> None:
    counted.visit(3)
    counted.visit(2, marks="datacenter,repeat")
    counted.visit(1, marks="datacenter")
    counted.visit(4, marks="repeat")
    report = counted.report(filters=(DimensionFilter(D.MARK, tuple(values)),))
    assert report.totals.clicks == clicks


def test_two_groupings_make_pairs(counted: Counted) -> None:
    counted.visit(3, country="DE")
    counted.visit(2, country="DE", device="tv")
    counted.visit(1, country="FR", device="tv")
    assert keys(counted.report(D.COUNTRY, D.DEVICE)) == [("DE", ""), ("DE", "tv"), ("FR", "tv")]


def test_the_totals_are_of_all_groups_though_few_are_shown(counted: Counted) -> None:
    for number in range(1, 8):
        counted.visit(number, v1=str(number))
    report = counted.report(D.V1, limit=2, offset=1)
    assert (keys(report), report.group_count, report.totals.clicks) == ([("6",), ("5",)], 7, 28)


@pytest.mark.parametrize("measure", list(Measure))
@pytest.mark.parametrize("descending", [True, False])
def test_every_measure_orders_and_what_has_no_value_comes_last(
    counted: Counted, measure: Measure, descending: bool
) -> None:
    little = counted.visit(20, v1="little", cost_micros=1, cost_currency="USD")
    much = counted.visit(40, v1="much", cost_micros=2, cost_currency="USD", unique=True)
    counted.visit(1, v1="nothing", screening="prefetch")
    little_seen = counted.visit(5, v1="little", landing_id=1, unique=True)
    much_seen = counted.visit(9, v1="much", offer_id=1, landing_id=1, marks="repeat")
    for seen, presses in ((little_seen, 1), (much_seen, 4)):
        for button in range(presses):
            counted.press(seen, button, offer_id=1)
    for click, times, micros in ((little, 1, 10), (much, 9, 90)):
        for status in ("sale", "hold", "rejected"):
            for _ in range(times if status != "rejected" else (times + 1) // 5 + 1):
                counted.convert(click, micros, status, at=NOON + times * 1000)
    values = [measure.of(group.sums) for group in counted.report(D.V1, sort=measure, descending=descending).groups]
    known = [value for value in values if value is not None]
    assert len(set(known)) > 1
    assert values == [*sorted(known, reverse=descending), *[None] * (len(values) - len(known))]


def test_days_begin_and_end_where_the_time_zone_says(counted: Counted) -> None:
    midnight = int(datetime(2026, 3, 2, tzinfo=ZoneInfo("America/New_York")).timestamp()) * 1000
    counted.visit(1, at=midnight - 1)
    counted.visit(2, at=midnight)
    report = counted.report(D.DAY, zone="America/New_York", sort=None, descending=False)
    assert [(group.keys, group.sums.clicks) for group in report.groups] == [((midnight - DAY_MS,), 1), ((midnight,), 2)]


def test_the_hour_that_comes_twice_stands_twice_and_its_day_has_25(counted: Counted) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    midnight = int(datetime(2026, 10, 25, tzinfo=berlin).timestamp()) * 1000
    for hour in range(25):
        counted.visit(at=midnight + hour * HOUR_MS)
    period: dict[str, Any] = {"from_at": midnight, "until_at": midnight + 25 * HOUR_MS, "zone": "Europe/Berlin"}
    hours = counted.report(D.HOUR, sort=None, descending=False, **period)
    assert keys(hours) == [(midnight + hour * HOUR_MS,) for hour in range(25)]
    assert keys(counted.report(D.DAY, **period)) == [(midnight,)]
    twice = [group.sums.clicks for group in counted.report(D.HOUR_OF_DAY, sort=None, descending=False, **period).groups]
    assert twice == [1, 1, 2, *[1] * 21]


@pytest.mark.parametrize(
    "zone", ["Asia/Kathmandu", "Europe/London", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia"]
)
def test_every_zone_puts_each_moment_into_its_local_hour_and_day(zone: str, tmp_path: Path) -> None:
    counted = Counted(tmp_path, OPENERS["duckdb"])
    moments = [NOON + place * 7_919_000 * 37 for place in range(60)]
    for moment in moments:
        counted.visit(at=moment)
    wide: dict[str, Any] = {"from_at": moments[0], "until_at": moments[-1] + 1, "zone": zone, "limit": 1000}
    found = keys(counted.report(D.DAY, D.HOUR_OF_DAY, sort=None, descending=False, **wide))
    local = [datetime.fromtimestamp(moment / 1000, UTC).astimezone(ZoneInfo(zone)) for moment in moments]
    days = [int(datetime(at.year, at.month, at.day, tzinfo=ZoneInfo(zone)).timestamp()) * 1000 for at in local]
    assert found == sorted({(day, at.hour) for day, at in zip(days, local, strict=True)})
    counted.facts.close()


def test_money_is_converted_at_the_rate_of_its_day_or_the_latest_before(counted: Counted) -> None:
    click = counted.visit(cost_micros=1_000, cost_currency="EUR", at=NOON - DAY_MS)
    counted.convert(click, 1_000, currency="EUR", at=NOON)
    counted.convert(click, 1_000, currency="USD")
    counted.convert(click, 1_000, "hold", currency="EUR", at=NOON + 3 * DAY_MS)
    rates = (
        ExchangeRate("EUR", TODAY, 1_100_000_000_000),
        ExchangeRate("EUR", TODAY - 5, 2 * E12),
        ExchangeRate("GBP", TODAY, 9 * E12),
    )
    sums = counted.report(rates=rates).totals
    assert (sums.cost_micros, sums.revenue_micros, sums.pending_micros) == (2_000, 2_100, 1_100)
    assert sums.not_converted == ()


def test_money_without_a_rate_is_told_apart_and_never_guessed(counted: Counted) -> None:
    click = counted.visit(cost_micros=7, cost_currency="USD")
    counted.convert(click, 5, currency="EUR", at=NOON - 2 * DAY_MS)
    counted.convert(click, 6, currency="EUR")
    counted.convert(click, 8, "rejected", currency="")
    report = counted.report(D.CAMPAIGN, rates=(ExchangeRate("EUR", TODAY, E12 // 2),))
    apart = (OtherMoney(currency="", rejected_micros=8), OtherMoney(currency="EUR", revenue_micros=5))
    for sums in (report.totals, report.groups[0].sums):
        assert (sums.revenue_micros, sums.cost_micros, sums.confirmed) == (3, 7, 2)
        assert sums.not_converted == apart


def test_sums_are_exact_before_they_are_rounded(counted: Counted) -> None:
    click = counted.visit()
    for _ in range(3):
        counted.convert(click, 1, currency="EUR")
        counted.convert(click, -1, "hold", currency="EUR")
    sums = counted.report(rates=(ExchangeRate("EUR", 0, E12 // 2),)).totals
    assert (sums.revenue_micros, sums.pending_micros) == (2, -2)


def test_the_largest_sums_do_not_overflow(counted: Counted) -> None:
    click = counted.visit()
    micros = 999_999_999_999_999_999
    for _ in range(4):
        counted.convert(click, micros, currency="EUR")
    assert counted.report(rates=(ExchangeRate("EUR", 0, 999_999 * E12),)).totals.revenue_micros == 4 * micros * 999_999


_clicks: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    v1=st.sampled_from(["", "a", "b"]),
    country=st.sampled_from(["", "DE"]),
    cost_micros=st.integers(0, 9),
    cost_currency=st.sampled_from(["USD", "EUR", "GBP"]),
    unique=st.booleans(),
    screening=st.sampled_from(["", "prefetch", "test"]),
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(st.tuples(_clicks, st.integers(-5, 5), st.sampled_from(["sale", "hold", "rejected"])), max_size=8))
def test_the_totals_are_the_sums_of_the_groups_however_they_are_made(
    tmp_path_factory: pytest.TempPathFactory, happened: list[tuple[dict[str, Any], int, str]]
) -> None:
    counted = Counted(tmp_path_factory.mktemp("facts"), OPENERS["duckdb"])
    for fields, micros, status in happened:
        counted.convert(counted.visit(**fields), micros, status, currency=fields["cost_currency"])
    rates = (ExchangeRate("EUR", 0, 3 * E12),)
    for group_by in ((), (D.V1,), (D.COUNTRY, D.V1), (D.DAY,)):
        report = counted.report(*group_by, rates=rates)
        if group_by:
            for name in ("clicks", "unique_clicks", "clicks_recorded", "confirmed", "pending", "rejected"):
                assert getattr(report.totals, name) == sum(getattr(group.sums, name) for group in report.groups)
            for name in ("cost_micros", "revenue_micros", "pending_micros", "rejected_micros"):
                assert getattr(report.totals, name) == sum(getattr(group.sums, name) for group in report.groups)
        wanted = [fields for fields, _, _ in happened if fields["screening"] != "test"]
        euros = {"USD": 1, "EUR": 3, "GBP": 0}
        cost = sum(int(str(fields["cost_micros"])) * euros[str(fields["cost_currency"])] for fields in wanted)
        assert report.totals.cost_micros == cost
    counted.facts.close()
