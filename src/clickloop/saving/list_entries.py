"""Adding values to black, white and watch lists with the figures of the moment, removing them, and what still arrives of them."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.clock import HOUR_MS
from clickloop.report.filter_input import grouping_of, key_of_value
from clickloop.report.measure import Measure
from clickloop.report.query import Dimension, DimensionFilter, FilterOperator, Grouping, MomentRange, ReportQuery
from clickloop.report.query_input import ReportPeriod
from clickloop.saving.lists import NOUN
from clickloop.saving.record import SavingContext, View, change
from clickloop.setup.condition import MAX_VALUE_LENGTH, MAX_VALUES
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError, invalid, text_faults
from clickloop.setup.list_entry import Judged, ListEntry
from clickloop.setup.named_list import ListKind, NamedList
from clickloop.store.ledger.setup.list_entries import insert_entries, last_changed_at, present_entries, remove_entries
from clickloop.store.ledger.setup.report_names import LedgerNames
from clickloop.tracking.reports.converting import rates_of_query
from clickloop.tracking.reports.reporting import ReportSource

GRACE_MS = HOUR_MS
"""Usual time that a traffic source takes to apply a list."""
_FIELD = "values"
_NO_ZONE = ZoneInfo("UTC")  # lists are of no times


class Arrived(msgspec.Struct, frozen=True, kw_only=True):
    """A value that sends clicks against the list: its clicks since the list should be in effect."""

    value: str
    added_at: int | None
    """When it was added to the list; None if it is not on it."""
    clicks: int
    cost_micros: int


def add_values(
    context: SavingContext,
    facts: ReportSource,
    list_id: int,
    values: Sequence[str],
    period: ReportPeriod,
    currency: str,
    view: View[NamedList],
) -> tuple[NamedList, int]:
    """Add values with their figures of a period. Return the list and how many values are new.

    Raise UnknownRecordError, InvalidInputError. Values that are in the list stay as they are.
    """
    with context.ledger.read() as tx:
        named = NOUN.get(tx, list_id)
        grouping = _checked(tx, named)
        keys = _keys(tx, grouping, values, period.zone)
    judged = _judged(context, facts, named, grouping, keys, period, currency)
    added = 0

    def with_values(tx: Connection, named: NamedList) -> NamedList:
        nonlocal added
        _checked(tx, named)
        present = set(named.entries)
        new = [key for key in keys if key not in present]
        now_ms = context.clock()
        insert_entries(
            tx,
            [
                ListEntry(list_id=list_id, value=key, added_at=now_ms, added_by=context.actor.name, judged=judged[key])
                for key in new
            ],
        )
        added = len(new)
        return replace(named, entries=(*named.entries, *new))

    return change(context, NOUN, list_id, with_values, view), added


def remove_values(
    context: SavingContext, list_id: int, values: Sequence[str], view: View[NamedList]
) -> tuple[NamedList, int]:
    """Remove values, by what is on the list or by its name, and keep their history. Return the list and how many were on it.

    Raise UnknownRecordError, InvalidInputError.
    """
    removed = 0

    def without_values(tx: Connection, named: NamedList) -> NamedList:
        nonlocal removed
        _check_changeable(named)
        if not values:
            raise invalid(_FIELD, FaultCode.REQUIRED, "Give at least one value.")
        unwanted = _listed(tx, named, values)
        gone = [entry for entry in named.entries if entry in unwanted]
        removed = len(gone)
        remove_entries(tx, list_id, gone, context.clock(), context.actor.name)
        return replace(named, entries=tuple(entry for entry in named.entries if entry not in unwanted))

    return change(context, NOUN, list_id, without_values, view), removed


def _listed(tx: Connection, named: NamedList, values: Sequence[str]) -> set[str]:
    """Return the entries that values mean. One whose parameter or record is gone can still be removed as it is on the list."""
    entries, names = set(named.entries), LedgerNames(tx)
    grouping = grouping_of(named.dimension, names)
    found: set[str] = set()
    for value in map(str.strip, values):
        key = value
        if value not in entries and grouping is not None:
            key = key_of_value(grouping, value, names, _NO_ZONE) or value
        found.add(key)
    return found & entries


def still_arriving(
    context: SavingContext, facts: ReportSource, list_id: int, currency: str, zone: ZoneInfo, grace_ms: int = GRACE_MS
) -> list[Arrived]:
    """Return the values that send clicks against a list, the most costly first, at most ``MAX_VALUES``.

    On a black or watch list: its values, from the grace after each was added. With a white list: all values that are not on it, from
    the grace after its last change. Clicks of campaigns of the list's traffic source count. One query of the facts.
    """
    now_ms = context.clock()
    with context.ledger.read() as tx:
        named = NOUN.get(tx, list_id)
        _check_kind(named)
        grouping = _grouping(tx, named)
        entries = {entry.value: entry for entry in present_entries(tx, list_id)}
        if named.kind is ListKind.WHITE:
            changed_at = last_changed_at(tx, list_id)
            first_at = now_ms if changed_at is None else changed_at + grace_ms
            wanted = DimensionFilter(grouping, tuple(entries), FilterOperator.NOT_IN)
        else:
            since = tuple(entry.added_at + grace_ms for entry in entries.values())
            first_at = min(since, default=now_ms)
            wanted = DimensionFilter(grouping, tuple(entries), since=since)
        if first_at >= now_ms:
            return []
        query = replace(
            _query(named, wanted, MomentRange(first_at, now_ms), zone, currency),
            columns=(Measure.CLICKS, Measure.COST),
            sort=Measure.COST,
        )
        rates = rates_of_query(tx, query)
    found = [(str(group.keys[0]), group.sums) for group in facts.report(query, rates).groups]
    return [
        Arrived(
            value=key,
            added_at=entries[key].added_at if key in entries else None,
            clicks=sums.clicks,
            cost_micros=sums.cost_micros,
        )
        for key, sums in found
        if sums.clicks
    ]


def _query(
    named: NamedList, values: DimensionFilter, period: MomentRange, zone: ZoneInfo, currency: str
) -> ReportQuery:
    return ReportQuery(
        from_at=period.from_at,
        until_at=period.until_at,
        zone=zone.key,
        currency=currency,
        group_by=(values.dimension,),
        filters=(DimensionFilter(Dimension.SOURCE, (str(named.source_id),)), values),
        columns=(Measure.CLICKS, Measure.COST, Measure.CONVERSIONS, Measure.REVENUE),
        limit=MAX_VALUES,
    )


def _judged(
    context: SavingContext,
    facts: ReportSource,
    named: NamedList,
    grouping: Grouping,
    keys: tuple[str, ...],
    period: ReportPeriod,
    currency: str,
) -> dict[str, Judged]:
    moments = MomentRange(period.from_at, period.until_at)
    query = _query(named, DimensionFilter(grouping, keys), moments, period.zone, currency)
    with context.ledger.read() as tx:
        rates = rates_of_query(tx, query)
    nothing = Judged(currency=currency, from_at=period.from_at, until_at=period.until_at)
    found = dict.fromkeys(keys, nothing)
    for group in facts.report(query, rates).groups:
        found[str(group.keys[0])] = replace(
            nothing,
            clicks=group.sums.clicks,
            cost_micros=group.sums.cost_micros,
            conversions=group.sums.confirmed + group.sums.pending,
            revenue_micros=group.sums.revenue_micros,
        )
    return found


def _checked(tx: Connection, named: NamedList) -> Grouping:
    """Return the list's dimension, if values can be added. Raise InvalidInputError."""
    _check_changeable(named)
    return _grouping(tx, named)


def _check_changeable(named: NamedList) -> None:
    if named.is_archived:
        raise invalid("", FaultCode.ARCHIVED, "The list is archived. Restore it first.")
    _check_kind(named)


def _check_kind(named: NamedList) -> None:
    if named.kind is ListKind.PLAIN:
        sentence = "A plain list keeps no history. Change its entries, or create a black, white or watch list."
        raise invalid("", FaultCode.NOT_ALLOWED, sentence)


def _grouping(tx: Connection, named: NamedList) -> Grouping:
    grouping = grouping_of(named.dimension, LedgerNames(tx))
    if grouping is None:
        sentence = f"No traffic source has a parameter “{named.dimension}” any more. Give one that name."
        raise invalid("dimension", FaultCode.NOT_FOUND, sentence)
    return grouping


def _keys(tx: Connection, grouping: Grouping, values: Sequence[str], zone: ZoneInfo) -> tuple[str, ...]:
    """Return values in the form of the keys of groups, each once. Raise InvalidInputError at the first that is none."""
    if not values:
        raise invalid(_FIELD, FaultCode.REQUIRED, "Give at least one value.")
    if len(values) > MAX_VALUES:
        raise invalid(_FIELD, FaultCode.TOO_MANY, f"Add at most {MAX_VALUES:,} values. There are {len(values):,}.")
    names = LedgerNames(tx)
    keys: dict[str, None] = {}
    for place, value in enumerate(values):
        field = f"{_FIELD}[{place}]"
        if faults := text_faults(field, value.strip(), MAX_VALUE_LENGTH):
            raise InvalidInputError(tuple(faults))
        key = key_of_value(grouping, value.strip(), names, zone) if value.strip() else None
        if key is None:
            sentence = f"“{value.strip()[:60]}” is no value of {grouping.key}."
            raise InvalidInputError((FieldFault(field, FaultCode.NOT_FOUND, sentence),))
        keys[key] = None
    return tuple(keys)
