"""Conversion facts: what a change of a conversion adds to or subtracts from the figures. Facts are summed, never updated."""

import msgspec

from clickloop.click.click import Click
from clickloop.conversion.conversion import Change, Conversion
from clickloop.conversion.status import CountsAs
from clickloop.report.cost.conversion_cost import conversion_cost


class ConversionFact(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An additive row with the dimensions of the click. One of three amounts is set, by the way the status counts."""

    click: Click
    conversion_id: str
    txid: str = ""
    at: int
    """When the conversion happened, Unix milliseconds. A correction therefore falls into the same hour as what it corrects."""
    recorded_at: int
    """When the change was made. Unix milliseconds."""
    status_key: str
    counts_as: CountsAs
    """How the status counted when the conversion got it."""
    currency: str
    conversions: int
    """+1, or −1 to reverse."""
    revenue_micros: int = 0
    """Payout if the status counts as confirmed. Only this is revenue."""
    pending_micros: int = 0
    rejected_micros: int = 0
    cost_micros: int = 0
    """By the campaign's cost model, see ``cost.conversion_cost``."""
    cost_currency: str = ""


def facts_of_change(change: Change) -> list[ConversionFact]:
    """Return the rows that apply a change to the figures: none if it does not affect them, and none for test conversions."""
    reversed_rows = _rows(change.before, change.at, -1)
    added = _rows(change.after, change.at, +1)
    if reversed_rows and added and _negated(reversed_rows[0]) == added[0]:
        return []
    return reversed_rows + added


def _rows(conversion: Conversion | None, recorded_at: int, sign: int) -> list[ConversionFact]:
    """Return a row with the conversion's full amounts, multiplied by the sign."""
    if conversion is None or conversion.test:
        return []
    micros = sign * conversion.payout.micros
    counts_as = conversion.status.counts_as
    cost = conversion_cost(conversion)
    return [
        ConversionFact(
            click=conversion.click,
            conversion_id=conversion.conversion_id,
            txid=conversion.txid,
            at=conversion.converted_at,
            recorded_at=recorded_at,
            status_key=conversion.status.key,
            counts_as=counts_as,
            currency=conversion.payout.currency,
            conversions=sign,
            revenue_micros=micros if counts_as is CountsAs.CONFIRMED else 0,
            pending_micros=micros if counts_as is CountsAs.PENDING else 0,
            rejected_micros=micros if counts_as is CountsAs.REJECTED else 0,
            cost_micros=sign * cost.micros if cost else 0,
            cost_currency=cost.currency if cost else "",
        )
    ]


def _negated(fact: ConversionFact) -> ConversionFact:
    """Return the row that cancels this one."""
    return msgspec.structs.replace(
        fact,
        conversions=-fact.conversions,
        revenue_micros=-fact.revenue_micros,
        pending_micros=-fact.pending_micros,
        rejected_micros=-fact.rejected_micros,
        cost_micros=-fact.cost_micros,
    )
