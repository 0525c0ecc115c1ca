"""The caps of offers in the ledger. One statement per function; ``tx`` is an open transaction."""

from collections.abc import Collection

import msgspec
from sqlalchemy import Connection, func, select

from clickloop.setup.offer_cap import OfferCap
from clickloop.store.ledger.schema.tables import changes_log, offers


class LiveOfferCap(msgspec.Struct, frozen=True):
    """A live offer with its cap."""

    offer_id: int
    name: str
    cap: OfferCap


def live_caps(tx: Connection) -> list[LiveOfferCap]:
    """Return the caps of live offers."""
    query = select(offers.c.id, offers.c.name, offers.c.cap).where(
        offers.c.cap.is_not(None), offers.c.archived_at.is_(None)
    )
    rows = tx.execute(query.order_by(offers.c.id))
    return [LiveOfferCap(row.id, row.name, msgspec.convert(row.cap, OfferCap)) for row in rows]


def live_among(tx: Connection, offer_ids: Collection[int]) -> set[int]:
    """Return the live offers among these."""
    return set(tx.scalars(select(offers.c.id).where(offers.c.id.in_(offer_ids), offers.c.archived_at.is_(None))))


def alternative_of(tx: Connection, offer_id: int) -> int | None:
    """Return the offer that visitors go to once an offer's cap is reached; None if there is none."""
    cap = tx.scalar(select(offers.c.cap).where(offers.c.id == offer_id))
    return None if cap is None else msgspec.convert(cap, OfferCap).then_offer_id


def live_offer_leading_to(tx: Connection, offer_id: int) -> str | None:
    """Return a live offer whose cap leads to an offer, ``offer 'X'``, or None."""
    return next((f"offer {one.name!r}" for one in live_caps(tx) if one.cap.then_offer_id == offer_id), None)


def newest_setup_change(tx: Connection) -> int:
    """Return the newest entry of the audit log: as long as it stays, so do the caps."""
    return tx.scalar(select(func.max(changes_log.c.id))) or 0
