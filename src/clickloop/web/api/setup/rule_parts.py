"""Views of the parts of a postback rule."""

import msgspec

from clickloop.logs.view import view_of
from clickloop.money import amount_text
from clickloop.postback.masking import masked_request
from clickloop.postback.rule import Conditions, Header, Method, RequestTemplate
from clickloop.postback.rule_change import (
    BodyKindField,
    EveryNth,
    Minimum,
    OnlyFirst,
    Pattern,
    Percent,
    Secrets,
    Statuses,
    TriggerField,
    Unwanted,
    UnwantedPattern,
    Url,
)


class RequestTemplateView(msgspec.Struct, kw_only=True):
    """The request template, secrets masked."""

    url: Url
    method: Method
    headers: tuple[Header, ...]
    body_kind: BodyKindField
    body: str
    secrets: Secrets


class ConditionsView(msgspec.Struct, kw_only=True):
    """When a postback is created."""

    statuses: Statuses
    trigger: TriggerField
    only_first: OnlyFirst
    minimum_payout: Minimum
    every_nth: EveryNth
    delay_seconds: int
    payout_percent: Percent


class SuccessView(msgspec.Struct, kw_only=True):
    """Which 2xx responses count as delivered. Empty fields are not checked."""

    must_contain: str
    must_not_contain: Unwanted
    must_match: Pattern
    must_not_match: UnwantedPattern


def request_template_view(template: RequestTemplate) -> RequestTemplateView:
    """Return a request template for JSON, secrets masked."""
    return view_of(RequestTemplateView, masked_request(template))


def conditions_view(conditions: Conditions) -> ConditionsView:
    """Return conditions for JSON."""
    minimum = conditions.minimum_payout_micros
    return view_of(ConditionsView, conditions, minimum_payout=None if minimum is None else amount_text(minimum))
