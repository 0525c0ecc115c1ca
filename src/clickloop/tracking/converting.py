"""The exchange rates that reports convert by: the user's own first, beneath them those of the European Central Bank."""

from sqlalchemy import Connection

from clickloop.clock import DAY_MS
from clickloop.report.query import ExchangeRate
from clickloop.report.rates import with_rates_beneath
from clickloop.store.ecb_rates import ecb_rates
from clickloop.store.ledger.setup.rates import rates_into


def rates_of_period(tx: Connection, into: str, from_at: int, until_at: int) -> tuple[ExchangeRate, ...]:
    """Return the rates into a currency that apply in a period."""
    return with_rates_beneath(rates_into(tx, into), ecb_rates(into, from_at // DAY_MS, until_at // DAY_MS))
