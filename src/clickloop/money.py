"""Money as an integer number of millionths and a currency code; never a float. Reads what networks write as payout."""

import enum
import re

import msgspec

MICROS = 1_000_000
MAX_TEXT = 64
"""Characters of a payout beyond which it is refused unread."""
MAX_WHOLE_DIGITS = 12
MAX_FRACTION_DIGITS = 6

_CODES = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF
CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG
HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA
MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD
RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX
USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
CURRENCIES = frozenset(_CODES.split())
"""The codes of ISO 4217 that stand for money in use."""

_SYMBOLS = {
    "$": "USD",
    "€": "EUR",
    "£": "GBP",
    "¥": "JPY",
    "₽": "RUB",
    "₹": "INR",
    "₴": "UAH",
    "₺": "TRY",
    "₩": "KRW",
    "₫": "VND",
    "₱": "PHP",
    "₪": "ILS",
    "₸": "KZT",
    "₦": "NGN",
    "฿": "THB",
}
_SPACES = " \t\u00a0\u2007\u2009\u202f"
_PLAIN = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,6}))?")
_UNIT = "[" + "".join(_SYMBOLS) + "]|[A-Za-z]{3,5}"
_WRITTEN = re.compile(
    rf"([-+−]?)[{_SPACES}]?({_UNIT})?[{_SPACES}]?([-+−]?)([0-9.,'’{_SPACES}]*[0-9][.,]?)[{_SPACES}]?({_UNIT})?"
)
_GROUPED = re.compile(r"[0-9]{1,3}(?:[^0-9][0-9]{3})+")
_MACRO = re.compile(r"[{}\[\]<>#]|__|^%.*%$")
_EXPONENT = re.compile(r"[0-9.][eE][-+]?[0-9]")
_NO_NUMBER = re.compile(r"[-+]?(nan|inf|infinity|∞)", re.IGNORECASE)


class AmountFault(enum.StrEnum):
    """Why a text is not taken as an amount."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    UNREPLACED_MACRO = "unreplaced_macro"
    NOT_A_NUMBER = "not_a_number"
    EXPONENT = "exponent"
    TOO_MANY_DIGITS = "too_many_digits"
    UNREADABLE = "unreadable"


class Money(msgspec.Struct, frozen=True):
    """An amount: ``micros`` millionths of one unit of ``currency`` (ISO 4217, upper case; empty: unknown)."""

    micros: int
    currency: str


class Amount(msgspec.Struct, frozen=True):
    """What a payout text says: millionths, the currency written beside them, and whether it could be read otherwise."""

    micros: int
    currency: str = ""
    """ISO 4217, or the unknown word as it came, upper case; empty: none was written."""
    ambiguous: bool = False
    """One comma before exactly three digits, ``1,234``: taken as thousands, flagged."""


def amount_text(micros: int) -> str:
    """Millionths as the shortest plain decimal: ``12500000`` is ``12.5``, ``-3000000`` is ``-3``."""
    sign = "-" if micros < 0 else ""
    whole, rest = divmod(abs(micros), MICROS)
    return f"{sign}{whole}.{rest:06d}".rstrip("0").rstrip(".")


def currency_of(text: str) -> str | None:
    """The ISO 4217 code that a text names, in any case or by its symbol; None for an unknown one."""
    text = text.strip()
    code = _SYMBOLS.get(text) or text.upper()
    return code if code in CURRENCIES else None


def read_amount(text: str) -> Amount | AmountFault:
    """The amount that a network wrote, or why it is none. No float; looks at ``MAX_TEXT`` characters at most.

    A sign, digits 0–9, and a currency's symbol or code before or after them. The rules for the separators:

    - a point alone is the decimal point (``1.234`` is one and a bit); repeated, it separates thousands (``1.234.567``);
    - a comma alone is the decimal comma (``12,5``, ``0,125``), but before exactly three digits it separates thousands
      (``1,234``), because payouts have cents and not mills: ``ambiguous``; repeated, it separates thousands;
    - of both, the last one is the decimal separator (``1,234.50``, ``1.234,50``);
    - spaces and apostrophes separate thousands (``1 234.50``), and a comma beside them is a decimal comma;
    - thousands come in groups of three, or the text is refused.
    """
    if plain := _PLAIN.fullmatch(text):
        sign, whole, fraction = plain.groups()
        micros = int(whole) * MICROS + (int(fraction.ljust(6, "0")) if fraction else 0)
        return Amount(-micros if sign else micros)
    if len(text) > MAX_TEXT:
        return AmountFault.TOO_LONG
    text = text.strip(_SPACES + "\r\n")
    if not text:
        return AmountFault.EMPTY
    written = _WRITTEN.fullmatch(text)
    if written is None:
        return _fault_of(text)
    sign, before, inner_sign, number, after = written.groups()
    if (sign and inner_sign) or (before and after):
        return AmountFault.UNREADABLE
    split = _split(number)
    if split is None:
        return AmountFault.UNREADABLE
    whole, fraction, ambiguous = split
    whole = whole.lstrip("0")
    if len(whole) > MAX_WHOLE_DIGITS or len(fraction) > MAX_FRACTION_DIGITS:
        return AmountFault.TOO_MANY_DIGITS
    micros = int(whole or "0") * MICROS + int(fraction.ljust(6, "0"))
    unit = before or after or ""
    return Amount(
        -micros if (sign or inner_sign) in ("-", "−") else micros, _SYMBOLS.get(unit) or unit.upper(), ambiguous
    )


def _fault_of(text: str) -> AmountFault:
    """Which fault a text shows that is no amount."""
    if _NO_NUMBER.fullmatch(text):
        return AmountFault.NOT_A_NUMBER
    if _MACRO.search(text):
        return AmountFault.UNREPLACED_MACRO
    if _EXPONENT.search(text):
        return AmountFault.EXPONENT
    return AmountFault.UNREADABLE


def _split(number: str) -> tuple[str, str, bool] | None:
    """Digits before and after the decimal separator, and whether that was a guess; None where the groups are wrong."""
    point, comma = number.rfind("."), number.rfind(",")
    grouped_otherwise = any(character in number for character in "'’" + _SPACES)
    ambiguous = False
    if point >= 0 and comma >= 0:
        at = max(point, comma)
    elif max(point, comma) < 0 or number.count(".") > 1 or number.count(",") > 1:
        at = len(number)
    elif comma >= 0 and not grouped_otherwise and 1 <= comma <= 3 and len(number) - comma == 4 and number[0] != "0":
        at, ambiguous = len(number), True
    else:
        at = max(point, comma)
    whole, fraction = number[:at], number[at + 1 :]
    if whole and not whole.isdigit():
        separators = {character for character in whole if not character.isdigit()}
        if len(separators) != 1 or not _GROUPED.fullmatch(whole) or number[at : at + 1] in separators:
            return None
        whole = whole.replace(separators.pop(), "")
    if (fraction and not fraction.isdigit()) or not (whole or fraction):
        return None
    return whole, fraction, ambiguous
