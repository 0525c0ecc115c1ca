"""Secrets in what is shown: values of parameters and headers that are named like secrets, and tokens of bots in paths."""

import re

MASK = "•••"

_SECRETIVE = (
    r"[\w.\-\[\]]*(?:token|secret|passw|api_?-?key|apikey|access_?key|skey|signature|auth|session|hmac)[\w.\-\[\]]*"
)
_PAIR = re.compile(rf"((?:^|[?&;])(?:{_SECRETIVE}|sig|pwd)=)[^&#\s]+", re.IGNORECASE)
_BOT_PATH = re.compile(r"(/bot\d{3,20}(?::|%3a))[\w-]{10,}", re.IGNORECASE)
_HOOK_PATH = re.compile(r"(/(?:services|api/webhooks)/[\w-]+/(?:[\w-]+/)?)[\w-]{10,}", re.IGNORECASE)
_JSON_PAIR = re.compile(rf'("(?:{_SECRETIVE})"\s*:\s*")(?:[^"\\]|\\.)+', re.IGNORECASE)
_SECRET_HEADER = re.compile(rf"{_SECRETIVE}|cookie|proxy-authorization", re.IGNORECASE)


def masked_text(text: str) -> str:
    """A URL, query or body with its secrets masked; all else as it is."""
    text = _PAIR.sub(rf"\1{MASK}", text)
    text = _BOT_PATH.sub(rf"\1{MASK}", text)
    text = _HOOK_PATH.sub(rf"\1{MASK}", text)
    return _JSON_PAIR.sub(rf"\1{MASK}", text)


def masked_header(name: str, value: str) -> str:
    """A header's value, masked where its name says that it is a secret."""
    return MASK if _SECRET_HEADER.fullmatch(name) else masked_text(value)
