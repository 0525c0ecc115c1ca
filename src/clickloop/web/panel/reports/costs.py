"""Costs: enter what a segment of clicks cost, paste a table, see what each would do, and undo it."""

from typing import Any

from litestar import get, post

from clickloop.report.cost.entry_input import CostBody
from clickloop.report.cost.segment import FILTERABLE, CostKind, SpreadOver
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.setup.money_text import MoneyText
from clickloop.store.ledger.setup.names import RecordKind, live_names, names_of
from clickloop.tracking.costs.entering import enter_cost, preview_cost
from clickloop.tracking.costs.uploading import CostUploadOptions
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Cursor, Id, RecordIdPath
from clickloop.web.api.reports import cost_uploads, costs
from clickloop.web.api.reports.costs import UnattributedParameter
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import Form, FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer

PATH = "/panel/costs"
ROWS = 100
MAX_CHOICES = 1_000
SPREADS = (
    (SpreadOver.CLICKS.value, "All clicks"),
    (SpreadOver.UNIQUE.value, "Unique clicks"),
    (SpreadOver.CLEAN.value, "Clean clicks"),
)
DIMENSIONS = [(one.value, one.value.upper() if one.value.startswith("v") else one.value) for one in sorted(FILTERABLE)]


def show(
    viewer: CurrentViewer, context: Context, cursor: Cursor = "", unattributed: UnattributedParameter = False
) -> PageResponse:
    """Return the forms and the entries, newest first."""
    return _page(viewer, context, cursor=cursor, unattributed=unattributed)


def enter(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    """Enter an amount, or show what it would do."""
    try:
        body = _body(form)
        if form.has("preview"):
            found = preview_cost(context, context.facts.costs, body, CostKind.MANUAL, costs.defaults_of(context))
            return _page(viewer, context, form=form, preview=costs.preview_view(found))
        enter_cost(context, body, CostKind.MANUAL, costs.defaults_of(context))
    except InvalidInputError as error:
        return _page(viewer, context, form=form, faults=error.faults)
    return viewer.go(PATH, FlashMessage.COST_ENTERED)


def enter_table(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    """Enter a table, or show what each line would do."""
    is_preview = form.has("preview")
    options = CostUploadOptions(
        zone=form.text("table_zone"),
        over=_spread(form),
        campaign_id=_number(form, "table_campaign"),
        source_id=_number(form, "table_source"),
        partial=form.text("partial") == "on",
        name="pasted table",
    )
    try:
        view = cost_uploads.take_table(context, form.raw("table").encode(), options, preview=is_preview)
    except InvalidInputError as error:
        faults = tuple(
            FieldFault("table_zone" if fault.field == "zone" else "table", fault.code, fault.message)
            for fault in error.faults
        )
        return _page(viewer, context, form=form, faults=faults)
    if is_preview:
        return _page(viewer, context, form=form, table_preview=view)
    return viewer.go(PATH, FlashMessage.COST_ENTERED)


def undo(viewer: CurrentViewer, context: Context, number: Id) -> PageResponse:
    """Take an entry back."""
    costs.undo(context, number)
    return viewer.go(PATH, FlashMessage.COST_UNDONE)


def undo_table(viewer: CurrentViewer, context: Context, upload_id: RecordIdPath) -> PageResponse:
    """Take all entries of a table back."""
    cost_uploads.undo_table(context, upload_id)
    return viewer.go(PATH, FlashMessage.COST_UNDONE)


def _body(form: Form) -> CostBody:
    """Return the form as the API takes it. Raise InvalidInputError for an amount that is missing."""
    if not form.text("amount.amount"):
        sentence = "Enter an amount."
        raise InvalidInputError((FieldFault("amount.amount", FaultCode.REQUIRED, sentence),))
    dimension = form.text("filter")
    values = [value.strip() for value in form.raw("values").split("\n")]
    return CostBody(
        campaign_id=_number(form, "campaign_id") or None,
        source_id=_number(form, "source_id") or None,
        filters={dimension: values} if dimension else {},
        first=form.text("from"),
        last=form.text("to"),
        zone=form.text("zone"),
        amount=MoneyText(form.text("amount.amount"), form.text("amount.currency").upper()),
        spread=_spread(form),
        note=form.text("note"),
    )


def _spread(form: Form) -> SpreadOver:
    word = form.text("spread")
    return SpreadOver(word) if word in set(SpreadOver) else SpreadOver.CLICKS


def _number(form: Form, name: str) -> int:
    text = form.text(name)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _page(
    viewer: Viewer, context: ApiContext, *, cursor: str = "", form: Form | None = None, **shown: Any
) -> PageResponse:
    faults = shown.pop("faults", ())
    unattributed = bool(shown.pop("unattributed", False))
    found = costs.list_costs(context, limit=ROWS, cursor=cursor, unattributed=unattributed)
    with context.ledger.read() as tx:
        campaigns = live_names(tx, RecordKind.CAMPAIGN, MAX_CHOICES)
        sources = live_names(tx, RecordKind.SOURCE, MAX_CHOICES)
        campaign_names = names_of(tx, RecordKind.CAMPAIGN, {one.campaign_id for one in found.items if one.campaign_id})
        source_names = names_of(tx, RecordKind.SOURCE, {one.source_id for one in found.items if one.source_id})
    return page(
        viewer,
        "costs.html",
        faults,
        found=found,
        cursor=cursor,
        unattributed=unattributed,
        v=form,
        campaigns=list(campaigns.items()),
        sources=list(sources.items()),
        campaign_names=campaign_names,
        source_names=source_names,
        dimensions=DIMENSIONS,
        spreads=SPREADS,
        zone=context.instance.time_zone,
        currency=context.currency,
        preview=shown.get("preview"),
        table_preview=shown.get("table_preview"),
        is_busy=any(one.state.is_pending for one in found.items),
    )


routes = [
    get("/costs", sync_to_thread=True)(show),
    post("/costs", sync_to_thread=True)(enter),
    post("/costs/table", sync_to_thread=True)(enter_table),
    post("/costs/{number:int}/undo", sync_to_thread=True)(undo),
    post("/costs/tables/{upload_id:str}/undo", sync_to_thread=True)(undo_table),
]
