"""Clicks as rows, for decisions over millions of them: only the columns that are needed, and what each click earned."""

from typing import NamedTuple


class ClickRow(NamedTuple):
    """What is read of each click, before the columns that were asked for. None stands for a field's default."""

    click_id: str
    at: int
    draw: int | None
    flow_id: int | None
    flow_version: int | None
    rule_id: int | None
    path_id: int | None
    landing_id: int | None
    offer_id: int | None
    cost_micros: int | None
    currency: str | None


class ConversionSum(NamedTuple):
    """What a click earned in one currency."""

    currency: str
    conversions: int
    revenue_micros: int
    pending_micros: int
