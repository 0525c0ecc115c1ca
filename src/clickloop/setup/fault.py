"""Faults of input: a field, a code of a closed list and a sentence."""

import enum
import re

import msgspec

from clickloop.money import CURRENCIES

_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class FaultCode(enum.StrEnum):
    """The kinds of faults, the same for every field, in panel, API and command line."""

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


class FieldFault(msgspec.Struct, frozen=True):
    """A field's fault. ``field`` is a path such as ``offers[1].weight``; empty: the whole input. ``code``: a ``FaultCode``, or
    for postback rules the code of a ``RuleFault``. ``message``: a sentence."""

    field: str
    code: str
    message: str


class InvalidInputError(Exception):
    """The input is not valid. ``faults``: at least one, each with its field and a sentence."""

    def __init__(self, faults: tuple[FieldFault, ...]) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.message}" for fault in faults))
        self.faults = faults


def invalid(field: str, code: FaultCode, message: str) -> InvalidInputError:
    """Return the error for a single faulty field."""
    return InvalidInputError((FieldFault(field, code, message),))


def text_faults(field: str, text: str, max_length: int, *, required: bool = False) -> list[FieldFault]:
    """Return the faults of a one-line text. If ``required``, it must not be blank."""
    if required and not text.strip():
        return [FieldFault(field, FaultCode.REQUIRED, "Enter a value.")]
    if len(text) > max_length:
        return [FieldFault(field, FaultCode.TOO_LONG, f"It has {len(text)} characters. The maximum is {max_length}.")]
    if _CONTROL.search(text):
        return [
            FieldFault(
                field,
                FaultCode.CHARACTER,
                "It contains a control character or half a character. Enter a single line of text.",
            )
        ]
    return []


def currency_faults(field: str, currency: str) -> list[FieldFault]:
    """Return the faults of a currency code. Empty is not a fault: no currency is set."""
    if not currency or currency in CURRENCIES:
        return []
    return [
        FieldFault(
            field,
            FaultCode.NOT_A_CURRENCY,
            "Enter a three-letter currency code in capital letters, such as USD or EUR.",
        )
    ]


def under(prefix: str, fault: FieldFault) -> FieldFault:
    """Return a fault of a part of a record with the path of its field in the record."""
    return FieldFault(f"{prefix}.{fault.field}" if fault.field else prefix, fault.code, fault.message)
