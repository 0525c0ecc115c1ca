"""Networks in the ledger. One statement per function; ``tx`` is an open transaction."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from clickloop.setup.network import Network
from clickloop.store.ledger.records import RecordTable
from clickloop.store.ledger.schema.tables import networks, offers

NETWORKS = RecordTable(networks, Network)


def networks_of_offers(tx: Connection, offer_ids: Collection[int]) -> list[Network]:
    """Return the networks of these offers, including archived ones, sorted by name."""
    own = select(offers.c.network_id).where(offers.c.id.in_(offer_ids))
    return NETWORKS.select(tx, NETWORKS.all.where(networks.c.id.in_(own)).order_by(networks.c.name))


def networks_with_status(tx: Connection, key: str) -> list[str]:
    """Return the names of the networks, including archived ones, that have their own word for a status."""
    rows = tx.execute(select(networks.c.name, networks.c.status_words).order_by(networks.c.name))
    return [name for name, words in rows if key in words.values()]


def find_networks(tx: Connection, ids: Collection[int]) -> list[Network]:
    """Return the networks with these numbers, including archived ones."""
    return NETWORKS.select(tx, NETWORKS.all.where(networks.c.id.in_(ids)))
