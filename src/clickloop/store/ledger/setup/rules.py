"""Read the set-up for deciding and sending postbacks: rules, campaigns and names. One statement per function."""

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import Connection, Dialect, Text, and_, cast, or_, select, update

from clickloop.click.click import Click
from clickloop.click.click_values import SetupNames
from clickloop.postback.rule import PostbackRule, Schedule, Success, Trigger, rule_of_row, schedule_of
from clickloop.postback.state import PostbackState
from clickloop.report.query import Dimension
from clickloop.store.ledger.row_count import expect_rows
from clickloop.store.ledger.schema.sealing import opened_json
from clickloop.store.ledger.schema.tables import campaigns, postback_rules, postbacks
from clickloop.store.ledger.setup.names import RecordKind, names_of
from clickloop.store.ledger.setup.report_names import record_names


class CampaignContext(msgspec.Struct, frozen=True):
    """The fields of a campaign that deciding postbacks needs."""

    key: str
    name: str
    source_rules_off: bool


class RuleTerms(msgspec.Struct, frozen=True):
    """The current fields of a rule that delivery needs."""

    success: Success
    schedule: Schedule
    paused: bool
    """Paused by a 410 of a receiver."""
    probing: bool = False
    """Resumed; one of its postbacks is sent first as a probe."""
    probe_under_way: bool = False
    """The probe is being sent."""


class LiveRule(msgspec.Struct, frozen=True):
    """A rule, and the number of conversions counted for sending every nth."""

    rule: PostbackRule
    counted: int


def applicable_rules(tx: Connection, source_ids: Collection[int], campaign_ids: Collection[int]) -> list[LiveRule]:
    """Return the live rules, on or off, of these sources, these campaigns and the instance, in order.

    Rules for alarms and views are left out: they apply to no conversion.
    """
    of_instance = and_(postback_rules.c.source_id.is_(None), postback_rules.c.campaign_id.is_(None))
    rows = tx.execute(
        _RULES.where(
            postback_rules.c.archived_at.is_(None),
            or_(
                postback_rules.c.source_id.in_(source_ids),
                postback_rules.c.campaign_id.in_(campaign_ids),
                of_instance,
            ),
        ).order_by(postback_rules.c.id)
    )
    found = [LiveRule(_rule(tuple(row[:-1]), tx.dialect), row.counted) for row in rows]
    return [live for live in found if live.rule.conditions.trigger in (Trigger.NEW, Trigger.STATUS)]


_JSON_FIELDS = ("request", "conditions", "success", "schedule")
_FIELDS = ("id", "name", "source_id", "campaign_id", "active", *_JSON_FIELDS)
_RULES = select(
    *(
        cast(postback_rules.c[name], Text).label(name) if name in _JSON_FIELDS else postback_rules.c[name]
        for name in _FIELDS
    ),
    postback_rules.c.counted,
)


@lru_cache(4096)
def _rule(values: tuple[Any, ...], dialect: Dialect) -> PostbackRule:
    """Return the rule of a row with JSON still as text."""
    # Cached: rules are read with every batch of changes, and change seldom.
    row = dict(zip(_FIELDS, values, strict=True))
    row["request"] = opened_json(dialect, row["request"])
    return rule_of_row(row | {part: msgspec.json.decode(row[part]) for part in _JSON_FIELDS})


def rules_of_ids(tx: Connection, rule_ids: Collection[int]) -> list[LiveRule]:
    """Return the current rules with these numbers; an archived one counts as off."""
    rows = tx.execute(select(postback_rules).where(postback_rules.c.id.in_(rule_ids))).mappings()
    found = []
    for row in rows:
        rule = rule_of_row(dict(row))
        active = rule.active and row["archived_at"] is None
        found.append(LiveRule(msgspec.structs.replace(rule, active=active), row["counted"]))
    return found


def count_shares(tx: Connection, counted: Mapping[int, int]) -> None:
    """Add to the numbers of conversions counted, by rule. Raise RowCountError for a rule that does not exist."""
    for rule_id, more in counted.items():
        counted_on = postback_rules.c.counted + more
        updated = tx.execute(update(postback_rules).where(postback_rules.c.id == rule_id).values(counted=counted_on))
        expect_rows(updated, 1, f"the share of postback rule {rule_id}")


def rule_terms_of(tx: Connection, rule_ids: Collection[int]) -> dict[int, RuleTerms]:
    """Return by rule, archived or not, what delivery needs to know of it."""
    rows = tx.execute(_TERMS.where(postback_rules.c.id.in_(rule_ids)))
    return {
        row.id: RuleTerms(
            msgspec.convert(row.success, Success),
            schedule_of(row.schedule),
            row.paused_at is not None,
            row.probing_at is not None,
            row.probe_state == PostbackState.SENDING,
        )
        for row in rows
    }


_TERMS = select(
    *(postback_rules.c[name] for name in ("id", "success", "schedule", "paused_at", "probing_at")),
    select(postbacks.c.state)
    .where(postbacks.c.postback_id == postback_rules.c.probe_id)
    .scalar_subquery()
    .label("probe_state"),
)


def campaign_contexts(tx: Connection, campaign_ids: Collection[int]) -> dict[int, CampaignContext]:
    """Return by campaign its key, its name, and whether the rules of its source are off."""
    columns = (campaigns.c.id, campaigns.c.key, campaigns.c.name, campaigns.c.source_rules_off)
    rows = tx.execute(select(*columns).where(campaigns.c.id.in_(campaign_ids)))
    return {row.id: CampaignContext(row.key, row.name, row.source_rules_off) for row in rows}


def setup_names_of(tx: Connection, click: Click) -> SetupNames:
    """Return the current names of the set-up records of a click."""
    campaign = campaign_contexts(tx, [click.campaign_id]).get(click.campaign_id)
    return SetupNames(
        campaign_key=campaign.key if campaign else "",
        campaign_name=campaign.name if campaign else "",
        source_name=names_of(tx, RecordKind.SOURCE, [click.source_id]).get(click.source_id, ""),
        offer_name=names_of(tx, RecordKind.OFFER, [click.offer_id]).get(click.offer_id, ""),
        network_name=names_of(tx, RecordKind.NETWORK, [click.network_id]).get(click.network_id, ""),
        landing_name=record_names(tx, Dimension.LANDING, [click.landing_id]).get(click.landing_id, ""),
        rule_name=record_names(tx, Dimension.RULE, [click.rule_id]).get(click.rule_id, ""),
        path_name=record_names(tx, Dimension.PATH, [click.path_id]).get(click.path_id, ""),
    )
