"""/rates: what other currencies were worth in that of the instance, by day. Nothing is fetched: the user fills them in."""

import re
from typing import Annotated

import msgspec
from litestar import Router, delete, get, post
from litestar.params import JSONBody, PathParameter, QueryParameter
from msgspec import Meta

from clickloop.logs.page import Page, page_of, read_cursor
from clickloop.report.query import Rate
from clickloop.report.rate_text import day_text, rate_text, read_day, read_rate
from clickloop.setup.fault import Fault, FaultCode, InvalidInputError, currency_faults, invalid, text_faults
from clickloop.store.ledger.logs.audit_entry import note_change
from clickloop.store.ledger.setup.rates import KeptRate, delete_rate, rates_after, save_rates
from clickloop.web.api.body import StrictBody
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Cursor, Limit
from clickloop.web.api.problem import not_found
from clickloop.web.api.wire import shown

NOUN = "rates"
MAX_RATES = 10_000  # one transaction; years of several currencies fit
_CURSOR = re.compile(r"([A-Z]{3}) ([0-9]{1,6})")

Currency = Annotated[str, Meta(description="ISO 4217.", examples=["EUR"])]
Day = Annotated[
    str, Meta(description="From this day on (UTC), until the next day that has a rate.", examples=["2026-03-01"])
]
RateText = Annotated[
    str,
    Meta(description="What one unit is worth in the instance's currency: a decimal.", examples=["1.0823"]),
]
Source = Annotated[str, Meta(description="Where you have it from.", examples=["ECB"])]
OfCurrency = Annotated[str, QueryParameter(max_length=3, description="Only of this currency.")]
CurrencyPath = Annotated[str, PathParameter(max_length=3, description="ISO 4217.")]
DayPath = Annotated[str, PathParameter(max_length=10, description="The day, such as 2026-03-01.")]


class RateBody(msgspec.Struct, kw_only=True):
    """A rate to set."""

    currency: Currency
    day: Day
    rate: RateText
    source: Source = ""


class RatesBody(msgspec.Struct, kw_only=True):
    """Rates to set, each in the place of one of the same currency and day."""

    rates: Annotated[list[RateBody], Meta(description="At most 10,000.")]


class RateView(msgspec.Struct, kw_only=True):
    """A rate."""

    currency: Currency
    into: Annotated[str, Meta(description="The instance's currency.", examples=["USD"])]
    day: Day
    rate: RateText
    source: Source


class SavedRates(msgspec.Struct, kw_only=True):
    """How many rates were set."""

    saved: int


def list_rates(context: Context, currency: OfCurrency = "", limit: Limit = 50, cursor: Cursor = "") -> Page[RateView]:
    """Rates into the instance's currency, by currency and day."""
    key = read_cursor(NOUN, cursor)
    parts = _CURSOR.fullmatch(key)
    if key and parts is None:
        raise invalid("cursor", FaultCode.NOT_A_CURSOR, "It is not a next_cursor of this list: begin again without it.")
    after = (parts[1], int(parts[2])) if parts else None
    with context.ledger.read() as tx:
        found = rates_after(tx, context.currency, currency.upper() or None, after, limit + 1)
    return page_of(
        found, limit, NOUN, lambda kept: f"{kept.rate.currency} {kept.rate.day}", lambda kept: _view(context, kept)
    )


def set_rates(context: Context, data: JSONBody[RatesBody]) -> SavedRates:
    """Sets rates. Reports convert each amount at the rate of its day, else at the latest before it; without any, not at all."""
    faults: list[Fault] = []
    if len(data.rates) > MAX_RATES:
        sentence = f"At most {MAX_RATES} rates are taken at once."
        raise invalid("rates", FaultCode.TOO_MANY, sentence)
    kept = [_read(f"rates[{place}]", body, context.currency, faults) for place, body in enumerate(data.rates)]
    if faults:
        raise InvalidInputError(tuple(faults[:100]))
    with context.ledger.write() as tx:
        save_rates(tx, context.currency, kept)
        told = SavedRates(saved=len(kept))
        if kept:
            note_change(tx, context, NOUN, context.currency, after=told)
    return told


def remove_rate(context: Context, currency: CurrencyPath, day: DayPath) -> RateView:
    """Takes a rate away; from its day on, the one before it holds again."""
    number = read_day(day)
    with context.ledger.write() as tx:
        before = (currency.upper(), number - 1) if number is not None else ("", 0)
        found = rates_after(tx, context.currency, currency.upper(), before, 1)
        if number is None or not found or found[0].rate.day != number:
            raise not_found("rate of that currency and day")
        delete_rate(tx, context.currency, currency.upper(), number)
        view = _view(context, found[0])
        note_change(tx, context, NOUN, f"{view.currency} {view.day}", before=view)
    return view


def _read(place: str, body: RateBody, into: str, faults: list[Fault]) -> KeptRate:
    """The rate, or one that stands for it while its faults are added."""
    rate, day = read_rate(body.rate), read_day(body.day)
    faults += currency_faults(f"{place}.currency", body.currency or "?")
    if body.currency == into:
        sentence = f"{into} is the instance's own currency: it needs no rate."
        faults.append(Fault(f"{place}.currency", FaultCode.NOT_ALLOWED, sentence))
    if rate is None:
        sentence = "A decimal above zero is expected, with at most 6 digits before and 12 after the point."
        faults.append(Fault(f"{place}.rate", FaultCode.NOT_AN_AMOUNT, sentence))
    if day is None:
        faults.append(Fault(f"{place}.day", FaultCode.NOT_A_MOMENT, "A date is expected, such as 2026-03-01."))
    faults += text_faults(f"{place}.source", body.source, 200)
    return KeptRate(Rate(body.currency, day or 0, rate or 0), body.source)


def _view(context: ApiContext, kept: KeptRate) -> RateView:
    rate = kept.rate
    return RateView(
        currency=rate.currency,
        into=context.currency,
        day=day_text(rate.day),
        rate=rate_text(rate.rate_e12),
        source=shown(kept.source),
    )


router = Router(
    f"/{NOUN}",
    route_handlers=[
        get("/", sync_to_thread=True, summary="List rates")(list_rates),
        post("/", dto=StrictBody, return_dto=None, status_code=200, sync_to_thread=True, summary="Set rates")(
            set_rates
        ),
        delete("/{currency:str}/{day:str}", status_code=200, sync_to_thread=True, summary="Remove a rate")(remove_rate),
    ],
    tags=["Reports"],
)
