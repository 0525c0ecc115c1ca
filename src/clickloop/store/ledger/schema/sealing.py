"""Column types whose values are encrypted in the ledger's file: no statement can forget to seal or open one.

A ledger that was opened without a secret box stores such values as they are; it cannot read what another one has sealed.
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
# Over-cautious on purpose: sealing what is no secret costs some microseconds, missing one costs the secret.
_NAMES = "|".join(r"[\]\[_.{}:$ \-]?".join(part) for part in SECRET_PARTS)  # security_code is the name securitycode
_SECRETS = rf"""(?i)(?:{_NAMES})[\w.\-\]]*(?:=|%3d|"|\\)|/bot\d|/hooks?/|/services/|/webhooks?/""".encode()


def seal_with(engine: Engine, box: SecretBox) -> None:
    """Encrypt the sealed columns of this engine's database with ``box``."""
    _boxes[engine.dialect] = box


def opened(dialect: Dialect, stored: str) -> str:
    """Return the plain text of a stored one. Raise SecretError when it is sealed and cannot be opened."""
    box = _boxes.get(dialect)
    if box is not None:
        return box.open(stored)
    if is_sealed(stored):
        raise SecretError(
            "A secret in the ledger is encrypted and no key was given: open the ledger with the click_id.key of its data folder."
        )
    return stored


def opened_bytes(dialect: Dialect, stored: bytes) -> bytes:
    """Return the plain bytes of stored ones, as ``opened`` does."""
    return opened(dialect, stored.decode("ascii")).encode() if stored.startswith(SEALED.encode()) else stored


def opened_json(dialect: Dialect, stored: str) -> str:
    """Return the plain JSON text of a ``SealedJson`` column that was read as text: a sealed one is a JSON string in it."""
    return opened(dialect, msgspec.json.decode(stored)) if stored.startswith('"') else stored


def may_hold_secret(data: bytes) -> bool:
    """Return whether bytes hold a name that secrets go by. Takes linear time, since strangers write part of them."""
    return _secrets().search(data) is not None


@lru_cache(maxsize=1)
def _secrets() -> Any:
    import re2  # type: ignore[import-untyped, unused-ignore]  # here: only processes that write to the ledger need it

    options = re2.Options()
    options.never_capture = True
    return re2.compile(_SECRETS, options)


class SealedText(TypeDecorator[str]):
    """A text that is stored encrypted. ``length`` bounds the plain text."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of the column: sealed, a text is longer than it was, which matters where lengths are enforced."""
        return dialect.type_descriptor(self.impl_instance if dialect.name == "sqlite" else Text())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return what is stored: sealed, or as it is where it is empty or there is no box."""
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
        """Return what is stored: a sealed string, or the value where there is no box."""
        box = _boxes.get(dialect)
        return value if box is None else box.seal(msgspec.json.encode(value).decode())

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Return the plain value."""
        return msgspec.json.decode(opened(dialect, value)) if isinstance(value, str) else value


class SealedBytes(TypeDecorator[bytes]):
    """UTF-8 that is stored encrypted where it may hold a secret: most postbacks and notices hold none, and cost nothing."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        """Return what is stored."""
        box = _boxes.get(dialect)
        if value is None or box is None or not may_hold_secret(value):
            return value
        return box.seal(value.decode()).encode("ascii")

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        """Return the plain bytes; None where the key that sealed them is lost: one such row does not stop those beside it."""
        try:
            return None if value is None else opened_bytes(dialect, value)
        except (SecretError, UnicodeDecodeError):
            return None
