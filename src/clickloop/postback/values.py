"""The macro values of a change, and the request they produce: filled in once, when the postback is created."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

import msgspec

from clickloop.click.click_values import SetupNames, click_value
from clickloop.conversion.conversion import Conversion
from clickloop.macro import Chance, EncodingContext, Template, Values, parse
from clickloop.money import amount_text
from clickloop.postback.multipart import multipart_body
from clickloop.postback.rule import BodyKind, Header, PostbackRequest, RequestTemplate
from clickloop.postback.sending.target import MAX_URL, RequestTarget, TargetFault, escaped, escaped_url, target_of

CONTENT_TYPES = {
    BodyKind.FORM: "application/x-www-form-urlencoded",
    BodyKind.JSON: "application/json",
    BodyKind.TEXT: "text/plain; charset=utf-8",
}
_AUTHORITY = re.compile(r"[^/?#]*//[^/?#]*")
_PLACES = {
    BodyKind.FORM: EncodingContext.FORM,
    BodyKind.JSON: EncodingContext.JSON,
    BodyKind.TEXT: EncodingContext.TEXT,
    BodyKind.MULTIPART: EncodingContext.FORM,
}


class ReadyRequest(msgspec.Struct, frozen=True, eq=False):
    """A request template with its macros parsed. Create it with ``ready_request``."""

    template: RequestTemplate
    url: Template
    headers: tuple[tuple[str, Template], ...]
    body: Template
    names: tuple[str, ...]
    """Canonical names of all its macros."""
    uses_external_id: bool
    """Whether it contains the source's click id, so that there is nothing to send without one."""
    target: RequestTarget | TargetFault
    """The target with each macro replaced by one character. Macros cannot change its scheme, host and port."""
    varies_by_rule: bool
    """Whether it contains macros that differ between postbacks of one change: ``postback_id``, ``rule.name``."""
    receiver: str = ""
    """``host:port`` of the receiver; empty for a URL that cannot be sent to."""
    prepared_url: Template | None = None
    """The URL already normalized except for its macros, so that it need not be parsed again once they are filled in."""

    def resolve(self, values: Mapping[str, str], now_ms: int, chance: Chance | None) -> PostbackRequest:
        """Return the request with its macros filled in. A request that cannot be sent (too long, say) fails at its attempt."""
        filled = Values.of(values)
        template = self.template
        place = _PLACES.get(template.body_kind)
        headers = tuple(
            [Header(name, value.fill(filled, EncodingContext.HEADER, now_ms, chance)) for name, value in self.headers]
        )
        body = self.body.fill(filled, place, now_ms, chance) if place else ""
        if template.body_kind is BodyKind.MULTIPART:
            content_type, body = multipart_body(body, filled["view.file"] or "file.csv")
            headers = (*headers, Header("Content-Type", content_type))
        return PostbackRequest(
            method=template.method,
            url=self._url(filled, now_ms, chance),
            headers=headers,
            body_kind=template.body_kind,
            body=body,
            secrets=template.secrets,
        )

    def _url(self, values: Values, now_ms: int, chance: Chance | None) -> str:
        if self.prepared_url is not None:
            url = self.prepared_url.fill(values, EncodingContext.URL, now_ms, chance)
            if len(url) <= MAX_URL:
                # As the parser does, drop the question mark of an empty query.
                return url[:-1] if url[-1] == "?" and url.index("?") == len(url) - 1 else url
        url = escaped_url(self.url.fill(values, EncodingContext.URL, now_ms, chance))
        target = target_of(url)
        return target.url if isinstance(target, RequestTarget) else url


def ready_request(template: RequestTemplate, rows: tuple[tuple[str, str], ...] = ()) -> ReadyRequest:
    """Return the parsed template. ``rows``: lower-case parameter name and canonical macro of each tracked row of the source."""
    return _ready_request(template, rows)


@lru_cache(maxsize=4096)
def _ready_request(template: RequestTemplate, rows: tuple[tuple[str, str], ...]) -> ReadyRequest:
    spellings = dict(rows)
    url = parse(template.url, spellings)
    headers = tuple((header.name, parse(header.value, spellings)) for header in _headers_of(template))
    body = parse(template.body, spellings)
    parts = (url, *(value for _, value in headers), body)
    names = tuple(dict.fromkeys(name for part in parts for name in part.names))
    target = target_of(url.render(dict.fromkeys(url.names, "0"), EncodingContext.URL, 0, lambda: 0))
    ready = ReadyRequest(
        template=template,
        url=url,
        headers=headers,
        body=body,
        names=names,
        uses_external_id="externalid" in names,
        target=target,
        varies_by_rule="postback_id" in names or "rule.name" in names,
    )
    if isinstance(target, TargetFault):
        return ready
    return msgspec.structs.replace(ready, receiver=target.receiver, prepared_url=_steady_url(url, target))


def _headers_of(template: RequestTemplate) -> tuple[Header, ...]:
    """Return the headers, with the body's Content-Type unless they set one."""
    content_type = CONTENT_TYPES.get(template.body_kind)
    if content_type is None or any(header.name.lower() == "content-type" for header in template.headers):
        return template.headers
    return (*template.headers, Header("Content-Type", content_type))


def _steady_url(url: Template, target: RequestTarget) -> Template | None:
    """Return the template with its literal text escaped and its authority normalized.

    None if a value could change more than itself: with ``|raw``, or if the authority does not end before the first macro.
    """
    authority = _AUTHORITY.match(url.pieces[0])
    if authority is None or any(slot.raw for slot in url.slots):
        return None
    first = url.pieces[0][authority.end() :]
    if not first and len(url.pieces) > 1:
        return None
    sent = [escaped(piece).replace("#", "%23") for piece in (first, *url.pieces[1:])]
    if not sent[0].startswith("/"):
        sent[0] = f"/{sent[0]}"
    return msgspec.structs.replace(url, pieces=(f"{target.scheme}://{target.authority}{sent[0]}", *sent[1:]))


_RULE_MACROS = frozenset({"payout", "profit", "postback_id", "rule.name"})
"""Macros whose values differ between rules; all others are the same for the whole change."""


def change_values(
    conversion: Conversion, payout_percent: int, setup: SetupNames, alike: Values | None = None
) -> Values:
    """Return the macro values of a conversion after a change, computed on first use.

    They are the same for all rules that report this share of payout and profit; set ``postback_id`` and ``rule.name`` with
    ``put`` before each rendering. ``alike``: values of the same change for another share, to reuse.
    """
    click = conversion.click

    def compute(name: str) -> str:
        value_of = _VALUES.get(name)
        return value_of(conversion, payout_percent) if value_of else click_value(name, click, setup)

    values = Values(compute)
    if alike is not None:
        values.take(alike, but=_RULE_MACROS)
    return values


def reported_micros(micros: int, percent: int) -> int:
    """Return this percentage of an amount, rounded half away from zero."""
    share = (abs(micros) * percent + 50) // 100
    return share if micros >= 0 else -share


def _profit(conversion: Conversion, percent: int) -> str:
    """Return the reported payout less cost; empty if they are in different currencies."""
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
