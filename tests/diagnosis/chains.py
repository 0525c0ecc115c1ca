"""A working chain, source to tracker to network and back, and ways to change it for tests of the check."""

from typing import Any, TypeVar

import msgspec

from clickloop.conversion.status import SALE, CountsAs, Status, StatusWords
from clickloop.diagnosis.check.chain import Chain, CheckedRule
from clickloop.diagnosis.check.evidence import CampaignEvidence, CheckEvidence
from clickloop.postback.rule import Conditions, PostbackRule, RequestTemplate
from clickloop.report.evidence import ClickEvidence, RuleEvidence
from clickloop.setup.campaign import Campaign
from clickloop.setup.catalog import Catalog, CatalogCampaign, CatalogFlow, CatalogOffer, CatalogRow
from clickloop.setup.network import Network
from clickloop.setup.offer import Offer
from clickloop.setup.traffic_source import SourceParameter, TrafficSource
from tests.flows import offers_by_weight

NOW = 1_772_366_400_000
ROWS = (
    SourceParameter(-1, "external_id", "${SUBID}"),
    SourceParameter(0, "cost", "{cost}"),
    SourceParameter(1, "zone", "{zoneid}"),
)
SOURCE = TrafficSource(id=3, name="Clickadu", parameters=ROWS)
NETWORK = Network(
    id=2,
    name="Everflow",
    click_id_parameter="sub1",
    token="s3cret",
    postback_parameters={"cid": "{sub1}", "payout": "{payout}", "status": "{event}"},
)
OFFER = Offer(id=5, name="Gift card", network_id=2, url="https://network.example/?sub1={clickid}&z={zone}")
CAMPAIGN = Campaign(
    id=7,
    key="Ab12Cd",
    name="Sweeps",
    source_id=3,
    fallback_url="https://fallback.example/",
    flow=offers_by_weight((5, 100)),
)
RULE = PostbackRule(
    rule_id=1,
    name="Traffic source postback",
    source_id=3,
    request=RequestTemplate(url="https://source.example/pb?id={externalid}&p={payout}&z={zone}"),
)
TELEGRAM = PostbackRule(
    rule_id=2, name="Telegram", request=RequestTemplate(url="https://bot.example/send?text={payout}")
)
STATUSES = (
    StatusWords(SALE, ("approved", "sale")),
    StatusWords(Status("hold", "Hold", CountsAs.PENDING), ("hold", "pending")),
    StatusWords(Status("deposit", "Deposit", CountsAs.CONFIRMED), ()),
)
WELL = CheckEvidence(
    campaigns=(
        CampaignEvidence(
            campaign_id=7,
            clicks=ClickEvidence(recent=1_000, last_at=NOW),
            conversions=30,
            last_conversion_at=NOW,
            last_delivered_at=NOW,
        ),
    ),
    rules=(RuleEvidence(rule_id=1, delivered=30),),
    statuses={"sale": 30},
)
OWN_LINK = "https://go.example.com/c/Ab12Cd?x={clickid}"


Record = TypeVar("Record", bound=msgspec.Struct)


def changed(record: Record, **changes: Any) -> Record:
    return msgspec.structs.replace(record, **changes)


def chain(
    source: TrafficSource = SOURCE,
    network: Network | None = NETWORK,
    offer: Offer = OFFER,
    campaign: Campaign = CAMPAIGN,
    rules: tuple[PostbackRule, ...] = (RULE, TELEGRAM),
    paused: bool = False,
    **changes: Any,
) -> Chain:
    """Return the working chain with these parts replaced."""
    in_catalog = CatalogCampaign(
        id=campaign.id,
        key=campaign.key,
        name=campaign.name,
        source_id=campaign.source_id,
        source_name=source.name,
        active=campaign.active,
        domain=campaign.domain,
        fallback_url=campaign.fallback_url,
        cost_micros=None,
        cost_currency="",
        rows=tuple(CatalogRow(row.number, row.parameter) for row in source.parameters if row.tracked),
        flow_id=9,
    )
    offers = (CatalogOffer(offer.id, offer.name, offer.url, offer.network_id or 0, ""),)
    usual: dict[str, Any] = {
        "campaigns": (campaign,),
        "sources": {source.id: source},
        "networks": {network.id: network} if network else {},
        "offers": {offer.id: offer},
        "rules": tuple(CheckedRule(rule, paused) for rule in rules),
        "first_rules": {3: 1} if RULE.rule_id in [rule.rule_id for rule in rules] else {},
        "statuses": STATUSES,
        "catalog": Catalog((in_catalog,), offers, ("go.example.com",), flows=(CatalogFlow(9, 1, campaign.flow),)),
        "base_url": "https://go.example.com",
    }
    return Chain(**usual | changes)


def rows(*changed_rows: SourceParameter) -> TrafficSource:
    """Return the source with these rows replacing those with the same number."""
    by_number = {row.number: row for row in (*ROWS, *changed_rows)}
    return changed(SOURCE, parameters=tuple(by_number[number] for number in sorted(by_number)))


def sending(url: str, **parts: Any) -> dict[str, Any]:
    """Return a chain whose source's rule sends this."""
    return {"rules": (changed(RULE, request=RequestTemplate(url=url, **parts)),)}


def waiting_for(*statuses: str) -> dict[str, Any]:
    return {"rules": (RULE, changed(TELEGRAM, conditions=Conditions(statuses=statuses)))}


def offering(url: str, **changes: Any) -> dict[str, Any]:
    return {"offer": changed(OFFER, url=url, **changes)}


def seen(**changes: Any) -> CheckEvidence:
    return changed(WELL, campaigns=(changed(WELL.campaigns[0], **changes),))


def clicks(**changes: Any) -> CheckEvidence:
    return seen(clicks=changed(WELL.campaigns[0].clicks, **changes))
