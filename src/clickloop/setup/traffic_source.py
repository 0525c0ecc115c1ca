"""The traffic source: where visitors come from, and the parameters of its campaign links."""

import enum
from collections.abc import Collection, Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from clickloop.setup.fault import FaultCode, FieldFault, currency_faults, text_faults
from clickloop.setup.record import OneLine, RecordFields, line_faults
from clickloop.setup.source_rows import LAST_ROW, FixedRow

_MAX_CHECKED_ROWS = 100
"""Maximum number of rows to check one by one; forms have fewer."""
EXTERNAL_ID = "external_id"
COST = "cost"
RESERVED_NAMES = frozenset({EXTERNAL_ID, COST, "cid", "clickloop_test"})
"""Parameters of our links with a special meaning, not available to V rows."""

POSTBACK_RULE_NAME = "Traffic source postback"
"""Name of the rule with a source's postback URL, its first rule."""

_FIXED_ROWS: dict[str, int] = {EXTERNAL_ID: FixedRow.EXTERNAL_ID, COST: FixedRow.COST}
_FIXED_NAMES: dict[int, str] = {FixedRow.EXTERNAL_ID: "External ID", FixedRow.COST: "Cost"}
_UNFIT_PLACEHOLDER = frozenset("& \t\r\n")
_GOOGLE_IDS = frozenset({"gclid", "gbraid", "wbraid"})


class CostModel(enum.StrEnum):
    """The event that a source charges for."""

    CPC = "cpc"
    CPM = "cpm"
    CPA = "cpa"
    REVSHARE = "revshare"
    NONE = "none"


Parameter = Annotated[str, Meta(description="Name of the parameter in the campaign link.", examples=["zone"])]
Placeholder = Annotated[
    str, Meta(description="The source's macro to put into the campaign link.", examples=["{zoneid}"])
]
RowName = Annotated[str, Meta(description="Name in reports.", examples=["Zone"])]
Tracked = Annotated[bool, Meta(description="When false, it is not in the link or stored, and its macro is empty.")]


class SourceParameter(msgspec.Struct, frozen=True):
    """A parameter row. Its number never changes: -1 external_id, 0 cost, 1 to 30 for V1 to V30."""

    number: int
    parameter: Parameter
    placeholder: Placeholder = ""
    name: RowName = ""
    tracked: Tracked = True


class RowInput(msgspec.Struct, frozen=True):
    """A parameter row to save."""

    parameter: Parameter
    placeholder: Placeholder = ""
    name: RowName = ""
    tracked: Tracked = True
    number: Annotated[
        int | None,
        Meta(description="1 to 30 for V1 to V30. Leave out to use its current number, or a free one.", examples=[1]),
    ] = None


Name = Annotated[
    str, OneLine(200, required=True), Meta(description="Name, unique among traffic sources.", examples=["Clickadu"])
]
Preset = Annotated[str, Meta(description="The preset that it was created from; empty if none.")]
Model = Annotated[CostModel, Meta(description="What the source charges for.")]
CostCurrency = Annotated[
    str, Meta(description="Cost currency (ISO 4217). Leave empty to use the instance's currency.", examples=["USD"])
]
PostbackUrl = Annotated[
    str,
    Meta(
        description="URL to call for each conversion, with macros filled in (see /macros). Leave empty to send nothing.",
        examples=["https://source.example/postback?visitor_id={externalid}&payout={payout}"],
    ),
]
Rows = Annotated[
    tuple[RowInput, ...],
    Meta(
        description="All rows; they replace the previous ones. external_id and cost are added if left out; their placeholders "
        "are the source's macros for its click ID and its price.",
        examples=[
            [{"parameter": "external_id", "placeholder": "${SUBID}"}, {"parameter": "zone", "placeholder": "{zoneid}"}]
        ],
    ),
]


class SourceFields(RecordFields, frozen=True, kw_only=True):
    """The fields that a traffic source's record and view share.

    ``parameters`` are sorted by number and always begin with external_id and cost.
    """

    name: Name
    preset: Preset = ""
    cost_model: Model = CostModel.CPC
    cost_currency: CostCurrency = ""
    parameters: tuple[SourceParameter, ...]
    postback_url: PostbackUrl = ""


class TrafficSource(SourceFields, frozen=True, kw_only=True):
    """A traffic source. Its postback URL is stored in its first postback rule."""

    used_numbers: tuple[int, ...] = ()
    """Numbers of all its V rows, including removed ones, because stored clicks keep their values. Updated when it is saved."""
    created_at: int = 0
    updated_at: int = 0
    archived_at: int | None = None


class SourceChange(msgspec.Struct, kw_only=True):
    """Changes of a traffic source. Fields left out stay as they are."""

    name: Name | UnsetType = UNSET
    cost_model: Model | UnsetType = UNSET
    cost_currency: CostCurrency | UnsetType = UNSET
    parameters: Rows | UnsetType = UNSET
    postback_url: PostbackUrl | UnsetType = UNSET


class NewSource(SourceChange, kw_only=True):
    """A traffic source to create. Fields left out come from the preset, if there is one."""

    name: Name
    preset: Annotated[
        str, Meta(description="Key of a preset from /presets/traffic-sources.", examples=["propellerads"])
    ] = ""


def numbered_rows(
    inputs: Sequence[RowInput], before: Sequence[SourceParameter] = (), used_numbers: Collection[int] = ()
) -> tuple[SourceParameter, ...] | tuple[FieldFault, ...]:
    """Return the rows with their permanent numbers, or the faults of rows that cannot be saved.

    external_id and cost are added if left out, as they were ``before``. A parameter that had a number keeps it. A new one gets
    the lowest number above all ever used, otherwise one that was never used. ``used_numbers``, those of removed rows, are reused
    only if requested.
    """
    if len(inputs) > _MAX_CHECKED_ROWS:
        sentence = f"There are {len(inputs)} rows. A source can have at most {LAST_ROW} rows of its own."
        return (FieldFault("parameters", FaultCode.TOO_MANY, sentence),)
    faults = _number_faults(inputs)
    known = {row.parameter: row.number for row in before}
    numbers: list[int | None] = [_number_for(row, known) for row in inputs]
    used = {number for number in numbers if number is not None} | {row.number for row in before} | {*used_numbers}
    rows: dict[int, SourceParameter] = {}
    for position, (row, fixed) in enumerate(zip(inputs, numbers, strict=True)):
        number = fixed if fixed is not None else _free_number(used)
        if number is None:
            faults.append(FieldFault(f"parameters[{position}]", FaultCode.TOO_MANY, _used_up(inputs)))
            continue
        used.add(number)
        if number in rows:
            sentence = f"Two rows have the number {number}: {rows[number].parameter!r} and {row.parameter!r}."
            faults.append(FieldFault(f"parameters[{position}].number", FaultCode.DUPLICATE, sentence))
            continue
        name = row.name or _FIXED_NAMES.get(number) or row.parameter
        rows[number] = SourceParameter(number, row.parameter, row.placeholder, name, row.tracked)
    if faults:
        return tuple(faults)
    previous = {row.number: row for row in before}
    for parameter, number in _FIXED_ROWS.items():
        rows.setdefault(number, previous.get(number, SourceParameter(number, parameter, name=_FIXED_NAMES[number])))
    return tuple(rows[number] for number in sorted(rows))


def source_faults(source: TrafficSource) -> list[FieldFault]:
    """Return everything wrong with a source, except a taken name."""
    faults = line_faults(source) + currency_faults("cost_currency", source.cost_currency)
    seen: set[str] = set()
    for position, row in enumerate(source.parameters):
        faults += _row_faults(f"parameters[{position}]", row)
        folded = row.parameter.lower()
        if folded in seen:
            sentence = f"Two rows have the parameter {row.parameter!r} (macros ignore case)."
            faults.append(FieldFault(f"parameters[{position}].parameter", FaultCode.DUPLICATE, sentence))
        seen.add(folded)
    return faults


def _number_faults(inputs: Sequence[RowInput]) -> list[FieldFault]:
    faults = []
    for position, row in enumerate(inputs):
        fixed = _FIXED_ROWS.get(row.parameter)
        place = f"parameters[{position}].number"
        if row.number is None or row.number == fixed:
            continue
        if fixed is not None:
            faults.append(
                FieldFault(place, FaultCode.RESERVED, f"The row {row.parameter} always has the number {fixed}.")
            )
        elif not 1 <= row.number <= LAST_ROW:
            faults.append(
                FieldFault(place, FaultCode.OUT_OF_RANGE, f"The number is {row.number}. It must be 1 to {LAST_ROW}.")
            )
    return faults


def _number_for(row: RowInput, known: dict[str, int]) -> int | None:
    fixed = _FIXED_ROWS.get(row.parameter)
    if fixed is not None:
        return fixed
    return row.number if row.number is not None else known.get(row.parameter)


def _free_number(used: set[int]) -> int | None:
    above = max(used | {FixedRow.COST}) + 1
    if above <= LAST_ROW:
        return above
    return next((number for number in range(1, LAST_ROW + 1) if number not in used), None)


def _used_up(inputs: Sequence[RowInput]) -> str:
    if sum(row.parameter not in _FIXED_ROWS for row in inputs) > LAST_ROW:
        return f"A source can have at most {LAST_ROW} rows of its own."
    return (
        f"All numbers from 1 to {LAST_ROW} have been used, and stored clicks keep the values of removed rows. "
        "To reuse a removed row's number, set it as the row's number."
    )


def _row_faults(place: str, row: SourceParameter) -> list[FieldFault]:
    faults = text_faults(f"{place}.parameter", row.parameter, 200, required=True)
    faults += text_faults(f"{place}.placeholder", row.placeholder, 1000) + text_faults(f"{place}.name", row.name, 200)
    if row.number > FixedRow.COST and row.parameter.strip().lower() in RESERVED_NAMES:
        sentence = (
            f"{row.parameter!r} is reserved in our links ({', '.join(sorted(RESERVED_NAMES))}). Choose another name."
        )
        faults.append(FieldFault(f"{place}.parameter", FaultCode.RESERVED, sentence))
    if row.number == FixedRow.EXTERNAL_ID and not row.tracked:
        faults.append(
            FieldFault(
                f"{place}.tracked",
                FaultCode.ALWAYS_TRACKED,
                "The row external_id is always tracked, because postbacks need it.",
            )
        )
    if _UNFIT_PLACEHOLDER & set(row.placeholder):
        sentence = "The placeholder contains a space or an &, which would break the campaign link. Enter only the source's macro."
        faults.append(FieldFault(f"{place}.placeholder", FaultCode.CHARACTER, sentence))
    return faults


def is_google_ads(source: SourceFields) -> bool:
    """Return whether a source is Google Ads, by its preset, its name, or the click ids that Google adds to links."""
    return "google" in f"{source.preset} {source.name}".lower() or any(
        row.parameter.lower() in _GOOGLE_IDS or row.placeholder == "{gclid}" for row in source.parameters
    )
