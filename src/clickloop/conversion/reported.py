"""A conversion reported or corrected by a program or a person: unlike a network, they are told what is wrong with it."""

from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.conversion.given import GivenConversion
from clickloop.conversion.notice import EVENTS, MAX_TXID, PARAMS
from clickloop.conversion.status import Status
from clickloop.money import AmountFault, currency_of, read_amount
from clickloop.setup.fault import Fault, FaultCode, InvalidInputError, text_faults


class ConversionReport(msgspec.Struct, kw_only=True):
    """A conversion to report. The same click_id and txid again is an update; nothing new in it: a repeat that sends nothing."""

    click_id: Annotated[str, Meta(description="Our click id.", examples=["01kaqj6z8m4x2c9v7b5n3t1w0y"])]
    payout: Annotated[
        str, Meta(description="Decimal text; empty: as the offer or the earlier report says.", examples=["12.5"])
    ] = ""
    currency: Annotated[str, Meta(description="ISO 4217; empty: that of offer or instance.", examples=["USD"])] = ""
    status: Annotated[str, Meta(description="A status or one of its words; empty: sale.", examples=["sale"])] = ""
    txid: Annotated[str, Meta(description="Tells several conversions of one click apart.", examples=["T-10087"])] = ""
    at: Annotated[
        str,
        Meta(description="When it happened: ISO 8601 or Unix seconds; empty: now.", examples=["2026-03-01T12:00:00Z"]),
    ] = ""
    conversion_id: Annotated[str, Meta(description="The network's own id of it, for {conversion_id}.")] = ""
    params: Annotated[dict[str, str], Meta(description="param1 to param20.", examples=[{"param1": "blue"}])] = {}
    events: Annotated[dict[str, str], Meta(description="event1 to event30, decimals.", examples=[{"event1": "3"}])] = {}
    disable_postback: Annotated[bool, Meta(description="true: no postback is sent for it.")] = False
    by_hand: Annotated[bool, Meta(description="true: a person reports it; the log shows it as by hand.")] = False


class ConversionCorrection(msgspec.Struct, kw_only=True):
    """A change of a conversion by hand; what is empty stays as it is."""

    status: Annotated[str, Meta(description="The key of a status, or one of its words.", examples=["rejected"])] = ""
    payout: Annotated[str, Meta(description="Decimal text.", examples=["12.5"])] = ""
    currency: Annotated[
        str, Meta(description="ISO 4217, of the payout; empty: that of the conversion.", examples=["USD"])
    ] = ""
    disable_postback: Annotated[bool, Meta(description="true: no postback is sent for it.")] = False


def given_of(report: ConversionReport) -> GivenConversion:
    """Return the conversion that a report gives. Raise InvalidInputError for what would be forgiven in a network's notice."""
    faults: list[Fault] = []
    for field, most in (("click_id", 100), ("txid", MAX_TXID), ("status", 200), ("conversion_id", 200), ("at", 40)):
        faults += text_faults(field, getattr(report, field), most, required=field == "click_id")
    faults += _money_faults(report.payout, report.currency)
    params = _numbered("params", "param", PARAMS, report.params, faults)
    events = _numbered("events", "event", EVENTS, report.events, faults)
    if faults:
        raise InvalidInputError(tuple(faults))
    fields = {name: getattr(report, name) for name in GivenConversion.__struct_fields__}
    return GivenConversion(**fields | {"params": params, "events": events})


def correction_faults(data: ConversionCorrection, status: Status | None) -> list[Fault]:
    """Return the faults of a correction; ``status`` is the one that it names, None if there is none."""
    faults = _money_faults(data.payout, data.currency)
    if data.status.strip() and status is None:
        faults.append(Fault("status", FaultCode.NOT_FOUND, "There is no status of that key or word."))
    if data.currency and not data.payout:
        faults.append(Fault("payout", FaultCode.REQUIRED, "A currency alone changes nothing: give the payout with it."))
    if not data.status.strip() and not data.payout:
        faults.append(Fault("", FaultCode.REQUIRED, "Nothing would change: give a status or a payout."))
    return faults


def _money_faults(payout: str, currency: str) -> list[Fault]:
    faults = []
    if payout and isinstance(read_amount(payout), AmountFault):
        sentence = "It is not a decimal with at most 12 digits before the point."
        faults.append(Fault("payout", FaultCode.NOT_AN_AMOUNT, sentence))
    if currency and currency_of(currency) is None:
        faults.append(Fault("currency", FaultCode.NOT_A_CURRENCY, "It is not a currency of ISO 4217."))
    return faults


def _numbered(field: str, prefix: str, most: int, given: dict[str, str], faults: list[Fault]) -> dict[int, str]:
    numbers = {f"{prefix}{number}": number for number in range(1, most + 1)}
    for name, value in given.items():
        place = f"{field}.{name[:50]}"
        if name not in numbers:
            faults.append(Fault(place, FaultCode.UNKNOWN_FIELD, f"{prefix}1 to {prefix}{most} are known."))
        elif prefix == "event" and isinstance(read_amount(value), AmountFault):
            faults.append(Fault(place, FaultCode.NOT_AN_AMOUNT, "A decimal is expected."))
        else:
            faults += text_faults(place, value, 1000)
    return {numbers[name]: value for name, value in given.items() if name in numbers}
