"""Campaigns in the ledger. One statement per function; ``tx`` is an open transaction."""

import msgspec
from sqlalchemy import Connection, and_, select

from clickloop.setup.campaign import ALL_CAMPAIGNS, Campaign, CampaignFilter
from clickloop.setup.mark import MarkSetting
from clickloop.store.ledger.records import RecordTable
from clickloop.store.ledger.schema.tables import campaigns
from clickloop.store.ledger.setup.conditions import tagged
from clickloop.store.ledger.setup.flow_references import campaigns_naming
from clickloop.store.ledger.setup.flows import own_flows


def campaigns_after(
    tx: Connection, after_id: int, limit: int, *, archived: bool = False, narrowed: CampaignFilter = ALL_CAMPAIGNS
) -> list[Campaign]:
    """Return at most ``limit`` live or archived campaigns with numbers above ``after_id``, ascending."""
    only = []
    if narrowed.source_id is not None:
        only.append(campaigns.c.source_id == narrowed.source_id)
    if narrowed.offer_id is not None:
        only.append(campaigns.c.id.in_(campaigns_naming("offer", [narrowed.offer_id])))
    if narrowed.active is not None:
        only.append(campaigns.c.active == narrowed.active)
    if narrowed.tag:
        only.append(tagged(campaigns.c.tags, narrowed.tag))
    return CAMPAIGNS.after(tx, after_id, limit, *only, archived=archived, words=narrowed.words)


CAMPAIGNS = RecordTable(campaigns, Campaign, {"flow": own_flows}, immutable=["key"])
"""A campaign's key never changes, because published links contain it."""


def live_campaign_of_source(tx: Connection, source_id: int) -> str | None:
    """Return the name of a live campaign of the source, or None."""
    return tx.execute(
        select(campaigns.c.name)
        .where(and_(campaigns.c.source_id == source_id, campaigns.c.archived_at.is_(None)))
        .limit(1)
    ).scalar()


def marks_of_campaigns(tx: Connection) -> dict[int, tuple[MarkSetting, ...]]:
    """Return the settings of marks by campaign, live or archived, where they differ from the instance's."""
    rows = tx.execute(select(campaigns.c.id, campaigns.c.marks))
    return {row.id: msgspec.convert(row.marks, tuple[MarkSetting, ...]) for row in rows if row.marks}
