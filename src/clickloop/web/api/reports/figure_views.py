"""Figures in responses: a field for each measure, made from its description."""

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from clickloop.report.alias import aliases_of
from clickloop.report.column import Column, FormulaColumn
from clickloop.report.export import plain_text, share_of_change
from clickloop.report.measure import Measure, Sums, Unit
from clickloop.setup.money_text import MoneyText, money_text


class OtherMoneyView(msgspec.Struct, kw_only=True):
    """Amounts in a currency without an exchange rate. No other figure includes them. Set rates with POST /rates."""

    currency: Annotated[str, Meta(description="Empty if the currency is unknown.")]
    cost: MoneyText
    revenue: MoneyText
    pending_revenue: MoneyText
    rejected_revenue: MoneyText


class FigureChangeView(msgspec.Struct, kw_only=True):
    """The change of a figure."""

    change: Annotated[str | None, Meta(description="Difference, as a decimal in the figure's unit.")]
    percent: Annotated[str | None, Meta(description="Relative change in percent; null if it was 0 before.")]


class ColumnView(msgspec.Struct, kw_only=True):
    """A column of figures."""

    name: Annotated[str, Meta(examples=["cpa"])]
    title: Annotated[str, Meta(examples=["CPA"])]
    unit: Annotated[str, Meta(description="count, percent, money, seconds or number.", examples=["money"])]
    formula: Annotated[str, Meta(description="Empty for a plain sum.", examples=["cost / (confirmed + pending)"])]
    note: str
    aliases: Annotated[list[str], Meta(description="What other trackers call it.", examples=[["RedTrack: EPUC"]])] = []


_UNIT_NAMES = {
    Unit.COUNT: "count",
    Unit.SHARE: "percent",
    Unit.MONEY: "money",
    Unit.MONEY_EACH: "money",
    Unit.SECONDS: "seconds",
    Unit.NUMBER: "number",
}
_TYPES: dict[Unit, Any] = {
    Unit.COUNT: int,
    Unit.SHARE: str,
    Unit.MONEY: MoneyText,
    Unit.MONEY_EACH: MoneyText,
    Unit.SECONDS: int,
}


def _description(measure: Measure) -> str:
    parts = [measure.note, f"{measure.formula}." if measure.formula else ""]
    if measure.unit is Unit.SHARE:
        parts.append("In percent.")
    if measure.divisor:
        parts.append("Null if there is nothing to divide by.")
    return " ".join(part for part in parts if part)


def _field(measure: Measure) -> tuple[str, Any, Any]:
    kind: Any = _TYPES[measure.unit]
    plain: Any = Annotated[kind, Meta(description=_description(measure))]
    is_optional = bool(measure.divisor) or measure.unit is Unit.SECONDS
    return (measure.key, plain | None | UnsetType if is_optional else plain | UnsetType, UNSET)


_FIELDS: list[Any] = [
    *(_field(measure) for measure in Measure),
    (
        "by_status",
        Annotated[
            dict[str, int], Meta(description="Number of conversions by status key.", examples=[{"sale": 12, "hold": 3}])
        ],
        {},
    ),
    (
        "revenue_by_status",
        Annotated[dict[str, MoneyText], Meta(description="Payouts by status key, however the status counts.")],
        {},
    ),
    (
        "columns",
        Annotated[
            dict[str, str | None],
            Meta(description="Columns of your own and requested figures of statuses and events, by name, as decimals."),
        ],
        {},
    ),
    ("not_converted", list[OtherMoneyView], []),
]

if TYPE_CHECKING:

    class FiguresView(msgspec.Struct, kw_only=True):
        """Figures of a group."""

        def __init__(self, **figures: object) -> None: ...

else:
    FiguresView = msgspec.defstruct(
        "FiguresView",
        _FIELDS,
        kw_only=True,
        module=__name__,
        namespace={
            "__doc__": "Figures of a group; only the requested ones. Money is in the instance's currency. Ratios are calculated from "
            "the group's sums."
        },
    )


def figures_view(columns: tuple[Column, ...], statuses: tuple[str, ...], sums: Sums, currency: str) -> FiguresView:
    """Return the figures of sums."""
    figures: dict[str, object] = {one.key: _figure(one, sums, currency) for one in columns if isinstance(one, Measure)}
    figures["by_status"] = {key: sums.by_status.get(key, 0) for key in statuses}
    figures["revenue_by_status"] = {key: money_text(sums.micros_by_status.get(key, 0), currency) for key in statuses}
    figures["columns"] = {
        one.key: None if (value := one.of(sums)) is None else plain_text(one, value)
        for one in columns
        if not isinstance(one, Measure)
    }
    figures["not_converted"] = [
        OtherMoneyView(
            currency=other.currency,
            cost=money_text(other.cost_micros, other.currency),
            revenue=money_text(other.revenue_micros, other.currency),
            pending_revenue=money_text(other.pending_micros, other.currency),
            rejected_revenue=money_text(other.rejected_micros, other.currency),
        )
        for other in sums.not_converted
    ]
    return FiguresView(**figures)


def _figure(measure: Measure, sums: Sums, currency: str) -> int | str | MoneyText | None:
    value = measure.of(sums)
    if value is None:
        return None
    if measure.is_money:
        return money_text(value, currency)
    return plain_text(measure, value) if measure.is_share else value


def changes_view(columns: tuple[Column, ...], sums: Sums, before: Sums) -> dict[str, FigureChangeView]:
    """Return how each figure changed, by name."""
    changes = {}
    for column in columns:
        now, earlier = column.of(sums), column.of(before)
        growth = share_of_change(now, earlier)
        changes[column.key] = FigureChangeView(
            change=None if now is None or earlier is None else plain_text(column, now - earlier),
            percent=None if growth is None else plain_text(Measure.CR, growth),
        )
    return changes


def column_view(column: Column, title: str) -> ColumnView:
    """Return the description of a column."""
    view = ColumnView(name=column.key, title=title, unit=_UNIT_NAMES[column.unit], formula="", note="")
    if isinstance(column, Measure):
        view.formula, view.note = column.formula, column.note
        view.aliases = [f"{alias.tracker}: {alias.name}" for alias in aliases_of(column)]
    elif isinstance(column, FormulaColumn):
        view.formula = column.formula.text
    return view
