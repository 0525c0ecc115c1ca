"""Which flows name a record, and the campaigns or shared flows that they are of. ``tx`` is an open transaction."""

from sqlalchemy import Connection, and_, select

from clickloop.store.ledger.schema.tables import campaigns, flow_references, flows


def live_flow_with(tx: Connection, kind: str, number: int) -> str | None:
    """Return what uses a record: ``campaign 'X'`` or ``flow 'Y'``, the first that is live; None: nothing does."""
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
