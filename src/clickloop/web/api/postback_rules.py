"""/postback-rules: what is sent to whom when a conversion changes."""

from collections.abc import Sequence
from functools import cache, cached_property, partial
from typing import Annotated

import msgspec
from litestar import Router, delete, get, patch, post
from litestar.params import JSONBody, QueryParameter
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.campaign.fault import Fault, FaultCode, InvalidInputError
from clickloop.campaign.traffic_source import TrafficSource
from clickloop.postback.alarm_rules import is_alarm_rule
from clickloop.postback.checking import check_rule
from clickloop.postback.rule import RequestTemplate, Rule, Schedule, Trigger
from clickloop.report.check.held import ArchivedRule, archived_rule_finding
from clickloop.report.check.records import rule_findings
from clickloop.report.masking import exposed_by, masks_in
from clickloop.store.ledger.campaigns import find_campaign
from clickloop.store.ledger.changes_log import Action
from clickloop.store.ledger.holding import count_waiting
from clickloop.store.ledger.postback_rules import (
    KeptRule,
    find_kept_rule,
    first_rules_of_sources,
    insert_rule,
    kept_rules_after,
)
from clickloop.store.ledger.setup import save_rule
from clickloop.store.ledger.statuses import status_rows
from clickloop.store.ledger.traffic_sources import find_source, sources_after
from clickloop.web.api.body import CheckedBody, given_or
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.noting import note_change
from clickloop.web.api.paging import LARGEST_ID, Archived, Cursor, Id, Limit, Page, Words, page_of, read_number_cursor
from clickloop.web.api.problem import not_found
from clickloop.web.api.rule_parts import (
    ConditionsBody,
    ConditionsView,
    RequestBody,
    RequestTemplateView,
    SuccessBody,
    SuccessView,
    changed_conditions,
    changed_request,
    changed_success,
    conditions_view,
    request_template_view,
)
from clickloop.web.api.telling_all import tells_all
from clickloop.web.api.versions import VersionedView
from clickloop.web.api.wire import (
    EXPOSED,
    MASKED,
    Advice,
    Moment,
    copied_name,
    moment_text,
    optional_moment_text,
    shown,
    warnings_of,
)
from clickloop.web.from_preset import rule_of_preset

NOUN = "postback-rules"

Name = Annotated[str, Meta(description="Its name.", examples=["Telegram"])]
Active = Annotated[bool, Meta(description="false: its postbacks are skipped.")]
Waits = Annotated[
    list[int],
    Meta(
        description="Seconds before each attempt after the first, each ±20 %; none: one attempt alone; null or left out: 13 attempts "
        "over 75 hours.",
        examples=[[5, 30, 120]],
    ),
]
Owner = Annotated[int, Meta(description="Whom it belongs to; neither: the whole instance.", ge=1, le=LARGEST_ID)] | None


class RuleUpdate(msgspec.Struct, kw_only=True):
    """What to change of a rule. What is left out, in a part too, stays; a list that is given replaces the one before."""

    name: Name | UnsetType = UNSET
    active: Active | UnsetType = UNSET
    request: RequestBody | UnsetType = UNSET
    conditions: ConditionsBody | UnsetType = UNSET
    success: SuccessBody | UnsetType = UNSET
    waits_seconds: Waits | UnsetType | None = UNSET


class RuleCreation(RuleUpdate, kw_only=True):
    """A rule to create: from a preset, or with a name and a request. What is given beside a preset counts."""

    preset: Annotated[str, Meta(description="A key from /presets/postback-rules.", examples=["telegram"])] = ""
    fill: Annotated[
        dict[str, str],
        Meta(
            description="The preset's words to fill in.",
            examples=[{"bot_token": "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "chat_id": "-1001234567890"}],
        ),
    ] = {}
    source_id: Owner = None
    campaign_id: Owner = None


class RuleView(VersionedView, kw_only=True):
    """A postback rule."""

    id: Annotated[int, Meta(examples=[1])]
    name: Name
    source_id: Owner
    campaign_id: Owner
    active: Active
    request: RequestTemplateView
    conditions: ConditionsView
    success: SuccessView
    waits_seconds: Waits
    warnings: Annotated[list[Advice], Meta(description="What will probably not do what was meant.")]
    created_at: Moment
    updated_at: Moment
    archived_at: Moment | None
    is_source_postback: Annotated[
        bool, Meta(description="Whether it holds the postback URL of its source: a source's first rule does.")
    ]
    paused_at: Annotated[
        Moment | None,
        Meta(description="Since when what it owes is held back, because a receiver answered 410 Gone; resume it."),
    ]
    resuming_since: Annotated[
        Moment | None,
        Meta(
            description="It was resumed: one is let through first, and the others follow unless that is answered 410 again."
        ),
    ]


OfSource = Annotated[int | None, QueryParameter(ge=1, le=LARGEST_ID, description="Only rules of this traffic source.")]
OfCampaign = Annotated[int | None, QueryParameter(ge=1, le=LARGEST_ID, description="Only rules of this campaign.")]
OfInstance = Annotated[bool, QueryParameter(description="true: only rules of the whole instance.")]


def create_rule(context: Context, data: JSONBody[RuleCreation]) -> RuleView:
    """Creates a rule of a traffic source, of a campaign, or of the whole instance."""
    rule = _changed(_blank(data), data)
    with context.ledger.write() as tx:
        _check(context, tx, rule)
        view = rule_view(tx, kept_rule(tx, insert_rule(tx, rule, context.clock())))
        note_change(tx, context, NOUN, view.id, after=view)
    context.on_setup_changed()
    return view


def list_rules(
    context: Context,
    limit: Limit = 50,
    cursor: Cursor = "",
    archived: Archived = False,
    source_id: OfSource = None,
    campaign_id: OfCampaign = None,
    of_instance: OfInstance = False,
    words: Words = "",
) -> Page[RuleView]:
    """Rules in the order in which they were made. A source's first one holds its postback URL."""
    after = read_number_cursor(NOUN, cursor)
    with context.ledger.read() as tx:
        found = kept_rules_after(
            tx,
            after,
            limit + 1,
            archived=archived,
            source_id=source_id,
            campaign_id=campaign_id,
            of_instance=of_instance,
            words=words,
        )
        around = _Around(tx)
        shown_views = {kept.rule.rule_id: rule_view(tx, kept, around) for kept in found}
    return page_of(found, limit, NOUN, lambda kept: kept.rule.rule_id, lambda kept: shown_views[kept.rule.rule_id])


def read_rule(context: Context, number: Id) -> RuleView:
    """One rule, archived or not."""
    with context.ledger.read() as tx:
        return rule_view(tx, kept_rule(tx, number))


def change_rule(context: Context, number: Id, data: JSONBody[RuleUpdate]) -> RuleView:
    """Changes what is given. What is owed already is sent as it was fixed when it was owed."""
    with context.ledger.write() as tx:
        kept = context.current(kept_rule(tx, number))
        rule = _changed(kept.rule, data)
        if is_alarm_rule(rule) != is_alarm_rule(kept.rule):
            raise InvalidInputError((Fault("conditions.trigger", FaultCode.NOT_ALLOWED, _ALARM_STAYS),))
        exposed = () if context.shows_secrets else exposed_by(rule.request, kept.rule.request)
        _check(context, tx, rule, [Fault(field, FaultCode.MASKED, EXPOSED) for field in exposed])
        save_rule(tx, kept, rule, context.clock(), kept.archived_at)
        view = rule_view(tx, kept_rule(tx, number))
        # A secret that became another one is a change too, though both views hide it.
        note_change(tx, context, NOUN, number, rule_view(tx, kept), view, Action.CHANGED if rule != kept.rule else None)
    context.on_setup_changed()
    return view


def remove_rule(context: Context, number: Id) -> RuleView:
    """Takes a rule out of use; what it owes already is still sent. A paused rule goes on holding what it owes: a warning counts it."""
    with context.ledger.write() as tx:
        kept = context.current(kept_rule(tx, number))
        if kept.archived_at is None:
            now_ms = context.clock()
            save_rule(tx, kept, kept.rule, now_ms, now_ms)
        view = rule_view(tx, kept_rule(tx, number))
        note_change(tx, context, NOUN, number, rule_view(tx, kept), view)
        if kept.paused_at is not None and (waiting := count_waiting(tx, number)):
            archived = ArchivedRule(rule_id=number, name=kept.rule.name, waiting=waiting)
            view.warnings += warnings_of([archived_rule_finding(archived)])
    context.on_setup_changed()
    return view


def restore_rule(context: Context, number: Id) -> RuleView:
    """Takes an archived rule into use again."""
    with context.ledger.write() as tx:
        kept = context.current(kept_rule(tx, number))
        if kept.archived_at is not None:
            _check(context, tx, kept.rule)
            save_rule(tx, kept, kept.rule, context.clock(), None)
        view = rule_view(tx, kept_rule(tx, number))
        note_change(tx, context, NOUN, number, rule_view(tx, kept), view)
    context.on_setup_changed()
    return view


def clone_rule(context: Context, number: Id) -> RuleView:
    """Makes a rule like this one, with its secrets and its owner; it is off, so that nobody is told twice unawares."""
    with context.ledger.write() as tx:
        rule = kept_rule(tx, number).rule
        copy = replace(rule, name=copied_name(rule.name), active=False)
        view = rule_view(tx, kept_rule(tx, insert_rule(tx, copy, context.clock())))
        note_change(tx, context, NOUN, view.id, after=view)
    context.on_setup_changed()
    return view


def _blank(data: RuleCreation) -> Rule:
    """What a new rule is before what is given for it is put in. Raises InvalidInputError."""
    if data.preset:
        for_alarms = data.conditions is not UNSET and data.conditions.trigger is Trigger.ALARM
        rule = rule_of_preset(data.preset, data.fill, for_alarms=for_alarms)
        return replace(rule, source_id=data.source_id, campaign_id=data.campaign_id)
    missing = [name for name in ("name", "request") if getattr(data, name) is UNSET]
    if data.request is not UNSET and data.request.url is UNSET:
        missing.append("request.url")
    faults = [
        Fault(name, FaultCode.REQUIRED, "The field is missing; only a preset does without it.") for name in missing
    ]
    if data.fill:
        faults.append(
            Fault("fill", FaultCode.NOT_ALLOWED, "Words are filled into a preset: name one, or leave fill out.")
        )
    if faults:
        raise InvalidInputError(tuple(faults))
    blank = RequestTemplate(url="")
    return Rule(rule_id=0, name="", source_id=data.source_id, campaign_id=data.campaign_id, request=blank)


def _changed(rule: Rule, data: RuleUpdate) -> Rule:
    changes: dict[str, object] = {}
    if data.request is not UNSET:
        changes["request"] = changed_request(rule.request, data.request)
    if data.conditions is not UNSET:
        changes["conditions"] = changed_conditions(rule.conditions, data.conditions)
    if data.success is not UNSET:
        changes["success"] = changed_success(rule.success, data.success)
    if data.waits_seconds is not UNSET:
        waits = data.waits_seconds
        changes["schedule"] = Schedule() if waits is None else Schedule(waits_seconds=tuple(waits))
    return replace(rule, name=given_or(data.name, rule.name), active=given_or(data.active, rule.active), **changes)


def _check(context: ApiContext, tx: Connection, rule: Rule, more: Sequence[Fault] = ()) -> None:
    """Raise InvalidInputError with all that is wrong. ``more``: faults of the change itself."""
    statuses = {row.status.key for row in status_rows(tx)}
    faults = [*more] + [
        Fault(_FIELDS.get(found.field, found.field), found.fault, found.sentence)
        for found in check_rule(rule, statuses, context.guard)
    ]
    faults += [Fault(field, FaultCode.MASKED, MASKED) for field in masks_in(rule.request)]
    if rule.source_id is not None and find_source(tx, rule.source_id) is None:
        faults.append(Fault("source_id", FaultCode.NOT_FOUND, f"There is no traffic source {rule.source_id}."))
    if rule.campaign_id is not None and find_campaign(tx, rule.campaign_id) is None:
        faults.append(Fault("campaign_id", FaultCode.NOT_FOUND, f"There is no campaign {rule.campaign_id}."))
    if faults:
        raise InvalidInputError(tuple(faults))


def kept_rule(tx: Connection, number: int) -> KeptRule:
    """The rule of that number, archived or not. Raises HTTPException 404."""
    kept = find_kept_rule(tx, number)
    if kept is None:
        raise not_found(f"postback rule {number}")
    return kept


def rule_view(tx: Connection, kept: KeptRule, around: "_Around | None" = None) -> RuleView:
    """A rule as the API shows it. ``around``: what was read for others already."""
    rule = kept.rule
    around = around or _Around(tx)
    return RuleView(
        id=rule.rule_id,
        version=kept.version,
        name=shown(rule.name),
        source_id=rule.source_id,
        campaign_id=rule.campaign_id,
        active=rule.active,
        request=request_template_view(rule.request),
        conditions=conditions_view(rule.conditions),
        success=SuccessView(**msgspec.structs.asdict(rule.success)),
        waits_seconds=list(rule.schedule.waits_seconds),
        warnings=warnings_of(rule_findings(rule, around.sources_of(rule))),
        created_at=moment_text(kept.created_at),
        updated_at=moment_text(kept.updated_at),
        archived_at=optional_moment_text(kept.archived_at),
        is_source_postback=around.is_first_of_source(rule),
        paused_at=optional_moment_text(kept.paused_at),
        resuming_since=optional_moment_text(kept.probing_at),
    )


class _Around:
    """What rules belong to, each read once for all of them."""

    def __init__(self, tx: Connection) -> None:
        self._tx = tx
        self._source = cache(partial(find_source, tx))
        self._campaign = cache(partial(find_campaign, tx))
        self._first = cache(lambda source_id: first_rules_of_sources(tx, [source_id]).get(source_id))

    @cached_property
    def _all_sources(self) -> list[TrafficSource]:
        return sources_after(self._tx, 0, LARGEST_ID)

    def sources_of(self, rule: Rule) -> list[TrafficSource]:
        """Return the sources whose clicks a rule may be sent for."""
        if rule.source_id is None and rule.campaign_id is None:
            return self._all_sources
        campaign = self._campaign(rule.campaign_id) if rule.campaign_id is not None else None
        source_id = campaign.source_id if campaign else rule.source_id
        source = self._source(source_id) if source_id is not None else None
        return [source] if source else []

    def is_first_of_source(self, rule: Rule) -> bool:
        """Whether the rule holds its source's postback URL."""
        first = self._first(rule.source_id) if rule.source_id is not None else None
        return first is not None and first.rule.rule_id == rule.rule_id


_ALARM_STAYS = (
    "A rule for alarms cannot become one for conversions, nor the reverse: they send different things. Make a new rule."
)
_FIELDS = {"conditions.minimum_payout_micros": "conditions.minimum_payout"}
"""A rule's parts by the names that they have here."""

router = Router(
    f"/{NOUN}",
    route_handlers=[
        post("/", dto=CheckedBody, return_dto=None, sync_to_thread=True, summary="Create a postback rule")(
            tells_all(create_rule)
        ),
        get("/", sync_to_thread=True, summary="List postback rules")(list_rules),
        get("/{number:int}", sync_to_thread=True, summary="Read a postback rule")(read_rule),
        patch("/{number:int}", dto=CheckedBody, return_dto=None, sync_to_thread=True, summary="Change a postback rule")(
            tells_all(change_rule)
        ),
        delete("/{number:int}", status_code=200, sync_to_thread=True, summary="Archive a postback rule")(remove_rule),
        post("/{number:int}/restore", status_code=200, sync_to_thread=True, summary="Restore a postback rule")(
            restore_rule
        ),
        post("/{number:int}/clone", sync_to_thread=True, summary="Clone a postback rule")(clone_rule),
    ],
    tags=["Postback rules"],
)
