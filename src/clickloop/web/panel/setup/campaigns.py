"""Campaigns: the list with today's figures, and the editor with offers, weights, and the links and codes to copy."""

from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from msgspec import Meta

from clickloop.diagnosis.check.views import CheckFindingView
from clickloop.diagnosis.flow_sentences import FlowReading
from clickloop.macro import Severity
from clickloop.report.query import Dimension
from clickloop.setup.campaign import Campaign, CampaignChange, CampaignFilter, ClickCost, NewCampaign
from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.setup.flow import FlowParts, PathTarget
from clickloop.setup.returning import Bind, Rotation, UniqueBy
from clickloop.store.ledger.setup.names import RecordKind
from clickloop.web.api.all_faults import save_or_report_faults
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.diagnosis.check import campaign_setup_findings
from clickloop.web.api.paging import Archived, Cursor, Id
from clickloop.web.api.query import from_query
from clickloop.web.api.setup import campaigns as api
from clickloop.web.api.setup.flows import read_flow
from clickloop.web.api.setup.postback_rules import list_rules
from clickloop.web.api.setup.traffic_sources import SourceView, read_source
from clickloop.web.api.wire import json_value
from clickloop.web.panel.diagnosis.check import editor_of, name_of
from clickloop.web.panel.frame.edit_conflict import save_edit, seen_version
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import Form, FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.reports.today import NO_FIGURES, figures_today
from clickloop.web.panel.reports.walkthrough import next_step, walkthrough_at
from clickloop.web.panel.routing import campaign_flow
from clickloop.web.panel.setup.record_pages import RecordPages, blank_tree
from clickloop.web.panel.setup.setup_choices import (
    MAX_CHOICES,
    OptionalId,
    choices,
    names,
    number_of,
    only,
    tags_of,
    tags_to_choose,
)

PATH = "/panel/campaigns"
ROWS_PER_PAGE = 100
DEFAULT_WEIGHT = 100
MAX_RULES = 100  # campaigns have a few; the page shows them without paging
MAX_FINDINGS = 5
"""Maximum number of check findings at the top of a campaign."""

COST_MODELS = (
    (ClickCost.LINK.value, "From the link’s cost parameter"),
    (ClickCost.PER_CLICK.value, "Fixed, per click"),
    (ClickCost.PER_THOUSAND.value, "Fixed, per thousand clicks"),
    (ClickCost.NONE.value, "None"),
)

UNIQUE_WITHIN = (
    ("3600", "An hour"),
    ("86400", "A day"),
    ("604800", "7 days"),
    ("2592000", "30 days"),
    ("0", "For ever"),
)
UNIQUE_BY = ((UniqueBy.CAMPAIGN.value, "This campaign only"), (UniqueBy.INSTANCE.value, "All campaigns"))


BINDS = (
    (Bind.NONE.value, "Nothing in particular"),
    (Bind.PATH.value, "The same path"),
    (Bind.LANDING.value, "The same path and landing"),
    (Bind.OFFER.value, "The same path, landing and offer"),
)
ROTATIONS = ((Rotation.RANDOM.value, "By weight"), (Rotation.UNSEEN.value, "By weight, unseen first"))


class _ListFilter(msgspec.Struct, frozen=True, kw_only=True):
    """The filter of the list as its form sends it; empty fields do not narrow it."""

    source_id: Annotated[str, Meta(max_length=10)] = ""
    offer_id: Annotated[str, Meta(max_length=10)] = ""
    active: Annotated[str, Meta(max_length=5)] = ""
    words: Annotated[str, Meta(max_length=200)] = msgspec.field(name="q", default="")
    tag: Annotated[str, Meta(max_length=50)] = ""


_ListFilterParameter = NamedDependency[SkipValidation[_ListFilter]]


def show_list(
    viewer: CurrentViewer,
    context: Context,
    filters: _ListFilterParameter,
    cursor: Cursor = "",
    archived: Archived = False,
) -> PageResponse:
    source_id, offer_id = number_of(filters.source_id), number_of(filters.offer_id)
    campaign_filter = CampaignFilter(
        source_id=source_id,
        offer_id=offer_id,
        active={"true": True, "false": False}.get(filters.active),
        words=filters.words,
        tag=filters.tag,
    )
    found = api.list_campaigns(context, campaign_filter, ROWS_PER_PAGE, cursor, archived)
    return page(
        viewer,
        "campaigns.html",
        found=found,
        archived=archived,
        cursor=cursor,
        source_id=source_id,
        offer_id=offer_id,
        active=filters.active,
        q=filters.words,
        tag=filters.tag,
        tags=tags_to_choose(context, RecordKind.CAMPAIGN),
        sources=choices(context, RecordKind.SOURCE, [source_id]),
        source_names=names(context, RecordKind.SOURCE, {one.source_id for one in found.items}),
        offer_names=names(
            context, RecordKind.OFFER, {share.offer_id for one in found.items for share in one.offers} | {offer_id}
        ),
        figures=figures_today(context, viewer, Dimension.CAMPAIGN, [one.id for one in found.items]),
        no_figures=NO_FIGURES,
        currency=context.currency,
    )


def show_new(viewer: CurrentViewer, context: Context, source_id: OptionalId = None) -> PageResponse:
    """Return the editor of a new campaign, with the given source or the only one, and with the only offer."""
    if source_id is None:
        source_id = only(choices(context, RecordKind.SOURCE))
    offer_id = only(choices(context, RecordKind.OFFER))
    offers = [{"offer_id": offer_id, "weight": DEFAULT_WEIGHT}] if offer_id else []
    tree = {**_BLANK, "source_id": source_id or "", "offers": offers}
    return _editor(viewer, context, tree, None, blank_rows=0 if offers else 1)


def create(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    if form.has("add_row"):
        return _editor(viewer, context, form.redisplay_values(NewCampaign), None, blank_rows=1)
    try:
        view = save_or_report_faults(context, form.read_partly(NewCampaign, **_submitted(form)), api.create_campaign)
    except InvalidInputError as error:
        return _editor(viewer, context, form.redisplay_values(NewCampaign), None, error.faults)
    return viewer.go(f"{PATH}/{view.id}", FlashMessage.CREATED)


def change(viewer: CurrentViewer, context: Context, record_id: Id, form: FormParameter) -> PageResponse:
    view = api.read_campaign(context, record_id)
    if form.has("add_row"):
        return _editor(viewer, context, form.redisplay_values(NewCampaign), view, blank_rows=1)
    try:
        edit = PAGES.edit_of(context, record_id, view)
        save_edit(context, form, edit, CampaignChange, api.change_campaign, **_submitted(form))
    except InvalidInputError as error:
        return _editor(viewer, context, form.redisplay_values(NewCampaign), view, error.faults)
    return viewer.go(f"{PATH}/{record_id}", FlashMessage.SAVED)


def clone(viewer: CurrentViewer, context: Context, record_id: Id) -> PageResponse:
    """Clone a campaign and open the copy."""
    try:
        copy = api.clone_campaign(context, record_id, api.CampaignCloning())
    except InvalidInputError as error:
        return PAGES.show(viewer, context, record_id, error.faults)
    return viewer.go(f"{PATH}/{copy.id}", FlashMessage.COPIED)


def pause(viewer: CurrentViewer, context: Context, record_id: Id) -> PageResponse:
    """Pause a campaign: visitors go to the fallback URL."""
    return _activate(viewer, context, record_id, active=False)


def resume(viewer: CurrentViewer, context: Context, record_id: Id) -> PageResponse:
    """Resume a campaign: visitors go to its offers again."""
    return _activate(viewer, context, record_id, active=True)


def reset_uniqueness(viewer: CurrentViewer, context: Context, record_id: Id) -> PageResponse:
    """Reset a campaign's uniqueness."""
    try:
        api.reset_uniqueness(context, record_id)
    except InvalidInputError as error:
        return PAGES.show(viewer, context, record_id, error.faults)
    return viewer.go(f"{PATH}/{record_id}", FlashMessage.UNIQUENESS_RESET)


def _activate(viewer: Viewer, context: ApiContext, number: int, *, active: bool) -> PageResponse:
    try:
        api.change_campaign(context, number, CampaignChange(active=active))
    except InvalidInputError as error:
        return PAGES.show(viewer, context, number, error.faults)
    return viewer.go(f"{PATH}/{number}", FlashMessage.RESUMED if active else FlashMessage.PAUSED)


def _editor(
    viewer: Viewer,
    context: ApiContext,
    tree: dict[str, Any],
    view: api.CampaignView | None,
    faults: tuple[FieldFault, ...] = (),
    blank_rows: int = 0,
) -> PageResponse:
    tree = {**_BLANK, **tree}
    found = _findings(context, view) if view and not faults else []
    shares = _shares(tree["offers"])
    is_simple = view is None or (view.flow_id is None and is_simple_flow(view.flow))
    source_id = number_of(tree["source_id"])
    sources = choices(context, RecordKind.SOURCE, [source_id])
    return page(
        viewer,
        "campaign.html",
        faults,
        v={**tree, "tags": ", ".join(tags_of(tree["tags"]))},
        is_simple=is_simple,
        reading=_reading(context, view) if view and not is_simple else None,
        shares=shares,
        whole=sum(_weight(share) for share in shares),
        view=view,
        next_step=next_step(context, viewer, view.id if view else None),
        walkthrough=None if view else walkthrough_at(context, viewer, RecordKind.CAMPAIGN),
        findings=found[:MAX_FINDINGS],
        more_findings=len(found[MAX_FINDINGS:]),
        editor=editor_of,
        name=name_of,
        seen=seen_version(context, tree, view, _BLANK),
        blank_rows=blank_rows,
        cost_models=COST_MODELS,
        binds=BINDS,
        rotations=ROTATIONS,
        unique_within=_windows(tree["unique_within_seconds"]),
        unique_by=UNIQUE_BY,
        sources=sources,
        source=_source(context, source_id, dict(sources)),
        has_flow=view is not None and (view.flow_id is not None or len(view.flow.default_paths) > 1),
        offers=choices(context, RecordKind.OFFER, [number_of(share["offer_id"]) for share in shares]),
        max_choices=MAX_CHOICES,
        default_weight=DEFAULT_WEIGHT,
        domains=(urlsplit(context.base_url).netloc, *context.instance.domains),
        fallback_url=context.fallback_url,
        tags=tags_to_choose(context, RecordKind.CAMPAIGN),
        codes=api.read_codes(context, view.id) if view else None,
        rules=list_rules(context, MAX_RULES, campaign_id=view.id).items if view else [],
        figures=figures_today(context, viewer, Dimension.CAMPAIGN, [view.id]).get(view.id) if view else None,
        currency=context.currency,
    )


def _windows(seconds: Any) -> tuple[tuple[str, str], ...]:
    """Return the choices of ``unique_within_seconds``, with the value in force if it is none of them."""
    value = str(seconds)
    return UNIQUE_WITHIN if value in dict(UNIQUE_WITHIN) else (*UNIQUE_WITHIN, (value, f"{value} seconds"))


def is_simple_flow(parts: FlowParts) -> bool:
    """Return whether a flow is no more than offers with weights, as this page shows them."""
    paths = parts.default_paths
    return (
        not parts.rules
        and len(paths) <= 1
        and all(path.target is PathTarget.OFFER and path.active and path.learning is None for path in paths)
    )


def _reading(context: ApiContext, view: api.CampaignView) -> FlowReading | None:
    """Return the flow that the campaign's visitors follow, as it reads."""
    parts = view.flow
    if view.flow_id is not None:
        shared = read_flow(context, view.flow_id)
        parts = FlowParts(rules=shared.rules, default_paths=shared.default_paths)
    return campaign_flow.flow_reading(
        context, parts, campaign_flow.parameter_names(read_source(context, view.source_id))
    )


def _findings(context: ApiContext, view: api.CampaignView) -> list[CheckFindingView]:
    """Return the check's errors and warnings about the setup of a campaign; none for an archived one."""
    if view.archived_at:
        return []
    return [one for one in campaign_setup_findings(context, view.id) if one.severity is not Severity.NOTE]


_FIELDS = [name for name in CampaignChange.__struct_fields__ if name not in ("active", *campaign_flow.FIELDS)]
"""The fields of the page's form: the flow has a page of its own, and buttons pause and resume."""
_BLANK: dict[str, Any] = {
    **blank_tree(Campaign(key="", name="", source_id=0), [name for name in _FIELDS if name != "offers"]),
    "source_id": "",
    "cost": None,
    "conversion_cost": None,
    "offers": [],
}


def _submitted(form: Form) -> dict[str, Any]:
    """Return the fields whose form differs from the API's: cost, offers, tags, and notes with the stored line ends."""
    has_no_amount = form.text("cost_model") in (ClickCost.LINK, ClickCost.NONE)
    return {
        "conversion_cost": _conversion_cost(form),
        **({"cost": None} if has_no_amount else {}),
        # A flow that is more than offers with weights is not part of this form.
        **(
            {"offers": _typed_shares(form.tree.get("offers"))}
            if form.has("offers_shown") or "offers" in form.tree
            else {}
        ),
        "tags": tags_of(form.text("tags")),
        "notes": form.text("notes").replace("\r\n", "\n"),
    }


def _conversion_cost(form: Form) -> dict[str, Any] | None:
    """Return the cost of a conversion as the API takes it, or None if neither an amount nor a share is entered."""
    amount, percent = form.text("conversion_cost.amount"), form.text("conversion_cost.percent")
    if not amount and percent in ("", "0"):
        return None
    words = form.text("conversion_cost.statuses").replace(",", " ").split()
    return {"amount": amount, "percent": _number(percent) if percent else 0, "statuses": words}


def _typed_shares(value: Any) -> list[dict[str, Any]]:
    return [
        {"offer_id": number_of(share["offer_id"]) or share["offer_id"], "weight": _number(share["weight"])}
        for share in _shares(value)
    ]


def _shares(value: Any) -> list[dict[str, Any]]:
    """Return the rows with a chosen offer, from the API or a form."""
    rows = value if isinstance(value, list) else []
    return [
        {"offer_id": row.get("offer_id", ""), "weight": row.get("weight", DEFAULT_WEIGHT)}
        for row in rows
        if isinstance(row, dict) and row.get("offer_id")
    ]


def _number(text: Any) -> Any:
    """Return a weight as a number: the default for an empty field; text that is no number stays, for validation to report."""
    word = str(text).strip()
    if not word:
        return DEFAULT_WEIGHT
    return int(word) if word.lstrip("-").isdecimal() and len(word) <= 9 else text


def _weight(share: dict[str, Any]) -> int:
    weight = _number(share["weight"])
    return weight if isinstance(weight, int) and weight > 0 else 0


def _source(context: ApiContext, source_id: int | None, known: dict[int, str]) -> SourceView | None:
    return read_source(context, source_id) if source_id is not None and source_id in known else None


PAGES = RecordPages(path=PATH, records=api.CAMPAIGNS, editor=_editor, tree=json_value, fields=_BLANK)

routes = [
    get("/campaigns", dependencies={"filters": from_query(_ListFilter)}, sync_to_thread=True)(show_list),
    get("/campaigns/new", sync_to_thread=True)(show_new),
    post("/campaigns/new", sync_to_thread=True)(create),
    post("/campaigns/{record_id:int}", sync_to_thread=True)(change),
    post("/campaigns/{record_id:int}/clone", sync_to_thread=True)(clone),
    post("/campaigns/{record_id:int}/pause", sync_to_thread=True)(pause),
    post("/campaigns/{record_id:int}/resume", sync_to_thread=True)(resume),
    post("/campaigns/{record_id:int}/reset-uniqueness", sync_to_thread=True)(reset_uniqueness),
    *PAGES.routes(),
]
