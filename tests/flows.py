"""Flows for tests: the plain ones that most of them need."""

from clickloop.setup.catalog import CatalogFlow
from clickloop.setup.flow import FlowParts, OfferShare, Path


def offers_by_weight(*shares: tuple[int, int], path_id: int = 0) -> FlowParts:
    """Return a flow with one default path to these pairs of offer and weight."""
    if not shares:
        return FlowParts()
    return FlowParts(default_paths=(Path(id=path_id, offers=tuple(OfferShare(*share) for share in shares)),))


def flow_in_catalog(*shares: tuple[int, int], flow_id: int = 9) -> CatalogFlow:
    """Return ``offers_by_weight`` as a flow of the catalog."""
    return CatalogFlow(flow_id, 1, offers_by_weight(*shares, path_id=1))
