"""Networks in the ledger: one statement per function; ``tx`` is an open transaction."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from clickloop.setup.network import Network
from clickloop.store.ledger.records import RecordTable
from clickloop.store.ledger.schema.tables import networks, offers

NETWORKS = RecordTable(networks, Network)


def networks_of_offers(tx: Connection, offer_ids: Collection[int]) -> list[Network]:
    """The networks that these offers are from, archived ones too, sorted by name."""
    own = select(offers.c.network_id).where(offers.c.id.in_(offer_ids))
    return NETWORKS.select(tx, NETWORKS.all.where(networks.c.id.in_(own)).order_by(networks.c.name))


def networks_with_status(tx: Connection, key: str) -> list[str]:
    """Return the names of the networks, archived ones too, that have a word of their own for a status."""
    rows = tx.execute(select(networks.c.name, networks.c.status_words).order_by(networks.c.name))
    return [name for name, words in rows if key in words.values()]


def find_networks(tx: Connection, ids: Collection[int]) -> list[Network]:
    """Return the networks of these numbers, archived ones too."""
    return NETWORKS.select(tx, NETWORKS.all.where(networks.c.id.in_(ids)))
