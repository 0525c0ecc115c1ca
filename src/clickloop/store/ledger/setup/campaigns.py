"""Campaigns and their offers in the ledger. One statement per function; ``tx`` is an open transaction."""

from collections.abc import Iterable

from sqlalchemy import Connection, and_, delete, insert, select

from clickloop.setup.campaign import ALL_CAMPAIGNS, Campaign, CampaignFilter, OfferShare
from clickloop.store.ledger.records import RecordTable
from clickloop.store.ledger.schema.tables import campaign_offers, campaigns
from clickloop.store.ledger.setup.conditions import tagged


def delete_shares(tx: Connection, campaign_id: int) -> None:
    """Delete the offers of a campaign, to be inserted again in the same transaction."""
    tx.execute(delete(campaign_offers).where(campaign_offers.c.campaign_id == campaign_id))


def insert_shares(tx: Connection, campaign_id: int, shares: Iterable[OfferShare]) -> None:
    """Insert the offers of a campaign, at least one, in the given order."""
    tx.execute(
        insert(campaign_offers),
        [
            {"campaign_id": campaign_id, "position": position, "offer_id": share.offer_id, "weight": share.weight}
            for position, share in enumerate(shares)
        ],
    )


def campaigns_after(
    tx: Connection, after_id: int, limit: int, *, archived: bool = False, narrowed: CampaignFilter = ALL_CAMPAIGNS
) -> list[Campaign]:
    """Return at most ``limit`` live or archived campaigns with numbers above ``after_id``, ascending."""
    only = []
    if narrowed.source_id is not None:
        only.append(campaigns.c.source_id == narrowed.source_id)
    if narrowed.offer_id is not None:
        with_offer = select(campaign_offers.c.campaign_id).where(campaign_offers.c.offer_id == narrowed.offer_id)
        only.append(campaigns.c.id.in_(with_offer))
    if narrowed.active is not None:
        only.append(campaigns.c.active == narrowed.active)
    if narrowed.tag:
        only.append(tagged(campaigns.c.tags, narrowed.tag))
    return CAMPAIGNS.after(tx, after_id, limit, *only, archived=archived, words=narrowed.words)


def shares_of(tx: Connection, campaign_ids: list[int]) -> dict[int, tuple[OfferShare, ...]]:
    """Return the offers of each campaign by its number, in order."""
    rows = tx.execute(
        select(campaign_offers)
        .where(campaign_offers.c.campaign_id.in_(campaign_ids))
        .order_by(campaign_offers.c.campaign_id, campaign_offers.c.position)
    ).mappings()
    found: dict[int, list[OfferShare]] = {campaign_id: [] for campaign_id in campaign_ids}
    for row in rows:
        found[row["campaign_id"]].append(OfferShare(row["offer_id"], row["weight"]))
    return {campaign_id: tuple(shares) for campaign_id, shares in found.items()}


CAMPAIGNS = RecordTable(campaigns, Campaign, {"offers": shares_of}, immutable=["key"])
"""A campaign's key never changes, because published links contain it."""


def live_campaign_of_source(tx: Connection, source_id: int) -> str | None:
    """Return the name of a live campaign of the source, or None."""
    return tx.execute(
        select(campaigns.c.name)
        .where(and_(campaigns.c.source_id == source_id, campaigns.c.archived_at.is_(None)))
        .limit(1)
    ).scalar()
