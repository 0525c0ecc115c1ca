"""Flows and campaigns for tests: the plain ones that most of them need."""

from typing import Any

from msgspec.structs import replace

from clickloop.setup.catalog import CatalogCampaign, CatalogFlow, CatalogRow
from clickloop.setup.flow import FlowParts, OfferShare, Path


def offers_by_weight(*shares: tuple[int, int], path_id: int = 0) -> FlowParts:
    """Return a flow with one default path to these pairs of offer and weight."""
    if not shares:
        return FlowParts()
    return FlowParts(default_paths=(Path(id=path_id, offers=tuple(OfferShare(*share) for share in shares)),))


def flow_in_catalog(*shares: tuple[int, int], flow_id: int = 9) -> CatalogFlow:
    """Return ``offers_by_weight`` as a flow of the catalog."""
    return CatalogFlow(flow_id, 1, offers_by_weight(*shares, path_id=1))


_CAMPAIGN = CatalogCampaign(
    id=7,
    key="Ab12Cd",
    name="Summer",
    source_id=3,
    source_name="Source",
    active=True,
    domain="",
    fallback_url="https://fallback.example/",
    cost_micros=None,
    cost_currency="EUR",
    rows=(CatalogRow(-1, "external_id"), CatalogRow(0, "cost"), CatalogRow(1, "zone")),
    flow_id=9,
)


def campaign_in_catalog(**changes: Any) -> CatalogCampaign:
    """Return campaign 7, ``Ab12Cd``, which follows flow 9 and whose source has the rows external_id, cost and zone (V1)."""
    return replace(_CAMPAIGN, **changes)
