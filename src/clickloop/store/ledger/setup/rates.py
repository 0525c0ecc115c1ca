"""Exchange rates in the ledger, by day, into the currency of the instance. ``tx`` is an open transaction."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, bindparam, delete, func, insert, or_, select

from clickloop.report.query import ExchangeRate
from clickloop.store.ledger.schema.tables import rates


class StoredRate(msgspec.Struct, frozen=True):
    """A rate and where the user got it from."""

    rate: ExchangeRate
    source: str = ""


def rates_into(tx: Connection, currency: str) -> tuple[ExchangeRate, ...]:
    """Return all rates into a currency."""
    query = select(rates.c.currency, rates.c.day, rates.c.rate_e12).where(rates.c.to_currency == currency)
    return tuple(ExchangeRate(*row) for row in tx.execute(query))


def latest_rates(tx: Connection, currency: str, day: int) -> dict[str, int]:
    """Return the rate in force on a day from each currency into this one, in trillionths."""
    newest = (
        select(rates.c.currency, func.max(rates.c.day).label("day"))
        .where(rates.c.to_currency == currency, rates.c.day <= day)
        .group_by(rates.c.currency)
        .subquery()
    )
    query = (
        select(rates.c.currency, rates.c.rate_e12)
        .join(newest, and_(newest.c.currency == rates.c.currency, newest.c.day == rates.c.day))
        .where(rates.c.to_currency == currency)
    )
    return {row.currency: row.rate_e12 for row in tx.execute(query)}


def rates_after(
    tx: Connection, into: str, of: str | None, after: tuple[str, int] | None, limit: int
) -> list[StoredRate]:
    """Return at most ``limit`` rates into a currency, from one or from all, by currency and day, after a currency and day."""
    table = rates.c
    query = select(table.currency, table.day, table.rate_e12, table.source).where(table.to_currency == into)
    if of is not None:
        query = query.where(table.currency == of)
    if after is not None:
        currency, day = after
        query = query.where(or_(table.currency > currency, and_(table.currency == currency, table.day > day)))
    rows = tx.execute(query.order_by(table.currency, table.day).limit(limit))
    return [StoredRate(ExchangeRate(row.currency, row.day, row.rate_e12), row.source) for row in rows]


def save_rates(tx: Connection, into: str, saved: Sequence[StoredRate]) -> None:
    """Store rates, replacing those of the same currency and day. Of duplicates, the last one counts."""
    by_key = {(each.rate.currency, each.rate.day): each for each in saved}
    for currency, day in by_key:
        tx.execute(_DELETE, {"into": into, "of": currency, "on": day})
    if by_key:
        tx.execute(insert(rates), [_columns(into, each) for each in by_key.values()])


def delete_rate(tx: Connection, into: str, currency: str, day: int) -> bool:
    """Delete a rate. Return whether there was one."""
    return tx.execute(_DELETE, {"into": into, "of": currency, "on": day}).rowcount > 0


_DELETE = delete(rates).where(
    rates.c.to_currency == bindparam("into"), rates.c.currency == bindparam("of"), rates.c.day == bindparam("on")
)


def _columns(into: str, each: StoredRate) -> dict[str, Any]:
    return {
        "to_currency": into,
        "currency": each.rate.currency,
        "day": each.rate.day,
        "rate_e12": each.rate.rate_e12,
        "source": each.source,
    }
