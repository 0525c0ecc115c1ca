"""Secrets in what is shown: what a rule marks as secret, values that are named like secrets, and tokens of bots in paths."""

import re
from collections.abc import Iterable
from functools import partial
from typing import TypeVar
from urllib.parse import quote, unquote

import msgspec

from clickloop.click_id import is_shaped_like_click_id
from clickloop.postback.rule import Header, Request, RequestTemplate
from clickloop.postback.secret_names import is_secret_name

MASK = "•••"
MASKED = (
    "It holds •••, which stands for a secret that is not shown: write the secret, or leave this part as it was shown."
)
"""What is wrong with a field in which a mask was sent back."""
EXPOSED = (
    "It holds a secret that you may not see, which would be sent to another host, or shown: write this part anew, or leave the host "
    "and the list of secrets as they are."
)
"""What is wrong with a part that somebody without the right to see secrets wants to keep while they change the rest."""

MAX_SHOWN = 16 * 1024
"""Characters of a stranger's text that are looked at and shown: as much as is read of a notice's query or body."""
_MAX_NESTING = 2
"""Levels of percent-encoding that are opened to look for parameters inside a parameter's value."""

# Each pattern below is linear: it begins at a fixed character only, and what it repeats can neither contain that character
# nor be divided in two ways.
_NAME = re.compile(r"""(?:^|[?&;#\s,("'<>])([^\s=?&;#,("'<>]+)=""")
# A quote that ends a JSON string ends the value, too: a body may hold addresses.
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
# Always matches at a quote, to the text's end where the string is not closed: else each further quote would begin anew.
_JSON_STRING = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)("|\\?\Z)', re.DOTALL)
_JSON_COLON = re.compile(r"\s*:\s*")
_JSON_COMMA = re.compile(r"\s*,\s*")
_JSON_NUMBER = re.compile(r"-?\d[\d.eE+-]*")

_HOST = re.compile(r"[a-z]+://[^/?#\\]*", re.IGNORECASE)

_AnyRequest = TypeVar("_AnyRequest", Request, RequestTemplate)


def masked_text(text: str, secrets: Iterable[str] = (), limit: int | None = MAX_SHOWN) -> str:
    """Return a URL, query, body or answer with its secrets masked, those given in any encoding; all else as it is.

    ``limit``: characters beyond it are left out, and counted at the end; None for a text of the user's own, whose length
    was limited when it was saved.
    """
    forms = _forms(secrets)
    left_out = 0
    if limit is not None and len(text) > limit:
        kept = _without_begun_secret(text[:limit], forms)
        left_out = len(text) - len(kept)
        text = kept
    for form in forms:
        text = text.replace(form, MASK)
    text = _masked(text, 0)
    return f"{text}… ({left_out} more characters)" if left_out else text


def masked_value(name: str, value: str) -> str:
    """Return the value of a parameter, masked where its name says that it is a secret, or with what is secret inside of it masked."""
    return _masked_whole(value) if is_secret_name(name) else masked_text(value)


def masked_header(name: str, value: str, secrets: Iterable[str] = (), limit: int | None = MAX_SHOWN) -> str:
    """Return a header's value, masked where its name says that it is a secret."""
    return MASK if is_secret_name(name) else masked_text(value, secrets, limit)


def masked_request(request: _AnyRequest) -> _AnyRequest:
    """Return a request, or the template of one, with its secrets masked in every part. Nothing is cut: it may be edited and saved."""
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
    """Return the ways in which secrets may be written, the longest first: a part of one may be a secret, too."""
    forms = {
        form
        for secret in secrets
        if secret
        for form in (secret, quote(secret, safe=""), quote(secret), msgspec.json.encode(secret).decode()[1:-1])
    }
    return sorted(forms, key=lambda form: (-len(form), form))


def _without_begun_secret(text: str, forms: Iterable[str]) -> str:
    """Return a text without the beginning of a secret at its end, which the cut would else let through."""
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
    """Return a text with the values of secret names masked, also inside values that are percent-encoded addresses or queries."""
    parts: list[str] = []
    done = at = 0
    while found := _NAME.search(text, at):
        at = found.end()
        if is_secret_name(found[1]):
            value, mask = _VALUE.match(text, at), _masked_whole
        else:
            # No further than to where the next name may begin, else text would be read again for each name in it.
            value, mask = _ENCODED.match(text, at), partial(_masked_encoded, level=level)
        if value is None:
            continue
        masked = mask(value[0])
        parts += [text[done:at], masked]
        done = at = value.end()
    return "".join([*parts, text[done:]])


def _masked_whole(value: str) -> str:
    """Return the mask for a value, or the value where it is no secret: a macro or a word such as ACCOUNT_KEY says what is to
    stand there, and our click ids have to be found again."""
    says_what = value.startswith("{") or _PLACEHOLDER.fullmatch(value)
    return value if not value or says_what or is_shaped_like_click_id(value) else MASK


def _masked_encoded(value: str, level: int) -> str:
    """Return a value whose percent-encoded pairs or JSON, if it holds any, are masked."""
    if level >= _MAX_NESTING or not any(sign in value for sign in ("%3D", "%3d", "%22", "%25")):
        return value
    inner = unquote(value, errors="surrogateescape")
    masked = _masked(inner, level + 1)
    if masked == inner:
        return value
    return quote(masked, safe="", errors="surrogateescape").replace(quote(MASK), MASK)


def _masked_json(text: str) -> str:
    """Return a text with the strings and numbers masked that are behind a secret name in JSON, and in a list behind one."""
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


def exposed_by(changed: RequestTemplate, before: RequestTemplate) -> tuple[str, ...]:
    """Return the fields of a changed request that hold secrets of ``before`` which the change would send to another host, or show.

    A part that was left out of the change is kept as it is, with its secrets. So another host gets what was never meant for it, and
    another list of secrets shows what was hidden: a shorter one leaves out the secret, one with ``token`` in it hides the name by
    which a value is known to be one.
    """
    shown = masked_request(before)
    is_sent_elsewhere = _host(changed.url) != _host(before.url)
    is_hidden_otherwise = changed.secrets != before.secrets
    fields = []
    if is_hidden_otherwise and changed.url == before.url != shown.url:
        fields.append("request.url")
    if is_sent_elsewhere or is_hidden_otherwise:
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
