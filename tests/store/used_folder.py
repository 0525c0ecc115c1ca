"""A small data folder on which a tracker has run, made with the stores alone, without a server."""

from pathlib import Path

import msgspec
from sqlalchemy import insert

from clickloop.click.click import Click
from clickloop.click_id import ClickIds
from clickloop.report.fact import ConversionFact
from clickloop.setup.catalog import Catalog, write_catalog
from clickloop.store.identity import prepare_folder
from clickloop.store.ledger.logs.outbox import insert_facts
from clickloop.store.ledger.schema.tables import changes_log
from clickloop.stores import OpenedStores, open_stores, record_marks
from clickloop.tracking.settle import settle_facts

NOW = 1_790_000_000_000
_IDS = ClickIds(b"k" * 32)


def started(folder: Path) -> OpenedStores:
    """Open the stores like a first or later start."""
    folder.mkdir(exist_ok=True)
    prepare_folder(folder)
    return open_stores(folder, facts_memory_mb=64, wait_seconds=0)


def ended(stores: OpenedStores) -> None:
    """Close them without recording marks, as if killed."""
    stores.facts.close()
    stores.ledger.close()


def go_on(folder: Path, stores: OpenedStores) -> None:
    """Change the set-up, publish the catalog, and load a fact."""
    with stores.ledger.write() as tx:
        entry = {"actor": "a", "user_id": 0, "via": "api", "action": "created", "noun": "offers", "record_id": "1"}
        made = tx.execute(insert(changes_log).values(at=NOW, **entry)).inserted_primary_key
        assert made is not None
        insert_facts(tx, [a_fact_line()])
    settle_facts(stores.ledger, stores.facts)
    known = stores.installation
    write_catalog(folder, Catalog(installation=known.id, key=known.key, setup_change=made[0]))


def a_fact_line() -> bytes:
    """Return a conversion fact for the ledger's outbox."""
    click = Click(click_id=_IDS.new(NOW), at=NOW, campaign_id=1, source_id=1)
    fact = {"click": click, "conversion_id": "c", "at": NOW, "recorded_at": NOW, "status_key": "sale"}
    counted = {"counts_as": "confirmed", "currency": "USD", "conversions": 1}
    return msgspec.json.encode(msgspec.convert(msgspec.to_builtins(fact | counted), ConversionFact))


def used(folder: Path, times: int = 1) -> Path:
    """Make a folder that made progress ``times`` times and was closed in order."""
    stores = started(folder)
    for _ in range(times):
        go_on(folder, stores)
    record_marks(folder, stores.ledger, stores.facts, stores.installation)
    ended(stores)
    return folder
