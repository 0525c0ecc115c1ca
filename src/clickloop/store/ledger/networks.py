"""Networks in the ledger: one statement per function; ``tx`` is an open transaction."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, insert, select

from clickloop.campaign.network import Network
from clickloop.store.ledger.finding import in_state, named_like
from clickloop.store.ledger.tables import networks, offers
from clickloop.store.ledger.versions import update_record


def insert_network(tx: Connection, network: Network) -> int:
    """Adds a network; answers its number. A name that is taken raises IntegrityError."""
    result = tx.execute(
        insert(networks)
        .values(**_columns(network), created_at=network.created_at, version=network.version)
        .returning(networks.c.id)
    )
    return int(result.scalar_one())


def update_network(tx: Connection, network: Network) -> int:
    """Rewrite a network over the version that it was read at, and return the new version. Raise StaleRecordError."""
    values = _columns(network) | {"archived_at": network.archived_at}
    return update_record(tx, networks, network.id, network.version, network.updated_at, values)


def find_network(tx: Connection, network_id: int) -> Network | None:
    """The network of that number, archived or not."""
    row = tx.execute(select(networks).where(networks.c.id == network_id)).mappings().one_or_none()
    return None if row is None else _network(row)


def networks_of_offers(tx: Connection, offer_ids: Collection[int]) -> list[Network]:
    """The networks that these offers are from, archived ones too, sorted by name."""
    own = select(offers.c.network_id).where(offers.c.id.in_(offer_ids))
    rows = tx.execute(select(networks).where(networks.c.id.in_(own)).order_by(networks.c.name)).mappings()
    return [_network(row) for row in rows]


def networks_with_status(tx: Connection, key: str) -> list[str]:
    """Return the names of the networks, archived ones too, that have a word of their own for a status."""
    rows = tx.execute(select(networks.c.name, networks.c.status_words).order_by(networks.c.name))
    return [name for name, words in rows if key in words.values()]


def find_networks(tx: Connection, ids: Collection[int]) -> list[Network]:
    """Return the networks of these numbers, archived ones too."""
    return [_network(row) for row in tx.execute(select(networks).where(networks.c.id.in_(ids))).mappings()]


def find_network_named(tx: Connection, name: str) -> int | None:
    """The number of the network of that name, archived or not."""
    return tx.execute(select(networks.c.id).where(networks.c.name == name)).scalar()


def networks_after(
    tx: Connection, after_id: int, limit: int, *, archived: bool = False, words: str = ""
) -> list[Network]:
    """At most ``limit`` networks with higher numbers, ascending; the live ones, or the archived ones; ``words``: in their name."""
    query = select(networks).where(and_(networks.c.id > after_id, in_state(networks, archived=archived)))
    if words:
        query = query.where(named_like(networks, words))
    return [_network(row) for row in tx.execute(query.order_by(networks.c.id).limit(limit)).mappings()]


def _columns(network: Network) -> dict[str, Any]:
    return {
        "name": network.name,
        "preset": network.preset,
        "click_id_parameter": network.click_id_parameter,
        "offer_url_template": network.offer_url_template,
        "postback_parameters": network.postback_parameters,
        "status_words": network.status_words,
        "currency": network.currency,
        "token": network.token,
        "addresses": list(network.addresses),
        "refuse_duplicates": network.refuse_duplicates,
        "test_only": network.test_only,
        "click_lifetime_days": network.click_lifetime_days,
        "updated_at": network.updated_at,
    }


def _network(row: RowMapping) -> Network:
    return Network(
        id=row["id"],
        name=row["name"],
        preset=row["preset"],
        click_id_parameter=row["click_id_parameter"],
        offer_url_template=row["offer_url_template"],
        postback_parameters=row["postback_parameters"],
        status_words=row["status_words"],
        currency=row["currency"],
        token=row["token"],
        addresses=tuple(row["addresses"]),
        refuse_duplicates=row["refuse_duplicates"],
        test_only=row["test_only"],
        click_lifetime_days=row["click_lifetime_days"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        archived_at=row["archived_at"],
        version=row["version"],
    )
