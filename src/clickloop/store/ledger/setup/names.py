"""Names of set-up records, archived ones too, for showing names instead of numbers. ``tx`` is an open transaction."""

import enum
from collections.abc import Collection

from sqlalchemy import Connection, select

from clickloop.store.ledger.schema.tables import (
    campaigns,
    flow_parts,
    flows,
    landings,
    lists,
    networks,
    offers,
    postback_rules,
    traffic_sources,
)
from clickloop.store.ledger.setup.conditions import named_like


class RecordKind(enum.StrEnum):
    """A kind of record that has a name and a number."""

    CAMPAIGN = "campaign"
    SOURCE = "source"
    OFFER = "offer"
    NETWORK = "network"
    RULE = "rule"
    LANDING = "landing"
    PATH = "path"
    """A path of a flow."""
    LIST = "list"
    FLOW = "flow"
    """A shared one: those of campaigns have no name."""


_TABLES = {
    RecordKind.CAMPAIGN: campaigns,
    RecordKind.SOURCE: traffic_sources,
    RecordKind.OFFER: offers,
    RecordKind.NETWORK: networks,
    RecordKind.RULE: postback_rules,
    RecordKind.LANDING: landings,
    RecordKind.PATH: flow_parts,
    RecordKind.LIST: lists,
    RecordKind.FLOW: flows,
}


def names_of(tx: Connection, kind: RecordKind, numbers: Collection[int]) -> dict[int, str]:
    """Return the names of the records that exist, by number."""
    table = _TABLES[kind]
    return {row.id: row.name for row in tx.execute(select(table.c.id, table.c.name).where(table.c.id.in_(numbers)))}


def live_names(tx: Connection, kind: RecordKind, limit: int) -> dict[int, str]:
    """Return at most ``limit`` names of live records by number, sorted by name."""
    table = _TABLES[kind]
    query = (
        select(table.c.id, table.c.name)
        .where(table.c.archived_at.is_(None), table.c.name != "")
        .order_by(table.c.name, table.c.id)
    )
    return {row.id: row.name for row in tx.execute(query.limit(limit))}


def names_like(tx: Connection, kind: RecordKind, words: str, limit: int) -> dict[int, str]:
    """Return at most ``limit`` names that contain a text, ignoring case, by number; live records first."""
    table = _TABLES[kind]
    query = select(table.c.id, table.c.name).where(named_like(table, words))
    query = query.order_by(table.c.archived_at.is_not(None), table.c.name, table.c.id)
    return {row.id: row.name for row in tx.execute(query.limit(limit))}


def newest_names(tx: Connection, kind: RecordKind, limit: int) -> dict[int, str]:
    """Return the names of the ``limit`` newest records, live or archived, by number, sorted by name."""
    table = _TABLES[kind]
    newest = (
        select(table.c.id, table.c.name).where(table.c.name != "").order_by(table.c.id.desc()).limit(limit).subquery()
    )
    return {row.id: row.name for row in tx.execute(select(newest).order_by(newest.c.name, newest.c.id))}


def numbers_by_name(tx: Connection, kind: RecordKind) -> dict[str, int]:
    """Return the numbers of records, archived ones too, by name in lower case, by number, and campaigns by key as well.

    A number or key comes before a name that looks like it, and a live record before an archived one of the same name.
    """
    table = _TABLES[kind]
    columns = [table.c.id, table.c.name, *([table.c.key] if kind is RecordKind.CAMPAIGN else [])]
    rows = tx.execute(select(*columns).order_by(table.c.archived_at.is_(None), table.c.id.desc())).all()
    found = {row.name.strip().lower(): row.id for row in rows}
    if kind is RecordKind.CAMPAIGN:
        found |= {row.key.lower(): row.id for row in rows}
    return found | {str(row.id): row.id for row in rows}
