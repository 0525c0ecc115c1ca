"""Requests that make and change a postback rule; of a part that is given, what is left out stays as it was."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from clickloop.log_filter import MAX_ID
from clickloop.money import AmountFault, read_amount
from clickloop.postback.rule import BodyKind, Conditions, Header, Method, Schedule, Success, Trigger
from clickloop.setup.fault import Fault, FaultCode, InvalidInputError
from clickloop.setup.record import with_changes

Url = Annotated[str, Meta(examples=["https://source.example/postback?id={externalid}&payout={payout}"])]
Kind = Annotated[BodyKind, Meta(description="How macros in the body are encoded, and its Content-Type.")]
Secrets = Annotated[
    tuple[str, ...],
    Meta(
        description="Texts in it that are never shown. A part that is given as it was shown, masked, stays as it was."
    ),
]
Statuses = Annotated[tuple[str, ...], Meta(description="Keys of statuses; empty: all that do not count as rejected.")]
When = Annotated[
    Trigger,
    Meta(
        description="new: once per conversion; status: at each change of its status; alarm: for no conversion, but for alarms of the "
        "tracker itself. A rule for alarms belongs to the whole instance and cannot be changed into a rule for conversions."
    ),
]
OnlyFirst = Annotated[bool, Meta(description="Only for the first conversion of a click.")]
Minimum = (
    Annotated[
        str, Meta(description="A decimal in the conversion's own currency, whichever that is.", examples=["12.5"])
    ]
    | None
)
EveryNth = Annotated[int, Meta(description="1: every conversion; 3: the first of every three.")]
Percent = Annotated[int, Meta(description="The share of the payout that is reported.")]
Unwanted = Annotated[str, Meta(examples=["ERROR"])]
Pattern = Annotated[str, Meta(description="A regular expression (RE2), found anywhere in the answer.")]
UnwantedPattern = Annotated[str, Meta(examples=['"ok"\\s*:\\s*false'])]


class RequestBody(msgspec.Struct, kw_only=True):
    """The request. Macros may stand in path, query, header values and body. New: GET without headers and body."""

    url: Url | UnsetType = UNSET
    method: Method | UnsetType = UNSET
    headers: tuple[Header, ...] | UnsetType = UNSET
    body_kind: Kind | UnsetType = UNSET
    body: str | UnsetType = UNSET
    secrets: Secrets | UnsetType = UNSET


class ConditionsBody(msgspec.Struct, kw_only=True):
    """When it is sent. New: once for each conversion that does not count as rejected, at once, with the whole payout."""

    statuses: Statuses | UnsetType = UNSET
    trigger: When | UnsetType = UNSET
    only_first: OnlyFirst | UnsetType = UNSET
    minimum_payout: Minimum | UnsetType = UNSET
    every_nth: EveryNth | UnsetType = UNSET
    delay_seconds: int | UnsetType = UNSET
    payout_percent: Percent | UnsetType = UNSET

    def own_faults(self) -> list[Fault]:
        """A minimum that is no amount."""
        if self.minimum_payout is UNSET or self.minimum_payout is None:
            return []
        amount = read_amount(self.minimum_payout)
        if not isinstance(amount, AmountFault) and not amount.currency and not amount.rounded:
            return []
        sentence = "A decimal without a currency is expected, with at most 12 digits before and 6 after the point."
        return [Fault("minimum_payout", FaultCode.NOT_AN_AMOUNT, sentence)]


class SuccessBody(msgspec.Struct, kw_only=True):
    """When a 2xx answer counts as delivered. All that is given must hold for the first 16 KB of the answer."""

    must_contain: str | UnsetType = UNSET
    must_not_contain: Unwanted | UnsetType = UNSET
    must_match: Pattern | UnsetType = UNSET
    must_not_match: UnwantedPattern | UnsetType = UNSET


Name = Annotated[str, Meta(description="Its name.", examples=["Telegram"])]
Active = Annotated[bool, Meta(description="false: its postbacks are skipped.")]
Waits = Annotated[
    tuple[int, ...],
    Meta(
        description="Seconds before each attempt after the first, each ±20 %; none: one attempt alone; null or left out: 13 attempts "
        "over 75 hours.",
        examples=[[5, 30, 120]],
    ),
]
Owner = Annotated[int, Meta(description="Whom it belongs to; neither: the whole instance.", ge=1, le=MAX_ID)] | None


class RuleChange(msgspec.Struct, kw_only=True):
    """What to change of a rule. What is left out, in a part too, stays; a list that is given replaces the one before."""

    name: Name | UnsetType = UNSET
    active: Active | UnsetType = UNSET
    request: RequestBody | UnsetType = UNSET
    conditions: ConditionsBody | UnsetType = UNSET
    success: SuccessBody | UnsetType = UNSET
    waits_seconds: Waits | UnsetType | None = UNSET


class NewRule(RuleChange, kw_only=True):
    """A rule to create: from a preset, or with a name and a request. What is given beside a preset counts."""

    preset: Annotated[str, Meta(description="A key from /presets/postback-rules.", examples=["telegram"])] = ""
    fill: Annotated[
        dict[str, str],
        Meta(
            description="The preset's words to fill in.",
            examples=[{"bot_token": "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "chat_id": "-1001234567890"}],
        ),
    ] = {}
    source_id: Owner = None
    campaign_id: Owner = None


def changed_conditions(before: Conditions, change: ConditionsBody) -> Conditions:
    """Return the conditions with a change. Raise InvalidInputError for an amount that is none."""
    return with_changes(before, change, minimum_payout_micros=_minimum(change))


def changed_success(before: Success, change: SuccessBody) -> Success:
    """Return the terms with a change."""
    return with_changes(before, change)


def changed_schedule(waits_seconds: tuple[int, ...] | None) -> Schedule:
    """Return the schedule that was asked for; None: the usual one."""
    return Schedule() if waits_seconds is None else Schedule(waits_seconds=waits_seconds)


def _minimum(change: ConditionsBody) -> int | UnsetType | None:
    if change.minimum_payout is UNSET or change.minimum_payout is None:
        return change.minimum_payout
    amount = read_amount(change.minimum_payout)
    if faults := change.own_faults():
        raise InvalidInputError(tuple(replace(fault, field=f"conditions.{fault.field}") for fault in faults))
    assert not isinstance(amount, AmountFault), "an amount without a fault"
    return amount.micros
