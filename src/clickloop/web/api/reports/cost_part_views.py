"""Views of where the cost in a report comes from, and of the cost that no click bears."""

from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.setup.money_text import MoneyText, money_text
from clickloop.tracking.costs.mix import MIX_TITLES, CostMix
from clickloop.tracking.costs.unattributed import UnattributedCost


class CostPartsView(msgspec.Struct, kw_only=True):
    """The parts of a cost. Amounts in currencies without a rate are left out."""

    measured: Annotated[MoneyText, Meta(description="By the links of clicks.")]
    estimated: Annotated[MoneyText, Meta(description="By cost models.")]
    manual: Annotated[MoneyText, Meta(description="Spread from manual entries.")]
    upload: Annotated[MoneyText, Meta(description="Spread from uploaded tables.")]
    api: Annotated[MoneyText, Meta(description="Spread from entries of the API.")]


class UnattributedView(msgspec.Struct, kw_only=True):
    """The cost of entries whose segments have no click to bear it."""

    entries: Annotated[
        int, Meta(description="Number of entries whose span overlaps the period, see /costs?unattributed=true.")
    ]
    amount: MoneyText
    not_converted: Annotated[list[MoneyText], Meta(description="Amounts in currencies without a rate.")]


def parts_view(mix: CostMix, currency: str) -> CostPartsView:
    """Return the view of the parts of a cost."""
    return CostPartsView(**{name: money_text(getattr(mix, name), currency) for name in MIX_TITLES})


def unattributed_view(found: UnattributedCost, currency: str) -> UnattributedView:
    """Return the view of the cost that no click bears."""
    return UnattributedView(
        entries=found.entries,
        amount=money_text(found.micros, currency),
        not_converted=[money_text(micros, one) for one, micros in found.not_converted.items()],
    )
