"""Exchange rates: the list, and lines to paste with a currency, a day and the value of one unit."""

import re
from typing import Annotated

from litestar import get, post
from litestar.params import PathParameter

from clickloop.report.rate_input import RateBody, RatesBody
from clickloop.report.rate_text import read_rate_lines
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Cursor
from clickloop.web.api.setup import rates as api
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer

PATH = "/panel/rates"
ROWS = 100
Currency = Annotated[str, PathParameter(max_length=3)]
Day = Annotated[str, PathParameter(max_length=10)]


def show(viewer: CurrentViewer, context: Context, cursor: Cursor = "") -> PageResponse:
    return _page(viewer, context, cursor)


def save(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    text = form.text("lines")
    try:
        api.set_rates(context, RatesBody(rates=_read(text, form.text("source"))))
    except InvalidInputError as error:
        faults = tuple(FieldFault("lines", fault.code, _rate_sentence(fault)) for fault in error.faults)
        return _page(viewer, context, "", text, faults)
    return viewer.go(PATH, FlashMessage.SAVED)


def remove(viewer: CurrentViewer, context: Context, currency: Currency, day: Day) -> PageResponse:
    api.remove_rate(context, currency, day)
    return viewer.go(PATH, FlashMessage.SAVED)


def _read(text: str, source: str) -> list[RateBody]:
    """Return the rates of all non-empty lines. Raise InvalidInputError for the first unreadable line."""
    lines = read_rate_lines(text)
    if isinstance(lines, int):
        sentence = f"Line {lines}: enter a currency, a day and a rate, such as EUR 2026-03-01 1.0823."
        raise InvalidInputError((FieldFault("lines", FaultCode.WRONG_TYPE, sentence),))
    return [RateBody(currency=line.currency, day=line.day, rate=line.rate, source=source) for line in lines]


def _rate_sentence(fault: FieldFault) -> str:
    """Return a fault message that includes the row number."""
    place = re.match(r"rates\[(\d+)\]", fault.field)
    return f"Rate {int(place[1]) + 1}: {fault.message}" if place else fault.message


def _page(
    viewer: Viewer, context: ApiContext, cursor: str, lines: str = "", faults: tuple[FieldFault, ...] = ()
) -> PageResponse:
    found = api.list_rates(context, limit=ROWS, cursor=cursor)
    currency = context.currency
    return page(viewer, "rates.html", faults, found=found, cursor=cursor, lines=lines, currency=currency)


routes = [
    get("/rates", sync_to_thread=True)(show),
    post("/rates", sync_to_thread=True)(save),
    post("/rates/{currency:str}/{day:str}/remove", sync_to_thread=True)(remove),
]
