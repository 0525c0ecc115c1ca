"""Offers in the ledger. One statement per function; ``tx`` is an open transaction."""

from collections.abc import Collection

import msgspec
from sqlalchemy import Connection, and_, select

from clickloop.setup.offer import Offer
from clickloop.store.ledger.records import RecordTable
from clickloop.store.ledger.schema.tables import offers
from clickloop.store.ledger.setup.conditions import tagged

OFFERS = RecordTable(offers, Offer)


class OffersFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A filter for offers. ``None`` or empty does not narrow."""

    network_id: int | None = None
    words: str = ""
    """Part of the name, ignoring case."""
    tag: str = ""


ALL_OFFERS = OffersFilter()


def find_offers(tx: Connection, ids: Collection[int]) -> list[Offer]:
    """Return the offers with these numbers, including archived ones."""
    return OFFERS.select(tx, OFFERS.all.where(offers.c.id.in_(ids)))


def offers_after(
    tx: Connection, after_id: int, limit: int, *, archived: bool = False, narrowed: OffersFilter = ALL_OFFERS
) -> list[Offer]:
    """Return at most ``limit`` live or archived offers with numbers above ``after_id``, ascending."""
    only = []
    if narrowed.network_id is not None:
        only.append(offers.c.network_id == narrowed.network_id)
    if narrowed.tag:
        only.append(tagged(offers.c.tags, narrowed.tag))
    return OFFERS.after(tx, after_id, limit, *only, archived=archived, words=narrowed.words)


def live_offer_of_network(tx: Connection, network_id: int) -> str | None:
    """Return the name of a live offer of the network, or None."""
    return tx.execute(
        select(offers.c.name).where(and_(offers.c.network_id == network_id, offers.c.archived_at.is_(None))).limit(1)
    ).scalar()
