"""Versions of set-up records: of two writers with the same version one wins, and no version is ever reused."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, select

from clickloop.saving import campaigns, postback_rules, traffic_sources
from clickloop.setup.campaign import Campaign
from clickloop.setup.flow import FlowParts, OfferShare, with_default_offers
from clickloop.setup.offer import Offer
from clickloop.setup.traffic_source import SourceParameter, TrafficSource
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.schema.tables import metadata, networks
from clickloop.store.ledger.setup.campaigns import CAMPAIGNS
from clickloop.store.ledger.setup.lost_secrets import replace_lost_secrets
from clickloop.store.ledger.setup.offers import OFFERS
from clickloop.store.ledger.setup.postback_rules import first_rules_of_sources
from clickloop.store.ledger.setup.traffic_sources import SOURCES
from clickloop.store.ledger.setup.versions import StaleRecordError, later_version, next_version, update_record
from tests.empty_stores import open_ledger

NOW = 1_772_366_400_000
ROWS = (SourceParameter(-1, "external_id", "${SUBID}", "", True), SourceParameter(0, "cost", "", "", True))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def beside(tmp_path: Path, ledger: Ledger) -> Iterator[Ledger]:
    """The same ledger opened again, as by another process, so that our lock does not separate the two."""
    opened = open_ledger(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


def add_campaign(ledger: Ledger) -> Campaign:
    with ledger.write() as tx:
        url = "https://source.example/?id={externalid}"
        source = traffic_sources.NOUN.write(tx, TrafficSource(name="Source", parameters=ROWS, postback_url=url), NOW)
        offers = [OFFERS.write(tx, Offer(name=f"Offer {n}", url="https://offer.example/"), NOW) for n in range(3)]
        shares = tuple(OfferShare(offer.id, 100) for offer in offers)
        return campaigns.NOUN.write(
            tx,
            Campaign(key="aB3xY9", name="Campaign", source_id=source.id, flow=with_default_offers(FlowParts(), shares)),
            NOW,
        )


def race(first: Callable[[], object], second: Callable[[], object]) -> list[BaseException | None]:
    """Run both at the same time in two threads, and return what each raised."""
    together = Barrier(2)

    def run(one: Callable[[], object]) -> BaseException | None:
        together.wait(10)
        try:
            one()
        except StaleRecordError as error:
            return error
        return None

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(run, (first, second)))


@pytest.mark.parametrize("number", range(5))
def test_of_two_connections_that_save_the_same_version_one_wins_and_the_other_writes_nothing(
    ledger: Ledger, beside: Ledger, number: int
) -> None:
    campaign = add_campaign(ledger)

    def save(through: Ledger, name: str, shares: tuple[OfferShare, ...]) -> None:
        with through.write() as tx:
            campaigns.NOUN.write(
                tx, replace(campaign, name=name, flow=with_default_offers(campaign.flow, shares)), NOW + number
            )

    one, two = (OfferShare(1, 1),), (OfferShare(2, 2), OfferShare(3, 3))
    raised = race(lambda: save(ledger, "One", one), lambda: save(beside, "Two", two))
    assert sorted(error is None for error in raised) == [False, True]
    with ledger.read() as tx:
        found = CAMPAIGNS.find(tx, campaign.id)
    assert found is not None
    assert (found.name, found.offers) == (("One", one) if raised[0] is None else ("Two", two))
    stale = next(error for error in raised if error is not None)
    assert isinstance(stale, StaleRecordError)
    assert stale.found == found.version > campaign.version


def test_a_stale_save_rolls_its_transaction_back(ledger: Ledger) -> None:
    stale = add_campaign(ledger)
    with ledger.write() as tx:
        campaigns.NOUN.write(tx, replace(stale, name="Newer"), NOW)

    def save_two() -> None:
        with ledger.write() as tx:
            OFFERS.write(tx, Offer(name="Half", url="https://half.example/"), NOW)
            campaigns.NOUN.write(tx, replace(stale, name="Older", flow=FlowParts()), NOW)

    with pytest.raises(StaleRecordError):
        save_two()
    with ledger.read() as tx:
        found = CAMPAIGNS.find(tx, stale.id)
        assert found is not None
        assert (found.name, len(found.offers)) == ("Newer", 3)
        assert OFFERS.find(tx, 4) is None


def test_a_deleted_record_is_stale(ledger: Ledger) -> None:
    with ledger.write() as tx, pytest.raises(StaleRecordError) as raised:
        OFFERS.write(tx, Offer(id=7, name="Gone", url="https://gone.example/", version=3), NOW)
    assert raised.value.found == 0


@pytest.mark.parametrize(("version", "now_ms", "after"), [(0, 5, 5), (1, 5, 5), (5, 5, 6), (9, 5, 10), (0, 0, 1)])
def test_a_version_grows_by_one_at_least_and_to_the_moment_of_the_change(
    ledger: Ledger, version: int, now_ms: int, after: int
) -> None:
    assert next_version(version, now_ms) == after

    def is_so(tx: Connection) -> bool:
        tx.execute(networks.insert().values(name="N", postback_parameters={}, addresses=[], version=version, **_REST))
        return tx.scalar(select(later_version(networks, now_ms))) == after

    with ledger.write() as tx:
        assert is_so(tx)


_REST = {"refuse_duplicates": False, "test_only": False, "created_at": 0, "updated_at": 0}


def test_a_restored_older_record_never_reuses_a_version(ledger: Ledger) -> None:
    with ledger.write() as tx:
        first = OFFERS.write(tx, Offer(name="First", url="https://one.example/"), NOW)
        shown_in_a_tab = OFFERS.write(tx, replace(first, name="Second"), NOW + 1_000)
    with ledger.write() as tx:  # as in a backup from before the second save
        tx.exec_driver_sql(f"UPDATE offers SET name = 'First', version = {first.version}")
    with ledger.write() as tx:
        again = OFFERS.write(tx, replace(first, name="Another"), NOW + 60_000)
    assert again.version != shown_in_a_tab.version
    with ledger.write() as tx, pytest.raises(StaleRecordError):
        OFFERS.write(tx, replace(shown_in_a_tab, name="From the tab"), NOW + 61_000)


def test_the_rule_with_a_sources_postback_url_and_its_source_change_together(ledger: Ledger) -> None:
    add_campaign(ledger)
    with ledger.write() as tx:
        source, kept = SOURCES.find(tx, 1), first_rules_of_sources(tx, [1])[1]
        assert source is not None
        postback_rules.NOUN.write(tx, replace(kept, rule=replace(kept.rule, name="Renamed")), NOW)
        with pytest.raises(StaleRecordError):
            traffic_sources.NOUN.write(tx, source, NOW)
        fresh = SOURCES.find(tx, 1)
        assert fresh is not None
        same = first_rules_of_sources(tx, [1])[1]
        traffic_sources.NOUN.write(tx, fresh, NOW)
        assert first_rules_of_sources(tx, [1])[1].version == same.version, "the URL was not changed"
        again = SOURCES.find(tx, 1)
        assert again is not None
        traffic_sources.NOUN.write(tx, replace(again, postback_url="https://other.example/?id={externalid}"), NOW)
        with pytest.raises(StaleRecordError):
            postback_rules.NOUN.write(tx, same, NOW)


def test_replacing_a_secret_gives_its_record_a_new_version(ledger: Ledger) -> None:
    with ledger.write() as tx:
        tx.execute(networks.insert().values(name="N", postback_parameters={}, addresses=[], **_REST))
        tx.exec_driver_sql("UPDATE networks SET token = 'clsealed1:AAAA'")
        before = tx.scalar(select(networks.c.version))
        lost = replace_lost_secrets(tx, NOW)
        assert (tx.scalar(select(networks.c.version)) != before) == bool(lost.networks)


def test_all_set_up_records_have_a_version(ledger: Ledger) -> None:
    names = {table.name for table in metadata.sorted_tables if "version" in table.columns}
    assert names - {"conversions", "postbacks", "notices", "conversion_changes", "flow_versions", "routing_states"} == {
        "traffic_sources",
        "networks",
        "offers",
        "landings",
        "lists",
        "flows",
        "campaigns",
        "statuses",
        "postback_rules",
        "views",
        "users",
        "settings",
    }


def test_a_text_works_as_a_key_too(ledger: Ledger) -> None:
    statuses = metadata.tables["statuses"]
    with ledger.write() as tx:
        assert update_record(tx, statuses, "sale", 1, NOW, {"name": "Sold"}) == NOW
        with pytest.raises(StaleRecordError):
            update_record(tx, statuses, "sale", 1, NOW, {"name": "Sold twice"})
