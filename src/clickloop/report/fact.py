"""The fact: what one change of a conversion adds to and takes from the figures. Facts are summed, never updated."""

import msgspec

from clickloop.click.click import Click
from clickloop.conversion.conversion import Change, Conversion
from clickloop.conversion.status import CountsAs


class ConversionFact(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One additive row. The dimensions of the click are copied onto it; the three payouts are for the three ways a status counts."""

    click: Click
    conversion_id: str
    txid: str = ""
    at: int
    """When the conversion happened, so that a correction falls into the same hour as what it corrects. Unix milliseconds."""
    recorded_at: int
    """When the change was made. Unix milliseconds."""
    status_key: str
    counts_as: CountsAs
    """How the status counted when the conversion came under it."""
    currency: str
    conversions: int
    """+1, or −1 to take back."""
    revenue_micros: int = 0
    """Payout under a status that counts as confirmed: only this is revenue."""
    pending_micros: int = 0
    rejected_micros: int = 0


def facts_of_change(change: Change) -> list[ConversionFact]:
    """The rows that bring the figures from before the change to after it; none when they stay, and none for tests."""
    taken = _rows(change.before, change.at, -1)
    added = _rows(change.after, change.at, +1)
    if taken and added and _negated(taken[0]) == added[0]:
        return []
    return taken + added


def _rows(conversion: Conversion | None, recorded_at: int, sign: int) -> list[ConversionFact]:
    """The conversion as it counts in full, with the sign given."""
    if conversion is None or conversion.test:
        return []
    micros = sign * conversion.payout.micros
    counts_as = conversion.status.counts_as
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
        )
    ]


def _negated(fact: ConversionFact) -> ConversionFact:
    """The row that cancels this one."""
    return msgspec.structs.replace(
        fact,
        conversions=-fact.conversions,
        revenue_micros=-fact.revenue_micros,
        pending_micros=-fact.pending_micros,
        rejected_micros=-fact.rejected_micros,
    )
