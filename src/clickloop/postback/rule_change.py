"""Requests that create and change a postback rule. Fields left out of a part stay as they are."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from clickloop.log_filter import MAX_ID
from clickloop.money import AmountFault, read_amount
from clickloop.postback.rule import BodyKind, Conditions, Header, Method, Schedule, Success, Trigger
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.setup.record import with_changes

Url = Annotated[str, Meta(examples=["https://source.example/postback?id={externalid}&payout={payout}"])]
BodyKindField = Annotated[
    BodyKind, Meta(description="Decides how macros in the body are encoded, and the Content-Type.")
]
Secrets = Annotated[
    tuple[str, ...],
    Meta(
        description="Texts to mask wherever the request is shown. A part sent back masked, as it was shown, stays as it is."
    ),
]
Statuses = Annotated[
    tuple[str, ...], Meta(description="Status keys. Leave empty for all that do not count as rejected.")
]
TriggerField = Annotated[
    Trigger,
    Meta(
        description="new: once per conversion. status: when it is new, and at each change of its status. alarm: for alarms of "
        "the tracker itself. An alarm rule belongs to the whole instance and cannot become a rule for conversions."
    ),
]
OnlyFirst = Annotated[bool, Meta(description="Only for the first conversion of a click.")]
Minimum = (
    Annotated[str, Meta(description="Minimum payout, a decimal in the conversion's own currency.", examples=["12.5"])]
    | None
)
EveryNth = Annotated[int, Meta(description="1: every conversion; 3: the first of every three.")]
Percent = Annotated[int, Meta(description="Share of the payout to report, in percent.")]
Unwanted = Annotated[str, Meta(examples=["ERROR"])]
Pattern = Annotated[str, Meta(description="A regular expression (RE2), matched anywhere in the response.")]
UnwantedPattern = Annotated[str, Meta(examples=['"ok"\\s*:\\s*false'])]


class RequestBody(msgspec.Struct, kw_only=True):
    """The request. Path, query, header values and body may contain macros. Defaults to GET without headers and body."""

    url: Url | UnsetType = UNSET
    method: Method | UnsetType = UNSET
    headers: tuple[Header, ...] | UnsetType = UNSET
    body_kind: BodyKindField | UnsetType = UNSET
    body: str | UnsetType = UNSET
    secrets: Secrets | UnsetType = UNSET


class ConditionsBody(msgspec.Struct, kw_only=True):
    """When to send. Defaults to once for each conversion that does not count as rejected, immediately, with the full payout."""

    statuses: Statuses | UnsetType = UNSET
    trigger: TriggerField | UnsetType = UNSET
    only_first: OnlyFirst | UnsetType = UNSET
    minimum_payout: Minimum | UnsetType = UNSET
    every_nth: EveryNth | UnsetType = UNSET
    delay_seconds: int | UnsetType = UNSET
    payout_percent: Percent | UnsetType = UNSET

    def own_faults(self) -> list[FieldFault]:
        """Return a fault if the minimum is not an amount."""
        if self.minimum_payout is UNSET or self.minimum_payout is None:
            return []
        amount = read_amount(self.minimum_payout)
        if not isinstance(amount, AmountFault) and not amount.currency and not amount.rounded:
            return []
        sentence = "Enter a decimal without a currency, with at most 12 digits before and 6 after the point."
        return [FieldFault("minimum_payout", FaultCode.NOT_AN_AMOUNT, sentence)]


class SuccessBody(msgspec.Struct, kw_only=True):
    """When a 2xx response counts as delivered. Every condition set must hold for the first 16 KB of the response."""

    must_contain: str | UnsetType = UNSET
    must_not_contain: Unwanted | UnsetType = UNSET
    must_match: Pattern | UnsetType = UNSET
    must_not_match: UnwantedPattern | UnsetType = UNSET


Name = Annotated[str, Meta(description="Name of the rule.", examples=["Telegram"])]
Active = Annotated[bool, Meta(description="When false, postbacks are logged as skipped.")]
Waits = Annotated[
    tuple[int, ...],
    Meta(
        description="Seconds to wait before each attempt after the first, each ±20%. Defaults to 13 attempts over 75 hours, "
        "also if null. Leave the list empty for a single attempt.",
        examples=[[5, 30, 120]],
    ),
]
Owner = (
    Annotated[int, Meta(description="The rule's owner. Leave both owners out for the whole instance.", ge=1, le=MAX_ID)]
    | None
)


class RuleChange(msgspec.Struct, kw_only=True):
    """Changes of a rule. Fields left out stay as they are, also within a part; a list replaces the previous one."""

    name: Name | UnsetType = UNSET
    active: Active | UnsetType = UNSET
    request: RequestBody | UnsetType = UNSET
    conditions: ConditionsBody | UnsetType = UNSET
    success: SuccessBody | UnsetType = UNSET
    waits_seconds: Waits | UnsetType | None = UNSET


class NewRule(RuleChange, kw_only=True):
    """A rule to create: from a preset, or with a name and a request. Fields set here override the preset."""

    preset: Annotated[str, Meta(description="A key from /presets/postback-rules.", examples=["telegram"])] = ""
    fill: Annotated[
        dict[str, str],
        Meta(
            description="Values of the preset's placeholders.",
            examples=[{"bot_token": "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "chat_id": "-1001234567890"}],
        ),
    ] = {}
    source_id: Owner = None
    campaign_id: Owner = None


def changed_conditions(before: Conditions, change: ConditionsBody) -> Conditions:
    """Return the conditions with a change. Raise InvalidInputError if the minimum is not an amount."""
    return with_changes(before, change, minimum_payout_micros=_minimum(change))


def changed_success(before: Success, change: SuccessBody) -> Success:
    return with_changes(before, change)


def changed_schedule(waits_seconds: tuple[int, ...] | None) -> Schedule:
    """Return the schedule with these waits; None: the default one."""
    return Schedule() if waits_seconds is None else Schedule(waits_seconds=waits_seconds)


def _minimum(change: ConditionsBody) -> int | UnsetType | None:
    if change.minimum_payout is UNSET or change.minimum_payout is None:
        return change.minimum_payout
    amount = read_amount(change.minimum_payout)
    if faults := change.own_faults():
        raise InvalidInputError(tuple(replace(fault, field=f"conditions.{fault.field}") for fault in faults))
    assert not isinstance(amount, AmountFault), "an amount without a fault"
    return amount.micros
