"""The fact outbox: what the ledger owes the facts, until they have taken it; ``tx`` is an open transaction."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select

from clickloop.store.ledger.tables import fact_outbox


def insert_facts(tx: Connection, lines: Sequence[bytes]) -> None:
    """Owes the facts these rows, one JSON object each, in this order."""
    if lines:
        tx.execute(insert(fact_outbox), [{"fact": line} for line in lines])


def facts_after(tx: Connection, after_id: int, limit: int) -> list[tuple[int, bytes]]:
    """At most ``limit`` rows with higher numbers than the last one taken, ascending."""
    query = select(fact_outbox.c.id, fact_outbox.c.fact).where(fact_outbox.c.id > after_id)
    return [(number, fact) for number, fact in tx.execute(query.order_by(fact_outbox.c.id).limit(limit))]


def delete_facts_to(tx: Connection, last_id: int) -> None:
    """Removes the rows that the facts have taken, up to and with this number."""
    tx.execute(delete(fact_outbox).where(fact_outbox.c.id <= last_id))
