"""The exchange rates that reports convert by: the user's own first, beneath them those of the European Central Bank."""

from sqlalchemy import Connection

from clickloop.clock import DAY_MS
from clickloop.report.query import ExchangeRate, MomentRange, ReportQuery, TimeBasis
from clickloop.report.rates import with_rates_beneath
from clickloop.store.ecb_rates import ecb_rates
from clickloop.store.ledger.setup.rates import rates_into


def rates_of_query(tx: Connection, query: ReportQuery) -> tuple[ExchangeRate, ...]:
    """Return the rates that convert the money of a query's periods."""
    periods = [MomentRange(query.from_at, query.until_at), *([query.compared] if query.compared else [])]
    first_day = min(period.from_at for period in periods) // DAY_MS
    last_day = max(period.until_at for period in periods) // DAY_MS
    if query.basis is TimeBasis.CLICK:
        # Conversions are converted on their own day, long after the click, or a little before it by the clock of their network.
        first_day, last_day = first_day - 1, _LAST_DAY
    return with_rates_beneath(rates_into(tx, query.currency), ecb_rates(query.currency, first_day, last_day))


_LAST_DAY = 10**6
