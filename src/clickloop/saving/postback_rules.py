"""Saving postback rules."""

from msgspec import UNSET
from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.pasting import trimmed
from clickloop.postback.checking import check_rule
from clickloop.postback.masking import (
    EXPOSED_SENTENCE,
    MASKED_SENTENCE,
    exposed_fields,
    masked_fields,
    unmasked_template,
)
from clickloop.postback.rule import PostbackRule, RequestTemplate, Trigger
from clickloop.postback.rule_change import (
    NewRule,
    RequestBody,
    RuleChange,
    changed_conditions,
    changed_schedule,
    changed_success,
)
from clickloop.saving.faults import raise_faults
from clickloop.saving.preset_records import rule_of_preset
from clickloop.saving.record import Noun, SavingContext, View
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.setup.record import copied_name, with_changes
from clickloop.store.ledger.logs.audit_entry import record_change
from clickloop.store.ledger.setup.campaigns import CAMPAIGNS
from clickloop.store.ledger.setup.postback_rules import (
    StoredRule,
    find_stored_rule,
    first_rules_of_sources,
    insert_rule,
    update_rule,
)
from clickloop.store.ledger.setup.statuses import status_rows
from clickloop.store.ledger.setup.traffic_sources import SOURCES, renew_source_version

_ALARM_STAYS = "A rule for alarms or views cannot become one for conversions, or the reverse: they send different data. Create a new rule."
_FIELDS = {"conditions.minimum_payout_micros": "conditions.minimum_payout"}
"""Fields of a rule and their names in requests."""


def new_rule(new: NewRule) -> StoredRule:
    """Return a rule as requested, not saved. Raise InvalidInputError."""
    return StoredRule(rule=_changed(_blank(new), new))


def changed_rule(context: SavingContext, tx: Connection, stored: StoredRule, change: RuleChange) -> StoredRule:
    """Return a rule with a change. Raise InvalidInputError."""
    rule = _changed(stored.rule, change)
    if _subject(rule) != _subject(stored.rule):
        raise InvalidInputError((FieldFault("conditions.trigger", FaultCode.NOT_ALLOWED, _ALARM_STAYS),))
    exposed = () if context.shows_secrets else exposed_fields(rule.request, stored.rule.request)
    if exposed:
        faults = [FieldFault(field, FaultCode.MASKED, EXPOSED_SENTENCE) for field in exposed]
        raise InvalidInputError((*faults, *_faults(context, tx, rule)))
    return replace(stored, rule=rule)


def _subject(rule: PostbackRule) -> Trigger | None:
    """Return what a rule is sent for, other than conversions."""
    trigger = rule.conditions.trigger
    return trigger if trigger in (Trigger.ALARM, Trigger.VIEW) else None


def _blank(new: NewRule) -> PostbackRule:
    if new.preset:
        for_alarms = new.conditions is not UNSET and new.conditions.trigger is Trigger.ALARM
        rule = rule_of_preset(new.preset, new.fill, for_alarms=for_alarms)
        return replace(rule, source_id=new.source_id, campaign_id=new.campaign_id)
    missing = [name for name in ("name", "request") if getattr(new, name) is UNSET]
    if new.request is not UNSET and new.request.url is UNSET:
        missing.append("request.url")
    faults = [FieldFault(name, FaultCode.REQUIRED, "This field is required without a preset.") for name in missing]
    if new.fill:
        faults.append(FieldFault("fill", FaultCode.NOT_ALLOWED, "fill needs a preset. Set preset, or leave fill out."))
    if faults:
        raise InvalidInputError(tuple(faults))
    blank = RequestTemplate(url="")
    return PostbackRule(rule_id=0, name="", source_id=new.source_id, campaign_id=new.campaign_id, request=blank)


def _changed(rule: PostbackRule, change: RuleChange) -> PostbackRule:
    parts: dict[str, object] = {}
    if change.request is not UNSET:
        parts["request"] = _changed_request(rule.request, change.request)
    if change.conditions is not UNSET:
        parts["conditions"] = changed_conditions(rule.conditions, change.conditions)
    if change.success is not UNSET:
        parts["success"] = changed_success(rule.success, change.success)
    if change.waits_seconds is not UNSET:
        parts["schedule"] = changed_schedule(change.waits_seconds)
    return with_changes(rule, change, **parts)


def _changed_request(before: RequestTemplate, change: RequestBody) -> RequestTemplate:
    """Return the request with a change. Masked parts, as they were shown, stay unchanged."""
    url = UNSET if change.url is UNSET else trimmed(change.url)
    return unmasked_template(with_changes(before, change, url=url), before)


def clone(context: SavingContext, rule_id: int, view: View[StoredRule]) -> StoredRule:
    """Save a copy of a rule, with its secrets and owner. The copy is off, so that nothing is sent twice by accident."""
    with context.ledger.write() as tx:
        rule = NOUN.get(tx, rule_id).rule
        copy = StoredRule(rule=replace(rule, name=copied_name(rule.name), active=False))
        copy = NOUN.write(tx, copy, context.clock())
        record_change(tx, context, NOUN.name, copy.id, after=view(tx, copy))
    context.on_setup_changed()
    return copy


def _checked(context: SavingContext, tx: Connection, stored: StoredRule) -> StoredRule:
    raise_faults(_faults(context, tx, stored.rule))
    return stored


def _faults(context: SavingContext, tx: Connection, rule: PostbackRule) -> list[FieldFault]:
    statuses = {row.status.key for row in status_rows(tx)}
    faults = [
        FieldFault(_FIELDS.get(found.field, found.field), found.fault, found.sentence)
        for found in check_rule(rule, statuses, context.guard)
    ]
    faults += [FieldFault(field, FaultCode.MASKED, MASKED_SENTENCE) for field in masked_fields(rule.request)]
    if rule.source_id is not None and SOURCES.find(tx, rule.source_id) is None:
        faults.append(FieldFault("source_id", FaultCode.NOT_FOUND, f"There is no traffic source {rule.source_id}."))
    if rule.campaign_id is not None and CAMPAIGNS.find(tx, rule.campaign_id) is None:
        faults.append(FieldFault("campaign_id", FaultCode.NOT_FOUND, f"There is no campaign {rule.campaign_id}."))
    return faults


def _write(tx: Connection, stored: StoredRule, now_ms: int) -> StoredRule:
    if stored.id:
        _rewrite(tx, stored, now_ms)
    rule_id = stored.id or insert_rule(tx, stored.rule, now_ms)
    return NOUN.get(tx, rule_id)


def _rewrite(tx: Connection, stored: StoredRule, now_ms: int) -> None:
    """Write a changed rule. A source's first rule contains its postback URL, so the source gets a new version, too."""
    update_rule(tx, stored.rule, stored.version, now_ms, stored.archived_at)
    source_id = stored.rule.source_id
    if source_id is not None and first_rules_of_sources(tx, [source_id])[source_id].id == stored.id:
        renew_source_version(tx, source_id, now_ms)


NOUN = Noun(name="postback-rules", one="postback rule", find=find_stored_rule, checked=_checked, write=_write)
