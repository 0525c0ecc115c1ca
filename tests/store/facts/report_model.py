"""A slow, plain model of reports: rows in a list, figures in Python's integers."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from clickloop.click.click import Click
from clickloop.clock import DAY_MS
from clickloop.report.column import EventFigure, StatusFigure
from clickloop.report.condition import holds
from clickloop.report.fact import ConversionFact
from clickloop.report.measure import Measure, OtherMoney, Sums
from clickloop.report.page_event_fact import PageEventFact
from clickloop.report.query import (
    DELAY_CLASSES,
    Dimension,
    DimensionFilter,
    ExchangeRate,
    FilterOperator,
    Grouping,
    GroupKey,
    MomentRange,
    Parameter,
    ReportQuery,
    SortOf,
    TimeBasis,
)
from clickloop.report.rate_text import E12
from clickloop.store.facts.duckdb.report.report_sql import all_figures

Fact = tuple[Click, ConversionFact | PageEventFact | None]
"""A click with None for itself, or with what followed from it."""
D = Dimension


class Model:
    """Facts, and reports of them."""

    def __init__(self, facts: Sequence[Fact], rates: Sequence[ExchangeRate]) -> None:
        self.facts = facts
        self.rates = rates

    def groups(self, query: ReportQuery) -> list[tuple[tuple[GroupKey, ...], Sums, Sums]]:
        """Return all groups that meet the conditions, in order, with the sums of both periods."""
        now = self._grouped(query, MomentRange(query.from_at, query.until_at))
        before = self._grouped(query, query.compared) if query.compared else {}
        found = [
            (keys, self._sums(query, now.get(keys, ())), self._sums(query, before.get(keys, ())))
            for keys in {**now, **before}
        ]
        found = [row for row in found if all(holds(condition, row[1]) for condition in query.conditions)]
        found.sort(key=lambda row: row[0])
        if query.sort is None:
            found.sort(key=lambda row: row[0][0], reverse=query.descending)
            return found
        values = {row[0]: _sort_value(query, row[1], row[2]) for row in found}
        known = [row for row in found if values[row[0]] is not None]
        known.sort(key=lambda row: values[row[0]] or 0, reverse=query.descending)
        return known + [row for row in found if values[row[0]] is None]

    def totals(self, query: ReportQuery) -> tuple[Sums, Sums]:
        """Return the sums of all groups that meet the conditions, in both periods."""
        shown = {keys for keys, _, _ in self.groups(query)} if query.group_by else {()}
        now = self._grouped(query, MomentRange(query.from_at, query.until_at))
        before = self._grouped(query, query.compared) if query.compared else {}
        both = [[row for keys, rows in side.items() if keys in shown for row in rows] for side in (now, before)]
        return self._sums(query, both[0]), self._sums(query, both[1])

    def _grouped(self, query: ReportQuery, period: MomentRange) -> dict[tuple[GroupKey, ...], list[Fact]]:
        zone = ZoneInfo(query.zone)
        groups: dict[tuple[GroupKey, ...], list[Fact]] = {}
        for fact in self.facts:
            at = _at(fact, query.basis)
            if not period.from_at <= at < period.until_at or not _counts_in(fact, query):
                continue
            if all(_matches(filter_, fact, at, zone) for filter_ in query.filters):
                keys = tuple(_key(grouping, fact, at, zone) for grouping in query.group_by)
                keys = tuple(
                    _later(key, one, query, period, zone) for key, one in zip(keys, query.group_by, strict=True)
                )
                groups.setdefault(keys, []).append(fact)
        return {keys: rows for keys, rows in groups.items() if _is_alive(rows)}

    def approval(self, query: ReportQuery, offer_id: int) -> int:
        """Return the approval rate of an offer in millionths; 0 if unknown."""
        decided = [
            fact
            for click, fact in self.facts
            if isinstance(fact, ConversionFact)
            and fact.click.offer_id == offer_id
            and query.until_at - 90 * DAY_MS <= fact.at < query.until_at
        ]
        counts = [
            sum(fact.conversions for fact in decided if fact.counts_as == word) for word in ("confirmed", "rejected")
        ]
        return _rounded(Fraction(counts[0] * 1_000_000, sum(counts))) if sum(counts) else 0

    def _sums(self, query: ReportQuery, facts: Iterable[Fact]) -> Sums:
        facts = list(facts)
        clicks = [click for click, fact in facts if fact is None]
        counted = [click for click in clicks if not click.screening]
        events = [fact for _, fact in facts if isinstance(fact, PageEventFact)]
        conversions = [fact for _, fact in facts if isinstance(fact, ConversionFact)]
        statuses, numbers = _asked(query)
        money = {name: Fraction() for name in ("cost", "revenue", "pending", "rejected", "expected")}
        payouts = dict.fromkeys(statuses, Fraction())
        others: dict[str, dict[str, int]] = {}
        for click in clicks:
            self._add(money, others, query, click.cost_currency, click.at, {"cost": click.cost_micros})
        for fact in conversions:
            amounts = {"revenue": fact.revenue_micros, "pending": fact.pending_micros, "rejected": fact.rejected_micros}
            rate = self._add(money, others, query, fact.currency, fact.at, amounts)
            approved = _rounded(Fraction((rate or 0) * self.approval(query, fact.click.offer_id), 1_000_000))
            money["expected"] += fact.pending_micros * Fraction(approved, E12)
            if fact.status_key in payouts:
                payouts[fact.status_key] += sum(amounts.values()) * Fraction(rate or 0, E12)
        return Sums(
            clicks=len(counted),
            unique_clicks=sum(click.unique for click in counted),
            clicks_recorded=len(clicks),
            clean_clicks=sum(not click.marks for click in counted),
            landing_visits=sum(bool(click.landing_id) for click in counted),
            landing_views=sum(event.landing_views for event in events),
            landing_clicks=sum(event.landing_clicks for event in events),
            offer_visits=sum(bool(click.offer_id) for click in counted) + sum(event.offer_visits for event in events),
            events=sum(event.events for event in events),
            confirmed=sum(fact.conversions for fact in conversions if fact.counts_as == "confirmed"),
            pending=sum(fact.conversions for fact in conversions if fact.counts_as == "pending"),
            rejected=sum(fact.conversions for fact in conversions if fact.counts_as == "rejected"),
            cost_micros=_rounded(money["cost"]),
            revenue_micros=_rounded(money["revenue"]),
            pending_micros=_rounded(money["pending"]),
            rejected_micros=_rounded(money["rejected"]),
            expected_micros=_rounded(money["expected"]),
            delay_p50_seconds=_median_delay(conversions),
            by_status={
                key: sum(fact.conversions for fact in conversions if fact.status_key == key) for key in statuses
            },
            micros_by_status={key: _rounded(amount) for key, amount in payouts.items()},
            by_event={
                number: sum(event.event_micros for event in events if event.event_number == number and event.events)
                for number in numbers
            },
            not_converted=tuple(
                OtherMoney(currency=currency, **{f"{name}_micros": amount for name, amount in amounts.items()})
                for currency, amounts in sorted(others.items())
                if any(amounts.values())
            ),
        )

    def _add(
        self,
        money: dict[str, Fraction],
        others: dict[str, dict[str, int]],
        query: ReportQuery,
        currency: str,
        at: int,
        amounts: dict[str, int],
    ) -> int | None:
        """Add amounts at the rate of their day, and return it; None if there is none."""
        days = {
            rate.day: rate.rate_e12 for rate in self.rates if rate.currency == currency and rate.day <= at // DAY_MS
        }
        rate = E12 if currency == query.currency else days[max(days)] if days else None
        for name, amount in amounts.items():
            if rate is not None:
                money[name] += amount * Fraction(rate, E12)
            elif amount:
                others.setdefault(currency, {}).setdefault(name, 0)
                others[currency][name] += amount
        return rate


def _asked(query: ReportQuery) -> tuple[list[str], list[int]]:
    figures = all_figures(query)
    statuses = dict.fromkeys([*query.statuses, *(one.status for one in figures if isinstance(one, StatusFigure))])
    return list(statuses), sorted({one.number for one in figures if isinstance(one, EventFigure)})


def _at(fact: Fact, basis: TimeBasis) -> int:
    click, what = fact
    return click.at if what is None or basis is TimeBasis.CLICK else what.at


def _counts_in(fact: Fact, query: ReportQuery) -> bool:
    click, what = fact
    if isinstance(what, ConversionFact):
        return True
    return not any(one.is_of_conversions for one in query.group_by) and not (what is None and click.screening == "test")


def _is_alive(facts: Sequence[Fact]) -> bool:
    for _, what in facts:
        if what is None:
            return True
        if isinstance(what, PageEventFact) and (what.landing_views or what.landing_clicks or what.events):
            return True
    return sum(what.conversions for _, what in facts if isinstance(what, ConversionFact)) != 0


def _key(grouping: Grouping, fact: Fact, at: int, zone: ZoneInfo) -> GroupKey:
    click, what = fact
    if isinstance(grouping, Parameter):
        number = dict(grouping.rows).get(click.source_id)
        return str(getattr(click, f"v{number}")) if number else ""
    local = datetime.fromtimestamp(at / 1000, zone)
    match grouping:
        case D.DAY:
            return int(local.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()) * 1000
        case D.HOUR:
            return _start_of_hour(at, zone)
        case D.WEEKDAY:
            return local.isoweekday()
        case D.HOUR_OF_DAY:
            return local.hour
        case D.STATUS:
            return what.status_key if isinstance(what, ConversionFact) else ""
        case D.MARK:
            return click.marks
        case D.COUNTS_AS:
            return what.counts_as.value if isinstance(what, ConversionFact) else ""
        case D.DELAY:
            return (
                max(first for first in DELAY_CLASSES if first <= _delay(what))
                if isinstance(what, ConversionFact)
                else 0
            )
        case D.UNIQUE:
            return "unique" if click.unique else "returning"
        case D.REFERRER:
            return urlsplit(click.referrer).netloc.lower()
        case D.OS_VERSION:
            return f"{click.os} {click.os_version}".strip()
        case D.SCREENING if isinstance(what, PageEventFact):
            return what.screening
        case D.OFFER | D.NETWORK if isinstance(what, PageEventFact) and what.offer_id:
            return int(getattr(what, f"{grouping}_id"))
    return getattr(click, f"{grouping}_id" if grouping.is_number else grouping.value)  # type: ignore[no-any-return]


def _start_of_hour(at: int, zone: ZoneInfo) -> int:
    """Return the first millisecond with the same local hour and offset, by going back minute by minute."""

    def hour(moment: int) -> tuple[object, ...]:
        local = datetime.fromtimestamp(moment / 1000, zone)
        return (local.date(), local.hour, local.utcoffset())

    begins = at - at % 60_000
    while hour(begins - 60_000) == hour(at):
        begins -= 60_000
    return begins


def _later(key: GroupKey, grouping: Grouping, query: ReportQuery, period: MomentRange, zone: ZoneInfo) -> GroupKey:
    """Return a key of the compared period as that of the same day or hour of the query's."""
    if grouping is D.HOUR:
        return int(key) + query.from_at - period.from_at
    if grouping is not D.DAY:
        return key
    first, day = (datetime.fromtimestamp(moment / 1000, zone) for moment in (period.from_at, int(key)))
    begins = datetime.fromtimestamp(query.from_at / 1000, zone).date() + timedelta(day.toordinal() - first.toordinal())
    return int(datetime(begins.year, begins.month, begins.day, tzinfo=zone).timestamp()) * 1000


def _matches(filter_: DimensionFilter, fact: Fact, at: int, zone: ZoneInfo) -> bool:
    if filter_.dimension.is_of_conversions and not isinstance(fact[1], ConversionFact):
        return True
    key = _key(filter_.dimension, fact, at, zone)
    match filter_.operator:
        case FilterOperator.IN:
            return _is_in(key, filter_)
        case FilterOperator.NOT_IN:
            return not _is_in(key, filter_)
        case FilterOperator.CONTAINS:
            return any(value.lower() in str(key).lower() for value in filter_.values)
        case FilterOperator.NOT_CONTAINS:
            return not any(value.lower() in str(key).lower() for value in filter_.values)
    try:
        difference = Fraction(str(key)) - Fraction(int(filter_.values[0]), 1_000_000)
    except ValueError:
        return False
    return {
        FilterOperator.LESS: difference < 0,
        FilterOperator.AT_MOST: difference <= 0,
        FilterOperator.GREATER: difference > 0,
        FilterOperator.AT_LEAST: difference >= 0,
    }[filter_.operator]


def _is_in(key: GroupKey, filter_: DimensionFilter) -> bool:
    if filter_.dimension is D.MARK:
        has = {f"+{mark}" for mark in str(key).split(",")} | {str(key), "any" if key else ""}
        return bool(has & {*filter_.values})
    return str(key) in filter_.values


def _delay(fact: ConversionFact) -> int:
    return max(fact.at - fact.click.at, 0) // 1000


def _median_delay(facts: Sequence[ConversionFact]) -> int | None:
    counts: dict[int, int] = {}
    for fact in facts:
        if fact.counts_as in ("confirmed", "pending"):
            counts[_delay(fact)] = counts.get(_delay(fact), 0) + fact.conversions
    delays = [delay for delay, number in sorted(counts.items()) for _ in range(number)]
    return delays[(len(delays) - 1) // 2] if delays else None


def _sort_value(query: ReportQuery, now: Sums, before: Sums) -> Any:
    if query.sort is None:
        return 0
    value, earlier = query.sort.of(now), query.sort.of(before)
    if query.sort_of is SortOf.VALUE or query.compared is None:
        return value
    if query.sort_of is SortOf.BEFORE:
        return earlier
    if value is None or earlier is None:
        return None
    if query.sort_of is SortOf.CHANGE:
        return value - earlier
    return None if earlier == 0 else Fraction(value - earlier, abs(earlier))


def _rounded(exact: Fraction) -> int:
    """Return a fraction rounded half away from zero."""
    magnitude = int(abs(exact) + Fraction(1, 2))
    return magnitude if exact >= 0 else -magnitude


def narrowed(sums: Sums, query: ReportQuery) -> Sums:
    """Return sums without what a query did not ask for."""
    names = {name for figure in all_figures(query) if isinstance(figure, Measure) for name in figure.sums}
    kept = {"by_status", "micros_by_status", "by_event"} | names
    values = {name: getattr(sums, name) for name in kept}
    if query.columns is None:
        values["not_converted"] = sums.not_converted
    return Sums(**values)
