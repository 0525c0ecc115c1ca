"""Encryption of secrets at rest: tokens of networks, credentials in postback requests.

The key is derived from the key of the click ids, which lies beside the ledger and not in it: who gets hold of a copy of the
ledger alone, of a dump or of a database server's disk reads no secret in it.
"""

import base64
import hashlib
from functools import lru_cache
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from clickloop.click_id import KEY_BYTES, KEY_FILE

SEALED = "sealed:"
"""Begins every sealed text, so that what was stored before there was encryption is recognised."""
MAX_CACHED = 4096  # a rule's secrets are opened for each postback; the set-up has fewer


class SecretError(Exception):
    """A sealed text cannot be opened with this key; the message says what to do."""


class SecretBox:
    """Seals and opens texts and bytes under one key. Threads may share it."""

    def __init__(self, key: bytes) -> None:
        derived = hashlib.blake2b(key=key, digest_size=32, person=b"secrets at rest").digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(derived))
        # Rules and networks are read with every batch of notices, and change seldom.
        self._opened = lru_cache(MAX_CACHED)(self._decrypted)

    def seal(self, text: str) -> str:
        """Return ``text`` encrypted and authenticated, as ASCII; the same text gives another result each time."""
        return SEALED + self._fernet.encrypt(text.encode()).decode("ascii")

    def open(self, stored: str) -> str:
        """Return the text behind what ``seal`` made; a text that is not sealed is returned as it is. Raise SecretError."""
        return self._opened(stored) if is_sealed(stored) else stored

    def _decrypted(self, sealed: str) -> str:
        try:
            return self._fernet.decrypt(sealed.removeprefix(SEALED).encode()).decode()
        except InvalidToken as error:
            raise SecretError(
                "A secret in the ledger cannot be decrypted: it was encrypted under another key, or is damaged. Put the "
                "click_id.key back that belongs to this ledger, or enter the secret again in the panel."
            ) from error


def secret_box_of(folder: Path) -> SecretBox | None:
    """Return the box of a data folder; None where its key is missing or damaged, which whoever needs it finds out."""
    try:
        key = (folder / KEY_FILE).read_bytes()
    # Without the key's file nothing can be opened; the start says so, with what to do.
    except OSError:
        return None
    return SecretBox(key) if len(key) == KEY_BYTES else None


def is_sealed(stored: str) -> bool:
    """Return whether a stored text is one that ``SecretBox.seal`` made."""
    return stored.startswith(SEALED)
