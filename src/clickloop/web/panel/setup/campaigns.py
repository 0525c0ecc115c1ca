"""Campaigns: the list with today's figures, and the editor with offers and weights, and all that is to be copied out of it."""

from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter, SkipValidation
from msgspec import Meta

from clickloop.diagnosis.check.views import ToldFinding
from clickloop.log_filter import MAX_ID
from clickloop.macro import Severity
from clickloop.report.query import Dimension
from clickloop.setup.campaign import Campaign, CampaignChange, CampaignFilter, ClickCost, NewCampaign
from clickloop.setup.fault import Fault, InvalidInputError
from clickloop.store.ledger.setup.names import Named
from clickloop.web.api.all_faults import save_read
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.diagnosis.check import checked_as_set_up
from clickloop.web.api.paging import Archived, Cursor, Id
from clickloop.web.api.query import from_query
from clickloop.web.api.setup import campaigns as api
from clickloop.web.api.setup.postback_rules import list_rules
from clickloop.web.api.setup.traffic_sources import SourceView, read_source
from clickloop.web.api.wire import json_value
from clickloop.web.panel.diagnosis.check import editor_of, name_of
from clickloop.web.panel.frame.edit_conflict import save_edit, seen_version
from clickloop.web.panel.frame.flash import Said
from clickloop.web.panel.frame.form import Form, FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.reports.newcomer import next_step, walkthrough_at
from clickloop.web.panel.reports.today import NO_FIGURES, figures_today
from clickloop.web.panel.setup.record_pages import RecordPages, blank_tree
from clickloop.web.panel.setup.setup_choices import (
    MAX_CHOICES,
    choices,
    names,
    number_of,
    only,
    tags_of,
    tags_to_choose,
)

PATH = "/panel/campaigns"
ROWS_A_PAGE = 100
USUAL_WEIGHT = 100
MAX_RULES = 100  # a campaign has a few; the page lists them all
FINDINGS = 5
"""Maximum number of findings of the check at the top of a campaign."""

COST_MODELS = (
    (ClickCost.LINK.value, "As the link’s cost parameter says"),
    (ClickCost.PER_CLICK.value, "Fixed, per click"),
    (ClickCost.PER_THOUSAND.value, "Fixed, per thousand clicks"),
    (ClickCost.NONE.value, "None"),
)
NewOf = Annotated[int | None, QueryParameter(ge=1, le=MAX_ID)]


class _Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which campaigns to list, as the filter's form sends it: what is empty does not narrow."""

    source_id: Annotated[str, Meta(max_length=10)] = ""
    offer_id: Annotated[str, Meta(max_length=10)] = ""
    active: Annotated[str, Meta(max_length=5)] = ""
    words: Annotated[str, Meta(max_length=200)] = msgspec.field(name="q", default="")
    tag: Annotated[str, Meta(max_length=50)] = ""


_Wanted = NamedDependency[SkipValidation[_Filter]]


def show_list(
    viewer: CurrentViewer, context: Context, wanted: _Wanted, cursor: Cursor = "", archived: Archived = False
) -> PageResponse:
    """Every campaign."""
    of_source, of_offer = number_of(wanted.source_id), number_of(wanted.offer_id)
    narrowed = CampaignFilter(
        source_id=of_source,
        offer_id=of_offer,
        active={"true": True, "false": False}.get(wanted.active),
        words=wanted.words,
        tag=wanted.tag,
    )
    found = api.list_campaigns(context, narrowed, ROWS_A_PAGE, cursor, archived)
    return page(
        viewer,
        "campaigns.html",
        found=found,
        archived=archived,
        cursor=cursor,
        source_id=of_source,
        offer_id=of_offer,
        active=wanted.active,
        q=wanted.words,
        tag=wanted.tag,
        tags=tags_to_choose(context, Named.CAMPAIGN),
        sources=choices(context, Named.SOURCE, [of_source]),
        source_names=names(context, Named.SOURCE, {one.source_id for one in found.items}),
        offer_names=names(
            context, Named.OFFER, {share.offer_id for one in found.items for share in one.offers} | {of_offer}
        ),
        figures=figures_today(context, viewer, Dimension.CAMPAIGN, [one.id for one in found.items]),
        no_figures=NO_FIGURES,
        currency=context.currency,
    )


def show_new(viewer: CurrentViewer, context: Context, source_id: NewOf = None) -> PageResponse:
    """The editor of a campaign that is not there yet; of the source that is named, else of the only one, and with the only offer."""
    if source_id is None:
        source_id = only(choices(context, Named.SOURCE))
    offer_id = only(choices(context, Named.OFFER))
    offers = [{"offer_id": offer_id, "weight": USUAL_WEIGHT}] if offer_id else []
    tree = {**_EMPTY, "source_id": source_id or "", "offers": offers}
    return _editor(viewer, context, tree, None, blank_rows=0 if offers else 1)


def create(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    """Creates the campaign."""
    if form.has("add_row"):
        return _editor(viewer, context, form.shown_again(NewCampaign), None, blank_rows=1)
    try:
        view = save_read(context, form.read_partly(NewCampaign, **_given(form)), api.create_campaign)
    except InvalidInputError as error:
        return _editor(viewer, context, form.shown_again(NewCampaign), None, error.faults)
    return viewer.go(f"{PATH}/{view.id}", Said.CREATED)


def change(viewer: CurrentViewer, context: Context, number: Id, form: FormParameter) -> PageResponse:
    """Saves the campaign."""
    view = api.read_campaign(context, number)
    if form.has("add_row"):
        return _editor(viewer, context, form.shown_again(NewCampaign), view, blank_rows=1)
    try:
        edited = PAGES.edited(context, number, view)
        save_edit(context, form, edited, CampaignChange, api.change_campaign, **_given(form))
    except InvalidInputError as error:
        return _editor(viewer, context, form.shown_again(NewCampaign), view, error.faults)
    return viewer.go(f"{PATH}/{number}", Said.SAVED)


def clone(viewer: CurrentViewer, context: Context, number: Id) -> PageResponse:
    """Makes a campaign like this one and shows it."""
    try:
        copy = api.clone_campaign(context, number, api.CampaignCloning())
    except InvalidInputError as error:
        return PAGES.show(viewer, context, number, error.faults)
    return viewer.go(f"{PATH}/{copy.id}", Said.COPIED)


def pause(viewer: CurrentViewer, context: Context, number: Id) -> PageResponse:
    """Sends its visitors to the fallback address from now on."""
    return _activate(viewer, context, number, active=False)


def resume(viewer: CurrentViewer, context: Context, number: Id) -> PageResponse:
    """Sends its visitors to its offers again."""
    return _activate(viewer, context, number, active=True)


def _activate(viewer: Viewer, context: ApiContext, number: int, *, active: bool) -> PageResponse:
    try:
        api.change_campaign(context, number, CampaignChange(active=active))
    except InvalidInputError as error:
        return PAGES.show(viewer, context, number, error.faults)
    return viewer.go(f"{PATH}/{number}", Said.RESUMED if active else Said.PAUSED)


def _editor(
    viewer: Viewer,
    context: ApiContext,
    tree: dict[str, Any],
    view: api.CampaignView | None,
    faults: tuple[Fault, ...] = (),
    blank_rows: int = 0,
) -> PageResponse:
    tree = {**_EMPTY, **tree}
    found = _findings(context, view) if view and not faults else []
    shares = _shares(tree["offers"])
    source_id = number_of(tree["source_id"])
    sources = choices(context, Named.SOURCE, [source_id])
    return page(
        viewer,
        "campaign.html",
        faults,
        v={**tree, "tags": ", ".join(tags_of(tree["tags"]))},
        shares=shares,
        whole=sum(_weight(share) for share in shares),
        view=view,
        next_step=next_step(context, viewer, view.id if view else None),
        walkthrough=None if view else walkthrough_at(context, viewer, Named.CAMPAIGN),
        findings=found[:FINDINGS],
        more_findings=len(found[FINDINGS:]),
        editor=editor_of,
        name=name_of,
        seen=seen_version(context, tree, view, _EMPTY),
        blank_rows=blank_rows,
        cost_models=COST_MODELS,
        sources=sources,
        source=_source(context, source_id, dict(sources)),
        offers=choices(context, Named.OFFER, [number_of(share["offer_id"]) for share in shares]),
        most_choices=MAX_CHOICES,
        usual_weight=USUAL_WEIGHT,
        domains=(urlsplit(context.base_url).netloc, *context.instance.domains),
        fallback_url=context.fallback_url,
        tags=tags_to_choose(context, Named.CAMPAIGN),
        codes=api.read_codes(context, view.id) if view else None,
        rules=list_rules(context, MAX_RULES, campaign_id=view.id).items if view else [],
        figures=figures_today(context, viewer, Dimension.CAMPAIGN, [view.id]).get(view.id) if view else None,
        currency=context.currency,
    )


def _findings(context: ApiContext, view: api.CampaignView) -> list[ToldFinding]:
    """What the check finds wrong with the chain of a live campaign as it is set up."""
    if view.archived_at:
        return []
    return [one for one in checked_as_set_up(context, view.id) if one.severity is not Severity.NOTE]


_FIELDS = [name for name in CampaignChange.__struct_fields__ if name != "active"]  # which has buttons of its own
_EMPTY: dict[str, Any] = {
    **blank_tree(Campaign(key="", name="", source_id=0), _FIELDS),
    "source_id": "",
    "cost": None,
}


def _given(form: Form) -> dict[str, Any]:
    """What the form says in other words than the API: all its rows, the tags, lines as they are kept."""
    takes_no_amount = form.text("cost_model") in (ClickCost.LINK, ClickCost.NONE)
    return {
        **({"cost": None} if takes_no_amount else {}),
        "offers": [
            {"offer_id": number_of(share["offer_id"]) or share["offer_id"], "weight": _number(share["weight"])}
            for share in _shares(form.tree.get("offers"))
        ],
        "tags": tags_of(form.text("tags")),
        "notes": form.text("notes").replace("\r\n", "\n"),
    }


def _shares(given: Any) -> list[dict[str, Any]]:
    """The rows of offers in which one is chosen, from the API or from a form."""
    rows = given if isinstance(given, list) else []
    return [
        {"offer_id": row.get("offer_id", ""), "weight": row.get("weight", USUAL_WEIGHT)}
        for row in rows
        if isinstance(row, dict) and row.get("offer_id")
    ]


def _number(text: Any) -> Any:
    """A weight as a number; one that is left empty is the usual one, and what is none stays, so that its fault is named."""
    word = str(text).strip()
    if not word:
        return USUAL_WEIGHT
    return int(word) if word.lstrip("-").isdecimal() and len(word) <= 9 else text


def _weight(share: dict[str, Any]) -> int:
    weight = _number(share["weight"])
    return weight if isinstance(weight, int) and weight > 0 else 0


def _source(context: ApiContext, source_id: int | None, known: dict[int, str]) -> SourceView | None:
    return read_source(context, source_id) if source_id is not None and source_id in known else None


PAGES = RecordPages(path=PATH, records=api.CAMPAIGNS, editor=_editor, tree=json_value, fields=_EMPTY)

routes = [
    get("/campaigns", dependencies={"wanted": from_query(_Filter)}, sync_to_thread=True)(show_list),
    get("/campaigns/new", sync_to_thread=True)(show_new),
    post("/campaigns/new", sync_to_thread=True)(create),
    post("/campaigns/{number:int}", sync_to_thread=True)(change),
    post("/campaigns/{number:int}/clone", sync_to_thread=True)(clone),
    post("/campaigns/{number:int}/pause", sync_to_thread=True)(pause),
    post("/campaigns/{number:int}/resume", sync_to_thread=True)(resume),
    *PAGES.routes(),
]
