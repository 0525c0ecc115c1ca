"""Requests to set exchange rates, and their checks."""

from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.report.query import ExchangeRate
from clickloop.report.rate_text import read_day, read_rate
from clickloop.setup.fault import FaultCode, FieldFault, currency_faults, text_faults

MAX_RATES = 10_000  # one transaction; years of several currencies fit
MAX_SOURCE_LENGTH = 200

Currency = Annotated[str, Meta(description="ISO 4217 code.", examples=["EUR"])]
Day = Annotated[
    str,
    Meta(
        description="First day (UTC) the rate applies to. It applies until the next day that has a rate.",
        examples=["2026-03-01"],
    ),
]
RateText = Annotated[
    str, Meta(description="Value of one unit in the instance's currency, as a decimal.", examples=["1.0823"])
]
Source = Annotated[str, Meta(description="Where the rate comes from.", examples=["ECB"])]


class RateBody(msgspec.Struct, kw_only=True):
    """An exchange rate to set."""

    currency: Currency
    day: Day
    rate: RateText
    source: Source = ""


class RatesBody(msgspec.Struct, kw_only=True):
    """Exchange rates to set. Each replaces the rate of the same currency and day."""

    rates: Annotated[list[RateBody], Meta(description=f"At most {MAX_RATES:,} rates.")]


def rate_faults(body: RatesBody, into: str) -> list[FieldFault]:
    """Return the faults of rates into the currency ``into``."""
    if len(body.rates) > MAX_RATES:
        return [FieldFault("rates", FaultCode.TOO_MANY, f"At most {MAX_RATES} rates can be set at once.")]
    return [fault for place, rate in enumerate(body.rates) for fault in _faults(f"rates[{place}]", rate, into)]


def _faults(path: str, body: RateBody, into: str) -> list[FieldFault]:
    faults = currency_faults(f"{path}.currency", body.currency or "?")
    if body.currency == into:
        sentence = f"{into} is the instance's own currency and needs no rate."
        faults.append(FieldFault(f"{path}.currency", FaultCode.NOT_ALLOWED, sentence))
    if read_rate(body.rate) is None:
        sentence = "Enter a decimal above zero, with at most 6 digits before and 12 after the point."
        faults.append(FieldFault(f"{path}.rate", FaultCode.NOT_AN_AMOUNT, sentence))
    if read_day(body.day) is None:
        faults.append(FieldFault(f"{path}.day", FaultCode.NOT_A_MOMENT, "Enter a date such as 2026-03-01."))
    return faults + text_faults(f"{path}.source", body.source, MAX_SOURCE_LENGTH)


def rate_of(body: RateBody) -> ExchangeRate:
    """Return a rate that has no faults."""
    return ExchangeRate(body.currency, read_day(body.day) or 0, read_rate(body.rate) or 0)
