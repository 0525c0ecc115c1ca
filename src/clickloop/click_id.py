"""Click ids: 48 bits of milliseconds, 56 random bits, 24 bits of a keyed BLAKE2s tag, as 26 base32 characters.

The tag lets the edge detect a forged or mistyped id without a database. Reading is case-insensitive, because networks
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
"""In the data folder. Without it no earlier click id can be verified; ``clickloop backup`` includes it."""
KEY_BYTES = 32
_TAG_BYTES = 3
_SEAL_BYTES = 16
_POOL_BYTES = 8 * 512  # 512 draws per system call, which costs more than all of them
_VALUES = {letter: value for value, letter in enumerate(ALPHABET)} | {"i": 1, "l": 1, "o": 0}
_PYTHON_DIGITS = bytes(
    b"0123456789abcdefghijklmnopqrstuv"[_VALUES[chr(code)]] if chr(code) in _VALUES else ord("~") for code in range(256)
)
"""Translation of our letters to the digits that ``int`` reads in base 32, many times faster than a loop; ``~`` is not a digit."""


def is_shaped_like_click_id(text: str) -> bool:
    """Return whether a text looks like a click id of this century. Needs no key, so a forged one passes."""
    return len(text) == LENGTH and text.startswith("01") and all(letter in _VALUES for letter in text.lower())


class ClickIdFault(enum.Enum):
    """A reason why a text is not a click id of ours."""

    MALFORMED = "malformed"
    FORGED = "forged"


class ClickId(msgspec.Struct, frozen=True):
    """A genuine click id in canonical lower case, and the time of its click in Unix milliseconds."""

    text: str
    at: int


class ClickIds:
    """Makes and reads click ids under one secret key of 32 bytes. Not thread-safe: use one per process loop.

    ``also``: further keys whose ids count as genuine, made while this key was lost. ``unchecked_before``: the tags of ids from
    before this time (Unix milliseconds) are not verified, because their key is lost; the stores then decide whether there was
    such a click.
    """

    def __init__(
        self, key: bytes, clock: Clock = wall_clock, also: tuple[bytes, ...] = (), unchecked_before: int = 0
    ) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"the click ID key has {len(key)} bytes, expected {KEY_BYTES}: restore the key file")
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
        """Return a new id for a click at ``now_ms``. Ids ascend even when the clock jumps back."""
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

    def read(self, text: str) -> ClickId | ClickIdFault:
        """Return the click id in a text, or why it is not one. Surrounding space is ignored."""
        text = text.strip().lower()
        if len(text) != LENGTH:
            return ClickIdFault.MALFORMED
        try:
            number = int(text.encode("ascii").translate(_PYTHON_DIGITS), 32)
        except ValueError:
            return ClickIdFault.MALFORMED
        if number >> 128:
            return ClickIdFault.MALFORMED
        data = number.to_bytes(16, "big")
        tagger = self._tagger.copy()
        tagger.update(data[:13])
        at = number >> 80
        if tagger.digest() != data[13:] and at >= self._unchecked_before and not self._is_of_another_key(data):
            return ClickIdFault.FORGED
        return ClickId(base32_time(at) + base32_tail(number & (1 << 80) - 1), at)

    def seal(self, data: bytes) -> str:
        """Return a keyed hash of some bytes as 32 hexadecimal digits; never part of a click id."""
        sealer = self._sealer.copy()
        sealer.update(data)
        return sealer.hexdigest()

    def derived_key(self, purpose: bytes) -> bytes:
        """Return a key of 16 bytes for another purpose, from which the click ids' key cannot be found."""
        return bytes.fromhex(self.seal(purpose))

    def _is_of_another_key(self, data: bytes) -> bool:
        for other in self._also:
            tagger = other.copy()
            tagger.update(data[:13])
            if tagger.digest() == data[13:]:
                return True
        return False

    def _draw(self) -> int:
        """Return 56 random bits, drawn from a pool that one system call fills for hundreds of ids."""
        if not self._pool:
            self._pool = array("Q", os.urandom(_POOL_BYTES))
        return self._pool.pop() >> 8
