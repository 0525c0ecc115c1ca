"""Find the flows that refer to a record, and their campaigns. ``tx`` is an open transaction."""

from collections.abc import Collection

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


def live_flow_with(tx: Connection, kind: str, number: int) -> str | None:
    """Return a live user of a record, ``campaign 'X'`` or ``flow 'Y'``, or None."""
    query = (
        select(flows.c.name, campaigns.c.name.label("campaign"))
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
        .limit(1)
    )
    row = tx.execute(query).first()
    if row is None:
        return None
    return f"flow {row.name!r}" if row.campaign is None else f"campaign {row.campaign!r}"
