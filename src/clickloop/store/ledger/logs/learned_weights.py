"""Learned weights in the ledger, with the evidence for each. One statement per function; ``tx`` is an open transaction."""

from collections.abc import Collection

import msgspec
from sqlalchemy import Connection, delete, func, insert, select

from clickloop.learning.evidence import LearnedSplit
from clickloop.setup.learning import ItemKind
from clickloop.store.ledger.schema.tables import learned_weights

SplitKey = tuple[int, ItemKind]
"""A path and what it chooses among."""


def insert_learned(tx: Connection, split: LearnedSplit) -> None:
    """Record weights that are about to be published."""
    values = {
        "path_id": split.path_id,
        "kind": split.kind.value,
        "learned_at": split.learned_at,
        "evidence": msgspec.to_builtins(split),
    }
    tx.execute(insert(learned_weights).values(values))


def latest_learned(
    tx: Connection, path_ids: Collection[int], until_at: int | None = None
) -> dict[SplitKey, LearnedSplit]:
    """Return the newest weights of each path, or the newest ones up to a moment."""
    table = learned_weights.c
    newest = select(table.path_id, table.kind, func.max(table.learned_at).label("learned_at")).where(
        table.path_id.in_(path_ids)
    )
    if until_at is not None:
        newest = newest.where(table.learned_at <= until_at)
    latest = newest.group_by(table.path_id, table.kind).subquery()
    query = select(learned_weights.c.evidence).join(
        latest,
        (latest.c.path_id == table.path_id) & (latest.c.kind == table.kind) & (latest.c.learned_at == table.learned_at),
    )
    splits = [msgspec.convert(evidence, LearnedSplit) for evidence in tx.scalars(query)]
    return {(split.path_id, split.kind): split for split in splits}


def delete_learned(tx: Connection, before_at: int) -> None:
    """Delete weights from before that moment, except the newest of each path."""
    later = learned_weights.alias("later")
    is_newest = ~(
        select(later.c.path_id)
        .where(
            later.c.path_id == learned_weights.c.path_id,
            later.c.kind == learned_weights.c.kind,
            later.c.learned_at > learned_weights.c.learned_at,
        )
        .exists()
    )
    tx.execute(delete(learned_weights).where(learned_weights.c.learned_at < before_at, ~is_newest))
