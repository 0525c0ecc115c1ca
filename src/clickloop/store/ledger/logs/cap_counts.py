"""Counting the conversions that caps limit. One statement per function; ``tx`` is an open transaction."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, func, not_, select

from clickloop.clock import HOUR_MS
from clickloop.conversion.status import CountsAs
from clickloop.setup.cap_period import PeriodBounds
from clickloop.setup.offer_cap import OfferCap
from clickloop.store.ledger.schema.tables import conversion_changes, conversions


def newest_conversion_change(tx: Connection) -> int:
    """Return the number of the newest change of a conversion; 0 if there is none."""
    return tx.scalar(select(func.max(conversion_changes.c.id))) or 0


def changes_by_offer(tx: Connection, after: int, offer_ids: Collection[int]) -> dict[int, int]:
    """Return, by offer, the number of changes of its conversions with numbers above ``after``; absent without any."""
    query = (
        select(conversions.c.offer_id, func.count().label("changes"))
        .select_from(conversion_changes)
        .join(conversions, conversions.c.conversion_id == conversion_changes.c.conversion_id)
        .where(conversion_changes.c.id > after, conversions.c.offer_id.in_(offer_ids))
        .group_by(conversions.c.offer_id)
    )
    return {row.offer_id: row.changes for row in tx.execute(query)}


def count_conversions(tx: Connection, offer_id: int, cap: OfferCap, period: PeriodBounds) -> int:
    """Return the number of an offer's conversions in a period that count towards a cap, by their status now. Test ones never do."""
    table = conversions.c
    # Answered by ix_conversions_cap alone, without reading the rows.
    query = select(func.count()).where(
        table.offer_id == offer_id,
        table.converted_at >= period.start_at,
        table.converted_at < period.end_at,
        not_(table.test),
    )
    return tx.scalar(query.where(_counts(cap))) or 0


def conversions_by_hour(tx: Connection, offer_id: int, cap: OfferCap, since: int) -> dict[int, int]:
    """Return the conversions that count towards a cap since a moment, by the UTC hour in which each happened."""
    table = conversions.c
    hour = table.converted_at - table.converted_at % HOUR_MS
    query = (
        select(hour.label("hour"), func.count().label("conversions"))
        .where(table.offer_id == offer_id, table.converted_at >= since, not_(table.test), _counts(cap))
        .group_by(hour)
    )
    return {row.hour: row.conversions for row in tx.execute(query)}


def statuses_of_offer(tx: Connection, offer_id: int, since: int) -> dict[str, int]:
    """Return an offer's conversions since a moment by their status now."""
    table = conversions.c
    query = (
        select(table.status_key, func.count().label("conversions"))
        .where(table.offer_id == offer_id, table.converted_at >= since, not_(table.test))
        .group_by(table.status_key)
    )
    return {row.status_key: row.conversions for row in tx.execute(query)}


def _counts(cap: OfferCap) -> ColumnElement[bool]:
    """Return the condition for conversions whose status counts towards a cap."""
    table = conversions.c
    return table.status_key.in_(cap.statuses) if cap.statuses else table.counts_as != CountsAs.REJECTED.value
