"""Saving postback rules."""

from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.campaign.fault import Fault, FaultCode
from clickloop.postback.checking import check_rule
from clickloop.report.masking import MASKED, masks_in
from clickloop.saving.faults import raise_faults
from clickloop.saving.record import Noun, SavingContext, View, log_change
from clickloop.setup.record import copied_name
from clickloop.store.ledger.campaigns import CAMPAIGNS
from clickloop.store.ledger.changes_log import Action
from clickloop.store.ledger.postback_rules import (
    KeptRule,
    find_kept_rule,
    first_rules_of_sources,
    insert_rule,
    update_rule,
)
from clickloop.store.ledger.statuses import status_rows
from clickloop.store.ledger.traffic_sources import SOURCES, renew_source_version

_FIELDS = {"conditions.minimum_payout_micros": "conditions.minimum_payout"}
"""A rule's parts by the names that they have in requests."""


def clone(context: SavingContext, rule_id: int, view: View[KeptRule]) -> KeptRule:
    """Save a rule like this one, with its secrets and its owner; it is off, so that nothing is sent twice unawares."""
    with context.ledger.write() as tx:
        rule = NOUN.get(tx, rule_id).rule
        copy = KeptRule(rule=replace(rule, name=copied_name(rule.name), active=False))
        copy = NOUN.write(tx, copy, context.clock())
        log_change(context, tx, NOUN.name, copy.id, Action.CREATED, after=view(tx, copy))
    context.on_setup_changed()
    return copy


def _checked(context: SavingContext, tx: Connection, kept: KeptRule) -> KeptRule:
    rule = kept.rule
    statuses = {row.status.key for row in status_rows(tx)}
    faults = [
        Fault(_FIELDS.get(found.field, found.field), found.fault.code, found.sentence)
        for found in check_rule(rule, statuses, context.guard)
    ]
    faults += [Fault(field, FaultCode.MASKED, MASKED) for field in masks_in(rule.request)]
    if rule.source_id is not None and SOURCES.find(tx, rule.source_id) is None:
        faults.append(Fault("source_id", FaultCode.NOT_FOUND, f"There is no traffic source {rule.source_id}."))
    if rule.campaign_id is not None and CAMPAIGNS.find(tx, rule.campaign_id) is None:
        faults.append(Fault("campaign_id", FaultCode.NOT_FOUND, f"There is no campaign {rule.campaign_id}."))
    raise_faults(faults)
    return kept


def _write(tx: Connection, kept: KeptRule, now_ms: int) -> KeptRule:
    if kept.id:
        _rewrite(tx, kept, now_ms)
    rule_id = kept.id or insert_rule(tx, kept.rule, now_ms)
    return NOUN.get(tx, rule_id)


def _rewrite(tx: Connection, kept: KeptRule, now_ms: int) -> None:
    """A source's first rule holds the source's postback URL, so the source gets a new version with it."""
    update_rule(tx, kept.rule, kept.version, now_ms, kept.archived_at)
    source_id = kept.rule.source_id
    if source_id is not None and first_rules_of_sources(tx, [source_id])[source_id].id == kept.id:
        renew_source_version(tx, source_id, now_ms)


NOUN = Noun(name="postback-rules", one="postback rule", find=find_kept_rule, checked=_checked, write=_write)
