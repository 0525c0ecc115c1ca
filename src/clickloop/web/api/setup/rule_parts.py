"""The parts of a postback rule as the API shows them."""

import msgspec

from clickloop.money import amount_text
from clickloop.postback.masking import masked_request
from clickloop.postback.rule import Conditions, Header, Method, RequestTemplate
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
from clickloop.web.api.view import view_of


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
