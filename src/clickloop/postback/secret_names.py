"""Names of secrets: the parameters, JSON fields and headers to mask on screen and encrypt in the ledger."""

import re
from functools import lru_cache

_ANYWHERE = (
    *("token", "secret", "passw", "passphrase", "signature", "hmac", "credential", "oauth", "bearer", "session"),
    *("apikey", "accesskey", "securitycode"),
)
"""Recognized anywhere in a name, ignoring separators: ``api_key``, ``my-secret-2``."""
_WORDS = frozenset(
    {
        *("key", "keys", "skey", "pkey", "hash", "uid", "pass", "pwd", "pin", "otp", "jwt"),
        *("sig", "sign", "tok", "sess", "cred", "creds", "access", "cookie"),
        *("auth", "authorization", "authentication", "authenticator"),
    }
)
"""Recognized only as whole words of a name: ``keyword``, ``monkey`` and ``author`` are not secrets."""
_KEY_PREFIXES = frozenset(
    {
        *("access", "account", "api", "app", "auth", "callback", "client", "encryption", "enc", "hash", "license"),
        *("master", "partner", "pass", "postback", "private", "security", "session", "sign", "signing", "user", "web"),
    }
)
"""Recognized if written together with ``key``: ``authkey``."""
SECRET_PARTS = tuple(
    sorted(part for part in {*_ANYWHERE, *_WORDS} if not any(one in part for one in {*_ANYWHERE, *_WORDS} - {part}))
)
"""Every secret name contains one of these, ignoring separators; other names may, too."""
_HARMLESS = frozenset({"idempotency-key"})
_OURS = frozenset({"cid", "clickid", "click_id", "subid", "external_id", "externalid", "conversion_id", "txid"})

_WORD = re.compile(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+|[A-Z]", re.ASCII)
_ESCAPE = re.compile("%([0-9A-Fa-f]{2})")
_SEPARATORS = str.maketrans("", "", "_-.[]{}:$ ")
_MAX_CACHED = 64  # third parties choose names: long ones would fill the cache


def is_secret_name(name: str) -> bool:
    """Return whether values of this name must be masked. ``name`` may be percent-encoded. Takes linear time."""
    return _is_secret_cached(name) if len(name) <= _MAX_CACHED else _is_secret(name)


def _is_secret(name: str) -> bool:
    if "%" in name or "+" in name:
        # Not urllib's unquote, which splits at every percent sign. Names of secrets are ASCII, so a byte is a character.
        name = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), name.replace("+", " "))
    lowered = name.strip().lower()
    if lowered in _OURS or lowered in _HARMLESS or lowered.startswith("access-control-"):
        return False
    squeezed = lowered.translate(_SEPARATORS)
    if any(part in squeezed for part in _ANYWHERE):
        return True
    return any(_is_secret_word(word.lower()) for word in _WORD.findall(name))


def _is_secret_word(word: str) -> bool:
    return word in _WORDS or (word.endswith("key") and word[:-3] in _KEY_PREFIXES)


_is_secret_cached = lru_cache(maxsize=4096)(_is_secret)  # names repeat from row to row
