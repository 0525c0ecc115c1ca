"""Secrets in what is shown: what a rule marks as secret, values that are named like secrets, and tokens of bots in paths."""

import re
from collections.abc import Iterable
from typing import TypeVar
from urllib.parse import quote

import msgspec

from clickloop.postback.rule import Header, Request, RequestTemplate

MASK = "•••"

_SECRETIVE = (
    r"(?:[\w.\-\[\]]*(?:token|secret|passw|api_?-?key|apikey|access_?key|skey|signature|auth|session|hmac|security_?-?code)"
    r"[\w.\-\[\]]*|pass|pwd|sig|tok)"
)
# A macro as the value is no secret: it says what will stand there.
_PAIR = re.compile(rf"((?:^|[?&;]){_SECRETIVE}=)(?!\{{)[^&#\s]+", re.IGNORECASE)
_BOT_PATH = re.compile(r"(/bot\d{3,20}(?::|%3a))[\w-]{10,}", re.IGNORECASE)
_HOOK_PATH = re.compile(r"(/(?:services|api/webhooks)/[\w-]+/(?:[\w-]+/)?)[\w-]{10,}", re.IGNORECASE)
_JSON_PAIR = re.compile(rf'("{_SECRETIVE}"\s*:\s*)("(?!\{{)(?:[^"\\]|\\.)+"|-?\d[\d.eE+-]*)', re.IGNORECASE)
_SECRET_HEADER = re.compile(rf"{_SECRETIVE}|cookie|proxy-authorization", re.IGNORECASE)

_HOST = re.compile(r"[a-z]+://[^/?#\\]*", re.IGNORECASE)

_AnyRequest = TypeVar("_AnyRequest", Request, RequestTemplate)


def masked_text(text: str, secrets: Iterable[str] = ()) -> str:
    """A URL, query, body or answer with its secrets masked, those given in any encoding; all else as it is."""
    for secret in sorted(secrets, key=len, reverse=True):
        for form in {secret, quote(secret, safe=""), quote(secret), msgspec.json.encode(secret).decode()[1:-1]}:
            text = text.replace(form, MASK)
    text = _PAIR.sub(rf"\1{MASK}", text)
    text = _BOT_PATH.sub(rf"\1{MASK}", text)
    text = _HOOK_PATH.sub(rf"\1{MASK}", text)
    return _JSON_PAIR.sub(rf'\1"{MASK}"', text)


def masked_header(name: str, value: str, secrets: Iterable[str] = ()) -> str:
    """A header's value, masked where its name says that it is a secret."""
    return MASK if _SECRET_HEADER.fullmatch(name) else masked_text(value, secrets)


def masked_request(request: _AnyRequest) -> _AnyRequest:
    """A request, or the template of one, with its secrets masked in every part."""
    secrets = request.secrets
    headers = tuple(
        Header(header.name, masked_header(header.name, header.value, secrets)) for header in request.headers
    )
    return msgspec.structs.replace(
        request,
        url=masked_text(request.url, secrets),
        headers=headers,
        body=masked_text(request.body, secrets),
        secrets=(MASK,) * len(secrets),
    )


def unmasked_template(given: RequestTemplate, before: RequestTemplate) -> RequestTemplate:
    """What somebody saves who was shown ``before`` masked: each part that he left as it was shown is as it was.

    Not so where the request now goes elsewhere: secrets that he may not see are not sent to a host that he chooses.
    """
    was_shown = masked_request(before)
    if given.url != was_shown.url and _host(given.url) != _host(before.url):
        return given
    values = {header.name.lower(): header.value for header in before.headers}
    shown_values = {header.name.lower(): header.value for header in was_shown.headers}
    headers = tuple(
        Header(header.name, values[header.name.lower()])
        if header.value == shown_values.get(header.name.lower())
        else header
        for header in given.headers
    )
    return msgspec.structs.replace(
        given,
        url=before.url if given.url == was_shown.url else given.url,
        headers=headers,
        body=before.body if given.body == was_shown.body else given.body,
        secrets=before.secrets if given.secrets == was_shown.secrets else given.secrets,
    )


def _host(url: str) -> str:
    """Scheme, host and port of a URL with macros."""
    found = _HOST.match(url)
    return found[0].lower() if found else url


def masks_in(template: RequestTemplate) -> tuple[str, ...]:
    """The fields in which a mask stands where a secret should."""
    found = [f"request.{name}" for name in ("url", "body") if MASK in getattr(template, name)]
    found += [f"request.headers[{at}].value" for at, header in enumerate(template.headers) if MASK in header.value]
    if MASK in template.secrets:
        found.append("request.secrets")
    return tuple(found)
