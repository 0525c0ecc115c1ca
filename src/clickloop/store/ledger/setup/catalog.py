"""Building the catalog from the set-up in the ledger."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Text, cast, func, select

from clickloop.setup.campaign import ClickCost
from clickloop.setup.catalog import (
    Catalog,
    CatalogCampaign,
    CatalogFlow,
    CatalogLanding,
    CatalogList,
    CatalogOffer,
    CatalogRow,
)
from clickloop.setup.cost_rule import ConversionCost, rule_text, with_loss
from clickloop.setup.flow import MAX_DEPTH, FlowReferences, references_of
from clickloop.setup.mark import MarkSetting
from clickloop.setup.redirect import PassQuery, RedirectMode
from clickloop.setup.returning import Bind, Rotation, UniqueBy
from clickloop.store.ledger.schema.tables import (
    campaigns,
    flows,
    landings,
    lists,
    networks,
    offers,
    source_parameters,
    traffic_sources,
)
from clickloop.store.ledger.setup.flows import parts_of


def read_catalog(tx: Connection, own_hosts: tuple[str, ...]) -> Catalog:
    """Return the catalog of everything live: campaigns with the rows of their sources and their flows, offers, landings, lists."""
    return Catalog(
        campaigns=tuple(_campaigns(tx)),
        offers=tuple(_offers(tx)),
        own_hosts=own_hosts,
        landings=tuple(_landings(tx)),
        flows=tuple(_flows(tx)),
        lists=tuple(_lists(tx)),
    )


def read_catalog_of(
    tx: Connection,
    own_hosts: tuple[str, ...],
    campaign_ids: Collection[int],
    also: FlowReferences = FlowReferences(),  # noqa: B008 – it is frozen
) -> Catalog:
    """Return the part of the catalog that some campaigns need, without reading the others. ``also``: what else is needed."""
    campaigns_found = {campaign.id: campaign for campaign in _campaigns(tx, campaign_ids)}
    flows_found = {flow.id: flow for flow in _flows(tx, [campaign.flow_id for campaign in campaigns_found.values()])}
    named = _named_in(flows_found.values()) | also
    for _ in range(MAX_DEPTH):
        further = _campaigns(tx, named.campaigns - campaigns_found.keys())
        campaigns_found |= {campaign.id: campaign for campaign in further}
        flows_found |= {flow.id: flow for flow in _flows(tx, [campaign.flow_id for campaign in further])}
        named = _named_in(flows_found.values()) | also
    return Catalog(
        campaigns=tuple(campaigns_found.values()),
        offers=tuple(_offers(tx, named.offers)),
        own_hosts=own_hosts,
        landings=tuple(_landings(tx, named.landings)),
        flows=tuple(flows_found.values()),
        lists=tuple(_lists(tx, named.lists)),
    )


def _named_in(flows_read: Iterable[CatalogFlow]) -> FlowReferences:
    found = FlowReferences()
    for flow in flows_read:
        found = found | references_of(flow.parts)
    return found


def _campaigns(tx: Connection, campaign_ids: Collection[int] | None = None) -> list[CatalogCampaign]:
    own = flows.alias()
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
            campaigns.c.redirect,
            campaigns.c.redirect_domain,
            campaigns.c.pass_query,
            campaigns.c.unique_within_seconds,
            campaigns.c.unique_by,
            campaigns.c.unique_epoch,
            campaigns.c.bind,
            campaigns.c.rotation,
            campaigns.c.marks,
            campaigns.c.unique_cost_only,
            campaigns.c.loss_percent,
            campaigns.c.conversion_cost,
            func.coalesce(campaigns.c.flow_id, own.c.id, 0).label("flow_id"),
        )
        .join(traffic_sources, traffic_sources.c.id == campaigns.c.source_id)
        .outerjoin(own, own.c.campaign_id == campaigns.c.id)
        .where(campaigns.c.archived_at.is_(None))
    )
    if campaign_ids is not None:
        query = query.where(campaigns.c.id.in_(campaign_ids))
    found = tx.execute(query).all()
    rows = _rows(tx, None if campaign_ids is None else {row.source_id for row in found})
    return [_campaign(row, rows[row.source_id]) for row in found]


def _campaign(row: Any, rows: Sequence[CatalogRow]) -> CatalogCampaign:
    return CatalogCampaign(
        id=row.id,
        key=row.key,
        name=row.name,
        source_id=row.source_id,
        source_name=row.source_name,
        active=row.active,
        domain=row.domain,
        fallback_url=row.fallback_url,
        cost_micros=_cost_of_a_click(row),
        cost_currency=row.cost_currency,
        rows=tuple(rows),
        flow_id=row.flow_id,
        redirect=RedirectMode(row.redirect),
        redirect_domain=row.redirect_domain,
        pass_query=PassQuery(row.pass_query),
        unique_within_seconds=row.unique_within_seconds,
        unique_by=UniqueBy(row.unique_by),
        unique_epoch=row.unique_epoch,
        bind=Bind(row.bind),
        rotation=Rotation(row.rotation),
        marks=msgspec.convert(row.marks, tuple[MarkSetting, ...]),
        cost_rule=_cost_rule(row),
        unique_cost_only=row.unique_cost_only,
        loss_percent=row.loss_percent,
    )


def _cost_of_a_click(row: Any) -> int | None:
    micros = ClickCost(row.cost_model).of_a_click(row.cost_micros)
    return None if micros is None else with_loss(micros, row.loss_percent)


def _cost_rule(row: Any) -> str:
    model = "" if row.cost_model == ClickCost.LINK else str(row.cost_model)
    if row.unique_cost_only and row.cost_model != ClickCost.NONE:
        model = "per_unique"
    conversion = None if row.conversion_cost is None else msgspec.convert(row.conversion_cost, ConversionCost)
    return rule_text(model, conversion, row.cost_currency)


def _flows(tx: Connection, flow_ids: Collection[int] | None = None) -> list[CatalogFlow]:
    """Return the flows of live campaigns and live shared flows."""
    # As text: decoded once, by msgspec, into what it is used as.
    query = (
        select(flows.c.id, flows.c.version, flows.c.name, cast(flows.c.parts, Text).label("parts"))
        .outerjoin(campaigns, campaigns.c.id == flows.c.campaign_id)
        .where(flows.c.archived_at.is_(None), campaigns.c.archived_at.is_(None))
    )
    if flow_ids is not None:
        query = query.where(flows.c.id.in_(flow_ids))
    return [CatalogFlow(row.id, row.version, parts_of(row.parts), row.name) for row in tx.execute(query)]


def _landings(tx: Connection, landing_ids: Collection[int] | None = None) -> list[CatalogLanding]:
    query = select(landings.c.id, landings.c.name, landings.c.url, landings.c.append_click_id).where(
        landings.c.archived_at.is_(None)
    )
    if landing_ids is not None:
        query = query.where(landings.c.id.in_(landing_ids))
    return [CatalogLanding(row.id, row.name, row.url, row.append_click_id) for row in tx.execute(query)]


def _lists(tx: Connection, list_ids: Collection[int] | None = None) -> list[CatalogList]:
    query = select(lists.c.id, lists.c.entries).where(lists.c.archived_at.is_(None))
    if list_ids is not None:
        query = query.where(lists.c.id.in_(list_ids))
    return [CatalogList(row.id, tuple(row.entries)) for row in tx.execute(query)]


def _offers(tx: Connection, offer_ids: Collection[int] | None = None) -> list[CatalogOffer]:
    columns = (offers.c.id, offers.c.name, offers.c.url, offers.c.network_id, offers.c.cap)
    query = (
        select(*columns, networks.c.name.label("network_name"))
        .join(networks, networks.c.id == offers.c.network_id, isouter=True)
        .where(offers.c.archived_at.is_(None))
    )
    if offer_ids is not None:
        query = query.where(offers.c.id.in_(offer_ids))
    found = [
        CatalogOffer(
            row.id,
            row.name,
            row.url,
            row.network_id or 0,
            row.network_name or "",
            (row.cap or {}).get("then_offer_id") or 0,
        )
        for row in tx.execute(query)
    ]
    if offer_ids is not None:
        # Those that caps send visitors to, which no flow names.
        known = {*offer_ids, *(offer.id for offer in found)}
        missing = {offer.alternative_id for offer in found if offer.alternative_id} - known
        found += _offers(tx, missing) if missing else []
    return found


def _rows(tx: Connection, source_ids: Collection[int] | None = None) -> dict[int, list[CatalogRow]]:
    query = select(source_parameters).order_by(source_parameters.c.source_id, source_parameters.c.number)
    if source_ids is not None:
        query = query.where(source_parameters.c.source_id.in_(source_ids))
    found = tx.execute(query)
    rows: dict[int, list[CatalogRow]] = defaultdict(list)
    for row in found:
        rows[row.source_id].append(CatalogRow(row.number, row.parameter, row.tracked))
    return rows
