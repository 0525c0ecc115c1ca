"""Find the flows that refer to a record, and their campaigns. ``tx`` is an open transaction."""

from collections.abc import Collection

import msgspec
from sqlalchemy import Connection, Select, and_, func, select

from clickloop.store.ledger.schema.tables import campaigns, flow_references, flows


def campaigns_naming(kind: str, numbers: Collection[int]) -> Select[tuple[int]]:
    """Return the query for the campaigns whose flow in use, own or shared, refers to one of these records."""
    own = flows.alias()
    return (
        select(campaigns.c.id)
        .outerjoin(own, own.c.campaign_id == campaigns.c.id)
        .join(flow_references, flow_references.c.flow_id == func.coalesce(campaigns.c.flow_id, own.c.id))
        .where(flow_references.c.kind == kind, flow_references.c.referenced_id.in_(numbers))
    )


class FlowUse(msgspec.Struct, frozen=True):
    """A flow that names a record: a campaign's own, or, without ``campaign_id``, a shared one. ``name``: the campaign's or its own."""

    flow_id: int
    campaign_id: int | None
    name: str


def live_flow_with(tx: Connection, kind: str, number: int) -> str | None:
    """Return a live user of a record, ``campaign 'X'`` or ``flow 'Y'``, or None."""
    return next(
        (
            f"{'flow' if use.campaign_id is None else 'campaign'} {use.name!r}"
            for use in live_flows_with(tx, kind, number, 1)
        ),
        None,
    )


def live_flows_with(tx: Connection, kind: str, number: int, limit: int) -> list[FlowUse]:
    """Return the live flows that name a record, the oldest first."""
    query = (
        select(flows.c.id, flows.c.name, flows.c.campaign_id, campaigns.c.name.label("campaign"))
        .join(flow_references, flow_references.c.flow_id == flows.c.id)
        .outerjoin(campaigns, campaigns.c.id == flows.c.campaign_id)
        .where(
            and_(
                flow_references.c.kind == kind,
                flow_references.c.referenced_id == number,
                flows.c.archived_at.is_(None),
                campaigns.c.archived_at.is_(None),
            )
        )
        .order_by(flows.c.id)
        .limit(limit)
    )
    return [FlowUse(row.id, row.campaign_id, row.campaign or row.name) for row in tx.execute(query)]
