"""Money as an integer number of millionths and a currency code; never a float."""

import msgspec

MICROS = 1_000_000


class Money(msgspec.Struct, frozen=True):
    """An amount: ``micros`` millionths of one unit of ``currency`` (ISO 4217, upper case; empty: unknown)."""

    micros: int
    currency: str


def amount_text(micros: int) -> str:
    """Millionths as the shortest plain decimal: ``12500000`` is ``12.5``, ``-3000000`` is ``-3``."""
    sign = "-" if micros < 0 else ""
    whole, rest = divmod(abs(micros), MICROS)
    return f"{sign}{whole}.{rest:06d}".rstrip("0").rstrip(".")
