"""Read the values of conditions from rows of clicks, and cache which conditions hold for each value. Pure."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from clickloop.click.click import Click
from clickloop.click.routing.conditions import QUARTER_MS, ReadyCondition
from clickloop.diagnosis.route.explained import ValueState, VisitorValue
from clickloop.diagnosis.route.recorded import KeptValues, is_kept_if_compared, kept_value
from clickloop.report.click_rows import ClickRow
from clickloop.setup.condition import QUERY_PREFIX

_FIXED = len(ClickRow._fields)
_DERIVED_FROM = {"continent": "country", "ip_version": "ip", "schedule": "at", "date": "at", "mark": "marks"}
_ADDED_WITH_FLOWS = frozenset({"region", "city", "isp", "asn", "connection"})
"""Fields that clicks from before flows did not store."""

ComparedFields = Callable[[int, int], Collection[str]]
"""Returns the fields that a version of a flow compared."""


class FieldReader:
    """Reads a field's value from rows. ``remembered``: one bit per condition that holds, by value."""

    def __init__(
        self,
        field: str,
        conditions: Sequence[ReadyCondition],
        columns: Sequence[str],
        kept: KeptValues,
        compared: ComparedFields,
        max_remembered: int,
    ) -> None:
        self.field = field
        self.remembered: dict[Any, int] = {}
        self._conditions = conditions
        self._kept = kept
        self._compared = compared
        self._max_remembered = max_remembered
        self._column = _column_of(field, kept)
        self._place = 1 if self._column == "at" else _FIXED + columns.index(self._column)
        self.key_of = self._key_of()

    def remember(self, row: tuple[Any, ...], key: object) -> int:
        """Return which conditions hold for a click, and cache it for those with the same key."""
        seen = self.value_of(row)
        signature = int(is_unjudged(seen))
        for number, condition in enumerate(self._conditions, start=1):
            signature |= condition.holds(seen.value) << number
        if len(self.remembered) >= self._max_remembered:
            self.remembered.clear()
        self.remembered[key] = signature
        return signature

    def value_of(self, row: tuple[Any, ...]) -> VisitorValue:
        """Return a click's value, as far as it was stored."""
        flow_id, version = row[3] or 0, row[4] or 0
        raw = row[self._place]
        given = {} if raw is None else {self._column: raw}
        click = Click(**{"click_id": "", "at": 0, "campaign_id": 0, "source_id": 0, **given})
        found = kept_value(click, self.field, self._kept, self._compared(flow_id, version))
        if not flow_id and not found.value and self.field in _ADDED_WITH_FLOWS:
            return VisitorValue(found.value, ValueState.NOT_KEPT)
        return found

    def _key_of(self) -> Callable[[tuple[Any, ...]], object]:
        """Return the function that reads from a row everything that the value depends on."""
        place = self._place
        if self.field == "schedule":
            # A schedule's result is constant within 15 minutes, see ``click.routing.conditions``.
            return lambda row: row[1] // QUARTER_MS
        if is_kept_if_compared(self.field, self._kept.rows) or self.field in _ADDED_WITH_FLOWS:
            return lambda row: (row[place], row[3], row[4])
        return lambda row: row[place]


def is_unjudged(value: VisitorValue) -> bool:
    """Return whether a value was not stored in full, so that conditions compare an unknown or partial value."""
    return value.state in (ValueState.NOT_KEPT, ValueState.SHORTENED)


def columns_of(fields: Iterable[str], kept: KeptValues) -> tuple[str, ...]:
    """Return the fields of a click that hold the values of conditions' fields."""
    return tuple(dict.fromkeys(column for field in fields if (column := _column_of(field, kept)) != "at"))


def _column_of(field: str, kept: KeptValues) -> str:
    if field.startswith(QUERY_PREFIX):
        column = kept.rows.get(field[len(QUERY_PREFIX) :].lower(), "query")
        return "query" if column == "cost" else column  # a cost is stored as an amount, which conditions cannot compare
    return _DERIVED_FROM.get(field, field)
