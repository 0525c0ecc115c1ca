"""The parts of a postback rule as the API shows them, and what it says of macros that stay empty."""

import msgspec

from clickloop.macro.known import BY_NAME
from clickloop.money import amount_text
from clickloop.postback.alarm_rules import ALARM_MACROS, FILLED_FOR_ALARMS, is_alarm_rule
from clickloop.postback.rule import Conditions, Header, Method, RequestTemplate, Rule
from clickloop.postback.rule_change import (
    EveryNth,
    Kind,
    Minimum,
    OnlyFirst,
    Pattern,
    Percent,
    Secrets,
    Statuses,
    Unwanted,
    UnwantedPattern,
    Url,
    When,
)
from clickloop.postback.values import ready_request
from clickloop.report.masking import masked_request
from clickloop.web.api.records import view_of
from clickloop.web.api.wire import Advice


class RequestTemplateView(msgspec.Struct, kw_only=True):
    """The request with its macros, secrets masked."""

    url: Url
    method: Method
    headers: tuple[Header, ...]
    body_kind: Kind
    body: str
    secrets: Secrets


class ConditionsView(msgspec.Struct, kw_only=True):
    """When it is sent."""

    statuses: Statuses
    trigger: When
    only_first: OnlyFirst
    minimum_payout: Minimum
    every_nth: EveryNth
    delay_seconds: int
    payout_percent: Percent


class SuccessView(msgspec.Struct, kw_only=True):
    """When a 2xx answer counts as delivered; empty: not asked for."""

    must_contain: str
    must_not_contain: Unwanted
    must_match: Pattern
    must_not_match: UnwantedPattern


def request_template_view(template: RequestTemplate) -> RequestTemplateView:
    """A request for JSON, its secrets masked."""
    return view_of(RequestTemplateView, masked_request(template), {})


def conditions_view(conditions: Conditions) -> ConditionsView:
    """Conditions for JSON."""
    minimum = conditions.minimum_payout_micros
    return view_of(ConditionsView, conditions, {"minimum_payout": None if minimum is None else amount_text(minimum)})


def empty_macros(rule: Rule) -> list[Advice]:
    """Return advice on macros that are always empty: those of conversions in a rule for alarms, and the other way round."""
    for_alarms = is_alarm_rule(rule)
    names = [name for name in ready_request(rule.request).names if BY_NAME[name].available]  # the others have their own
    empty = [name for name in names if (name in ALARM_MACROS if not for_alarms else name not in FILLED_FOR_ALARMS)]
    if not empty:
        return []
    listed = ", ".join(f"{{{name}}}" for name in empty)
    if for_alarms:
        return [
            Advice("request", "empty_macro", f"For an alarm these are empty: {listed}.", "Use {alarm} and the like.")
        ]
    return [
        Advice(
            "request", "empty_macro", f"For a conversion these are empty: {listed}.", "They belong in rules for alarms."
        )
    ]
