"""Postback rules: the list, and the editor with request, conditions, success and retries."""

from typing import Annotated, Any

from litestar import Response, get, post
from litestar.params import QueryParameter

from clickloop.macro import EncodingContext
from clickloop.postback.rule import BodyKind, Method, Schedule, Trigger
from clickloop.postback.rule_change import NewRule, RuleChange
from clickloop.postback.rule_preset import RulePreset, rule_presets
from clickloop.setup.campaign import CampaignFilter
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.store.ledger.setup.names import RecordKind
from clickloop.web.api.all_faults import save_or_report_faults
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Archived, Cursor, Id, Words
from clickloop.web.api.problem import not_found
from clickloop.web.api.setup import postback_rules as api
from clickloop.web.api.setup.campaigns import list_campaigns, read_campaign
from clickloop.web.api.setup.rule_resuming import resume_paused_rule
from clickloop.web.api.setup.statuses import list_statuses
from clickloop.web.api.wire import json_value
from clickloop.web.panel.frame.auth_guard import NEEDS
from clickloop.web.panel.frame.durations import (
    UnreadableDurationError,
    duration_text,
    read_duration,
    read_durations,
    times_of,
)
from clickloop.web.panel.frame.edit_conflict import save_edit, seen_version
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import Form, FormParameter
from clickloop.web.panel.frame.page import PageResponse, fragment, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.setup.macro_fields import (
    SourceRows,
    offered,
    offered_for_alarms,
    offered_for_views,
    preview_template,
    rows_of_source,
)
from clickloop.web.panel.setup.record_pages import RecordPages
from clickloop.web.panel.setup.remarks import postback_remarks
from clickloop.web.panel.setup.rule_summary import conditions_summary
from clickloop.web.panel.setup.setup_choices import IdFilter, OptionalId, PresetKey, choices, names, number_of

PATH = "/panel/postback-rules"
ROWS_PER_PAGE = 100

METHODS = tuple((method.value, method.value) for method in Method)
BODY_KINDS = (
    (BodyKind.NONE.value, "none"),
    (BodyKind.FORM.value, "form"),
    (BodyKind.JSON.value, "JSON"),
    (BodyKind.TEXT.value, "text"),
    (BodyKind.MULTIPART.value, "multipart, with a file"),
)
TRIGGERS = (
    (Trigger.NEW.value, "Once for each conversion"),
    (Trigger.STATUS.value, "When it is new, and whenever its status changes"),
    (Trigger.ALARM.value, "For alarms of this tracker, not conversions"),
    (Trigger.VIEW.value, "For scheduled views, not conversions"),
)
_PLACES = {"form": EncodingContext.FORM, "json": EncodingContext.JSON}
OwnerParameter = Annotated[str, QueryParameter(name="of", max_length=10, description="instance: only global rules.")]
TriggerWord = Annotated[
    str, QueryParameter(max_length=10, description="alarm: a rule for alarms; view: for scheduled views.")
]


def show_list(
    viewer: CurrentViewer,
    context: Context,
    cursor: Cursor = "",
    archived: Archived = False,
    source_id: IdFilter = "",
    campaign_id: IdFilter = "",
    of: OwnerParameter = "",
    words: Words = "",
) -> PageResponse:
    """Return the list of rules: all, of a source, of a campaign, or global."""
    of_source, of_campaign = number_of(source_id), number_of(campaign_id)
    found = api.list_rules(context, ROWS_PER_PAGE, cursor, archived, of_source, of_campaign, of == "instance", words)
    return page(
        viewer,
        "postback_rules.html",
        found=found,
        archived=archived,
        cursor=cursor,
        source_id=of_source,
        campaign_id=of_campaign,
        of=of,
        q=words,
        conditions={one.id: conditions_summary(one) for one in found.items},
        sources=choices(context, RecordKind.SOURCE, [of_source]),
        campaigns=choices(context, RecordKind.CAMPAIGN, [of_campaign]),
        source_names=names(context, RecordKind.SOURCE, {one.source_id for one in found.items}),
        campaign_names=names(context, RecordKind.CAMPAIGN, {one.campaign_id for one in found.items}),
    )


def choose_preset(viewer: CurrentViewer, source_id: OptionalId = None, campaign_id: OptionalId = None) -> PageResponse:
    owner = f"&source_id={source_id}" if source_id else f"&campaign_id={campaign_id}" if campaign_id else ""
    return page(viewer, "postback_rule_presets.html", presets=list(rule_presets().values()), owner=owner)


def show_new(
    viewer: CurrentViewer,
    context: Context,
    preset: PresetKey = "",
    source_id: OptionalId = None,
    campaign_id: OptionalId = None,
    trigger: TriggerWord = "",
) -> PageResponse:
    """Return the editor of a new rule, or the form of a preset."""
    owner: dict[str, Any] = {"source_id": source_id or "", "campaign_id": campaign_id or ""}
    if preset:
        chosen = _preset(preset)
        words = {fill.name: fill.default or "" for fill in chosen.fill}
        conditions = {"trigger": trigger} if trigger == Trigger.ALARM else {}
        name = f"Alarms: {chosen.name}" if conditions else chosen.name
        return _fill_in(viewer, context, chosen, {"name": name, **owner, "fill": words, "conditions": conditions})
    if trigger == Trigger.ALARM:
        owner |= {"name": "Alarms", "conditions": {**_BLANK["conditions"], "trigger": trigger}}
    if trigger == Trigger.VIEW:
        body = "caption={view} {view.remark}&document=@{view.csv}"
        request = {**_BLANK["request"], "method": "POST", "body_kind": BodyKind.MULTIPART.value, "body": body}
        owner |= {"name": "Views", "conditions": {**_BLANK["conditions"], "trigger": trigger}, "request": request}
    return _editor(viewer, context, {**_BLANK, **owner}, None)


def create(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    """Create a rule, from a preset or from the editor."""
    if form.text("preset"):
        return _create_from_preset(viewer, context, form)
    if form.has("add_header"):
        return _editor(viewer, context, form.redisplay_values(NewRule), None, blank_headers=1)
    try:
        converted, more = _submitted(form)
        view = save_or_report_faults(context, converted.read_partly(NewRule, **more), api.create_rule)
    except InvalidInputError as error:
        return _editor(viewer, context, form.redisplay_values(NewRule), None, error.faults)
    return viewer.go(f"{PATH}/{view.id}", FlashMessage.CREATED)


def change(viewer: CurrentViewer, context: Context, record_id: Id, form: FormParameter) -> PageResponse:
    view = api.read_rule(context, record_id)
    if form.has("add_header"):
        return _editor(viewer, context, form.redisplay_values(NewRule), view, blank_headers=1)
    try:
        converted, more = _submitted(form)
        edit = PAGES.edit_of(context, record_id, view)
        save_edit(context, converted, edit, RuleChange, api.change_rule, **more)
    except InvalidInputError as error:
        return _editor(viewer, context, form.redisplay_values(NewRule), view, error.faults)
    return viewer.go(f"{PATH}/{record_id}", FlashMessage.SAVED)


def clone(viewer: CurrentViewer, context: Context, record_id: Id) -> PageResponse:
    """Clone a rule and open the copy, which is off."""
    return viewer.go(f"{PATH}/{api.clone_rule(context, record_id).id}", FlashMessage.COPIED)


def resume(viewer: CurrentViewer, context: Context, record_id: Id) -> PageResponse:
    """Resume a rule that was paused because its receiver answered 410."""
    resume_paused_rule(context, record_id)
    return viewer.go(f"{PATH}/{record_id}", FlashMessage.RESUMED)


def preview_times(form: FormParameter) -> Response[str]:
    """Return the attempt times of the schedule as typed, for the script that inserts them."""
    text = fragment("postback_rule_times.html", times=_times(form.text("waits_seconds")))
    return Response(text, media_type="text/html")


def _create_from_preset(viewer: Viewer, context: ApiContext, form: Form) -> PageResponse:
    values = form.tree.get("fill")
    fill = {name: str(value).strip() for name, value in values.items()} if isinstance(values, dict) else {}
    try:
        body = form.read_partly(NewRule, fill={name: value for name, value in fill.items() if value})
        view = save_or_report_faults(context, body, api.create_rule)
    except InvalidInputError as error:
        return _fill_in(viewer, context, _preset(form.text("preset")), form.redisplay_values(NewRule), error.faults)
    return viewer.go(f"{PATH}/{view.id}", FlashMessage.CREATED)


def _fill_in(
    viewer: Viewer, context: ApiContext, preset: RulePreset, tree: dict[str, Any], faults: tuple[FieldFault, ...] = ()
) -> PageResponse:
    """Return the form with the values that a preset needs."""
    fill = tree.get("fill")
    return page(
        viewer,
        "postback_rule_fill.html",
        faults,
        preset=preset,
        for_alarms=_is_for(tree, Trigger.ALARM),
        v={**_BLANK, **tree, "fill": fill if isinstance(fill, dict) else {}},
        **_owners(context, tree),
    )


def _editor(
    viewer: Viewer,
    context: ApiContext,
    tree: dict[str, Any],
    view: api.PostbackRuleView | None,
    faults: tuple[FieldFault, ...] = (),
    blank_headers: int = 0,
) -> PageResponse:
    seen = seen_version(context, tree, view, _BLANK)
    tree = {
        name: {**blank, **tree.get(name, {})} if isinstance(blank, dict) else tree.get(name, blank)
        for name, blank in _BLANK.items()
    }
    request, conditions = tree["request"], tree["conditions"]
    request["headers"] = [
        {"name": str(header.get("name", "")), "value": str(header.get("value", ""))} for header in request["headers"]
    ] + [{"name": "", "value": ""}] * blank_headers
    rows = _macro_rows(context, number_of(tree["source_id"]), number_of(tree["campaign_id"]))
    url = str(request["url"])
    for_alarms, for_views = _is_for(tree, Trigger.ALARM), _is_for(tree, Trigger.VIEW)
    body_place = _PLACES.get(str(request["body_kind"]), EncodingContext.TEXT)
    return page(
        viewer,
        "postback_rule.html",
        faults,
        v=tree,
        view=view,
        seen=seen,
        chosen_statuses=_texts(conditions["statuses"]),
        statuses=list_statuses(context).items,
        methods=METHODS,
        body_kinds=BODY_KINDS,
        triggers=TRIGGERS
        if view is None
        else TRIGGERS[:2],  # a rule for conversions cannot become one for alarms or views
        for_alarms=for_alarms,
        url_preview=preview_template(url, rows, remarks=() if faults else postback_remarks(url, context.guard)),
        header_previews=[
            preview_template(header["value"], rows, EncodingContext.HEADER) for header in request["headers"]
        ],
        body_preview=preview_template(str(request["body"]), rows, body_place),
        for_views=for_views,
        groups=offered_for_alarms() if for_alarms else offered_for_views() if for_views else offered(rows),
        times=_times(tree["waits_seconds"]),
        default_waits=_line(Schedule().waits_seconds),
        try_campaign_id=_campaign_to_try(context, view),
        **_owners(context, tree),
    )


def _is_for(tree: dict[str, Any], trigger: Trigger) -> bool:
    conditions = tree.get("conditions")
    return isinstance(conditions, dict) and conditions.get("trigger") == trigger


def _owners(context: ApiContext, tree: dict[str, Any]) -> dict[str, Any]:
    """Return the sources and campaigns that a rule may belong to."""
    return {
        "sources": choices(context, RecordKind.SOURCE, [number_of(tree.get("source_id"))]),
        "campaigns": choices(context, RecordKind.CAMPAIGN, [number_of(tree.get("campaign_id"))]),
    }


_BLANK: dict[str, Any] = {
    "name": "",
    "source_id": "",
    "campaign_id": "",
    "active": True,
    "request": {"method": "GET", "url": "", "headers": [], "body_kind": "none", "body": "", "secrets": []},
    "conditions": {
        "statuses": [],
        "trigger": "new",
        "only_first": False,
        "minimum_payout": "",
        "every_nth": 1,
        "delay_seconds": "0s",
        "payout_percent": 100,
    },
    "success": {"must_contain": "", "must_not_contain": "", "must_match": "", "must_not_match": ""},
    "waits_seconds": "",
}


def _tree(view: api.PostbackRuleView) -> dict[str, Any]:
    """Return a rule as its form shows it."""
    tree: dict[str, Any] = json_value(view)
    tree["conditions"]["delay_seconds"] = duration_text(view.conditions.delay_seconds)
    is_default = tuple(view.waits_seconds) == Schedule().waits_seconds
    tree["waits_seconds"] = "" if is_default else _line(view.waits_seconds) or _ONCE
    return {name: tree[name] for name in _BLANK}


_ONCE = "once"
"""Retry delays of a rule with a single attempt: an empty field means the default schedule."""


def _submitted(form: Form) -> tuple[Form, dict[str, Any]]:
    """Return the form with durations in seconds, stored line ends and the faults of durations, and the schedule's field."""
    faults: list[FieldFault] = []
    pairs: list[tuple[str, str]] = []
    more: dict[str, Any] = {}
    for name, value in form.pairs:
        try:
            if name == "waits_seconds":
                line = value.strip().lower()
                more[name] = [] if line == _ONCE else read_durations(line) or list(Schedule().waits_seconds)
            elif name == "conditions.delay_seconds":
                pairs.append((name, str(read_duration(value or "0"))))
            elif name == "request.body":
                pairs.append((name, value.replace("\r\n", "\n")))
            elif name == "request.url" or name.startswith("request.headers["):
                pairs.append((name, value.strip()))
            else:
                pairs.append((name, value))
        except UnreadableDurationError as error:
            faults.append(FieldFault(name, FaultCode.WRONG_TYPE, str(error)))
    return Form(pairs, faults), more


def _line(waits: tuple[int, ...] | list[int]) -> str:
    return " ".join(duration_text(seconds) for seconds in waits)


def _times(line: object) -> list[str]:
    """Return the attempt times of a schedule in the form; none if it is unreadable."""
    word = str(line).strip().lower()
    try:
        waits = [] if word == _ONCE else read_durations(word) or list(Schedule().waits_seconds)
    except UnreadableDurationError:
        return []
    return ["at once", *(f"+{time}" for time in times_of(waits))]


def _texts(value: Any) -> list[str]:
    """Return the values of a field that may be repeated; a single value is a text in the form's tree."""
    return [str(one) for one in value] if isinstance(value, list) else [value] if value else []


def _preset(key: str) -> RulePreset:
    preset = rule_presets().get(key)
    if preset is None:
        raise not_found("preset with that key")
    return preset


def _macro_rows(context: ApiContext, source_id: int | None, campaign_id: int | None) -> SourceRows:
    """Return the rows of the rule's source, or of its campaign's source."""
    if source_id is None and campaign_id is not None and names(context, RecordKind.CAMPAIGN, [campaign_id]):
        source_id = read_campaign(context, campaign_id).source_id
    return rows_of_source(context, source_id or 0)


def _campaign_to_try(context: ApiContext, view: api.PostbackRuleView | None) -> int | None:
    """Return a campaign to which the rule applies, or None."""
    if view is None or view.campaign_id is not None:
        return view.campaign_id if view else None
    found = list_campaigns(context, CampaignFilter(source_id=view.source_id), 1).items
    return found[0].id if found else None


PAGES = RecordPages(path=PATH, records=api.RULES, editor=_editor, tree=_tree, fields=_BLANK)

routes = [
    get("/postback-rules", sync_to_thread=True)(show_list),
    get("/postback-rules/presets", sync_to_thread=True)(choose_preset),
    get("/postback-rules/new", sync_to_thread=True)(show_new),
    post("/postback-rules/new", sync_to_thread=True)(create),
    post("/postback-rules/times", sync_to_thread=False, status_code=200, opt={NEEDS: None})(preview_times),
    post("/postback-rules/{record_id:int}", sync_to_thread=True)(change),
    post("/postback-rules/{record_id:int}/clone", sync_to_thread=True)(clone),
    post("/postback-rules/{record_id:int}/resume", sync_to_thread=True)(resume),
    *PAGES.routes(),
]
