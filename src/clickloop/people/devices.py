"""Devices that have signed in before, recognized by a cookie.

The cookie gives no rights. It reserves a place in the sign-in queue, and lets a device's attempts be counted separately from
those of others with the same address: behind an untrusted proxy all browsers share one, and strangers' failures would make the
owner wait.
"""

import base64
import hashlib
import hmac
import secrets

_DRAWN_BYTES = 16
_USER_BYTES = 8
_TAG_BYTES = 16
_MAX_LENGTH = 64  # ours are shorter; the tag of a longer one need not be checked


class Devices:
    """Creates and checks device cookies. Nothing is stored: a valid cookie was issued at a successful sign-in."""

    def __init__(self, key: bytes) -> None:
        """``key``: a permanent secret of at most 64 bytes. With a new one no device is recognized."""
        self._key = key

    def new(self, user_id: int) -> str:
        """Return a cookie for a device on which this user has signed in."""
        named = secrets.token_bytes(_DRAWN_BYTES) + user_id.to_bytes(_USER_BYTES, "big")
        return base64.urlsafe_b64encode(named + self._tag(named)).decode().rstrip("=")

    def id_of(self, cookie: str) -> str:
        """Return the device's id; empty for an invalid cookie."""
        return self._named(cookie)[:_DRAWN_BYTES].hex()

    def id_for_user(self, cookie: str, user_id: int) -> str:
        """Return the device's id; empty unless this user has signed in on it. Others' devices get no separate attempts."""
        is_own = self._named(cookie)[_DRAWN_BYTES:] == user_id.to_bytes(_USER_BYTES, "big")
        return self.id_of(cookie) if is_own else ""

    def _named(self, cookie: str) -> bytes:
        if not cookie.isascii() or len(cookie) > _MAX_LENGTH:
            return b""
        try:
            stored = base64.b64decode(cookie + "=" * (-len(cookie) % 4), altchars=b"-_", validate=True)
        except ValueError:
            return b""
        named, tag = stored[: _DRAWN_BYTES + _USER_BYTES], stored[_DRAWN_BYTES + _USER_BYTES :]
        return named if hmac.compare_digest(tag, self._tag(named)) else b""

    def _tag(self, named: bytes) -> bytes:
        # "person" keeps this use of the key apart from its others.
        return hashlib.blake2s(named, digest_size=_TAG_BYTES, key=self._key, person=b"device").digest()
