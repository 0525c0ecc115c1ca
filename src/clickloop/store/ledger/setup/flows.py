"""Flows in the ledger: their rules and paths, and every version of them. One statement per function; ``tx`` is an open transaction."""

from collections.abc import Collection, Iterable

import msgspec
from sqlalchemy import ColumnElement, Connection, Text, and_, cast, delete, func, insert, literal, select, update

from clickloop.setup.flow import FlowParts, FlowReferences, Path
from clickloop.setup.shared_flow import SharedFlow
from clickloop.store.ledger.records import RecordTable
from clickloop.store.ledger.schema.tables import campaigns, flow_parts, flow_references, flow_versions, flows
from clickloop.store.ledger.setup.conditions import tagged
from clickloop.store.ledger.setup.versions import later_version, next_version

_decode = msgspec.json.Decoder(FlowParts).decode

FLOWS = RecordTable(flows, SharedFlow, derived=["campaign_id"])


class NamedPart(msgspec.Struct, frozen=True):
    """A rule or path that a flow has or had. ``kind``: ``rule`` or ``path``."""

    id: int
    kind: str
    name: str
    is_removed: bool


def parts_of(text: str) -> FlowParts:
    """Return the parts of a flow from the text of their column."""
    return _decode(text)


def shared_flows_after(
    tx: Connection, after_id: int, limit: int, *, archived: bool = False, words: str = "", tag: str = ""
) -> list[SharedFlow]:
    """Return at most ``limit`` live or archived shared flows with numbers above ``after_id``, ascending."""
    only: list[ColumnElement[bool]] = [flows.c.campaign_id.is_(None)]
    if tag:
        only.append(tagged(flows.c.tags, tag))
    return FLOWS.after(tx, after_id, limit, *only, archived=archived, words=words)


def find_shared_flow(tx: Connection, flow_id: int) -> SharedFlow | None:
    """Return a shared flow, archived or not."""
    only = and_(flows.c.id == flow_id, flows.c.campaign_id.is_(None))
    return next(iter(FLOWS.select(tx, FLOWS.all.where(only))), None)


def own_flows(tx: Connection, campaign_ids: list[int]) -> dict[int, FlowParts]:
    """Return the own flow of each campaign by the campaign's number."""
    rows = tx.execute(
        select(flows.c.campaign_id, cast(flows.c.parts, Text).label("parts")).where(
            flows.c.campaign_id.in_(campaign_ids)
        )
    )
    return dict.fromkeys(campaign_ids, FlowParts()) | {row.campaign_id: parts_of(row.parts) for row in rows}


def own_flow_id(tx: Connection, campaign_id: int) -> int | None:
    """Return the number of a campaign's own flow."""
    return tx.scalar(select(flows.c.id).where(flows.c.campaign_id == campaign_id))


def parts_in_force(tx: Connection, campaign_id: int) -> FlowParts | None:
    """Return the flow that a campaign's visitors follow now: the shared one or its own."""
    own = flows.alias()
    query = (
        select(cast(flows.c.parts, Text))
        .select_from(campaigns)
        .outerjoin(own, own.c.campaign_id == campaigns.c.id)
        .join(flows, flows.c.id == func.coalesce(campaigns.c.flow_id, own.c.id))
        .where(campaigns.c.id == campaign_id)
    )
    text = tx.scalar(query)
    return None if text is None else parts_of(text)


def learning_flows(tx: Connection) -> list[FlowParts]:
    """Return the flows of live campaigns and live shared flows that have a path that learns."""
    text = cast(flows.c.parts, Text)
    query = (
        select(text)
        .outerjoin(campaigns, campaigns.c.id == flows.c.campaign_id)
        # As text: few flows learn, and the others need not be decoded every minute.
        .where(flows.c.archived_at.is_(None), campaigns.c.archived_at.is_(None), text.contains('"learning": {'))
    )
    return [parts_of(row) for row in tx.scalars(query)]


def flow_version(tx: Connection, flow_id: int, version: int) -> FlowParts | None:
    """Return a flow as it was at a version, or None."""
    query = select(cast(flow_versions.c.parts, Text)).where(
        and_(flow_versions.c.flow_id == flow_id, flow_versions.c.version == version)
    )
    text = tx.scalar(query)
    return None if text is None else parts_of(text)


def flow_owners(tx: Connection, flow_ids: Collection[int]) -> dict[int, str]:
    """Return the owner of each flow, archived or not: ``campaign 'X'``, or ``flow 'Y'`` for a shared one."""
    query = (
        select(flows.c.id, flows.c.name, campaigns.c.name.label("campaign"))
        .outerjoin(campaigns, campaigns.c.id == flows.c.campaign_id)
        .where(flows.c.id.in_(flow_ids))
    )
    return {
        row.id: f"flow {row.name!r}" if row.campaign is None else f"campaign {row.campaign!r}"
        for row in tx.execute(query)
    }


def insert_own_flow(tx: Connection, campaign_id: int, now_ms: int) -> int:
    """Insert an empty flow of a campaign and return its number."""
    values = {
        "campaign_id": campaign_id,
        "parts": {},
        "created_at": now_ms,
        "updated_at": now_ms,
        "version": next_version(0, now_ms),
    }
    return int(tx.execute(insert(flows).values(values).returning(flows.c.id)).scalar_one())


def update_own_flow(tx: Connection, flow_id: int, parts: FlowParts, now_ms: int) -> None:
    """Replace the parts of a campaign's own flow. The campaign's version, checked before, guards it."""
    values = {"parts": msgspec.to_builtins(parts), "updated_at": now_ms, "version": later_version(flows, now_ms)}
    tx.execute(update(flows).where(flows.c.id == flow_id).values(values))


def insert_version(tx: Connection, flow_id: int, now_ms: int) -> None:
    """Insert the current state of a flow as a version, so that decisions can be replayed."""
    now = select(flows.c.id, flows.c.version, flows.c.parts, literal(now_ms)).where(flows.c.id == flow_id)
    tx.execute(insert(flow_versions).from_select(["flow_id", "version", "parts", "saved_at"], now))


def parts_of_flow(tx: Connection, flow_id: int) -> list[NamedPart]:
    """Return the present and removed rules and paths of a flow."""
    rows = tx.execute(select(flow_parts).where(flow_parts.c.flow_id == flow_id))
    return [NamedPart(row.id, row.kind, row.name, row.archived_at is not None) for row in rows]


def find_path(tx: Connection, path_id: int) -> Path | None:
    """Return a path of a live flow, or None."""
    query = (
        select(cast(flows.c.parts, Text))
        .join(flow_parts, flow_parts.c.flow_id == flows.c.id)
        .where(flow_parts.c.id == path_id, flow_parts.c.kind == "path", flows.c.archived_at.is_(None))
    )
    text = tx.scalar(query)
    return None if text is None else next((path for _, path in parts_of(text).paths() if path.id == path_id), None)


def part_names(tx: Connection, part_ids: Collection[int]) -> dict[int, str]:
    """Return the names of rules and paths of any flow, removed ones too."""
    rows = tx.execute(select(flow_parts.c.id, flow_parts.c.name).where(flow_parts.c.id.in_(part_ids)))
    return {row.id: row.name for row in rows}


def insert_part(tx: Connection, flow_id: int, kind: str, name: str) -> int:
    """Insert a new rule or path and return its number."""
    values = {"flow_id": flow_id, "kind": kind, "name": name}
    return int(tx.execute(insert(flow_parts).values(values).returning(flow_parts.c.id)).scalar_one())


def rename_part(tx: Connection, part_id: int, name: str) -> None:
    """Change the name of a rule or path."""
    tx.execute(update(flow_parts).where(flow_parts.c.id == part_id).values(name=name))


def archive_parts(tx: Connection, part_ids: Collection[int], now_ms: int) -> None:
    """Mark rules and paths as removed from their flow."""
    tx.execute(update(flow_parts).where(flow_parts.c.id.in_(part_ids)).values(archived_at=now_ms))


def restore_parts(tx: Connection, part_ids: Collection[int]) -> None:
    """Mark removed rules and paths as part of their flow again."""
    tx.execute(update(flow_parts).where(flow_parts.c.id.in_(part_ids)).values(archived_at=None))


def delete_references(tx: Connection, flow_id: int) -> None:
    """Delete the references of a flow, to be inserted again in the same transaction."""
    tx.execute(delete(flow_references).where(flow_references.c.flow_id == flow_id))


def insert_references(tx: Connection, flow_id: int, references: FlowReferences) -> None:
    """Insert the references of a flow."""
    by_kind: Iterable[tuple[str, frozenset[int]]] = (
        ("offer", references.offers),
        ("landing", references.landings),
        ("campaign", references.campaigns),
        ("list", references.lists),
    )
    rows = [
        {"flow_id": flow_id, "kind": kind, "referenced_id": number} for kind, ids in by_kind for number in sorted(ids)
    ]
    if rows:
        tx.execute(insert(flow_references), rows)


def campaign_hops(tx: Connection) -> list[tuple[int, int]]:
    """Return each live campaign with each campaign that a path of the flow it follows leads to."""
    own = flows.alias()
    query = (
        select(campaigns.c.id, flow_references.c.referenced_id)
        .outerjoin(own, own.c.campaign_id == campaigns.c.id)
        .join(flow_references, flow_references.c.flow_id == func.coalesce(campaigns.c.flow_id, own.c.id))
        .where(flow_references.c.kind == "campaign", campaigns.c.archived_at.is_(None))
    )
    return [(row.id, row.referenced_id) for row in tx.execute(query)]


def live_campaigns_of_flow(tx: Connection, flow_id: int) -> list[str]:
    """Return the names of live campaigns that use a shared flow, at most three."""
    query = select(campaigns.c.name).where(campaigns.c.flow_id == flow_id, campaigns.c.archived_at.is_(None))
    return list(tx.scalars(query.order_by(campaigns.c.id).limit(3)))


def campaigns_with_flow(tx: Connection, flow_id: int) -> list[int]:
    """Return the live campaigns that use a shared flow."""
    query = select(campaigns.c.id).where(campaigns.c.flow_id == flow_id, campaigns.c.archived_at.is_(None))
    return list(tx.scalars(query))
