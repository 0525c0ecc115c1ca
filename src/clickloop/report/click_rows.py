"""Clicks as rows of few columns, for decisions over millions of them, and their conversions."""

from typing import NamedTuple

import msgspec


class ClickRow(NamedTuple):
    """The first columns of each row, followed by the requested ones. None stands for a field's default."""

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
    """A click's conversions in one currency."""

    currency: str
    conversions: int
    revenue_micros: int
    pending_micros: int


class MoneySum(msgspec.Struct, frozen=True):
    """Amounts in one currency, in micros."""

    currency: str
    cost_micros: int = 0
    revenue_micros: int = 0
    pending_micros: int = 0
