"""Rows of set-up records: every field of a Struct reads as it was written."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from clickloop.saving import campaigns, traffic_sources
from clickloop.setup.campaign import Campaign, ClickCost
from clickloop.setup.cost_rule import ConversionCost
from clickloop.setup.flow import FlowParts
from clickloop.setup.mark import Mark, MarkSetting
from clickloop.setup.network import Network
from clickloop.setup.offer import Offer
from clickloop.setup.offer_cap import OfferCap
from clickloop.setup.redirect import PassQuery, RedirectMode
from clickloop.setup.returning import Bind, Rotation, UniqueBy
from clickloop.setup.traffic_source import CostModel, SourceParameter, TrafficSource
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.records import RecordTable
from clickloop.store.ledger.schema.tables import networks, offers
from clickloop.store.ledger.setup.campaigns import CAMPAIGNS
from clickloop.store.ledger.setup.networks import NETWORKS
from clickloop.store.ledger.setup.offers import OFFERS
from clickloop.store.ledger.setup.traffic_sources import SOURCES
from tests.empty_stores import open_ledger
from tests.flows import offers_by_weight

NOW = 1_772_366_400_000

NETWORK = Network(
    name="Network",
    preset="everflow",
    click_id_parameter="sub1",
    offer_url_template="{url}&sub1={clickid}",
    postback_parameters={"cid": "{sub1}", "payout": "{payout}"},
    status_words={"1": "sale"},
    currency="EUR",
    token="secret",
    addresses=("203.0.113.0/24", "2001:db8::/32"),
    refuse_duplicates=True,
    test_only=True,
    click_lifetime_days=30,
)
OFFER = Offer(
    name="Offer",
    network_id=1,
    url="https://offer.example/",
    payout_micros=12_500_000,
    currency="USD",
    tags=("us", "größer"),
    cap=OfferCap(amount=100, then_offer_id=2),
)
SOURCE = TrafficSource(
    name="Source",
    preset="clickadu",
    cost_model=CostModel.CPM,
    cost_currency="USD",
    parameters=(
        SourceParameter(-1, "external_id", "${SUBID}", "External ID"),
        SourceParameter(7, "zone", "", "Z", False),
    ),
    postback_url="https://source.example/?id={externalid}",
    used_numbers=(3, 7),
)
CAMPAIGN = Campaign(
    key="aB3xY9",
    name="Campaign",
    source_id=1,
    domain="go.example.com",
    active=False,
    fallback_url="https://fallback.example/",
    cost_model=ClickCost.PER_THOUSAND,
    cost_micros=1_500_000,
    source_rules_off=True,
    flow_id=1,
    redirect=RedirectMode.META,
    redirect_domain="go.example.net",
    pass_query=PassQuery.ALL,
    flow=offers_by_weight((1, 70), (2, 0)),
    tags=("a", "b"),
    notes="Two\nlines",
    unique_within_seconds=3600,
    unique_by=UniqueBy.INSTANCE,
    unique_epoch=2,
    bind=Bind.OFFER,
    rotation=Rotation.UNSEEN,
    marks=(MarkSetting(Mark.REPEAT, True, 5_000),),
    unique_cost_only=True,
    loss_percent=5,
    conversion_cost=ConversionCost(amount="1.5", percent=0, statuses=("sale",)),
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


def written(ledger: Ledger) -> dict[str, Any]:
    with ledger.write() as tx:
        saved = [NETWORKS.write(tx, NETWORK, NOW), OFFERS.write(tx, OFFER, NOW)]
        OFFERS.write(tx, replace(OFFER, name="Another"), NOW)
        saved += [traffic_sources.NOUN.write(tx, SOURCE, NOW), campaigns.NOUN.write(tx, CAMPAIGN, NOW)]
    return {type(record).__name__: record for record in saved}


def test_every_field_reads_as_it_was_written(ledger: Ledger) -> None:
    saved = written(ledger)
    with ledger.read() as tx:
        found = [table.find(tx, 1) for table in (NETWORKS, OFFERS, SOURCES, CAMPAIGNS)]
    assert {type(record).__name__: record for record in found} == saved


@pytest.mark.parametrize("record", [NETWORK, OFFER, SOURCE, CAMPAIGN], ids=lambda record: type(record).__name__)
def test_the_examples_leave_no_field_at_its_default(record: Any) -> None:
    blank = type(record)(**{field.name: None for field in msgspec.structs.fields(record) if field.required})
    same = {name for name in record.__struct_fields__ if getattr(record, name) == getattr(blank, name)}
    assert same == {"id", "version", "created_at", "updated_at", "archived_at"}


def test_an_update_writes_all_fields_except_immutable_ones(ledger: Ledger) -> None:
    campaign = written(ledger)["Campaign"]
    changed = replace(
        campaign,
        name="Renamed",
        key="zzzzzz",
        created_at=1,
        flow=FlowParts(),
        tags=(),
        cost_model=ClickCost.NONE,
        cost_micros=None,
    )
    with ledger.write() as tx:
        saved = campaigns.NOUN.write(tx, changed, NOW + 5)
        found = CAMPAIGNS.find(tx, campaign.id)
    assert found == replace(saved, key=campaign.key, created_at=NOW)
    assert (saved.updated_at, saved.version) == (NOW + 5, NOW + 5)


def test_a_list_continues_after_a_number_and_is_narrowed_by_state_and_name(ledger: Ledger) -> None:
    with ledger.write() as tx:
        for name in ("One", "Two", "Twofold", "Gone"):
            OFFERS.write(
                tx, Offer(name=name, url="https://offer.example/", archived_at=NOW if name == "Gone" else None), NOW
            )
    with ledger.read() as tx:
        assert [offer.name for offer in OFFERS.after(tx, 1, 9)] == ["Two", "Twofold"]
        assert [offer.name for offer in OFFERS.after(tx, 0, 9, words="TWO")] == ["Two", "Twofold"]
        assert [offer.name for offer in OFFERS.after(tx, 0, 1)] == ["One"]
        assert [offer.name for offer in OFFERS.after(tx, 0, 9, archived=True)] == ["Gone"]


def test_a_table_and_a_struct_with_different_fields_are_refused() -> None:
    with pytest.raises(TypeError, match="networks and Offer do not have the same fields: addresses"):
        RecordTable(networks, Offer)
    with pytest.raises(TypeError, match="parts_of_it"):
        RecordTable(offers, Offer, {"parts_of_it": lambda _tx, ids: dict.fromkeys(ids)})
