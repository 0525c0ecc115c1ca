"""Devices that have signed in before: their tries to sign in are counted apart from those of everybody who shares their address.

Behind a proxy that is not trusted all browsers have one address, and a stranger's failures would make the owner wait. The mark is
signed with the user's own password hash: nothing is stored, nobody else can make one, and a new password ends all of them.
"""

import hashlib
import hmac
import secrets

from clickloop.campaign.user import User

COOKIE = "clickloop_device"
MAX_AGE_SECONDS = 365 * 86_400
_PURPOSE = b"clickloop device "
_MAX_LENGTH = 120


def new_device_mark(user: User) -> str:
    """Return what the cookie of a device holds that this user has just signed in with; empty for one without a password."""
    if user.password_hash is None:
        return ""
    nonce = secrets.token_urlsafe(16)
    return f"{nonce}.{_signature(user.password_hash, nonce)}"


def place_of_device(user: User | None, mark: str) -> str:
    """Return under which name a device's tries are counted; empty: the user has never signed in with it."""
    if user is None or user.password_hash is None or len(mark) > _MAX_LENGTH or not mark.isascii():
        return ""
    nonce, _, signature = mark.partition(".")
    if not nonce or not hmac.compare_digest(signature, _signature(user.password_hash, nonce)):
        return ""
    return f"device {nonce}"


def _signature(password_hash: str, nonce: str) -> str:
    return hmac.new(password_hash.encode(), _PURPOSE + nonce.encode(), hashlib.sha256).hexdigest()
