"""What is wrong with a field that somebody wants to save: a value of a closed list, with the field's name and a sentence."""

import enum
import re

import msgspec

from clickloop.money import CURRENCIES

_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class FaultCode(enum.StrEnum):
    """The kinds of faults, the same for every field and door."""

    REQUIRED = "required"
    UNKNOWN_FIELD = "unknown_field"
    WRONG_TYPE = "wrong_type"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    OUT_OF_RANGE = "out_of_range"
    CHARACTER = "character"
    NOT_A_URL = "not_a_url"
    MACRO_IN_HOST = "macro_in_host"
    NOT_A_CURRENCY = "not_a_currency"
    NOT_AN_AMOUNT = "not_an_amount"
    NOT_A_MOMENT = "not_a_moment"
    NOT_A_NETWORK_ADDRESS = "not_a_network_address"
    NOT_A_HOST = "not_a_host"
    NOT_A_KEY = "not_a_key"
    NOT_A_CURSOR = "not_a_cursor"
    RESERVED = "reserved"
    DUPLICATE = "duplicate"
    TAKEN = "taken"
    NOT_FOUND = "not_found"
    IN_USE = "in_use"
    ARCHIVED = "archived"
    ALWAYS_TRACKED = "always_tracked"
    TOO_MANY = "too_many"
    CONFLICT = "conflict"
    NOT_ALLOWED = "not_allowed"
    MASKED = "masked"


class Fault(msgspec.Struct, frozen=True):
    """One field's fault. ``field`` is a path such as ``offers[1].weight``; empty: the whole. ``code``: a ``FaultCode``, or for postback
    rules the code of a ``RuleFault``. ``message`` is one sentence."""

    field: str
    code: str
    message: str


class InvalidInputError(Exception):
    """What was given cannot be saved; ``faults`` (at least one) name each field and what is expected there."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.message}" for fault in faults))
        self.faults = faults


def invalid(field: str, code: FaultCode, message: str) -> InvalidInputError:
    """Return the error for a single faulty field."""
    return InvalidInputError((Fault(field, code, message),))


def text_faults(field: str, text: str, most: int, *, required: bool = False) -> list[Fault]:
    """The faults of a one-line text of at most ``most`` characters; where ``required``, it may not be blank."""
    if required and not text.strip():
        return [Fault(field, FaultCode.REQUIRED, "It is empty: give it at least one character that is not a space.")]
    if len(text) > most:
        return [Fault(field, FaultCode.TOO_LONG, f"It has {len(text)} characters, at most {most} are kept.")]
    if _CONTROL.search(text):
        return [
            Fault(
                field,
                FaultCode.CHARACTER,
                "It holds a control character or half a character; one line of text is expected.",
            )
        ]
    return []


def currency_faults(field: str, currency: str) -> list[Fault]:
    """The faults of a currency code; empty means none is named and is no fault."""
    if not currency or currency in CURRENCIES:
        return []
    return [
        Fault(field, FaultCode.NOT_A_CURRENCY, "A code of ISO 4217 in capital letters is expected, such as USD or EUR.")
    ]
