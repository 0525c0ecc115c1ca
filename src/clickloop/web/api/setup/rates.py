"""/rates: daily exchange rates into the instance's currency. Nothing is fetched; the user enters them."""

import re
from functools import partial
from typing import Annotated

import msgspec
from litestar import Router, delete, get, post
from litestar.params import JSONBody, PathParameter, QueryParameter
from msgspec import Meta

from clickloop.logs.page import Page, page_of, read_cursor
from clickloop.report.rate_input import Currency, Day, RatesBody, RateText, Source
from clickloop.report.rate_text import day_text, rate_text
from clickloop.saving import rates as saving
from clickloop.setup.fault import FaultCode, invalid
from clickloop.store.ledger.setup.rates import StoredRate, rates_after
from clickloop.text import readable
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Cursor, Limit

NOUN = saving.NOUN
_CURSOR = re.compile(r"([A-Z]{3}) ([0-9]{1,6})")

CurrencyParameter = Annotated[str, QueryParameter(max_length=3, description="Return only rates of this currency.")]
CurrencyPath = Annotated[str, PathParameter(max_length=3, description="ISO 4217 code.")]
DayPath = Annotated[str, PathParameter(max_length=10, description="Day, such as 2026-03-01.")]


class RateView(msgspec.Struct, kw_only=True):
    """An exchange rate."""

    currency: Currency
    into: Annotated[str, Meta(description="The instance's currency.", examples=["USD"])]
    day: Day
    rate: RateText
    source: Source


class SavedRates(msgspec.Struct, kw_only=True):
    """Number of rates that were set."""

    saved: int


def list_rates(
    context: Context, currency: CurrencyParameter = "", limit: Limit = 50, cursor: Cursor = ""
) -> Page[RateView]:
    """List rates into the instance's currency, by currency and day."""
    key = read_cursor(NOUN, cursor)
    parts = _CURSOR.fullmatch(key)
    if key and parts is None:
        sentence = "This is not a next_cursor of this list. Start again without a cursor."
        raise invalid("cursor", FaultCode.NOT_A_CURSOR, sentence)
    after = (parts[1], int(parts[2])) if parts else None
    with context.ledger.read() as tx:
        found = rates_after(tx, context.currency, currency.upper() or None, after, limit + 1)
    return page_of(
        found, limit, NOUN, lambda stored: f"{stored.rate.currency} {stored.rate.day}", partial(_view, context)
    )


def set_rates(context: Context, data: JSONBody[RatesBody]) -> SavedRates:
    """Set exchange rates.

    Reports convert each amount at the rate of its day, or at the latest earlier one. Before the first rate of a currency, that of the
    European Central Bank applies, if it publishes one. Amounts without a rate are not converted.
    """
    return SavedRates(saved=saving.set_rates(context, context.currency, data, lambda saved: SavedRates(saved=saved)))


def remove_rate(context: Context, currency: CurrencyPath, day: DayPath) -> RateView:
    """Delete a rate. The previous rate applies from its day on."""
    view = partial(_view, context)
    return view(saving.remove_rate(context, context.currency, currency.upper(), day, view))


def _view(context: ApiContext, stored: StoredRate) -> RateView:
    rate = stored.rate
    return RateView(
        currency=rate.currency,
        into=context.currency,
        day=day_text(rate.day),
        rate=rate_text(rate.rate_e12),
        source=readable(stored.source),
    )


router = Router(
    f"/{NOUN}",
    route_handlers=[
        get("/", sync_to_thread=True, summary="List rates")(list_rates),
        post("/", status_code=200, sync_to_thread=True, summary="Set rates")(set_rates),
        delete("/{currency:str}/{day:str}", status_code=200, sync_to_thread=True, summary="Delete a rate")(remove_rate),
    ],
    tags=["Reports"],
)
