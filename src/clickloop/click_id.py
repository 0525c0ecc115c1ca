"""Click ids: 48 bits of milliseconds, 56 random bits, 24 bits of a keyed BLAKE2s tag, as 26 base32 characters.

The tag lets the door recognise a forged or mistyped id without a database. Reading is case-insensitive, because networks
change case; as in Crockford's base32, ``i`` and ``l`` read as ``1`` and ``o`` as ``0``.
"""

import enum
import hashlib
import os
from array import array

import msgspec

from clickloop.clock import Clock, wall_clock
from clickloop.record_id import ALPHABET, base32_tail, base32_time

LENGTH = 26
KEY_FILE = "click_id.key"
"""In the data folder. Losing it makes all earlier click ids unreadable: ``clickloop backup`` keeps it."""
KEY_BYTES = 32
_TAG_BYTES = 3
_SEAL_BYTES = 16
_POOL_BYTES = 8 * 512  # one call of the system for 512 draws: it costs more than all of them
_VALUES = {letter: value for value, letter in enumerate(ALPHABET)} | {"i": 1, "l": 1, "o": 0}
_PYTHON_DIGITS = bytes(
    b"0123456789abcdefghijklmnopqrstuv"[_VALUES[chr(octet)]] if chr(octet) in _VALUES else ord("~")
    for octet in range(256)
)
"""From our letters to the digits that ``int`` reads in base 32, which is many times faster than a loop; ``~`` is none."""


def is_shaped_like_click_id(text: str) -> bool:
    """Return whether a text looks like one of our click ids of this century, whoever made it: no key is needed to tell."""
    return len(text) == LENGTH and text.startswith("01") and all(letter in _VALUES for letter in text.lower())


class Fault(enum.Enum):
    """Why a text is not one of our click ids."""

    MALFORMED = "malformed"
    FORGED = "forged"


class ClickId(msgspec.Struct, frozen=True):
    """A genuine click id in its canonical, lower-case form, and the moment of its click in Unix milliseconds."""

    text: str
    at: int


class ClickIds:
    """Makes and reads click ids under one secret key of 32 bytes. Not thread-safe: one maker per process loop.

    ``also``: further keys whose ids are read as genuine, of times when this one was lost. ``unchecked_before``: ids from before
    this moment (Unix milliseconds) are read whatever their tag says, because their key is lost; whether there was such a click
    is then for the stores to say.
    """

    def __init__(
        self, key: bytes, clock: Clock = wall_clock, also: tuple[bytes, ...] = (), unchecked_before: int = 0
    ) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"the click id key has {len(key)} bytes, expected {KEY_BYTES}: restore the key file")
        self._also = tuple(hashlib.blake2s(key=other, digest_size=_TAG_BYTES) for other in also if other != key)
        self._unchecked_before = unchecked_before
        self._tagger = hashlib.blake2s(key=key, digest_size=_TAG_BYTES)
        self._sealer = hashlib.blake2s(key=key, digest_size=_SEAL_BYTES, person=b"sealing")
        self._clock = clock
        self._last_ms = -1
        self._time_text = ""
        self._time_bytes = b""
        self._random = 0
        self._pool = array("Q")

    def new(self, now_ms: int) -> str:
        """A fresh id for a click at ``now_ms``. Ids ascend even when the clock jumps back: time never runs backwards here."""
        if now_ms > self._last_ms:
            self._last_ms = now_ms
            self._time_text = base32_time(now_ms)
            self._time_bytes = now_ms.to_bytes(6, "big")
            self._random = self._draw() >> 1
        else:
            self._random = (self._random + 1 + (self._draw() & 0xFFFFFF)) & 0xFFFFFFFFFFFFFF
        random_bytes = self._random.to_bytes(7, "big")
        tagger = self._tagger.copy()
        tagger.update(self._time_bytes + random_bytes)
        return self._time_text + base32_tail(self._random << 24 | int.from_bytes(tagger.digest(), "big"))

    def read(self, text: str) -> ClickId | Fault:
        """The id behind what somebody sent us, or why it is none. Space around it is ignored."""
        text = text.strip().lower()
        if len(text) != LENGTH:
            return Fault.MALFORMED
        try:
            number = int(text.encode("ascii").translate(_PYTHON_DIGITS), 32)
        except ValueError:
            return Fault.MALFORMED
        if number >> 128:
            return Fault.MALFORMED
        octets = number.to_bytes(16, "big")
        tagger = self._tagger.copy()
        tagger.update(octets[:13])
        at = number >> 80
        if tagger.digest() != octets[13:] and at >= self._unchecked_before and not self._is_of_another_key(octets):
            return Fault.FORGED
        return ClickId(base32_time(at) + base32_tail(number & (1 << 80) - 1), at)

    def seal(self, octets: bytes) -> str:
        """32 letters that nobody without the key can make for these octets, and that are no part of any click id."""
        sealer = self._sealer.copy()
        sealer.update(octets)
        return sealer.hexdigest()

    def _is_of_another_key(self, octets: bytes) -> bool:
        for other in self._also:
            tagger = other.copy()
            tagger.update(octets[:13])
            if tagger.digest() == octets[13:]:
                return True
        return False

    def _draw(self) -> int:
        """56 random bits from a pool, so that the system is asked once for hundreds of ids."""
        if not self._pool:
            self._pool = array("Q", os.urandom(_POOL_BYTES))
        return self._pool.pop() >> 8
