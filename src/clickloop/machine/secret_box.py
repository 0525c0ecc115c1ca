"""Encryption of secrets at rest: tokens of networks, credentials in postback requests.

The key is derived from the click id key, which is stored beside the ledger, not in it. So a copy of the ledger alone, a dump, or
a database server's disk reveals no secrets.
"""

import base64
import hashlib
from functools import lru_cache
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from clickloop.click_id import KEY_BYTES, KEY_FILE

SEALED = "sealed:"
"""Prefix of every sealed text, which tells it from one stored before there was encryption."""
MAX_CACHED = 4096  # more than the secrets of a set-up, which are opened for each postback


class SecretError(Exception):
    """A sealed text cannot be opened with this key; the message says what to do."""


class SecretBox:
    """Encrypts ("seals") and decrypts ("opens") texts with a key. Thread-safe."""

    def __init__(self, key: bytes) -> None:
        derived = hashlib.blake2b(key=key, digest_size=32, person=b"secrets at rest").digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(derived))
        # Rules and networks are read with every batch of notices, and rarely change.
        self._open_cached = lru_cache(MAX_CACHED)(self._decrypt)

    def seal(self, text: str) -> str:
        """Return a text encrypted and authenticated, in ASCII; the result differs each time."""
        return SEALED + self._fernet.encrypt(text.encode()).decode("ascii")

    def open(self, stored: str) -> str:
        """Return the plain text of a sealed one; any other text is returned as it is. Raise SecretError."""
        return self._open_cached(stored) if is_sealed(stored) else stored

    def _decrypt(self, sealed: str) -> str:
        try:
            return self._fernet.decrypt(sealed.removeprefix(SEALED).encode()).decode()
        except InvalidToken as error:
            raise SecretError(
                "A secret in the ledger cannot be decrypted: it was encrypted with another key, or is damaged. Put back the "
                "click_id.key that belongs to this ledger, or enter the secret again in the panel."
            ) from error


def secret_box_of(folder: Path) -> SecretBox | None:
    """Return the box of a data folder; None if its key is missing or damaged, which the core reports when it starts."""
    try:
        key = (folder / KEY_FILE).read_bytes()
    except OSError:
        return None
    return SecretBox(key) if len(key) == KEY_BYTES else None


def is_sealed(stored: str) -> bool:
    """Return whether a stored text was made by ``SecretBox.seal``."""
    return stored.startswith(SEALED)
