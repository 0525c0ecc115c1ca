"""Column types whose values are encrypted in the ledger's file, so that no statement can forget to encrypt or decrypt one.

A ledger opened without a secret box stores such values in plain text and cannot read encrypted ones.
"""

from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import JSON, Dialect, Engine, LargeBinary, String, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

from clickloop.machine.secret_box import SEALED, SecretBox, SecretError, is_sealed
from clickloop.postback.secret_names import SECRET_PARTS

_boxes: "WeakKeyDictionary[Dialect, SecretBox]" = WeakKeyDictionary()
# Over-cautious on purpose: encrypting what is no secret costs microseconds, missing a secret leaks it.
_NAMES = "|".join(
    r"[\]\[_.{}:$ \-]?".join(part) for part in SECRET_PARTS
)  # the part securitycode also matches security_code
_SECRETS = rf"""(?i)(?:{_NAMES})[\w.\-\]]*(?:=|%3d|"|\\)|/bot\d|/hooks?/|/services/|/webhooks?/""".encode()


def seal_with(engine: Engine, box: SecretBox) -> None:
    """Encrypt the sealed columns of this engine's database with ``box``."""
    _boxes[engine.dialect] = box


def opened(dialect: Dialect, stored: str) -> str:
    """Return the plain text of a stored text. Raise SecretError if it is encrypted and cannot be decrypted."""
    box = _boxes.get(dialect)
    if box is not None:
        return box.open(stored)
    if is_sealed(stored):
        raise SecretError(
            "A secret in the ledger is encrypted and no key was given: open the ledger with the click_id.key of its data folder."
        )
    return stored


def opened_bytes(dialect: Dialect, stored: bytes) -> bytes:
    """Return the plain bytes of stored bytes. Raise SecretError as ``opened`` does."""
    return opened(dialect, stored.decode("ascii")).encode() if stored.startswith(SEALED.encode()) else stored


def opened_json(dialect: Dialect, stored: str) -> str:
    """Return the plain JSON text of a ``SealedJson`` column that was read as text; encrypted JSON is stored as a JSON string."""
    return opened(dialect, msgspec.json.decode(stored)) if stored.startswith('"') else stored


def may_hold_secret(data: bytes) -> bool:
    """Return whether bytes contain a name that secrets usually have. Linear time, since strangers control part of the input."""
    return _secrets().search(data) is not None


@lru_cache(maxsize=1)
def _secrets() -> Any:
    import re2  # type: ignore[import-untyped, unused-ignore]  # imported here: only processes that write to the ledger need it

    options = re2.Options()
    options.never_capture = True
    return re2.compile(_SECRETS, options)


class SealedText(TypeDecorator[str]):
    """A text that is stored encrypted. ``length`` limits the plain text."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column type: without a length where lengths are enforced, since encrypting makes a text longer."""
        return dialect.type_descriptor(self.impl_instance if dialect.name == "sqlite" else Text())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return the encrypted text; an empty one, or any without a box, unchanged."""
        box = _boxes.get(dialect)
        return value if not value or box is None else box.seal(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """Return the plain text."""
        return value and opened(dialect, value)


class SealedJson(TypeDecorator[Any]):
    """JSON that is stored as one encrypted string."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Return the value encrypted as one string, or unchanged without a box."""
        box = _boxes.get(dialect)
        return value if box is None else box.seal(msgspec.json.encode(value).decode())

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Return the plain value."""
        return msgspec.json.decode(opened(dialect, value)) if isinstance(value, str) else value


class SealedBytes(TypeDecorator[bytes]):
    """UTF-8 that is stored encrypted if it may contain a secret, which most postbacks and notices do not."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        """Return the bytes, encrypted if they may contain a secret and there is a box."""
        box = _boxes.get(dialect)
        if value is None or box is None or not may_hold_secret(value):
            return value
        return box.seal(value.decode()).encode("ascii")

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        """Return the plain bytes; None if they cannot be decrypted, so that one such row does not fail the whole query."""
        try:
            return None if value is None else opened_bytes(dialect, value)
        except (SecretError, UnicodeDecodeError):
            return None
