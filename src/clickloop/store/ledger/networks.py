"""Networks in the ledger: one statement per function; ``tx`` is an open transaction."""

from typing import Any

from sqlalchemy import Connection, RowMapping, and_, insert, select, update

from clickloop.campaign.network import Network
from clickloop.store.ledger.tables import networks


def insert_network(tx: Connection, network: Network) -> int:
    """Adds a network; answers its number. A name that is taken raises IntegrityError."""
    result = tx.execute(
        insert(networks).values(**_columns(network), created_at=network.created_at).returning(networks.c.id)
    )
    return int(result.scalar_one())


def update_network(tx: Connection, network: Network) -> None:
    """Rewrites a network."""
    tx.execute(
        update(networks).where(networks.c.id == network.id).values(**_columns(network), archived_at=network.archived_at)
    )


def find_network(tx: Connection, network_id: int) -> Network | None:
    """The network of that number, archived or not."""
    row = tx.execute(select(networks).where(networks.c.id == network_id)).mappings().one_or_none()
    return None if row is None else _network(row)


def find_network_named(tx: Connection, name: str) -> int | None:
    """The number of the network of that name, archived or not."""
    return tx.execute(select(networks.c.id).where(networks.c.name == name)).scalar()


def networks_after(tx: Connection, after_id: int, limit: int, *, archived: bool = False) -> list[Network]:
    """At most ``limit`` networks with higher numbers, ascending; the live ones, or the archived ones."""
    state = networks.c.archived_at.is_not(None) if archived else networks.c.archived_at.is_(None)
    rows = tx.execute(
        select(networks).where(and_(networks.c.id > after_id, state)).order_by(networks.c.id).limit(limit)
    ).mappings()
    return [_network(row) for row in rows]


def _columns(network: Network) -> dict[str, Any]:
    return {
        "name": network.name,
        "preset": network.preset,
        "click_id_parameter": network.click_id_parameter,
        "offer_url_template": network.offer_url_template,
        "postback_parameters": network.postback_parameters,
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
        currency=row["currency"],
        token=row["token"],
        addresses=tuple(row["addresses"]),
        refuse_duplicates=row["refuse_duplicates"],
        test_only=row["test_only"],
        click_lifetime_days=row["click_lifetime_days"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        archived_at=row["archived_at"],
    )
