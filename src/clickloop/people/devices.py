"""Devices that have signed in before, known by a cookie. It gives no rights: it keeps a place in the queue of sign-ins, and lets a
device's tries be counted apart from those of everybody who shares its address.

Behind a proxy that is not trusted all browsers have one address, and a stranger's failures would make the owner wait.
"""

import base64
import hashlib
import hmac
import secrets

_DRAWN_BYTES = 16
_USER_BYTES = 8
_TAG_BYTES = 16
_MAX_LENGTH = 64  # ours are shorter: no need to check the tag of what is longer


class Devices:
    """Makes and checks the cookies of devices. Without a store: who holds one was given it at a successful sign-in."""

    def __init__(self, key: bytes) -> None:
        """``key``: any secret of at most 64 bytes that lasts; with another one all devices are strangers."""
        self._key = key

    def new(self, user_id: int) -> str:
        """Return a cookie for a device with which this user has signed in."""
        named = secrets.token_bytes(_DRAWN_BYTES) + user_id.to_bytes(_USER_BYTES, "big")
        return base64.urlsafe_b64encode(named + self._tag(named)).decode().rstrip("=")

    def id_of(self, cookie: str) -> str:
        """Return what tells the device from others; empty for a cookie that is none of ours."""
        return self._named(cookie)[:_DRAWN_BYTES].hex()

    def id_for_user(self, cookie: str, user_id: int) -> str:
        """Return the same, but empty too for a device with which another user has signed in: it may not try this one's password."""
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
