"""The journal segments whose notices are in the ledger; ``tx`` is an open transaction."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select

from clickloop.store.ledger.schema.tables import settled_segments


def settled_among(tx: Connection, segments: Sequence[str]) -> set[str]:
    """Return those segments that are settled."""
    return set(tx.scalars(select(settled_segments.c.segment).where(settled_segments.c.segment.in_(segments))))


def insert_settled(tx: Connection, segments: Sequence[str], now_ms: int) -> None:
    """Store that segments are settled."""
    if segments:
        tx.execute(insert(settled_segments), [{"segment": segment, "settled_at": now_ms} for segment in segments])


def forget_settled(tx: Connection, segments: Sequence[str]) -> None:
    """Delete the rows of segments whose files are gone."""
    tx.execute(delete(settled_segments).where(settled_segments.c.segment.in_(segments)))
