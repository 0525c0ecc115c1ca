"""Campaigns and their offers in the ledger: one statement per function; ``tx`` is an open transaction."""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, and_, delete, insert, select

from clickloop.campaign.campaign import Campaign, ClickCost, OfferShare
from clickloop.store.ledger.finding import in_state, named_like, tagged
from clickloop.store.ledger.tables import campaign_offers, campaigns
from clickloop.store.ledger.versions import update_record


class CampaignsFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which campaigns to list. What is ``None`` or empty does not narrow."""

    source_id: int | None = None
    offer_id: int | None = None
    active: bool | None = None
    words: str = ""
    """A part of the name, in any case."""
    tag: str = ""


ALL_CAMPAIGNS = CampaignsFilter()


def insert_campaign(tx: Connection, campaign: Campaign) -> int:
    """Adds a campaign without its offers; answers its number. A key that is taken raises IntegrityError."""
    result = tx.execute(
        insert(campaigns)
        .values(**_columns(campaign), key=campaign.key, created_at=campaign.created_at, version=campaign.version)
        .returning(campaigns.c.id)
    )
    return int(result.scalar_one())


def update_campaign(tx: Connection, campaign: Campaign) -> int:
    """Rewrite a campaign over the version that it was read at, and return the new version. Raise StaleRecordError.

    Its key stays, which is in links out in the world, and so do its offers.
    """
    values = _columns(campaign) | {"archived_at": campaign.archived_at}
    return update_record(tx, campaigns, campaign.id, campaign.version, campaign.updated_at, values)


def delete_shares(tx: Connection, campaign_id: int) -> None:
    """Removes the offers of a campaign, to be written anew in the same transaction."""
    tx.execute(delete(campaign_offers).where(campaign_offers.c.campaign_id == campaign_id))


def insert_shares(tx: Connection, campaign_id: int, shares: Iterable[OfferShare]) -> None:
    """Adds at least one offer to a campaign, in the given order."""
    tx.execute(
        insert(campaign_offers),
        [
            {"campaign_id": campaign_id, "position": position, "offer_id": share.offer_id, "weight": share.weight}
            for position, share in enumerate(shares)
        ],
    )


def find_campaign(tx: Connection, campaign_id: int) -> Campaign | None:
    """The campaign of that number, archived or not."""
    row = tx.execute(select(campaigns).where(campaigns.c.id == campaign_id)).mappings().one_or_none()
    return None if row is None else _campaign(row, shares_of(tx, [campaign_id])[campaign_id])


def find_campaign_keyed(tx: Connection, key: str) -> int | None:
    """The number of the campaign of that key, archived or not."""
    return tx.execute(select(campaigns.c.id).where(campaigns.c.key == key)).scalar()


def campaigns_after(
    tx: Connection, after_id: int, limit: int, *, archived: bool = False, narrowed: CampaignsFilter = ALL_CAMPAIGNS
) -> list[Campaign]:
    """At most ``limit`` campaigns with higher numbers, ascending; the live ones, or the archived ones."""
    query = select(campaigns).where(and_(campaigns.c.id > after_id, in_state(campaigns, archived=archived)))
    if narrowed.source_id is not None:
        query = query.where(campaigns.c.source_id == narrowed.source_id)
    if narrowed.offer_id is not None:
        with_offer = select(campaign_offers.c.campaign_id).where(campaign_offers.c.offer_id == narrowed.offer_id)
        query = query.where(campaigns.c.id.in_(with_offer))
    if narrowed.active is not None:
        query = query.where(campaigns.c.active == narrowed.active)
    if narrowed.words:
        query = query.where(named_like(campaigns, narrowed.words))
    if narrowed.tag:
        query = query.where(tagged(campaigns.c.tags, narrowed.tag))
    rows = tx.execute(query.order_by(campaigns.c.id).limit(limit)).mappings().all()
    shares = shares_of(tx, [row["id"] for row in rows])
    return [_campaign(row, shares[row["id"]]) for row in rows]


def shares_of(tx: Connection, campaign_ids: list[int]) -> dict[int, tuple[OfferShare, ...]]:
    """The offers of each campaign by its number, in order."""
    rows = tx.execute(
        select(campaign_offers)
        .where(campaign_offers.c.campaign_id.in_(campaign_ids))
        .order_by(campaign_offers.c.campaign_id, campaign_offers.c.position)
    ).mappings()
    found: dict[int, list[OfferShare]] = {campaign_id: [] for campaign_id in campaign_ids}
    for row in rows:
        found[row["campaign_id"]].append(OfferShare(row["offer_id"], row["weight"]))
    return {campaign_id: tuple(shares) for campaign_id, shares in found.items()}


def live_campaign_of_source(tx: Connection, source_id: int) -> str | None:
    """The name of a campaign of the source that is not archived, or None."""
    return tx.execute(
        select(campaigns.c.name)
        .where(and_(campaigns.c.source_id == source_id, campaigns.c.archived_at.is_(None)))
        .limit(1)
    ).scalar()


def _columns(campaign: Campaign) -> dict[str, Any]:
    return {
        "name": campaign.name,
        "source_id": campaign.source_id,
        "domain": campaign.domain,
        "active": campaign.active,
        "fallback_url": campaign.fallback_url,
        "cost_model": campaign.cost_model.value,
        "cost_micros": campaign.cost_micros,
        "source_rules_off": campaign.source_rules_off,
        "tags": list(campaign.tags),
        "notes": campaign.notes,
        "updated_at": campaign.updated_at,
    }


def _campaign(row: RowMapping, shares: tuple[OfferShare, ...]) -> Campaign:
    return Campaign(
        id=row["id"],
        key=row["key"],
        name=row["name"],
        source_id=row["source_id"],
        domain=row["domain"],
        active=row["active"],
        fallback_url=row["fallback_url"],
        cost_model=ClickCost(row["cost_model"]),
        cost_micros=row["cost_micros"],
        source_rules_off=row["source_rules_off"],
        tags=tuple(row["tags"]),
        notes=row["notes"],
        offers=shares,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        archived_at=row["archived_at"],
        version=row["version"],
    )
