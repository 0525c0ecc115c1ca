"""Conversions: the log, and one conversion with its history, notices and postbacks, which can be changed by hand."""

from typing import Any

import msgspec
from litestar import get, post

from clickloop.conversion.notice_log import NoticeFilter
from clickloop.conversion.reported import ConversionCorrection
from clickloop.logs.column import ColumnKind, LogColumn, names_for
from clickloop.logs.columns import CONVERSION_COLUMNS
from clickloop.logs.conversion_view import ChangeView, ConversionView
from clickloop.logs.listing import list_notices, list_postbacks
from clickloop.money import CURRENCIES
from clickloop.postback.postback_log import PostbackFilter
from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.store.ledger.jobs.exports import ExportNoun
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.logs import conversions as api
from clickloop.web.api.paging import RecordIdPath
from clickloop.web.api.problem import AnyRequest
from clickloop.web.panel.frame.field_names import in_words
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import FormParameter
from clickloop.web.panel.frame.page import PageResponse, amount, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.logs.log_page import flag_sentence, log_page
from clickloop.web.panel.setup.setup_choices import status_choices

PATH = "/panel/conversions"
MAX_RECORDS = 100
"""Maximum number of notices and of postbacks on the page of a conversion; the logs have them all."""
_CHANGED_BY_EVERY_SAVE = frozenset({"updated_at", "version"})


class ChangedField(msgspec.Struct, frozen=True):
    """A changed field of a conversion. ``before`` empty: it had no value."""

    name: str
    before: str
    after: str


def show_list(viewer: CurrentViewer, request: AnyRequest, context: Context) -> PageResponse:
    """Return the log of conversions, newest first."""
    return log_page(viewer, request, context, ExportNoun.CONVERSIONS)


def show(viewer: CurrentViewer, context: Context, conversion_id: RecordIdPath) -> PageResponse:
    """Return a conversion with its history, notices and postbacks."""
    return _show(viewer, context, conversion_id, {})


def change(viewer: CurrentViewer, context: Context, conversion_id: RecordIdPath, form: FormParameter) -> PageResponse:
    """Change status or payout by hand."""
    try:
        is_silent = form.has("postbacks") and form.text("postbacks") != "on"
        api.change_conversion(context, conversion_id, form.read(ConversionCorrection, disable_postback=is_silent))
    except InvalidInputError as error:
        return _show(viewer, context, conversion_id, form.tree, error.faults)
    return viewer.go(f"{PATH}/{conversion_id}", FlashMessage.SAVED)


def _show(
    viewer: Viewer,
    context: ApiContext,
    conversion_id: str,
    written: dict[str, Any],
    faults: tuple[FieldFault, ...] = (),
) -> PageResponse:
    story = api.read_conversion(context, conversion_id)
    one = story.conversion
    with context.ledger.read() as tx:
        names = names_for(tx, CONVERSION_COLUMNS, [one])
    return page(
        viewer,
        "conversion.html",
        faults,
        one=one,
        history=[(entry, _changed_fields(entry)) for entry in reversed(story.history)],
        notices=list_notices(
            context, NoticeFilter(click_id=one.click_id, conversion_id=one.conversion_id), MAX_RECORDS
        ).items,
        postbacks=list_postbacks(
            context, PostbackFilter(click_id=one.click_id, conversion_id=one.conversion_id), MAX_RECORDS
        ).items,
        names=names,
        statuses=status_choices(context),
        currencies=sorted(CURRENCIES),
        v={"status": "", "payout": "", "currency": "", "postbacks": "on", **written},
        flag_sentence=flag_sentence,
    )


def _changed_fields(entry: ChangeView) -> list[ChangedField]:
    """Return the changed fields of a change; for a new conversion, its status and payout."""
    if entry.before is None:
        first = [column for column in CONVERSION_COLUMNS if column.key in ("status", "payout")]
        return [ChangedField(column.title, "", _text(column, entry.after)) for column in first]
    fields = [
        ChangedField(column.title, _text(column, entry.before), _text(column, entry.after))
        for column in CONVERSION_COLUMNS
        if column.key not in _CHANGED_BY_EVERY_SAVE
    ]
    return [field for field in fields if field.before != field.after]


def _text(column: LogColumn, view: ConversionView) -> str:
    value = column.value(view)
    if column.kind is ColumnKind.MONEY:
        return f"{amount(value.amount)} {value.currency}".strip()
    if column.kind is ColumnKind.FLAGS:
        return ", ".join(in_words(flag) for flag in value)
    return str(value)


routes = [
    get("/conversions", sync_to_thread=True)(show_list),
    get("/conversions/{conversion_id:str}", sync_to_thread=True)(show),
    post("/conversions/{conversion_id:str}", sync_to_thread=True)(change),
]
