"""Money as an integer number of millionths and a currency code, never a float; and the parser of payouts and costs."""

import enum
import re

import msgspec

from clickloop.currency import CURRENCIES, currency_of, meanings, usual_meaning
from clickloop.pasting import trimmed

__all__ = ["CURRENCIES", "Amount", "AmountFault", "Money", "amount_text", "currency_of", "read_amount"]

MICROS = 1_000_000
MAX_TEXT = 64
"""Maximum length of an amount, in characters. Longer text is rejected without being parsed."""
MAX_WHOLE_DIGITS = 12  # with six more digits for the micros, an amount fits into 64 bits
MAX_MICROS = 10**MAX_WHOLE_DIGITS * MICROS - 1
FRACTION_DIGITS = 6
"""Digits after the decimal point; an amount with more is rounded."""

_SPACES = " \t\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f"
_APOSTROPHES = "'’‘ʼ′`´"
_QUOTES = _APOSTROPHES + '"“”„«»'
_PLAIN = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,18}))?")
# Possessive quantifiers only: the pattern never backtracks, so hostile input cannot slow it down.
_SHAPE = re.compile(rf"([^0-9]*+)([0-9]++(?:[.,{_APOSTROPHES}{_SPACES}]++[0-9]++)*+)([^0-9]*+)")
_MINUSES = "-−–‐‑‒—﹣－"
_MARKS = _MINUSES + "+()"
_NEGATIVE = {"": False, "+": False, "()": True} | dict.fromkeys(_MINUSES, True)
_NO_CENTS = re.compile(r"[.,:](?:--?|––?|—)|/[-–]")
_DROP_SPACES = str.maketrans("", "", _SPACES)
_GROUPED = re.compile(r"[0-9]{1,3}(?:[^0-9][0-9]{3})+")
_INDIAN = re.compile(r"[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}")
_WITHOUT_CENTS = frozenset({"CLP", "COP", "IDR", "PYG", "VND"})
"""Currencies written without cents and with a point between the thousands: ``Rp 10.000`` is ten thousand."""
_MACRO = re.compile(r"[{}\[\]<>#]|__|^%.*%$")
_EXPONENT = re.compile(r"[0-9.][eE][-+]?[0-9]")
_NO_NUMBER = re.compile(r"[-+]?(nan|inf|infinity|∞)", re.IGNORECASE)


class AmountFault(enum.StrEnum):
    """A reason why a text is not an amount."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    UNREPLACED_MACRO = "unreplaced_macro"
    NOT_A_NUMBER = "not_a_number"
    EXPONENT = "exponent"
    TOO_MANY_DIGITS = "too_many_digits"
    UNREADABLE = "unreadable"


class Money(msgspec.Struct, frozen=True):
    """An amount in millionths of a unit of ``currency`` (ISO 4217, upper case; empty if unknown)."""

    micros: int
    currency: str


class Amount(msgspec.Struct, frozen=True):
    """A parsed amount in millionths, the currency written beside it, and what was unclear about it."""

    micros: int
    currency: str = ""
    """ISO 4217, or the upper-case sign or word if it doesn't name a single known currency; empty if none was written."""
    ambiguous: bool = False
    """Whether it can be read differently, such as ``1,234``, which is taken as thousands."""
    rounded: bool = False
    """Whether it had more than ``FRACTION_DIGITS`` digits after the point, not counting trailing zeros."""


def amount_text(micros: int) -> str:
    """Return millionths as the shortest plain decimal: ``12500000`` is ``12.5``, ``-3000000`` is ``-3``."""
    sign = "-" if micros < 0 else ""
    whole, rest = divmod(abs(micros), MICROS)
    return f"{sign}{whole}.{rest:06d}".rstrip("0").rstrip(".")


def read_amount(text: str) -> Amount | AmountFault:
    """Parse an amount, or return why the text is not one. Uses no float, and reads at most ``MAX_TEXT`` characters.

    Accepts digits 0–9 with a currency sign or code before or after them, and at most one minus or plus anywhere around
    the number (``-$5``, ``$-5``, ``12.50-``), or accounting parentheses, which make it negative (``(5.00)``, ``$(5.00)``). A
    currency sign and a code may both appear if they agree (``$5.00 CAD``). Separators:

    - a single point is the decimal point; ``1.234`` is a little more than one, and ``ambiguous`` next to a currency
      (``1.234 €``). Next to a currency written without cents it separates thousands (``Rp 10.000``), and is ``ambiguous``.
      Repeated, it separates thousands (``1.234.567``);
    - a single comma is the decimal comma (``12,5``, ``0,125``), but before exactly three digits it separates thousands
      (``1,234``), because payouts have two decimals, not three; that is ``ambiguous``. Repeated, it separates thousands;
    - if both occur, the last one is the decimal separator (``1,234.50``, ``1.234,50``);
    - spaces and apostrophes separate thousands (``1 234.50``), and a comma along with them is a decimal comma;
    - groups must have three digits, or follow the Indian system (``1,23,456.78``); otherwise the text is rejected;
    - more than six decimals are rounded half away from zero, and the amount is ``rounded``.
    """
    if plain := _PLAIN.fullmatch(text):
        sign, whole, fraction = plain.groups()
        micros = int(whole) * MICROS
        if fraction is None:
            return Amount(-micros if sign else micros)
        if len(fraction) <= FRACTION_DIGITS:
            micros += int(fraction.ljust(FRACTION_DIGITS, "0"))
            return Amount(-micros if sign else micros)
        return _amount(whole, fraction, negative=bool(sign))
    if len(text) > MAX_TEXT:
        return AmountFault.TOO_LONG
    # Text copied from spreadsheets and web pages comes with invisible characters and quotes around it.
    text = trimmed(text)
    if text and (text[0] in _QUOTES or text[-1] in _QUOTES):
        text = trimmed(text.strip(_QUOTES))
    if not text:
        return AmountFault.EMPTY
    shape = _SHAPE.fullmatch(text)
    return (_parse(*shape.groups()) if shape else None) or _fault_of(text)


def _parse(before: str, number: str, after: str) -> Amount | AmountFault | None:
    """Parse a number and the text around it. Return None if that text is neither a currency nor a sign."""
    before, after = before.translate(_DROP_SPACES), after.translate(_DROP_SPACES)
    if before[-1:] in (".", ",") and not meanings(before.strip(_MARKS)):
        number, before = before[-1] + number, before[:-1]
    no_cents = _NO_CENTS.match(after)
    if no_cents:  # "no cents" in Central Europe (5,- and 5.–), Sweden (5:-) and India (5/-)
        after = after[no_cents.end() :]
    elif after[:1] in (".", ","):
        number, after = number + after[0], after[1:]
    units = (before.strip(_MARKS), after.strip(_MARKS))
    marks = _marks(before, units[0]) + _marks(after, units[1])
    currency = _currency(*units)
    if marks not in _NEGATIVE or currency is None:
        return None
    split = _split(number, currency)
    if split is None:
        return AmountFault.UNREADABLE
    whole, fraction, ambiguous = split
    return _amount(whole, fraction, _NEGATIVE[marks], currency, ambiguous or no_cents is not None)


def _amount(
    whole: str, fraction: str, negative: bool, currency: str = "", ambiguous: bool = False
) -> Amount | AmountFault:
    """Build an amount from the digits before and after the point."""
    whole, fraction = whole.lstrip("0"), fraction.rstrip("0")
    if len(whole) > MAX_WHOLE_DIGITS:
        return AmountFault.TOO_MANY_DIGITS
    micros = int(whole or "0") * MICROS + int(fraction[:FRACTION_DIGITS].ljust(FRACTION_DIGITS, "0"))
    rounded = len(fraction) > FRACTION_DIGITS
    if rounded and fraction[FRACTION_DIGITS] >= "5":
        micros += 1
    if micros > MAX_MICROS:
        return AmountFault.TOO_MANY_DIGITS
    return Amount(-micros if negative else micros, currency, ambiguous, rounded)


def _marks(text: str, unit: str) -> str:
    """Return the signs and parentheses around a currency."""
    return text.replace(unit, "", 1) if unit else text


def _currency(before: str, after: str) -> str | None:
    """Return the currency written before or after a number; empty if there is no text, None if the text is not a currency.

    An ambiguous sign, such as ``kr``, is returned unresolved, in upper case, rather than guessed.
    """
    if not before and not after:
        return ""
    if not (before and after):
        unit = before or after
        return usual_meaning(unit) or (unit.upper() if meanings(unit) else None)
    both = [code for code in meanings(before) if code in meanings(after)]
    return both[0] if len(both) == 1 else None


def _fault_of(text: str) -> AmountFault:
    """Return why a text is not an amount."""
    if _NO_NUMBER.fullmatch(text):
        return AmountFault.NOT_A_NUMBER
    if _MACRO.search(text):
        return AmountFault.UNREPLACED_MACRO
    if _EXPONENT.search(text):
        return AmountFault.EXPONENT
    return AmountFault.UNREADABLE


def _split(number: str, currency: str) -> tuple[str, str, bool] | None:
    """Split a number at its decimal separator. Return both parts and whether that was a guess; None if its groups are invalid."""
    point, comma = number.rfind("."), number.rfind(",")
    has_other_separators = any(character in number for character in _APOSTROPHES + _SPACES)
    at = max(point, comma)
    ambiguous = False
    three_digits_follow = 1 <= at <= 3 and len(number) - at == 4 and number[0] != "0" and not has_other_separators
    if point >= 0 and comma >= 0:
        pass
    elif at < 0 or number.count(".") > 1 or number.count(",") > 1:
        at = len(number)
    elif three_digits_follow:
        ambiguous = comma >= 0 or currency != ""
        if comma >= 0 or currency in _WITHOUT_CENTS:
            at = len(number)
    whole, fraction = number[:at], number[at + 1 :]
    if whole and not whole.isdigit():
        separators = {character for character in whole if not character.isdigit()}
        is_grouped = _GROUPED.fullmatch(whole) or _INDIAN.fullmatch(whole)
        if len(separators) != 1 or not is_grouped or number[at : at + 1] in separators:
            return None
        whole = whole.replace(separators.pop(), "")
    if (fraction and not fraction.isdigit()) or not (whole or fraction):
        return None
    return whole, fraction, ambiguous
