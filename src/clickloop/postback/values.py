"""The macro values of a change, and the request that they give: filled in once, when the postback is owed."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

import msgspec

from clickloop.click.click_values import SetupNames, click_value
from clickloop.conversion.conversion import Conversion
from clickloop.macro import Chance, Place, Template, Values, parse
from clickloop.money import amount_text
from clickloop.postback.rule import BodyKind, Header, Request, RequestTemplate
from clickloop.postback.sending.target import MAX_URL, Target, TargetFault, escaped, escaped_url, target_of

CONTENT_TYPES = {
    BodyKind.FORM: "application/x-www-form-urlencoded",
    BodyKind.JSON: "application/json",
    BodyKind.TEXT: "text/plain; charset=utf-8",
}
_AUTHORITY = re.compile(r"[^/?#]*//[^/?#]*")
_PLACES = {BodyKind.FORM: Place.FORM, BodyKind.JSON: Place.JSON, BodyKind.TEXT: Place.TEXT}


class ReadyRequest(msgspec.Struct, frozen=True, eq=False):
    """A request template with its macros parsed. Make it with ``ready_request``."""

    template: RequestTemplate
    url: Template
    headers: tuple[tuple[str, Template], ...]
    body: Template
    names: tuple[str, ...]
    """Canonical names of all macros in it."""
    uses_external_id: bool
    """Whether the receiver is told the source's click id, so that there is nothing to send without one."""
    target: Target | TargetFault
    """Where it goes with each macro standing for one character: scheme, host and port, which no macro can change."""
    names_itself: bool
    """Whether it tells what differs from one postback of a change to the next: its id, its rule's name."""
    lane: str = ""
    """``host:port`` of the receiver; empty for a URL that cannot be sent to."""
    steady_url: Template | None = None
    """The URL with all but its macros in the form in which it is sent, so that it need not be read again when they are filled in."""

    def resolve(self, values: Mapping[str, str], now_ms: int, chance: Chance | None) -> Request:
        """The request with its macros filled in. What cannot be sent (too long, say) is left for the attempt to tell."""
        filled = Values.of(values)
        template = self.template
        place = _PLACES.get(template.body_kind)
        return Request(
            method=template.method,
            url=self._url(filled, now_ms, chance),
            headers=tuple(
                [Header(name, value.fill(filled, Place.HEADER, now_ms, chance)) for name, value in self.headers]
            ),
            body_kind=template.body_kind,
            body=self.body.fill(filled, place, now_ms, chance) if place else "",
            secrets=template.secrets,
        )

    def _url(self, values: Values, now_ms: int, chance: Chance | None) -> str:
        if self.steady_url is not None:
            url = self.steady_url.fill(values, Place.URL, now_ms, chance)
            if len(url) <= MAX_URL:
                return url[:-1] if url[-1] == "?" and url.index("?") == len(url) - 1 else url
        url = escaped_url(self.url.fill(values, Place.URL, now_ms, chance))
        target = target_of(url)
        return target.url if isinstance(target, Target) else url


def ready_request(template: RequestTemplate, rows: tuple[tuple[str, str], ...] = ()) -> ReadyRequest:
    """The template parsed. ``rows``: lower-case parameter name and canonical macro of each tracked row of the source."""
    return _ready_request(template, rows)


@lru_cache(maxsize=4096)
def _ready_request(template: RequestTemplate, rows: tuple[tuple[str, str], ...]) -> ReadyRequest:
    spellings = dict(rows)
    url = parse(template.url, spellings)
    headers = tuple((header.name, parse(header.value, spellings)) for header in _headers_of(template))
    body = parse(template.body, spellings)
    parts = (url, *(value for _, value in headers), body)
    names = tuple(dict.fromkeys(name for part in parts for name in part.names))
    target = target_of(url.render(dict.fromkeys(url.names, "0"), Place.URL, 0, lambda: 0))
    ready = ReadyRequest(
        template=template,
        url=url,
        headers=headers,
        body=body,
        names=names,
        uses_external_id="externalid" in names,
        target=target,
        names_itself="postback_id" in names or "rule.name" in names,
    )
    if isinstance(target, TargetFault):
        return ready
    return msgspec.structs.replace(ready, lane=target.lane, steady_url=_steady_url(url, target))


def _headers_of(template: RequestTemplate) -> tuple[Header, ...]:
    """Its headers, with the Content-Type of its body unless they name one."""
    content_type = CONTENT_TYPES.get(template.body_kind)
    if content_type is None or any(header.name.lower() == "content-type" for header in template.headers):
        return template.headers
    return (*template.headers, Header("Content-Type", content_type))


def _steady_url(url: Template, target: Target) -> Template | None:
    """The template with its literal texts escaped and its authority as it is sent; None where a value could change more than itself.

    That is so for ``|raw``, and where the authority is not closed before the first macro.
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


OF_RULE = frozenset({"payout", "profit", "postback_id", "rule.name"})
"""The macros whose values differ from rule to rule; all others are the same for the whole change."""


def change_values(
    conversion: Conversion, payout_percent: int, setup: SetupNames, alike: Values | None = None
) -> Values:
    """Return the value of each macro for a conversion as it stands after a change, worked out when it is first asked for.

    They are the same for all rules that report this share of payout and profit: put ``postback_id`` and ``rule.name`` before each
    rendering. ``alike``: those of the same change for another share.
    """
    click = conversion.click

    def work_out(name: str) -> str:
        value_of = _VALUES.get(name)
        return value_of(conversion, payout_percent) if value_of else click_value(name, click, setup)

    values = Values(work_out)
    if alike is not None:
        values.take(alike, but=OF_RULE)
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
