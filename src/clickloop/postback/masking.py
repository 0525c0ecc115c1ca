"""Mask secrets in everything shown: texts that a rule marks as secret, values with a secret's name, and bot tokens in paths."""

import re
from collections.abc import Iterable
from functools import partial
from typing import TypeVar
from urllib.parse import quote, unquote

import msgspec

from clickloop.click_id import is_shaped_like_click_id
from clickloop.postback.rule import Header, PostbackRequest, RequestTemplate
from clickloop.postback.secret_names import is_secret_name

MASK = "•••"
MASKED_SENTENCE = "It contains •••, which stands for a hidden secret. Enter the secret itself, or leave this part exactly as it was shown."
"""Shown at a field in which a mask was sent back."""
EXPOSED_SENTENCE = (
    "It contains a secret that you may not see, and your change would send it to another host or reveal it. Enter this part "
    "again, or leave the host and the list of secrets unchanged."
)
"""Shown at a part kept by a user without the right to see secrets, if their change would expose its secret."""

MAX_SHOWN = 16 * 1024
"""Characters of a third party's text that are scanned and shown: as many as are read of a notice's query or body."""
_MAX_NESTING = 2
"""Levels of percent-encoding that are decoded to find parameters inside a parameter's value."""

# Each pattern below takes linear time: it starts at a fixed character only, and what it repeats can neither contain that
# character nor match in two ways.
_NAME = re.compile(r"""(?:^|[?&;#\s,("'<>])([^\s=?&;#,("'<>]+)=""")
# A quote that ends a JSON string ends the value, too: a body may contain URLs.
_VALUE = re.compile(r'(?:[^&#\s"]|"(?![,}\]:\s]|\Z))+')
_ENCODED = re.compile(r"""[^\s=?&;#,("'<>]+""")
_PLACEHOLDER = re.compile(r"[A-Z]{2,20}(?:_[A-Z]{2,20}){1,4}")
_BOT_PATH = re.compile(r"(/bot\d{3,20}(?::|%3a))(?:[\w-]{10,}|[\w-]+\Z)", re.IGNORECASE)
_HOOK_PATH = re.compile(
    r"(/(?:services|api/(?:v\d{1,3}/)?webhooks)/[\w-]+/(?:[\w-]+/)?)(?:[\w-]{10,}|[\w-]+\Z)", re.IGNORECASE
)
_USER_INFO = re.compile(r"(://[^/?#\s@:]*:)[^/?#\s@]+(?=@)")
_HEADER_LINE = re.compile(
    r"^((?:proxy-)?authorization|(?:set-)?cookie|x-[\w-]{1,60})(:[ \t]*)([^\r\n]+)", re.IGNORECASE | re.MULTILINE
)
# Always matches at a quote, up to the end of the text if the string is not closed. Otherwise each further quote would start over.
_JSON_STRING = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)("|\\?\Z)', re.DOTALL)
_JSON_COLON = re.compile(r"\s*:\s*")
_JSON_COMMA = re.compile(r"\s*,\s*")
_JSON_NUMBER = re.compile(r"-?\d[\d.eE+-]*")

_HOST = re.compile(r"[a-z]+://[^/?#\\]*", re.IGNORECASE)

_AnyRequest = TypeVar("_AnyRequest", PostbackRequest, RequestTemplate)


def masked_text(text: str, secrets: Iterable[str] = (), limit: int | None = MAX_SHOWN) -> str:
    """Return a URL, query, body or response with its secrets masked, ``secrets`` in any encoding.

    Characters beyond ``limit`` are left out and counted at the end. ``limit`` None is for the user's own texts, whose length was
    limited when they were saved.
    """
    forms = _forms(secrets)
    left_out = 0
    if limit is not None and len(text) > limit:
        shortened = _without_begun_secret(text[:limit], forms)
        left_out = len(text) - len(shortened)
        text = shortened
    for form in forms:
        text = text.replace(form, MASK)
    text = _masked(text, 0)
    return f"{text}… ({left_out} more characters)" if left_out else text


def masked_value(name: str, value: str) -> str:
    """Return a parameter's value, masked as a whole if its name is a secret's, otherwise with secrets inside it masked."""
    return _masked_whole(value) if is_secret_name(name) else masked_text(value)


def masked_header(name: str, value: str, secrets: Iterable[str] = (), limit: int | None = MAX_SHOWN) -> str:
    """Return a header's value, masked as a whole if its name is a secret's, otherwise with secrets inside it masked."""
    return MASK if is_secret_name(name) else masked_text(value, secrets, limit)


def masked_request(request: _AnyRequest) -> _AnyRequest:
    """Return a request or template with the secrets of every part masked. Nothing is cut off: it may be edited and saved."""
    secrets = request.secrets
    headers = tuple(
        Header(header.name, masked_header(header.name, header.value, secrets, None)) for header in request.headers
    )
    return msgspec.structs.replace(
        request,
        url=masked_text(request.url, secrets, None),
        headers=headers,
        body=masked_text(request.body, secrets, None),
        secrets=(MASK,) * len(secrets),
    )


def _forms(secrets: Iterable[str]) -> list[str]:
    """Return the forms in which secrets may occur, longest first, because one may be part of another."""
    forms = {
        form
        for secret in secrets
        if secret
        for form in (secret, quote(secret, safe=""), quote(secret), msgspec.json.encode(secret).decode()[1:-1])
    }
    return sorted(forms, key=lambda form: (-len(form), form))


def _without_begun_secret(text: str, forms: Iterable[str]) -> str:
    """Return a text without the start of a secret at its end, which cutting the text would otherwise leave unmasked."""
    begun = max((size for form in forms for size in range(1, len(form)) if text.endswith(form[:size])), default=0)
    return text[: len(text) - begun]


def _masked(text: str, level: int) -> str:
    if "=" in text:
        text = _masked_pairs(text, level)
    text = _BOT_PATH.sub(rf"\1{MASK}", text)
    text = _HOOK_PATH.sub(rf"\1{MASK}", text)
    text = _USER_INFO.sub(rf"\1{MASK}", text)
    text = _HEADER_LINE.sub(_masked_line, text)
    return _masked_json(text) if '"' in text else text


def _masked_line(line: re.Match[str]) -> str:
    return line[1] + line[2] + MASK if is_secret_name(line[1]) else line[0]


def _masked_pairs(text: str, level: int) -> str:
    """Return a text with the values of secret names masked, also inside percent-encoded URLs and queries."""
    parts: list[str] = []
    done = at = 0
    while found := _NAME.search(text, at):
        at = found.end()
        if is_secret_name(found[1]):
            value, mask = _VALUE.match(text, at), _masked_whole
        else:
            # Only up to where the next name may start; otherwise text would be scanned once per name in it.
            value, mask = _ENCODED.match(text, at), partial(_masked_encoded, level=level)
        if value is None:
            continue
        masked = mask(value[0])
        parts += [text[done:at], masked]
        done = at = value.end()
    return "".join([*parts, text[done:]])


def _masked_whole(value: str) -> str:
    """Return the mask, or the value if it is no secret: a macro, a placeholder such as ACCOUNT_KEY, or one of our click ids,
    which users search for."""
    is_placeholder = value.startswith("{") or _PLACEHOLDER.fullmatch(value)
    return value if not value or is_placeholder or is_shaped_like_click_id(value) else MASK


def _masked_encoded(value: str, level: int) -> str:
    """Return a value with secrets in percent-encoded pairs or JSON masked."""
    if level >= _MAX_NESTING or not any(sign in value for sign in ("%3D", "%3d", "%22", "%25")):
        return value
    inner = unquote(value, errors="surrogateescape")
    masked = _masked(inner, level + 1)
    if masked == inner:
        return value
    return quote(masked, safe="", errors="surrogateescape").replace(quote(MASK), MASK)


def _masked_json(text: str) -> str:
    """Return a text with JSON strings and numbers masked that follow a secret name, or are in a list that follows one."""
    parts: list[str] = []
    done = at = 0
    while name := _JSON_STRING.search(text, at):
        at = name.end()
        colon = _JSON_COLON.match(text, at)
        if colon is None or not is_secret_name(name[1]):
            continue
        at = colon.end()
        opened = text[at : at + 1] == "["
        at += opened
        while value := _JSON_STRING.match(text, at) or _JSON_NUMBER.match(text, at):
            if not value[0].startswith('"{'):
                parts += [text[done:at], f'"{MASK}"']
                done = value.end()
            at = value.end()
            following = _JSON_COMMA.match(text, at) if opened else None
            if following is None:
                break
            at = following.end()
    return "".join([*parts, text[done:]])


def unmasked_template(edited: RequestTemplate, before: RequestTemplate) -> RequestTemplate:
    """Return the template to save for a user who was shown ``before`` masked: parts they left as shown are restored.

    Nothing is restored if the request now goes to another host: users must not send secrets that they may not see to a host of
    their choice.
    """
    was_shown = masked_request(before)
    if edited.url != was_shown.url and _host(edited.url) != _host(before.url):
        return edited
    values = {header.name.lower(): header.value for header in before.headers}
    shown_values = {header.name.lower(): header.value for header in was_shown.headers}
    headers = tuple(
        Header(header.name, values[header.name.lower()])
        if header.value == shown_values.get(header.name.lower())
        else header
        for header in edited.headers
    )
    return msgspec.structs.replace(
        edited,
        url=before.url if edited.url == was_shown.url else edited.url,
        headers=headers,
        body=before.body if edited.body == was_shown.body else edited.body,
        secrets=before.secrets if edited.secrets == was_shown.secrets else edited.secrets,
    )


def exposed_fields(changed: RequestTemplate, before: RequestTemplate) -> tuple[str, ...]:
    """Return the fields of a changed request whose secrets from ``before`` the change would send to another host, or reveal.

    A part left out of the change keeps its secrets. So another host would receive them, and another list of secrets could reveal
    them: a shorter list omits the secret, and one that contains ``token`` masks the name by which a value is recognized.
    """
    shown = masked_request(before)
    is_sent_elsewhere = _host(changed.url) != _host(before.url)
    is_masked_differently = changed.secrets != before.secrets
    fields = []
    if is_masked_differently and changed.url == before.url != shown.url:
        fields.append("request.url")
    if is_sent_elsewhere or is_masked_differently:
        hidden = {
            (header.name.lower(), header.value)
            for header, as_shown in zip(before.headers, shown.headers, strict=True)
            if header.value != as_shown.value
        }
        fields += [
            f"request.headers[{at}].value"
            for at, header in enumerate(changed.headers)
            if (header.name.lower(), header.value) in hidden
        ]
        if changed.body == before.body != shown.body:
            fields.append("request.body")
    return tuple(fields)


def _host(url: str) -> str:
    """Return scheme, host and port of a URL with macros."""
    found = _HOST.match(url)
    return found[0].lower() if found else url


def masked_fields(template: RequestTemplate) -> tuple[str, ...]:
    """Return the fields that contain a mask instead of a secret."""
    found = [f"request.{name}" for name in ("url", "body") if MASK in getattr(template, name)]
    found += [f"request.headers[{at}].value" for at, header in enumerate(template.headers) if MASK in header.value]
    if MASK in template.secrets:
        found.append("request.secrets")
    return tuple(found)
