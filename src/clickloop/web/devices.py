"""Devices that have signed in before, known by a cookie: it gives no rights and says nothing, but a place in the queue."""

import base64
import hashlib
import hmac
import secrets

_BYTES = 16
_MAX_LENGTH = 64


class Devices:
    """Makes and checks the cookies of devices. Without a store: who holds one was given it at a successful sign-in."""

    def __init__(self, key: bytes) -> None:
        """``key``: any secret of at most 64 bytes that lasts; with another one all devices are strangers."""
        self._key = key

    def new(self) -> str:
        """Return a cookie for a device that has none."""
        drawn = secrets.token_bytes(_BYTES)
        return base64.urlsafe_b64encode(drawn + self._tag(drawn)).decode().rstrip("=")

    def id_of(self, cookie: str) -> str:
        """Return what tells the device from others; empty for a cookie that is none of ours."""
        if not cookie.isascii() or len(cookie) > _MAX_LENGTH:
            return ""
        try:
            octets = base64.b64decode(cookie + "=" * (-len(cookie) % 4), altchars=b"-_", validate=True)
        except ValueError:
            return ""
        drawn, tag = octets[:_BYTES], octets[_BYTES:]
        return drawn.hex() if hmac.compare_digest(tag, self._tag(drawn)) else ""

    def _tag(self, drawn: bytes) -> bytes:
        # "person" keeps this use of the key apart from its others.
        return hashlib.blake2s(drawn, digest_size=_BYTES, key=self._key, person=b"device").digest()
