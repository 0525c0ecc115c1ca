"""A set-up with a landing of two buttons, for tests of what happens between a visit and a landing click."""

from msgspec.structs import replace

from clickloop.setup.catalog import (
    Catalog,
    CatalogCampaign,
    CatalogFlow,
    CatalogLanding,
    CatalogOffer,
    CatalogRow,
)
from clickloop.setup.flow import FlowParts, LandingShare, OfferShare, Path, PathTarget

KEY, OTHER_KEY = "Ab12Cd", "Zz98Yx"
LANDING, FIRST, SECOND, DIRECT = 3, 11, 12, 13
FIRST_URL = "https://first.example/o?s={clickid}&x={externalid}&z={zone}&c={country}&l={landing.id}-{landing.name}"
SECOND_URL = "https://second.example/o?s={clickid}"
FALLBACK = "https://fallback.example/"
CAMPAIGN = CatalogCampaign(
    id=7,
    key=KEY,
    name="Summer",
    source_id=3,
    source_name="Source",
    active=True,
    domain="",
    fallback_url="https://campaign.example/fallback",
    cost_micros=None,
    cost_currency="EUR",
    rows=(CatalogRow(-1, "external_id"), CatalogRow(0, "cost"), CatalogRow(1, "zone")),
    flow_id=9,
)
PATH = Path(
    id=21,
    target=PathTarget.LANDING_AND_OFFER,
    landings=(LandingShare(LANDING),),
    offers=(OfferShare(FIRST, 100), OfferShare(SECOND, 100)),
)
OTHER_PATH = Path(id=22, offers=(OfferShare(DIRECT),))


def catalog(
    landing_url: str = "https://landing.example/quiz",
    path: Path = PATH,
    offers: tuple[tuple[int, str], ...] = ((FIRST, FIRST_URL), (SECOND, SECOND_URL)),
    **campaign: object,
) -> Catalog:
    """Return a catalog with a campaign of a landing with two offers, and another one that leads to an offer."""
    direct = (DIRECT, "https://direct.example/o?s={clickid}")
    return Catalog(
        campaigns=(replace(CAMPAIGN, **campaign), replace(CAMPAIGN, id=8, key=OTHER_KEY, flow_id=10)),
        offers=tuple(CatalogOffer(number, f"Offer {number}", url, 5, "Network") for number, url in (*offers, direct)),
        landings=(CatalogLanding(LANDING, "Quiz A", landing_url),),
        flows=(
            CatalogFlow(9, 1, FlowParts(default_paths=(path,))),
            CatalogFlow(10, 1, FlowParts(default_paths=(OTHER_PATH,))),
        ),
    )
