"""The parts of a postback rule as the API shows and takes them; of a part that is given, what is left out stays as it was."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from clickloop.campaign.fault import Fault, FaultCode, InvalidInputError
from clickloop.money import AmountFault, amount_text, read_amount
from clickloop.pasting import trimmed
from clickloop.postback.rule import BodyKind, Conditions, Header, Method, RequestTemplate, Success, Trigger
from clickloop.report.masking import masked_request, unmasked_template
from clickloop.web.api.body import given_or
from clickloop.web.api.wire import shown

Url = Annotated[str, Meta(examples=["https://source.example/postback?id={externalid}&payout={payout}"])]
Kind = Annotated[BodyKind, Meta(description="How macros in the body are encoded, and its Content-Type.")]
Secrets = Annotated[
    list[str],
    Meta(
        description="Texts in it that are never shown. A part that is given as it was shown, masked, stays as it was."
    ),
]
Statuses = Annotated[list[str], Meta(description="Keys of statuses; empty: all that do not count as rejected.")]
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


class HeaderBody(msgspec.Struct, kw_only=True):
    """A header line; its value may hold macros."""

    name: Annotated[str, Meta(examples=["Authorization"])]
    value: Annotated[str, Meta(examples=["Bearer secret"])]


class RequestBody(msgspec.Struct, kw_only=True):
    """The request. Macros may stand in path, query, header values and body. New: GET without headers and body."""

    url: Url | UnsetType = UNSET
    method: Method | UnsetType = UNSET
    headers: list[HeaderBody] | UnsetType = UNSET
    body_kind: Kind | UnsetType = UNSET
    body: str | UnsetType = UNSET
    secrets: Secrets | UnsetType = UNSET


class RequestTemplateView(msgspec.Struct, kw_only=True):
    """The request with its macros, secrets masked."""

    url: Url
    method: Method
    headers: list[HeaderBody]
    body_kind: Kind
    body: str
    secrets: Secrets


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


class ConditionsView(msgspec.Struct, kw_only=True):
    """When it is sent."""

    statuses: Statuses
    trigger: When
    only_first: OnlyFirst
    minimum_payout: Minimum
    every_nth: EveryNth
    delay_seconds: int
    payout_percent: Percent


class SuccessBody(msgspec.Struct, kw_only=True):
    """When a 2xx answer counts as delivered. All that is given must hold for the first 16 KB of the answer."""

    must_contain: str | UnsetType = UNSET
    must_not_contain: Unwanted | UnsetType = UNSET
    must_match: Pattern | UnsetType = UNSET
    must_not_match: UnwantedPattern | UnsetType = UNSET


class SuccessView(msgspec.Struct, kw_only=True):
    """When a 2xx answer counts as delivered; empty: not asked for."""

    must_contain: str
    must_not_contain: Unwanted
    must_match: Pattern
    must_not_match: UnwantedPattern


def changed_request(before: RequestTemplate, given: RequestBody) -> RequestTemplate:
    """The request with what is given put in; a part that is given as it was shown, masked, stays as it was."""
    headers = before.headers
    if given.headers is not UNSET:
        headers = tuple(Header(header.name, header.value) for header in given.headers)
    wanted = RequestTemplate(
        method=given_or(given.method, before.method),
        url=trimmed(given_or(given.url, before.url)),
        headers=headers,
        body_kind=given_or(given.body_kind, before.body_kind),
        body=given_or(given.body, before.body),
        secrets=before.secrets if given.secrets is UNSET else tuple(given.secrets),
    )
    return unmasked_template(wanted, before)


def changed_conditions(before: Conditions, given: ConditionsBody) -> Conditions:
    """The conditions with what is given put in. Raises InvalidInputError for an amount that is none."""
    return Conditions(
        statuses=before.statuses if given.statuses is UNSET else tuple(given.statuses),
        trigger=given_or(given.trigger, before.trigger),
        only_first=given_or(given.only_first, before.only_first),
        minimum_payout_micros=_minimum(before.minimum_payout_micros, given),
        every_nth=given_or(given.every_nth, before.every_nth),
        delay_seconds=given_or(given.delay_seconds, before.delay_seconds),
        payout_percent=given_or(given.payout_percent, before.payout_percent),
    )


def changed_success(before: Success, given: SuccessBody) -> Success:
    """The terms with what is given put in."""
    fields = {name: value for name, value in msgspec.structs.asdict(given).items() if value is not UNSET}
    return replace(before, **fields)


def request_template_view(template: RequestTemplate) -> RequestTemplateView:
    """A request for JSON, its secrets masked."""
    masked = masked_request(template)
    return RequestTemplateView(
        url=shown(masked.url),
        method=masked.method,
        headers=[HeaderBody(name=shown(header.name), value=shown(header.value)) for header in masked.headers],
        body_kind=masked.body_kind,
        body=shown(masked.body),
        secrets=list(masked.secrets),
    )


def conditions_view(conditions: Conditions) -> ConditionsView:
    """Conditions for JSON."""
    minimum = conditions.minimum_payout_micros
    return ConditionsView(
        statuses=list(conditions.statuses),
        trigger=conditions.trigger,
        only_first=conditions.only_first,
        minimum_payout=None if minimum is None else amount_text(minimum),
        every_nth=conditions.every_nth,
        delay_seconds=conditions.delay_seconds,
        payout_percent=conditions.payout_percent,
    )


def _minimum(before: int | None, given: ConditionsBody) -> int | None:
    if given.minimum_payout is UNSET:
        return before
    if given.minimum_payout is None:
        return None
    amount = read_amount(given.minimum_payout)
    if faults := given.own_faults():
        raise InvalidInputError(tuple(replace(fault, field=f"conditions.{fault.field}") for fault in faults))
    assert not isinstance(amount, AmountFault), "an amount without a fault"
    return amount.micros
