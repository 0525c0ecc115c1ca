"""The cost of a conversion, by the rule on its click (``setup.cost_rule``). Pure."""

from clickloop.conversion.conversion import Conversion
from clickloop.conversion.status import CountsAs
from clickloop.money import Money
from clickloop.setup.cost_rule import PER_CONVERSION, REVENUE_SHARE

_NO_TERMS = ("", "", "", "")


def conversion_cost(conversion: Conversion) -> Money | None:
    """Return the cost of a conversion in its present status, or None if it costs nothing. A share is rounded half up."""
    _, _, terms = conversion.click.cost_rule.partition(";")
    if not terms:
        return None
    model, number, currency, statuses, *_ = (*terms.split(" "), *_NO_TERMS)
    if not number.isdecimal():
        return None
    status = conversion.status
    if not (status.key in statuses.split(",") if statuses else status.counts_as is CountsAs.CONFIRMED):
        return None
    if model == PER_CONVERSION:
        return Money(int(number), currency)
    if model == REVENUE_SHARE:
        return Money((2 * conversion.payout.micros * int(number) + 100) // 200, conversion.payout.currency)
    return None
