"""Pages that redirect a visitor: by meta refresh, by script, and by a second meta refresh on another domain. Pure.

A page hides the campaign link from the offer's network, since browsers send at most the page itself as the referrer. The URL of a
second page is signed and expires after a minute, so that it is no open redirect.
"""

import base64
import hashlib
import hmac
import json
from html import escape

MAX_HOP_SECONDS = 60
MAX_HOP_BYTES = 7_500  # of a token: proxies read request lines of 8 KB
_TAG_BYTES = 12


def leaving_page(location: str, *, by_script: bool) -> bytes:
    """Return a page that redirects to ``location`` at once. It sends no referrer and loads nothing else."""
    address = escape(location, quote=True)
    refresh = f'<meta http-equiv="refresh" content="0;url={address}">'
    head = (
        f"<script>location.replace({_script_text(location)})</script><noscript>{refresh}</noscript>"
        if by_script
        else refresh
    )
    return (
        '<!doctype html><html><head><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
        f'<meta name="robots" content="noindex">{head}</head><body></body></html>'
    ).encode("ascii", "xmlcharrefreplace")


def _script_text(text: str) -> str:
    """Return a JavaScript literal of a text that cannot end its script element."""
    return json.dumps(text).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


class SecondHops:
    """Makes and reads the tokens of second pages, signed with the installation's key."""

    def __init__(self, key: bytes) -> None:
        self._signer = hashlib.blake2s(key=key, digest_size=_TAG_BYTES, person=b"hop")

    def token(self, location: str, now_ms: int) -> str | None:
        """Return the token for a URL; None if the URL is too long for one."""
        packed = (now_ms // 1000 + MAX_HOP_SECONDS).to_bytes(5, "big") + location.encode()
        token = base64.urlsafe_b64encode(self._tag(packed) + packed).rstrip(b"=").decode("ascii")
        return token if len(token) <= MAX_HOP_BYTES else None

    def location(self, token: str, now_ms: int) -> str | None:
        """Return the URL in a token; None if it is not ours or older than a minute."""
        if len(token) > MAX_HOP_BYTES or not token.isascii():
            return None
        try:
            signed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            return None
        packed = signed[_TAG_BYTES:]
        if not hmac.compare_digest(signed[:_TAG_BYTES], self._tag(packed)):
            return None
        return packed[5:].decode() if int.from_bytes(packed[:5], "big") * 1000 > now_ms else None

    def _tag(self, packed: bytes) -> bytes:
        signer = self._signer.copy()
        signer.update(packed)
        return signer.digest()
