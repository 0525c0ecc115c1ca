"""Offers in the ledger: one statement per function; ``tx`` is an open transaction."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, insert, select

from clickloop.campaign.offer import Offer
from clickloop.store.ledger.finding import in_state, named_like, tagged
from clickloop.store.ledger.tables import campaign_offers, campaigns, offers
from clickloop.store.ledger.versions import update_record


def insert_offer(tx: Connection, offer: Offer) -> int:
    """Adds an offer; answers its number."""
    result = tx.execute(
        insert(offers)
        .values(**_columns(offer), created_at=offer.created_at, version=offer.version)
        .returning(offers.c.id)
    )
    return int(result.scalar_one())


def update_offer(tx: Connection, offer: Offer) -> int:
    """Rewrite an offer over the version that it was read at, and return the new version. Raise StaleRecordError."""
    values = _columns(offer) | {"archived_at": offer.archived_at}
    return update_record(tx, offers, offer.id, offer.version, offer.updated_at, values)


def find_offer(tx: Connection, offer_id: int) -> Offer | None:
    """The offer of that number, archived or not."""
    row = tx.execute(select(offers).where(offers.c.id == offer_id)).mappings().one_or_none()
    return None if row is None else _offer(row)


def live_offers(tx: Connection, offer_ids: Collection[int]) -> list[Offer]:
    """Those of the given numbers that are offers and not archived, ascending."""
    query = select(offers).where(and_(offers.c.id.in_(offer_ids), in_state(offers, archived=False)))
    return [_offer(row) for row in tx.execute(query.order_by(offers.c.id)).mappings()]


def live_offer_ids(tx: Connection, offer_ids: list[int]) -> set[int]:
    """Those of the given numbers that are offers and not archived."""
    return set(tx.scalars(select(offers.c.id).where(and_(offers.c.id.in_(offer_ids), offers.c.archived_at.is_(None)))))


def offers_after(
    tx: Connection,
    after_id: int,
    limit: int,
    *,
    archived: bool = False,
    network_id: int | None = None,
    words: str = "",
    tag: str = "",
) -> list[Offer]:
    """At most ``limit`` offers with higher numbers, ascending; what is given narrows: the network, a part of the name, a tag."""
    query = select(offers).where(and_(offers.c.id > after_id, in_state(offers, archived=archived)))
    if network_id is not None:
        query = query.where(offers.c.network_id == network_id)
    if words:
        query = query.where(named_like(offers, words))
    if tag:
        query = query.where(tagged(offers.c.tags, tag))
    return [_offer(row) for row in tx.execute(query.order_by(offers.c.id).limit(limit)).mappings()]


def live_campaign_with_offer(tx: Connection, offer_id: int) -> str | None:
    """The name of a campaign that is not archived and has this offer, or None."""
    return tx.execute(
        select(campaigns.c.name)
        .join(campaign_offers, campaign_offers.c.campaign_id == campaigns.c.id)
        .where(and_(campaign_offers.c.offer_id == offer_id, campaigns.c.archived_at.is_(None)))
        .limit(1)
    ).scalar()


def live_offer_of_network(tx: Connection, network_id: int) -> str | None:
    """The name of an offer of the network that is not archived, or None."""
    return tx.execute(
        select(offers.c.name).where(and_(offers.c.network_id == network_id, offers.c.archived_at.is_(None))).limit(1)
    ).scalar()


def _columns(offer: Offer) -> dict[str, Any]:
    return {
        "name": offer.name,
        "network_id": offer.network_id,
        "url": offer.url,
        "payout_micros": offer.payout_micros,
        "currency": offer.currency,
        "tags": list(offer.tags),
        "updated_at": offer.updated_at,
    }


def _offer(row: RowMapping) -> Offer:
    return Offer(
        id=row["id"],
        name=row["name"],
        network_id=row["network_id"],
        url=row["url"],
        payout_micros=row["payout_micros"],
        currency=row["currency"],
        tags=tuple(row["tags"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        archived_at=row["archived_at"],
        version=row["version"],
    )
