"""The fact outbox: what the ledger owes the facts, until they have taken it; ``tx`` is an open transaction."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, delete, insert, select

from clickloop.store.id_runs import id_runs
from clickloop.store.ledger.schema.tables import fact_outbox


def insert_facts(tx: Connection, lines: Sequence[bytes]) -> None:
    """Owes the facts these rows, one JSON object each, in this order."""
    if lines:
        tx.execute(insert(fact_outbox), [{"fact": line} for line in lines])


def oldest_facts(tx: Connection, limit: int) -> list[tuple[int, bytes]]:
    """Return at most ``limit`` rows that the facts have yet to confirm, ascending by id.

    Reading is claiming: one process settles, and the facts skip a row whose id they have taken.
    """
    query = select(fact_outbox.c.id, fact_outbox.c.fact)
    # Oldest first, so that runs of ids stay whole: the facts remember them as such.
    return [(number, fact) for number, fact in tx.execute(query.order_by(fact_outbox.c.id).limit(limit))]


def delete_facts(tx: Connection, ids: Iterable[int]) -> None:
    """Delete the rows with these ids, which the facts have taken, and no other: one between them may have been committed since."""
    # A run of consecutive ids holds nothing but rows that were taken, so its two ends say as much as all of its ids.
    runs = [{"first": first, "last": last} for first, last in id_runs(ids)]
    if runs:
        tx.execute(_DELETE_RUN, runs)


_DELETE_RUN = delete(fact_outbox).where(fact_outbox.c.id.between(bindparam("first"), bindparam("last")))
