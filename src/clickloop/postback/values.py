"""The macro values of a change, and the request that they give: filled in once, when the postback is owed."""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

import msgspec

from clickloop.click.click_values import SetupNames, click_values
from clickloop.conversion.conversion import Conversion
from clickloop.macro import Chance, Place, Template, parse
from clickloop.money import amount_text
from clickloop.postback.rule import BodyKind, Header, Request, RequestTemplate, Rule
from clickloop.postback.target import Target, TargetFault, escaped_url, target_of

CONTENT_TYPES = {
    BodyKind.FORM: "application/x-www-form-urlencoded",
    BodyKind.JSON: "application/json",
    BodyKind.TEXT: "text/plain; charset=utf-8",
}
_PLACES = {BodyKind.NONE: Place.TEXT, BodyKind.FORM: Place.FORM, BodyKind.JSON: Place.JSON, BodyKind.TEXT: Place.TEXT}


class ReadyRequest(msgspec.Struct, frozen=True, eq=False):
    """A request template with its macros parsed. Make it with ``ready_request``."""

    template: RequestTemplate
    url: Template
    headers: tuple[tuple[str, Template], ...]
    body: Template
    names: tuple[str, ...]
    """Canonical names of all macros in it."""
    target: Target | TargetFault
    """Where it goes with each macro standing for one character: scheme, host and port, which no macro can change."""

    @property
    def lane(self) -> str:
        """``host:port`` of the receiver; empty for a URL that cannot be sent to."""
        return self.target.lane if isinstance(self.target, Target) else ""

    @property
    def uses_external_id(self) -> bool:
        """Whether the receiver is told the source's click id, so that there is nothing to send without one."""
        return "externalid" in self.names

    def resolve(self, values: Mapping[str, str], now_ms: int, chance: Chance | None) -> Request:
        """The request with its macros filled in. What cannot be sent (too long, say) is left for the attempt to tell."""
        url = escaped_url(self.url.render(values, Place.URL, now_ms, chance))
        target = target_of(url)
        place = _PLACES[self.template.body_kind]
        headers = [Header(name, value.render(values, Place.HEADER, now_ms, chance)) for name, value in self.headers]
        content_type = CONTENT_TYPES.get(self.template.body_kind)
        if content_type and not any(header.name.lower() == "content-type" for header in headers):
            headers.append(Header("Content-Type", content_type))
        return Request(
            method=self.template.method,
            url=target.url if isinstance(target, Target) else url,
            headers=tuple(headers),
            body_kind=self.template.body_kind,
            body=self.body.render(values, place, now_ms, chance) if content_type else "",
        )


def ready_request(template: RequestTemplate, rows: tuple[tuple[str, str], ...] = ()) -> ReadyRequest:
    """The template parsed. ``rows``: lower-case parameter name and canonical macro of each tracked row of the source."""
    return _ready_request(template, rows)


@lru_cache(maxsize=4096)
def _ready_request(template: RequestTemplate, rows: tuple[tuple[str, str], ...]) -> ReadyRequest:
    spellings = dict(rows)
    url = parse(template.url, spellings)
    headers = tuple((header.name, parse(header.value, spellings)) for header in template.headers)
    body = parse(template.body, spellings)
    parts = (url, *(value for _, value in headers), body)
    names = tuple(dict.fromkeys(name for part in parts for name in part.names))
    target = target_of(url.render(dict.fromkeys(url.names, "0"), Place.URL, 0, lambda: 0))
    return ReadyRequest(template, url, headers, body, names, target)


def conversion_values(
    names: Iterable[str], conversion: Conversion, rule: Rule, setup: SetupNames, postback_id: str
) -> dict[str, str]:
    """The value of each macro in ``names`` (canonical) for a conversion as it stands after a change.

    Payout and profit are the share of them that the rule reports.
    """
    values = click_values(names, conversion.click, setup)
    for name in names:
        value_of = _VALUES.get(name)
        if value_of is not None:
            values[name] = value_of(conversion, rule.conditions.payout_percent)
        elif name == "postback_id":
            values[name] = postback_id
    return values


def reported_micros(micros: int, percent: int) -> int:
    """The share of an amount that is reported, halves away from zero."""
    share = (abs(micros) * percent + 50) // 100
    return share if micros >= 0 else -share


def _profit(conversion: Conversion, percent: int) -> str:
    """Reported payout less cost; empty when they are not in one currency."""
    click, payout = conversion.click, conversion.payout
    if click.cost_micros and click.cost_currency != payout.currency:
        return ""
    return amount_text(reported_micros(payout.micros, percent) - click.cost_micros)


_VALUES: dict[str, Callable[[Conversion, int], str]] = {
    "txid": lambda conversion, percent: conversion.txid,
    "conversion_id": lambda conversion, percent: conversion.parameters.conversion_id or conversion.conversion_id,
    "payout": lambda conversion, percent: amount_text(reported_micros(conversion.payout.micros, percent)),
    "currency": lambda conversion, percent: conversion.payout.currency,
    "profit": _profit,
    "conversion": lambda conversion, percent: conversion.status_word or conversion.status.key,
    "conversion.group": lambda conversion, percent: conversion.status.name,
    "conversion.key": lambda conversion, percent: conversion.status.key,
    "conversion_time": lambda conversion, percent: str(conversion.converted_at // 1000),
}


def _param_value(number: int) -> Callable[[Conversion, int], str]:
    return lambda conversion, percent: conversion.parameters.params.get(number, "")


def _event_value(number: int) -> Callable[[Conversion, int], str]:
    return lambda conversion, percent: conversion.parameters.events.get(number, "")


_VALUES |= {f"param{number}": _param_value(number) for number in range(1, 21)}
_VALUES |= {f"event{number}": _event_value(number) for number in range(1, 31)}
