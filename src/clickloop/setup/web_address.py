"""Check URLs with macros when they are saved: offers, fallbacks and the like."""

import re

from clickloop.pasting import INVISIBLE
from clickloop.setup.fault import FaultCode, FieldFault

MAX_ADDRESS_LENGTH = 8_192  # as long as the URL of a postback may be

_UNSENDABLE = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")
_SPACE_OUTSIDE_MACROS = re.compile(r" (?![^{}]*\})")
_PARTS = re.compile(r"https?://([^/?#]*)", re.IGNORECASE)
_HOST = re.compile(r"(?:\[[0-9a-f:.]+\]|(?!-)[\w-]{1,63}(?:\.[\w-]{1,63})*\.?)(?::([0-9]{1,5}))?", re.IGNORECASE)


def address_faults(field: str, url: str, *, required: bool) -> list[FieldFault]:
    """Return the faults of an http(s) URL. Path, query and fragment may contain macros; scheme, host and port must not."""
    if not url:
        return [FieldFault(field, FaultCode.REQUIRED, "Enter a URL, such as https://example.com/.")] if required else []
    if len(url) > MAX_ADDRESS_LENGTH:
        return [
            FieldFault(
                field,
                FaultCode.TOO_LONG,
                f"The URL has {len(url)} characters. The maximum is {MAX_ADDRESS_LENGTH}.",
            )
        ]
    if _UNSENDABLE.search(url) or _SPACE_OUTSIDE_MACROS.search(url):
        sentence = "The URL contains a space, a control character or a backslash. Percent-encode it."
        return [FieldFault(field, FaultCode.CHARACTER, sentence)]
    if invisible := INVISIBLE.search(url):
        sentence = (
            f"There is an invisible character (U+{ord(invisible[0]):04X}) at character {invisible.start() + 1}. Delete it, or "
            "percent-encode it."
        )
        return [FieldFault(field, FaultCode.CHARACTER, sentence)]
    parts = _PARTS.match(url)
    if parts is None:
        return [FieldFault(field, FaultCode.NOT_A_URL, "The URL must start with http:// or https:// and a host.")]
    authority = parts[1]
    if "{" in authority or "}" in authority:
        sentence = "The host or port contains a macro. Use macros only after the first slash."
        return [FieldFault(field, FaultCode.MACRO_IN_HOST, sentence)]
    if "@" in authority:
        return [FieldFault(field, FaultCode.NOT_A_URL, "The URL contains a user name or password. Remove them.")]
    host = _HOST.fullmatch(authority)
    if host is None or (host[1] and not 1 <= int(host[1]) <= 65_535):
        return [
            FieldFault(
                field, FaultCode.NOT_A_URL, f"{authority[:80]!r} is not a host with an optional port from 1 to 65535."
            )
        ]
    return []
