"""The hash by which settling recognises a visitor without a cookie: of address and user agent, under a key that changes daily.

The key of a day is derived from the installation's key, so that all edges use the same one. The next day's hashes cannot be
linked to it. Hashes are in the journal and, for two days, in the facts' table of seen visitors; no fact has them.
"""

import hashlib

from clickloop.click.visitor import USERAGENT_CHARACTERS
from clickloop.clock import DAY_MS

HEX_DIGITS = 15
"""60 bits: they fit into a signed 64-bit column."""
_DIGEST_BYTES = 8


class VisitorHashes:
    """Computes the hashes. One per process; not thread-safe."""

    def __init__(self, key: bytes) -> None:
        self._day_keys = hashlib.blake2s(key=key, person=b"day")
        self._day = -1
        self._today = self._yesterday = self._hasher(-1)

    def today(self, ip: str, useragent: bytes, now_ms: int) -> str:
        """Return a visitor's hash under the key of this UTC day."""
        if now_ms // DAY_MS != self._day:
            self._change_day(now_ms // DAY_MS)
        return _hash(self._today, ip, useragent)

    def yesterday(self, ip: str, useragent: bytes, now_ms: int) -> str:
        """Return the hash that the visitor had yesterday."""
        if now_ms // DAY_MS != self._day:
            self._change_day(now_ms // DAY_MS)
        return _hash(self._yesterday, ip, useragent)

    def _change_day(self, day: int) -> None:
        self._day = day
        self._today, self._yesterday = self._hasher(day), self._hasher(day - 1)

    def _hasher(self, day: int) -> hashlib.blake2s:
        day_key = self._day_keys.copy()
        day_key.update(b"%d" % day)
        return hashlib.blake2s(key=day_key.digest(), digest_size=_DIGEST_BYTES)


def _hash(hasher: hashlib.blake2s, ip: str, useragent: bytes) -> str:
    own = hasher.copy()
    own.update(b"%b\n%b" % (ip.encode(), useragent[:USERAGENT_CHARACTERS]))
    return own.hexdigest()[:HEX_DIGITS]
