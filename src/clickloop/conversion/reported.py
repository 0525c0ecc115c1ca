"""A conversion reported or corrected by a program or a person. Unlike in a network's notice, every fault is reported back."""

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.conversion.conversion_input import ConversionInput
from clickloop.conversion.notice import MAX_EVENTS, MAX_PARAMS, MAX_TXID
from clickloop.conversion.status import Status
from clickloop.money import AmountFault, currency_of, read_amount
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError, text_faults


class ConversionBody(msgspec.Struct, kw_only=True):
    """The values of a conversion, as a network would send them."""

    payout: Annotated[
        str,
        Meta(
            description="Decimal text. Leave empty to use the offer's payout or the earlier report's.",
            examples=["12.5"],
        ),
    ] = ""
    currency: Annotated[
        str, Meta(description="ISO 4217. Leave empty to use the offer's or the instance's.", examples=["USD"])
    ] = ""
    status: Annotated[
        str, Meta(description="A status or one of its words. Leave empty for sale.", examples=["sale"])
    ] = ""
    txid: Annotated[str, Meta(description="Distinguishes several conversions of one click.", examples=["T-10087"])] = ""
    at: Annotated[
        str,
        Meta(
            description="When it happened, as ISO 8601 or Unix seconds. Leave empty for now.",
            examples=["2026-03-01T12:00:00Z"],
        ),
    ] = ""
    conversion_id: Annotated[str, Meta(description="The network's ID of the conversion, for {conversion_id}.")] = ""
    params: Annotated[dict[str, str], Meta(description="param1 to param20.", examples=[{"param1": "blue"}])] = {}
    events: Annotated[dict[str, str], Meta(description="event1 to event30, decimals.", examples=[{"event1": "3"}])] = {}
    disable_postback: Annotated[bool, Meta(description="true to send no postback.")] = False


class ConversionReport(ConversionBody, kw_only=True):
    """A conversion to report. Reporting the same click_id and txid again updates it. If nothing changes, nothing is sent."""

    click_id: Annotated[str, Meta(description="Our click ID.", examples=["01kaqj6z8m4x2c9v7b5n3t1w0y"])]
    by_hand: Annotated[bool, Meta(description="true if a person reports it. The log shows it as by hand.")] = False


class ConversionCorrection(msgspec.Struct, kw_only=True):
    """A correction of a conversion by hand. Empty fields leave the values unchanged."""

    status: Annotated[str, Meta(description="The key of a status, or one of its words.", examples=["rejected"])] = ""
    payout: Annotated[str, Meta(description="Decimal text.", examples=["12.5"])] = ""
    currency: Annotated[
        str, Meta(description="ISO 4217. Leave empty to use the conversion's currency.", examples=["USD"])
    ] = ""
    disable_postback: Annotated[bool, Meta(description="true to send no postback.")] = False


def conversion_input_of(report: ConversionReport) -> ConversionInput:
    """Return the conversion in a report. Raise InvalidInputError, even for faults that a network's notice may have."""
    faults: list[FieldFault] = []
    for field, most in (("click_id", 100), ("txid", MAX_TXID), ("status", 200), ("conversion_id", 200), ("at", 40)):
        faults += text_faults(field, getattr(report, field), most, required=field == "click_id")
    faults += _money_faults(report.payout, report.currency)
    params = numbered_values("params", report.params, faults)
    events = numbered_values("events", report.events, faults, _event_faults)
    if faults:
        raise InvalidInputError(tuple(faults))
    fields = {name: getattr(report, name) for name in ConversionInput.__struct_fields__}
    return ConversionInput(**fields | {"params": params, "events": events})


def correction_faults(data: ConversionCorrection, status: Status | None) -> list[FieldFault]:
    """Return the faults of a correction. ``status`` is the status that it names, None if there is no such status."""
    faults = _money_faults(data.payout, data.currency)
    if data.status.strip() and status is None:
        faults.append(FieldFault("status", FaultCode.NOT_FOUND, "There is no status of that key or word."))
    if data.currency and not data.payout:
        faults.append(FieldFault("payout", FaultCode.REQUIRED, "A currency alone changes nothing. Add the payout."))
    if not data.status.strip() and not data.payout:
        faults.append(FieldFault("", FaultCode.REQUIRED, "Nothing would change. Give a status or a payout."))
    return faults


def _money_faults(payout: str, currency: str) -> list[FieldFault]:
    faults = []
    if payout and isinstance(read_amount(payout), AmountFault):
        sentence = "Enter a decimal with at most 12 digits before the point."
        faults.append(FieldFault("payout", FaultCode.NOT_AN_AMOUNT, sentence))
    if currency and currency_of(currency) is None:
        faults.append(
            FieldFault(
                "currency", FaultCode.NOT_A_CURRENCY, "Enter a three-letter currency code (ISO 4217), such as USD."
            )
        )
    return faults


def numbered_values(
    path: str,
    values: dict[str, str],
    faults: list[FieldFault],
    faults_of: Callable[[str, str], list[FieldFault]] = lambda path, value: text_faults(path, value, 1_000),
) -> dict[int, str]:
    """Return the values of ``params`` or ``events`` by their numbers; add the faults of names and values."""
    prefix, most = ("event", MAX_EVENTS) if path.endswith("events") else ("param", MAX_PARAMS)
    numbers = {f"{prefix}{number}": number for number in range(1, most + 1)}
    for name, value in values.items():
        place = f"{path}.{name[:50]}"
        if name in numbers:
            faults += faults_of(place, value)
        else:
            faults.append(FieldFault(place, FaultCode.UNKNOWN_FIELD, f"Use {prefix}1 to {prefix}{most}."))
    return {numbers[name]: value for name, value in values.items() if name in numbers}


def _event_faults(path: str, value: str) -> list[FieldFault]:
    is_amount = not isinstance(read_amount(value), AmountFault)
    return (
        text_faults(path, value, 1_000)
        if is_amount
        else [FieldFault(path, FaultCode.NOT_AN_AMOUNT, "Enter a decimal.")]
    )
