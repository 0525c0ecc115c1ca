"""Adding a conversion by hand, with a preview."""

from collections.abc import Sequence
from typing import Any

from litestar import get, post
from litestar.exceptions import HTTPException

from clickloop.click.click import Click
from clickloop.conversion.notice import MAX_EVENTS, MAX_PARAMS
from clickloop.conversion.reported import ConversionBody, ConversionReport, conversion_input_of
from clickloop.diagnosis.simulation_input import SimulationBody
from clickloop.money import CURRENCIES
from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.store.ledger.setup.names import RecordKind, names_of
from clickloop.text import readable
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.diagnosis import simulate
from clickloop.web.api.logs import conversions as api
from clickloop.web.api.problem import AnyRequest
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import Form, FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.logs.click_lookup import SeveralClicksError, resolve_click_id
from clickloop.web.panel.logs.log_page import LogQuery, flag_sentence, utc_text
from clickloop.web.panel.setup.setup_choices import status_choices

PATH = "/panel/conversions"
BLANK_ROWS = 3
"""Empty rows for params and events; a button adds one."""
_EMPTY = {
    "click_id": "",
    "payout": "",
    "currency": "",
    "status": "",
    "txid": "",
    "at": "",
    "conversion_id": "",
    "postbacks": "on",
    "params": [],
    "events": [],
}


class EntryPreview:
    """A dry run of the conversion, or the reason why there is none."""

    def __init__(self, simulation: simulate.SimulationView | None, sentence: str = "") -> None:
        self.simulation = simulation
        self.sentence = sentence


def show_new(viewer: CurrentViewer, request: AnyRequest, context: Context) -> PageResponse:
    """Return the empty form, for a click if the query names one."""
    query = LogQuery(request, viewer.zone, context.clock())
    return _form(viewer, context, {"click_id": query.text("click_id", 100)})


def create(viewer: CurrentViewer, context: Context, request: AnyRequest, form: FormParameter) -> PageResponse:
    """Register a conversion, or preview it."""
    written = {**form.redisplay_values(ConversionReport), "postbacks": form.text("postbacks")}
    if form.has("add_row"):
        return _form(viewer, context, written, blank_rows=BLANK_ROWS + 1)
    try:
        click_id = resolve_click_id(context, form.text("chosen_click") or form.text("click_id"))
        written["click_id"] = click_id
        report = _report(viewer, form, click_id)
        if form.has("preview") or form.has("chosen_click"):
            return _form(viewer, context, written, preview=_preview(context, report))
        reported = api.report_conversion(context, request, report).content
    except SeveralClicksError as several:
        return _form(viewer, context, written, choices=several.clicks)
    except InvalidInputError as error:
        return _form(viewer, context, written, error.faults)
    if reported.conversion is None:
        return viewer.go(f"/panel/notices/{reported.notice.notice_id}", FlashMessage.CONVERTED)
    return viewer.go(f"{PATH}/{reported.conversion.conversion_id}", FlashMessage.CONVERTED)


def _report(viewer: Viewer, form: Form, click_id: str) -> ConversionReport:
    """Return the report in the form; a time without a zone is in the user's time zone."""
    at = form.text("at")
    fields = Form((name, value) for name, value in form.pairs if name not in ("preview", "save", "add_row"))
    moment = utc_text("at", at, viewer.zone) if at and not at.isdecimal() else at
    is_silent = form.has("postbacks") and form.text("postbacks") != "on"
    report = fields.read(ConversionReport, click_id=click_id, at=moment, by_hand=True, disable_postback=is_silent)
    conversion_input_of(report)
    return report


def _preview(context: ApiContext, report: ConversionReport) -> EntryPreview:
    """Return the dry run of a report; for an unknown click, a note that the conversion would wait for it."""
    values = {name: getattr(report, name) for name in ConversionBody.__struct_fields__}
    body = SimulationBody(click_id=report.click_id, conversion=ConversionBody(**values))
    try:
        return EntryPreview(simulate.simulation_view(simulate.dry_run(context, body)))
    except HTTPException as error:
        return EntryPreview(None, f"{error.detail} The conversion would wait ten minutes for it and then be refused.")


def _form(
    viewer: Viewer,
    context: ApiContext,
    written: dict[str, Any],
    faults: tuple[FieldFault, ...] = (),
    preview: EntryPreview | None = None,
    blank_rows: int = BLANK_ROWS,
    choices: Sequence[Click] = (),
) -> PageResponse:
    """Return the form. ``choices``: clicks to choose from, if several have the entered external ID."""
    with context.ledger.read() as tx:
        names = names_of(tx, RecordKind.CAMPAIGN, {click.campaign_id for click in choices})
    return page(
        viewer,
        "conversion_entry.html",
        faults,
        v={**_EMPTY, **written},
        preview=preview,
        blank_rows=blank_rows,
        params=MAX_PARAMS,
        events=MAX_EVENTS,
        statuses=status_choices(context),
        choices=choices,
        names={number: readable(name) for number, name in names.items()},
        currencies=sorted(CURRENCIES),
        currency=context.currency,
        flag_sentence=flag_sentence,
    )


routes = [
    get("/conversions/new", sync_to_thread=True)(show_new),
    post("/conversions/new", sync_to_thread=True, status_code=200)(create),
]
