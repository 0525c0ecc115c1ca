"""Saving exchange rates."""

from collections.abc import Callable

from clickloop.report.rate_input import RatesBody, rate_faults, rate_of
from clickloop.report.rate_text import read_day
from clickloop.saving.faults import raise_faults
from clickloop.saving.record import SavingContext, UnknownRecordError
from clickloop.store.ledger.logs.audit_entry import record_change
from clickloop.store.ledger.setup.rates import StoredRate, delete_rate, rates_after, save_rates

NOUN = "rates"
MAX_FAULTS = 100  # a longer list of faults is of no use


def set_rates(context: SavingContext, into: str, body: RatesBody, view: Callable[[int], object]) -> int:
    """Save rates into the currency ``into`` and return their number, which ``view`` logs. Raise InvalidInputError."""
    raise_faults(rate_faults(body, into)[:MAX_FAULTS])
    rates = [StoredRate(rate_of(rate), rate.source) for rate in body.rates]
    with context.ledger.write() as tx:
        save_rates(tx, into, rates)
        if rates:
            record_change(tx, context, NOUN, into, after=view(len(rates)))
    return len(rates)


def remove_rate(
    context: SavingContext, into: str, currency: str, day: str, view: Callable[[StoredRate], object]
) -> StoredRate:
    """Delete the rate of a day and return it. Raise UnknownRecordError."""
    number = read_day(day)
    with context.ledger.write() as tx:
        # The rate of a day is the first one after the day before.
        found = [] if number is None else rates_after(tx, into, currency, (currency, number - 1), 1)
        if number is None or not found or found[0].rate.day != number:
            raise UnknownRecordError("rate of that currency and day")
        delete_rate(tx, into, currency, number)
        record_change(tx, context, NOUN, f"{currency} {day.strip()}", before=view(found[0]))
    return found[0]
