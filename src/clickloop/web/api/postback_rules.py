"""/postback-rules: what is sent to whom when a conversion changes."""

from typing import Annotated

import msgspec
from litestar import Router, delete, get, patch, post
from litestar.params import JSONBody, QueryParameter
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.campaign.fault import Fault, FaultCode, InvalidInputError
from clickloop.campaign.traffic_source import TrafficSource
from clickloop.macro import Place, check
from clickloop.postback.checking import check_rule
from clickloop.postback.rule import (
    BodyKind,
    Conditions,
    Header,
    Method,
    RequestTemplate,
    Rule,
    Schedule,
    Success,
    Trigger,
)
from clickloop.report.masking import masked_request, masks_in, unmasked_template
from clickloop.store.ledger.campaigns import find_campaign
from clickloop.store.ledger.postback_rules import KeptRule, find_kept_rule, insert_rule, kept_rules_after, update_rule
from clickloop.store.ledger.rules import WOKEN_AT_ONCE, resume_rule, wake_rule
from clickloop.store.ledger.statuses import status_rows
from clickloop.store.ledger.traffic_sources import find_source
from clickloop.web.api.body import StrictBody, given_or
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import LARGEST_ID, Archived, Cursor, Id, Limit, Page, page_of, read_number_cursor
from clickloop.web.api.problem import not_found
from clickloop.web.api.traffic_sources import row_macros, rows_off
from clickloop.web.api.wire import MASKED, Advice, Moment, moment_text, optional_moment_text, shown, warnings_of
from clickloop.web.from_preset import rule_of_preset

NOUN = "postback-rules"

_MOST_MICROS = 10**18


class HeaderBody(msgspec.Struct, kw_only=True):
    """A header line; its value may hold macros."""

    name: Annotated[str, Meta(examples=["Authorization"])]
    value: Annotated[str, Meta(examples=["Bearer secret"])]


class RequestBody(msgspec.Struct, kw_only=True):
    """The request. Macros may stand in path, query, header values and body."""

    url: Annotated[str, Meta(examples=["https://source.example/postback?id={externalid}&payout={payout}"])]
    method: Method = Method.GET
    headers: list[HeaderBody] = []
    body_kind: Annotated[BodyKind, Meta(description="How macros in the body are encoded, and its Content-Type.")] = (
        BodyKind.NONE
    )
    body: str = ""
    secrets: Annotated[
        list[str],
        Meta(
            description="Texts in it that are never shown. A part that is given as it was shown, masked, stays as it was."
        ),
    ] = []


class ConditionsBody(msgspec.Struct, kw_only=True):
    """When it is sent."""

    statuses: Annotated[list[str], Meta(description="Keys of statuses; empty: all that do not count as rejected.")] = []
    trigger: Annotated[Trigger, Meta(description="new: once per conversion; status: at each change of its status.")] = (
        Trigger.NEW
    )
    only_first: Annotated[bool, Meta(description="Only for the first conversion of a click.")] = False
    minimum_payout_micros: (
        Annotated[
            int, Meta(description="In millionths of the conversion's currency.", ge=-_MOST_MICROS, le=_MOST_MICROS)
        ]
        | None
    ) = None
    every_nth: Annotated[int, Meta(description="1: every conversion; 3: the first of every three.")] = 1
    delay_seconds: int = 0
    payout_percent: Annotated[int, Meta(description="The share of the payout that is reported.")] = 100


class SuccessBody(msgspec.Struct, kw_only=True):
    """When a 2xx answer counts as delivered. All that is given must hold for the first 16 KB of the answer."""

    must_contain: str = ""
    must_not_contain: Annotated[str, Meta(examples=["ERROR"])] = ""
    must_match: Annotated[str, Meta(description="A regular expression (RE2), found anywhere in the answer.")] = ""
    must_not_match: Annotated[str, Meta(examples=['"ok"\\s*:\\s*false'])] = ""


Name = Annotated[str, Meta(description="Its name.", examples=["Telegram"])]
Active = Annotated[bool, Meta(description="false: its postbacks are skipped.")]
Waits = Annotated[
    list[int],
    Meta(
        description="Seconds before each attempt after the first, each ±20 %; left out: 13 attempts over 75 hours.",
        examples=[[5, 30, 120]],
    ),
]
Owner = Annotated[int, Meta(description="Whom it belongs to; neither: the whole instance.", ge=1, le=LARGEST_ID)] | None


class RuleUpdate(msgspec.Struct, kw_only=True):
    """What to change of a rule; a part that is given replaces that part. What is left out stays."""

    name: Name | UnsetType = UNSET
    active: Active | UnsetType = UNSET
    request: RequestBody | UnsetType = UNSET
    conditions: ConditionsBody | UnsetType = UNSET
    success: SuccessBody | UnsetType = UNSET
    waits_seconds: Waits | UnsetType = UNSET


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


class RuleView(msgspec.Struct, kw_only=True):
    """A postback rule."""

    id: Annotated[int, Meta(examples=[1])]
    name: Name
    source_id: Owner
    campaign_id: Owner
    active: Active
    request: RequestBody
    conditions: ConditionsBody
    success: SuccessBody
    waits_seconds: Waits
    warnings: Annotated[list[Advice], Meta(description="What will probably not do what was meant.")]
    created_at: Moment
    updated_at: Moment
    archived_at: Moment | None
    paused_at: Annotated[
        Moment | None,
        Meta(description="Since when what it owes is held back, because a receiver answered 410 Gone; resume it."),
    ]


OfSource = Annotated[int | None, QueryParameter(ge=1, le=LARGEST_ID, description="Only rules of this traffic source.")]
OfCampaign = Annotated[int | None, QueryParameter(ge=1, le=LARGEST_ID, description="Only rules of this campaign.")]


def create_rule(context: Context, data: JSONBody[RuleCreation]) -> RuleView:
    """Creates a rule of a traffic source, of a campaign, or of the whole instance."""
    rule = _changed(_blank(data), data)
    with context.ledger.write() as tx:
        _check(context, tx, rule)
        view = _view(tx, _kept(tx, insert_rule(tx, rule, context.clock())))
    context.on_setup_changed()
    return view


def list_rules(
    context: Context,
    limit: Limit = 50,
    cursor: Cursor = "",
    archived: Archived = False,
    source_id: OfSource = None,
    campaign_id: OfCampaign = None,
) -> Page[RuleView]:
    """Rules in the order in which they were made. A source's first one holds its postback URL."""
    after = read_number_cursor(NOUN, cursor)
    with context.ledger.read() as tx:
        found = kept_rules_after(tx, after, limit + 1, archived=archived, source_id=source_id, campaign_id=campaign_id)
        shown_views = {kept.rule.rule_id: _view(tx, kept) for kept in found}
    return page_of(found, limit, NOUN, lambda kept: kept.rule.rule_id, lambda kept: shown_views[kept.rule.rule_id])


def read_rule(context: Context, number: Id) -> RuleView:
    """One rule, archived or not."""
    with context.ledger.read() as tx:
        return _view(tx, _kept(tx, number))


def change_rule(context: Context, number: Id, data: JSONBody[RuleUpdate]) -> RuleView:
    """Changes what is given. What is owed already is sent as it was fixed when it was owed."""
    with context.ledger.write() as tx:
        kept = _kept(tx, number)
        rule = _changed(kept.rule, data)
        _check(context, tx, rule)
        update_rule(tx, rule, context.clock(), kept.archived_at)
        view = _view(tx, _kept(tx, number))
    context.on_setup_changed()
    return view


def remove_rule(context: Context, number: Id) -> RuleView:
    """Takes a rule out of use; what it owes already is still sent."""
    with context.ledger.write() as tx:
        kept = _kept(tx, number)
        if kept.archived_at is None:
            now_ms = context.clock()
            update_rule(tx, kept.rule, now_ms, now_ms)
        view = _view(tx, _kept(tx, number))
    context.on_setup_changed()
    return view


def resume_paused_rule(context: Context, number: Id) -> RuleView:
    """Lets what a paused rule owes leave at once, each with its request as it was. A rule that is not paused stays as it is."""
    with context.ledger.write() as tx:
        _kept(tx, number)
        resumed = resume_rule(tx, number)
    while resumed:
        with context.ledger.write() as tx:
            resumed = wake_rule(tx, number, context.clock()) == WOKEN_AT_ONCE
        context.on_postbacks_owed()
    with context.ledger.read() as tx:
        return _view(tx, _kept(tx, number))


def _blank(data: RuleCreation) -> Rule:
    """What a new rule is before what is given for it is put in. Raises InvalidInputError."""
    if data.preset:
        return replace(rule_of_preset(data.preset, data.fill), source_id=data.source_id, campaign_id=data.campaign_id)
    faults = [
        Fault(name, FaultCode.REQUIRED, "The field is missing; only a preset does without it.")
        for name in ("name", "request")
        if getattr(data, name) is UNSET
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
        request = data.request
        given_request = RequestTemplate(
            method=request.method,
            url=request.url,
            headers=tuple(Header(header.name, header.value) for header in request.headers),
            body_kind=request.body_kind,
            body=request.body,
            secrets=tuple(request.secrets),
        )
        changes["request"] = unmasked_template(given_request, rule.request)
    if data.conditions is not UNSET:
        given = msgspec.structs.asdict(data.conditions)
        changes["conditions"] = Conditions(**given | {"statuses": tuple(data.conditions.statuses)})
    if data.success is not UNSET:
        changes["success"] = Success(**msgspec.structs.asdict(data.success))
    if data.waits_seconds is not UNSET:
        changes["schedule"] = Schedule(waits_seconds=tuple(data.waits_seconds)) if data.waits_seconds else Schedule()
    return replace(rule, name=given_or(data.name, rule.name), active=given_or(data.active, rule.active), **changes)


def _check(context: ApiContext, tx: Connection, rule: Rule) -> None:
    """Raises InvalidInputError with all that is wrong."""
    statuses = {row.status.key for row in status_rows(tx)}
    faults = [
        Fault(found.field, found.fault.code, found.sentence) for found in check_rule(rule, statuses, context.guard)
    ]
    faults += [Fault(field, FaultCode.MASKED, MASKED) for field in masks_in(rule.request)]
    if rule.source_id is not None and find_source(tx, rule.source_id) is None:
        faults.append(Fault("source_id", FaultCode.NOT_FOUND, f"There is no traffic source {rule.source_id}."))
    if rule.campaign_id is not None and find_campaign(tx, rule.campaign_id) is None:
        faults.append(Fault("campaign_id", FaultCode.NOT_FOUND, f"There is no campaign {rule.campaign_id}."))
    if faults:
        raise InvalidInputError(tuple(faults))


def _kept(tx: Connection, number: int) -> KeptRule:
    kept = find_kept_rule(tx, number)
    if kept is None:
        raise not_found(f"postback rule {number}")
    return kept


def _view(tx: Connection, kept: KeptRule) -> RuleView:
    rule = kept.rule
    request = masked_request(rule.request)
    return RuleView(
        id=rule.rule_id,
        name=shown(rule.name),
        source_id=rule.source_id,
        campaign_id=rule.campaign_id,
        active=rule.active,
        request=RequestBody(
            url=shown(request.url),
            method=request.method,
            headers=[HeaderBody(name=shown(header.name), value=shown(header.value)) for header in request.headers],
            body_kind=request.body_kind,
            body=shown(request.body),
            secrets=list(request.secrets),
        ),
        conditions=ConditionsBody(
            **msgspec.structs.asdict(rule.conditions) | {"statuses": list(rule.conditions.statuses)}
        ),
        success=SuccessBody(**msgspec.structs.asdict(rule.success)),
        waits_seconds=list(rule.schedule.waits_seconds),
        warnings=_warnings(rule.request, _source_of(tx, rule)),
        created_at=moment_text(kept.created_at),
        updated_at=moment_text(kept.updated_at),
        archived_at=optional_moment_text(kept.archived_at),
        paused_at=optional_moment_text(kept.paused_at),
    )


def _source_of(tx: Connection, rule: Rule) -> TrafficSource | None:
    """The source whose rows the rule's macros may name."""
    if rule.source_id is not None:
        return find_source(tx, rule.source_id)
    campaign = find_campaign(tx, rule.campaign_id) if rule.campaign_id is not None else None
    return find_source(tx, campaign.source_id) if campaign else None


def _warnings(request: RequestTemplate, source: TrafficSource | None) -> list[Advice]:
    rows = row_macros(source) if source else {}
    off = rows_off(source) if source else set()
    found = warnings_of("request.url", check(request.url, rows, off=off)) if request.url else []
    for position, header in enumerate(request.headers):
        findings = check(header.value, rows, Place.HEADER, off=off)
        found += warnings_of(f"request.headers[{position}].value", findings)
    if request.body_kind is not BodyKind.NONE:
        found += warnings_of("request.body", check(request.body, rows, _PLACES[request.body_kind], off=off))
    return found


_PLACES = {BodyKind.FORM: Place.FORM, BodyKind.JSON: Place.JSON, BodyKind.TEXT: Place.TEXT}

router = Router(
    f"/{NOUN}",
    route_handlers=[
        post("/", dto=StrictBody, return_dto=None, sync_to_thread=True, summary="Create a postback rule")(create_rule),
        get("/", sync_to_thread=True, summary="List postback rules")(list_rules),
        get("/{number:int}", sync_to_thread=True, summary="Read a postback rule")(read_rule),
        patch("/{number:int}", dto=StrictBody, return_dto=None, sync_to_thread=True, summary="Change a postback rule")(
            change_rule
        ),
        delete("/{number:int}", status_code=200, sync_to_thread=True, summary="Archive a postback rule")(remove_rule),
        post("/{number:int}/resume", status_code=200, sync_to_thread=True, summary="Resume a paused postback rule")(
            resume_paused_rule
        ),
    ],
    tags=["Postback rules"],
)
