"""Conditions that lists of the set-up share: archived or live, a part of the name, a tag."""

import json

from sqlalchemy import Column, ColumnElement, Connection, Table, Text, cast, select


def in_state(table: Table, *, archived: bool) -> ColumnElement[bool]:
    """Only the archived records, or only the live ones."""
    return table.c.archived_at.is_not(None) if archived else table.c.archived_at.is_(None)


def named_like(table: Table, words: str) -> ColumnElement[bool]:
    """Only records whose name holds this text, in any case."""
    found: ColumnElement[bool] = table.c.name.icontains(words, autoescape=True)
    return found


def tagged(tags: Column[object], tag: str) -> ColumnElement[bool]:
    """Only records that have this tag, in any case. A JSON column's text is the same in SQLite and in PostgreSQL."""
    return cast(tags, Text).icontains(json.dumps(tag), autoescape=True)


def tags_in_use(tx: Connection, table: Table) -> list[str]:
    """Every tag of live records, sorted in any case."""
    texts = tx.scalars(select(cast(table.c.tags, Text)).where(in_state(table, archived=False)).distinct())
    found = {tag for text in texts for tag in json.loads(text)}
    return sorted(found, key=str.casefold)
