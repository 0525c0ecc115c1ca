"""Building the catalog from the set-up in the ledger."""

from collections import defaultdict
from collections.abc import Collection

from sqlalchemy import Connection, select

from clickloop.setup.campaign import ClickCost
from clickloop.setup.catalog import Catalog, CatalogCampaign, CatalogOffer, CatalogRow, CatalogShare
from clickloop.store.ledger.schema.tables import (
    campaign_offers,
    campaigns,
    networks,
    offers,
    source_parameters,
    traffic_sources,
)


def read_catalog(tx: Connection, own_hosts: tuple[str, ...]) -> Catalog:
    """Return the catalog of everything live: campaigns with the rows of their sources, and offers."""
    rows = _rows(tx)
    shares = _shares(tx)
    return Catalog(
        campaigns=tuple(_campaigns(tx, rows, shares)),
        offers=tuple(_offers(tx)),
        own_hosts=own_hosts,
    )


def read_catalog_of(tx: Connection, own_hosts: tuple[str, ...], campaign_ids: Collection[int]) -> Catalog:
    """Return the part of the catalog that some campaigns need, without reading the others."""
    shares = _shares(tx, campaign_ids)
    source_ids = tx.scalars(select(campaigns.c.source_id).where(campaigns.c.id.in_(campaign_ids))).all()
    return Catalog(
        campaigns=tuple(_campaigns(tx, _rows(tx, source_ids), shares, campaign_ids)),
        offers=tuple(_offers(tx, campaign_ids)),
        own_hosts=own_hosts,
    )


def _campaigns(
    tx: Connection,
    rows: dict[int, list[CatalogRow]],
    shares: dict[int, list[CatalogShare]],
    campaign_ids: Collection[int] | None = None,
) -> list[CatalogCampaign]:
    query = (
        select(
            campaigns.c.id,
            campaigns.c.key,
            campaigns.c.name,
            campaigns.c.source_id,
            traffic_sources.c.name.label("source_name"),
            campaigns.c.active,
            campaigns.c.domain,
            campaigns.c.fallback_url,
            campaigns.c.cost_model,
            campaigns.c.cost_micros,
            traffic_sources.c.cost_currency,
        )
        .join(traffic_sources, traffic_sources.c.id == campaigns.c.source_id)
        .where(campaigns.c.archived_at.is_(None))
    )
    if campaign_ids is not None:
        query = query.where(campaigns.c.id.in_(campaign_ids))
    return [
        CatalogCampaign(
            id=row.id,
            key=row.key,
            name=row.name,
            source_id=row.source_id,
            source_name=row.source_name,
            active=row.active,
            domain=row.domain,
            fallback_url=row.fallback_url,
            cost_micros=ClickCost(row.cost_model).of_a_click(row.cost_micros),
            cost_currency=row.cost_currency,
            rows=tuple(rows[row.source_id]),
            shares=tuple(shares[row.id]),
        )
        for row in tx.execute(query)
    ]


def _offers(tx: Connection, campaign_ids: Collection[int] | None = None) -> list[CatalogOffer]:
    query = (
        select(offers.c.id, offers.c.name, offers.c.url, offers.c.network_id, networks.c.name.label("network_name"))
        .join(networks, networks.c.id == offers.c.network_id, isouter=True)
        .where(offers.c.archived_at.is_(None))
    )
    if campaign_ids is not None:
        of_campaigns = select(campaign_offers.c.offer_id).where(campaign_offers.c.campaign_id.in_(campaign_ids))
        query = query.where(offers.c.id.in_(of_campaigns))
    found = tx.execute(query)
    return [CatalogOffer(row.id, row.name, row.url, row.network_id or 0, row.network_name or "") for row in found]


def _rows(tx: Connection, source_ids: Collection[int] | None = None) -> dict[int, list[CatalogRow]]:
    query = select(source_parameters).order_by(source_parameters.c.source_id, source_parameters.c.number)
    if source_ids is not None:
        query = query.where(source_parameters.c.source_id.in_(source_ids))
    found = tx.execute(query)
    rows: dict[int, list[CatalogRow]] = defaultdict(list)
    for row in found:
        rows[row.source_id].append(CatalogRow(row.number, row.parameter, row.tracked))
    return rows


def _shares(tx: Connection, campaign_ids: Collection[int] | None = None) -> dict[int, list[CatalogShare]]:
    query = select(campaign_offers.c.campaign_id, campaign_offers.c.offer_id, campaign_offers.c.weight).order_by(
        campaign_offers.c.campaign_id, campaign_offers.c.position
    )
    if campaign_ids is not None:
        query = query.where(campaign_offers.c.campaign_id.in_(campaign_ids))
    found = tx.execute(query)
    shares: dict[int, list[CatalogShare]] = defaultdict(list)
    for row in found:
        shares[row.campaign_id].append(CatalogShare(row.offer_id, row.weight))
    return shares
