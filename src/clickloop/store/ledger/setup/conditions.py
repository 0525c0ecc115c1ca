"""Conditions shared by lists of set-up records: archived or live, part of the name, a tag."""

import json

from sqlalchemy import Column, ColumnElement, Connection, Table, Text, cast, select


def in_state(table: Table, *, archived: bool) -> ColumnElement[bool]:
    """Return the condition for archived, or for live, records."""
    return table.c.archived_at.is_not(None) if archived else table.c.archived_at.is_(None)


def named_like(table: Table, words: str) -> ColumnElement[bool]:
    """Return the condition for records whose name contains a text, ignoring case."""
    found: ColumnElement[bool] = table.c.name.icontains(words, autoescape=True)
    return found


def tagged(tags: Column[object], tag: str) -> ColumnElement[bool]:
    """Return the condition for records with a tag, ignoring case."""
    # A JSON column has the same text in SQLite and in PostgreSQL.
    return cast(tags, Text).icontains(json.dumps(tag), autoescape=True)


def tags_in_use(tx: Connection, table: Table) -> list[str]:
    """Return all tags of live records, sorted ignoring case."""
    texts = tx.scalars(select(cast(table.c.tags, Text)).where(in_state(table, archived=False)).distinct())
    found = {tag for text in texts for tag in json.loads(text)}
    return sorted(found, key=str.casefold)
