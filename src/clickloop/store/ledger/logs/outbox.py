"""The outbox of facts: rows to be loaded into the facts; ``tx`` is an open transaction."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, delete, insert, select

from clickloop.store.id_runs import id_runs
from clickloop.store.ledger.schema.tables import fact_outbox


def insert_facts(tx: Connection, lines: Sequence[bytes]) -> None:
    """Add rows for the facts, one JSON object each, in this order."""
    if lines:
        tx.execute(insert(fact_outbox), [{"fact": line} for line in lines])


def oldest_facts(tx: Connection, limit: int) -> list[tuple[int, bytes]]:
    """Return at most ``limit`` rows with their ids, ascending, that the facts have not confirmed yet.

    No lease is needed: one process settles, and the facts skip a row whose id they have loaded.
    """
    query = select(fact_outbox.c.id, fact_outbox.c.fact)
    # Oldest first, so that the facts, which remember loaded ids as runs, have few runs.
    return [(number, fact) for number, fact in tx.execute(query.order_by(fact_outbox.c.id).limit(limit))]


def delete_facts(tx: Connection, ids: Iterable[int]) -> None:
    """Delete exactly the rows with these ids, which the facts have loaded. A row between them may have been committed since."""
    # A run of consecutive ids contains no other row, so its two ends are enough.
    runs = [{"first": first, "last": last} for first, last in id_runs(ids)]
    if runs:
        tx.execute(_DELETE_RUN, runs)


_DELETE_RUN = delete(fact_outbox).where(fact_outbox.c.id.between(bindparam("first"), bindparam("last")))
