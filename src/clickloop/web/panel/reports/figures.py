"""Formatting of report figures: thousands separators, money to the cent, shares in percent."""

from clickloop.money import MICROS
from clickloop.report.column import Column
from clickloop.report.measure import Measure, Unit, quotient

MINUS = "\N{MINUS SIGN}"
_UNITS = ((10**9, "bn"), (10**6, "M"), (10**3, "k"))


def figure_text(measure: Column, value: int | None) -> str:
    """Return a figure without its currency: ``1,234``, ``12.50``, ``3.25%``."""
    if value is None:
        return "–"
    if measure.unit is Unit.SHARE:
        return f"{_decimal(value * 100, 2)}%"
    if measure.unit is Unit.SECONDS:
        return _duration(value)
    if measure.unit is Unit.MONEY_EACH:
        return _decimal(value, 4)
    if measure.unit is Unit.NUMBER:
        return _decimal(value, 4, shortest=True)
    return _decimal(value, 2) if measure.unit is Unit.MONEY else signed(value)


def _duration(seconds: int) -> str:
    """Return a duration by its two largest units: ``2 d 5 h``, ``1 min 30 s``."""
    parts: list[str] = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        number, seconds = divmod(seconds, size)
        if number or parts or unit == "s":
            parts.append(f"{number:,} {unit}" if number or not parts else "")
    return " ".join(part for part in parts[:2] if part)


def short_text(measure: Measure, value: int) -> str:
    """Return a figure for a chart's axis: ``1.2k``, ``50%``."""
    if measure.is_share:
        return f"{_decimal(value * 100, 2, shortest=True)}%"
    unit = MICROS if measure.is_money else 1
    for size, letter in _UNITS:
        if abs(value) >= size * unit:
            return _decimal(quotient(value * MICROS, size * unit) or 0, 2, shortest=True) + letter
    return _decimal(value, 4, shortest=True) if measure.is_money else signed(value)


def tone_of(measure: Column, value: int | None) -> str:
    """Return ``up`` or ``down`` for a profit or loss, else empty."""
    if measure not in (Measure.PROFIT, Measure.ROI, Measure.EXPECTED_PROFIT) or not value:
        return ""
    return "up" if value > 0 else "down"


def change_text(share: int | None) -> str:
    """Return a growth in whole percent with its sign; empty if there is nothing to compare with."""
    if share is None:
        return ""
    percent = quotient(share, MICROS // 100) or 0
    return f"{'+' if percent > 0 else ''}{signed(percent)}%"


def signed(value: int) -> str:
    """Return a whole number with thousands separators and a minus sign."""
    return f"{MINUS if value < 0 else ''}{abs(value):,}"


def _decimal(micros: int, places: int, *, shortest: bool = False) -> str:
    """Return millionths as a decimal, rounded half away from zero. ``shortest``: without trailing zeros."""
    step = 10 ** (6 - places)
    whole, part = divmod((abs(micros) + step // 2) // step, 10**places)
    text = f"{whole:,}.{part:0{places}d}"
    if shortest:
        text = text.rstrip("0").rstrip(".")
    return f"{MINUS if micros < 0 and (whole or part) else ''}{text}"
