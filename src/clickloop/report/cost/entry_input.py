"""Requests to enter cost, and their checks."""

from collections.abc import Mapping
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from clickloop.log_filter import MAX_ID
from clickloop.report.cost.entry import CostEntry
from clickloop.report.cost.segment import FILTERABLE, CostFilter, CostKind, CostSegment, SpreadOver
from clickloop.report.cost.span import read_local_time, span_fault
from clickloop.report.period import zone_of
from clickloop.report.query import Dimension
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError, text_faults
from clickloop.setup.money_text import MoneyText, read_money

MAX_FILTERS = 10
MAX_VALUES = 1_000
MAX_VALUE_LENGTH = 1_024
MAX_KEY_LENGTH = 190  # the column also has the prefix of its kind
MAX_NOTE_LENGTH = 500

CampaignId = Annotated[
    Annotated[int, Meta(ge=1, le=MAX_ID)] | None, Meta(description="The campaign whose clicks cost this.")
]
SourceId = Annotated[
    Annotated[int, Meta(ge=1, le=MAX_ID)] | None,
    Meta(
        description="The traffic source whose clicks cost this. With campaign_id, only the campaign's clicks from it."
    ),
]
Filters = Annotated[
    dict[str, list[str]],
    Meta(
        description="Narrow by dimensions, each with the values that match: v1 to v30 or the names that the source gives them, "
        "offer, landing, path, country, region, city, device, os, browser, connection, isp, domain, language. An empty value, or 0 "
        "for records, matches clicks without one.",
        examples=[{"zone": ["1234", "1235"]}],
    ),
]
From = Annotated[
    str,
    Meta(
        max_length=40,
        description="First day, or a time of a whole quarter-hour, in the time zone.",
        examples=["2026-03-01", "2026-03-01 13:00"],
    ),
]
To = Annotated[
    str,
    Meta(
        max_length=40,
        description="Last day, inclusive, or a time, exclusive. Leave out for the single day in from.",
        examples=["2026-03-07", "2026-03-01 14:00"],
    ),
]
Zone = Annotated[str, Meta(max_length=64, description="Time zone of from and to. Defaults to the instance's.")]
Amount = Annotated[MoneyText, Meta(description="What the clicks cost together. 0 or more.")]
Over = Annotated[
    SpreadOver,
    Meta(
        description="Which clicks bear the amount in equal parts: all counted ones, unique ones, or clean ones. Other clicks of the "
        "segment then cost nothing."
    ),
]
Key = Annotated[
    str,
    Meta(
        max_length=MAX_KEY_LENGTH,
        description="A name for what the amount is, such as source, day and zone. A later entry with the same key replaces this one, "
        "and an equal one changes nothing: send today's spend as often as it grows.",
    ),
]
Note = Annotated[str, Meta(max_length=MAX_NOTE_LENGTH, description="A note for people.")]


class CostBody(msgspec.Struct, kw_only=True):
    """An amount to enter for the clicks of a campaign or source in a span."""

    campaign_id: CampaignId = None
    source_id: SourceId = None
    filters: Filters = {}
    first: From = msgspec.field(name="from")
    last: To = msgspec.field(name="to", default="")
    zone: Zone = ""
    amount: Amount
    spread: Over = SpreadOver.CLICKS
    key: Key = ""
    note: Note = ""


class CostDefaults(msgspec.Struct, frozen=True):
    """The instance's currency and time zone."""

    currency: str
    zone: str


def read_entry(
    body: CostBody, kind: CostKind, defaults: CostDefaults, parameter_names: Mapping[str, Dimension]
) -> CostEntry:
    """Return the entry that is requested. ``parameter_names``: in lower case. Raise InvalidInputError with all faults."""
    faults: list[FieldFault] = []
    zone_name = body.zone or defaults.zone
    zone = zone_of(zone_name)
    if zone is None:
        sentence = "Enter the name of a time zone, such as Europe/Berlin or UTC."
        faults.append(FieldFault("zone", FaultCode.NOT_FOUND, sentence))
    if not body.campaign_id and not body.source_id:
        faults.append(FieldFault("campaign_id", FaultCode.REQUIRED, "Choose a campaign or a traffic source."))
    from_at, until_at = _span(body, zone or ZoneInfo("UTC"), faults)
    filters = read_filters(body.filters, parameter_names, faults)
    faults += text_faults("key", body.key, MAX_KEY_LENGTH) + text_faults("note", body.note, MAX_NOTE_LENGTH)
    micros, currency = 0, defaults.currency
    try:
        money = read_money("amount", body.amount)
        micros, currency = money.micros, money.currency or defaults.currency
        if micros < 0:
            faults.append(FieldFault("amount.amount", FaultCode.OUT_OF_RANGE, "A cost is 0 or more."))
    except InvalidInputError as error:
        faults += error.faults
    if faults:
        raise InvalidInputError(tuple(faults))
    return CostEntry(
        kind=kind,
        key=f"{kind}:{body.key}" if body.key else "",
        segment=CostSegment(
            source_id=body.source_id or 0,
            campaign_id=body.campaign_id or 0,
            filters=filters,
            from_at=from_at,
            until_at=until_at,
        ),
        zone=zone_name,
        micros=micros,
        currency=currency,
        over=body.spread,
        note=body.note.strip(),
    )


def _span(body: CostBody, zone: ZoneInfo, faults: list[FieldFault]) -> tuple[int, int]:
    first = read_local_time(body.first)
    last = read_local_time(body.last) if body.last else first
    for field, found in (("from", first), ("to", last)):
        if found is None and (field == "from" or body.last):
            sentence = "Enter a date since 2000, such as 2026-03-01, or a time, such as 2026-03-01 13:00."
            faults.append(FieldFault(field, FaultCode.NOT_A_MOMENT, sentence))
    if first is None or last is None:
        return 0, 1
    if first.minute is not None and not body.last:
        faults.append(FieldFault("to", FaultCode.REQUIRED, "Enter the time at which the span ends."))
        return 0, 1
    from_at, until_at = first.begins_at(zone), last.ends_at(zone)
    if until_at <= from_at and (first.day, first.minute or 0) < (last.day, last.minute or 0):
        sentence = "The clock skips this span in the time zone, so no click is in it."
        faults.append(FieldFault("to", FaultCode.OUT_OF_RANGE, sentence))
    elif sentence := span_fault(from_at, until_at):
        faults.append(FieldFault("to", FaultCode.OUT_OF_RANGE, sentence))
    return from_at, until_at


def dimension_named(name: str, parameter_names: Mapping[str, Dimension]) -> Dimension | None:
    """Return the dimension that a name stands for, in any case; the user's own names come first."""
    word = name.strip().lower()
    if (own := parameter_names.get(word)) is not None:
        return own
    return next((dimension for dimension in FILTERABLE if dimension.value == word), None)


def read_filters(
    filters: Mapping[str, list[str]], parameter_names: Mapping[str, Dimension], faults: list[FieldFault]
) -> tuple[CostFilter, ...]:
    """Return the filters in one order, so that equal ones are equal, and add what is wrong with them."""
    found: dict[Dimension, tuple[str, ...]] = {}
    if len(filters) > MAX_FILTERS:
        faults.append(FieldFault("filters", FaultCode.TOO_MANY, f"Use at most {MAX_FILTERS} filters."))
        return ()
    for name, values in filters.items():
        field = f"filters.{name[:40]}"
        dimension = dimension_named(name, parameter_names)
        if dimension is None:
            sentence = "Choose v1 to v30, a name that the traffic source gives one, or " + ", ".join(
                sorted(one.value for one in FILTERABLE if not one.value.startswith("v"))
            )
            faults.append(FieldFault(field, FaultCode.NOT_ALLOWED, f"{sentence}."))
        elif not values or len(values) > MAX_VALUES or any(len(value) > MAX_VALUE_LENGTH for value in values):
            sentence = f"Enter 1 to {MAX_VALUES:,} values of at most {MAX_VALUE_LENGTH:,} characters."
            faults.append(FieldFault(field, FaultCode.TOO_MANY, sentence))
        elif dimension.is_number and not all(_is_number(value) for value in values):
            faults.append(FieldFault(field, FaultCode.WRONG_TYPE, "Enter numbers of records."))
        else:
            found[dimension] = tuple(sorted(set(values)))
    return tuple(CostFilter(dimension, found[dimension]) for dimension in sorted(found))


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdecimal() and len(value) < 16
