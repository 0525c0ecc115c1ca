"""The traffic source: where visitors come from, and the parameters that its links carry."""

import enum
from collections.abc import Collection, Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from clickloop.setup.fault import Fault, FaultCode, currency_faults, text_faults
from clickloop.setup.record import OneLine, RecordFields, line_faults
from clickloop.setup.source_rows import LAST_ROW, FixedRow

MAX_WISHES = 100  # no source has as many statuses
"""Rows that are looked at one by one, each with its fault; no form has more."""
EXTERNAL_ID = "external_id"
COST = "cost"
RESERVED_NAMES = frozenset({EXTERNAL_ID, COST, "cid", "clickloop_test"})
"""Names in our links that have a meaning of their own; no V row may take them."""

POSTBACK_RULE_NAME = "Traffic source postback"
"""The name of the rule that holds a source's postback URL: the first rule of the source."""

_FIXED_ROWS: dict[str, int] = {EXTERNAL_ID: FixedRow.EXTERNAL_ID, COST: FixedRow.COST}
_FIXED_NAMES: dict[int, str] = {FixedRow.EXTERNAL_ID: "External ID", FixedRow.COST: "Cost"}
_UNFIT_PLACEHOLDER = frozenset("& \t\r\n")


class CostModel(enum.StrEnum):
    """What the source charges for."""

    CPC = "cpc"
    CPM = "cpm"
    CPA = "cpa"
    REVSHARE = "revshare"
    NONE = "none"


Parameter = Annotated[str, Meta(description="Its name in our link.", examples=["zone"])]
Placeholder = Annotated[
    str, Meta(description="The source's own macro, put into the campaign link.", examples=["{zoneid}"])
]
RowName = Annotated[str, Meta(description="What reports call it.", examples=["Zone"])]
Tracked = Annotated[bool, Meta(description="false: not in the link, not stored, its macro is empty.")]


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
        int | None, Meta(description="1 to 30 for V1 to V30; left out: the one it has, or a free one.", examples=[1])
    ] = None


Name = Annotated[
    str, OneLine(200, required=True), Meta(description="Its name, unique among traffic sources.", examples=["Clickadu"])
]
Preset = Annotated[str, Meta(description="The preset that it was made from; empty: none.")]
Model = Annotated[CostModel, Meta(description="What the source charges for.")]
CostCurrency = Annotated[
    str, Meta(description="Currency of its costs (ISO 4217); empty: that of the instance.", examples=["USD"])
]
PostbackUrl = Annotated[
    str,
    Meta(
        description="Called for each conversion, with our macros filled in; empty: none. See /macros.",
        examples=["https://source.example/postback?visitor_id={externalid}&payout={payout}"],
    ),
]
Rows = Annotated[
    tuple[RowInput, ...],
    Meta(
        description="All rows of its own, which replace those before. external_id and cost are added where they are left out; "
        "their placeholders are the source's macros for its click id and its price.",
        examples=[
            [{"parameter": "external_id", "placeholder": "${SUBID}"}, {"parameter": "zone", "placeholder": "{zoneid}"}]
        ],
    ),
]


class SourceFields(RecordFields, frozen=True, kw_only=True):
    """What record and view of a traffic source share. ``parameters`` are sorted by number and always begin with external_id and cost."""

    name: Name
    preset: Preset = ""
    cost_model: Model = CostModel.CPC
    cost_currency: CostCurrency = ""
    parameters: tuple[SourceParameter, ...]
    postback_url: PostbackUrl = ""


class TrafficSource(SourceFields, frozen=True, kw_only=True):
    """A traffic source. Its postback URL is stored in its first postback rule."""

    used_numbers: tuple[int, ...] = ()
    """The numbers of all its V rows, of removed ones too: stored clicks keep their values. Saving keeps this up to date."""
    created_at: int = 0
    updated_at: int = 0
    archived_at: int | None = None


class SourceChange(msgspec.Struct, kw_only=True):
    """What to change of a traffic source; what is left out stays."""

    name: Name | UnsetType = UNSET
    cost_model: Model | UnsetType = UNSET
    cost_currency: CostCurrency | UnsetType = UNSET
    parameters: Rows | UnsetType = UNSET
    postback_url: PostbackUrl | UnsetType = UNSET


class NewSource(SourceChange, kw_only=True):
    """A traffic source to create. What is left out comes from the preset, if one is named."""

    name: Name
    preset: Annotated[
        str, Meta(description="Key of a preset from /presets/traffic-sources.", examples=["propellerads"])
    ] = ""


def numbered_rows(
    wishes: Sequence[RowInput], before: Sequence[SourceParameter] = (), used_numbers: Collection[int] = ()
) -> tuple[SourceParameter, ...] | tuple[Fault, ...]:
    """The rows that were asked for, each under its lasting number; or the faults of those that cannot be.

    external_id and cost are added where nobody asks for them, as they were ``before``. A name that had a number keeps it.
    A new name gets the lowest number above all that were in use, else one that never was. One of ``used_numbers``, those of rows
    that were removed, is given again only to who asks for it.
    """
    if len(wishes) > MAX_WISHES:
        sentence = f"{len(wishes)} rows are given, and a source has at most {LAST_ROW} rows of its own."
        return (Fault("parameters", FaultCode.TOO_MANY, sentence),)
    faults = _number_faults(wishes)
    known = {row.parameter: row.number for row in before}
    numbers: list[int | None] = [_wished_number(wish, known) for wish in wishes]
    used = {number for number in numbers if number is not None} | {row.number for row in before} | {*used_numbers}
    rows: dict[int, SourceParameter] = {}
    for position, (wish, fixed) in enumerate(zip(wishes, numbers, strict=True)):
        number = fixed if fixed is not None else _free_number(used)
        if number is None:
            faults.append(Fault(f"parameters[{position}]", FaultCode.TOO_MANY, _used_up(wishes)))
            continue
        used.add(number)
        if number in rows:
            sentence = f"Two rows have the number {number} ({rows[number].parameter!r} and {wish.parameter!r})."
            faults.append(Fault(f"parameters[{position}].number", FaultCode.DUPLICATE, sentence))
            continue
        name = wish.name or _FIXED_NAMES.get(number) or wish.parameter
        rows[number] = SourceParameter(number, wish.parameter, wish.placeholder, name, wish.tracked)
    if faults:
        return tuple(faults)
    kept = {row.number: row for row in before}
    for parameter, number in _FIXED_ROWS.items():
        rows.setdefault(number, kept.get(number, SourceParameter(number, parameter, name=_FIXED_NAMES[number])))
    return tuple(rows[number] for number in sorted(rows))


def source_faults(source: TrafficSource) -> list[Fault]:
    """Everything that is wrong with a source, but whether its name is taken."""
    faults = line_faults(source) + currency_faults("cost_currency", source.cost_currency)
    seen: set[str] = set()
    for position, row in enumerate(source.parameters):
        faults += _row_faults(f"parameters[{position}]", row)
        folded = row.parameter.lower()
        if folded in seen:
            sentence = f"{row.parameter!r} stands in two rows (macros do not tell upper from lower case)."
            faults.append(Fault(f"parameters[{position}].parameter", FaultCode.DUPLICATE, sentence))
        seen.add(folded)
    return faults


def _number_faults(wishes: Sequence[RowInput]) -> list[Fault]:
    faults = []
    for position, wish in enumerate(wishes):
        fixed = _FIXED_ROWS.get(wish.parameter)
        place = f"parameters[{position}].number"
        if wish.number is None or wish.number == fixed:
            continue
        if fixed is not None:
            faults.append(Fault(place, FaultCode.RESERVED, f"The row {wish.parameter} always has the number {fixed}."))
        elif not 1 <= wish.number <= LAST_ROW:
            faults.append(
                Fault(place, FaultCode.OUT_OF_RANGE, f"The number is {wish.number}, 1 to {LAST_ROW} is expected.")
            )
    return faults


def _wished_number(wish: RowInput, known: dict[str, int]) -> int | None:
    fixed = _FIXED_ROWS.get(wish.parameter)
    if fixed is not None:
        return fixed
    return wish.number if wish.number is not None else known.get(wish.parameter)


def _free_number(used: set[int]) -> int | None:
    above = max(used | {FixedRow.COST}) + 1
    if above <= LAST_ROW:
        return above
    return next((number for number in range(1, LAST_ROW + 1) if number not in used), None)


def _used_up(wishes: Sequence[RowInput]) -> str:
    if sum(wish.parameter not in _FIXED_ROWS for wish in wishes) > LAST_ROW:
        return f"A source has at most {LAST_ROW} rows of its own."
    return (
        f"All numbers from 1 to {LAST_ROW} have been used, and stored clicks keep the values of removed rows under theirs. "
        "To use the number of a removed row again, name it in the row's number."
    )


def _row_faults(place: str, row: SourceParameter) -> list[Fault]:
    faults = text_faults(f"{place}.parameter", row.parameter, 200, required=True)
    faults += text_faults(f"{place}.placeholder", row.placeholder, 1000) + text_faults(f"{place}.name", row.name, 200)
    if row.number > FixedRow.COST and row.parameter.strip().lower() in RESERVED_NAMES:
        sentence = f"{row.parameter!r} has a meaning of its own in our links ({', '.join(sorted(RESERVED_NAMES))}): choose another name."
        faults.append(Fault(f"{place}.parameter", FaultCode.RESERVED, sentence))
    if row.number == FixedRow.EXTERNAL_ID and not row.tracked:
        faults.append(
            Fault(f"{place}.tracked", FaultCode.ALWAYS_TRACKED, "The row external_id is always on: the loop needs it.")
        )
    if _UNFIT_PLACEHOLDER & set(row.placeholder):
        sentence = (
            "The placeholder holds a space or an &, which would break the campaign link: give the source's macro alone."
        )
        faults.append(Fault(f"{place}.placeholder", FaultCode.CHARACTER, sentence))
    return faults
