"""The parts of a report as SQL: clicks, conversions, page events and entered cost, each from the facts or from the roll-ups."""

import msgspec

from clickloop.store.facts.duckdb.report.dimension_sql import Span
from clickloop.store.facts.duckdb.report.wanted_sums import WantedSums
from clickloop.store.facts.duckdb.rollups.rolling_up import CLICK, CONVERSION, COST, PAGE_EVENT


class Part(msgspec.Struct, frozen=True):
    """The rows of a part, and their sums by column. ``alive``: what is left in a group when corrections are added up."""

    table: str
    conditions: tuple[str, ...]
    sums: dict[str, str]


def clicks_of(span: Span, wanted: WantedSums) -> Part:
    """Return the clicks, those of tests apart."""
    if span.is_rolled_up:
        names = [name for name in _CLICK_SUMS if name in wanted.names]
        sums = {name: f"sum({_ROLLED_UP_NAMES.get(name, name)})" for name in names}
        return Part("rollups", (f"part = {CLICK}",), sums | {"alive": "sum(recorded)"})
    return Part("facts", ("clicks IS NOT NULL", "screening IS DISTINCT FROM 'test'"), _click_sums(span, wanted))


def conversions_of(span: Span, wanted: WantedSums) -> Part:
    """Return the conversions."""
    if span.is_rolled_up:
        return Part("rollups", (f"part = {CONVERSION}",), _conversion_sums(wanted))
    return Part("facts", ("status_key IS NOT NULL",), _conversion_sums(wanted))


def page_events_of(span: Span, wanted: WantedSums) -> Part:
    """Return the page events. Roll-ups have no sums by an event's number."""
    if span.is_rolled_up and not wanted.events:
        return Part("rollups", (f"part = {PAGE_EVENT}",), _page_event_sums(wanted))
    return Part("facts", ("landing_views IS NOT NULL",), _page_event_sums(wanted))


def cost_of(span: Span) -> Part:
    """Return the cost that was entered. It is in the group of its click or conversion: without either nothing is left to show."""
    sums = {"cost_micros": "sum(cost_micros)", "alive": "0"}
    if span.is_rolled_up:
        return Part("rollups", (f"part = {COST}",), sums)
    return Part("facts", ("cost_entry_id IS NOT NULL", "clicks IS NULL"), sums)


_CLICK_SUMS = (
    *("clicks", "unique_clicks", "clicks_recorded", "clean_clicks", "landing_visits", "offer_visits", "cost_micros"),
)
_ROLLED_UP_NAMES = {"clicks_recorded": "recorded"}


def _click_sums(span: Span, wanted: WantedSums) -> dict[str, str]:
    recorded = "sum(coalesce(correction, 1))" if span.has_corrections else "count(*)"
    sums = {
        "clicks": "sum(clicks)",
        "unique_clicks": 'sum(clicks) FILTER ("unique")',
        "clicks_recorded": recorded,
        "clean_clicks": "sum(clicks) FILTER (marks IS NULL)" if span.has_marks else "sum(clicks)",
        "landing_visits": "sum(clicks) FILTER (landing_id IS NOT NULL)" if span.has_landings else "0",
        "offer_visits": "sum(clicks) FILTER (offer_id IS NOT NULL)",
        "cost_micros": "sum(cost_micros)",
    }
    return {name: sql for name, sql in sums.items() if name in wanted.names} | {"alive": recorded}


def _conversion_sums(wanted: WantedSums) -> dict[str, str]:
    sums = {name: f"sum(conversions) FILTER (counts_as = '{name}')" for name in ("confirmed", "pending", "rejected")}
    sums |= {name: f"sum({name})" for name in ("revenue_micros", "pending_micros", "rejected_micros")}
    found = {name: sql for name, sql in sums.items() if name in wanted.in_pieces}
    payouts = "sum(revenue_micros + pending_micros + rejected_micros)"
    for number in range(len(wanted.statuses)):
        found[f"status_{number}"] = f"sum(conversions) FILTER (status_key = $status_{number})"
        found[f"payouts_{number}"] = f"{payouts} FILTER (status_key = $status_{number})"
    # A conversion that was taken back leaves nothing.
    return found | {"alive": "sum(conversions)"}


def _page_event_sums(wanted: WantedSums) -> dict[str, str]:
    names = ("landing_views", "landing_clicks", "offer_visits", "events")
    sums = {name: f"sum({name})" for name in names if name in wanted.names}
    for number in wanted.events:
        sums[f"event_{number}"] = f"sum(event_micros) FILTER (event_number = {number} AND events <> 0)"
    return sums | {"alive": " + ".join(f"coalesce(sum({name}), 0)" for name in names)}
