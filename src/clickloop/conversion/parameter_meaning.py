"""Explain how each parameter of a notice was interpreted, for people who examine what a network sent. Pure."""

import msgspec

from clickloop.conversion.notice import MAX_EVENTS, MAX_PARAMS, NAMES, RawNotice, effective_name, read_values
from clickloop.explained import Explained
from clickloop.money import Amount, read_amount
from clickloop.text import escape_bytes, unescape_bytes


class ParameterMeaning(Explained):
    """How a parameter was interpreted. A closed list."""

    CLICK_ID = "click_id", "Our click ID."
    PAYOUT = "payout", "The payout."
    STATUS = "status", "The status."
    TXID = "txid", "The transaction ID, which distinguishes several conversions of one click."
    CURRENCY = "currency", "The currency of the payout."
    TOKEN = "token", "The network's secret token."
    AT = "at", "When the conversion happened."
    CONVERSION_ID = "conversion_id", "The network's own ID of the conversion, for {conversion_id}."
    DISABLE_POSTBACK = "disable_postback", "Whether to send no postbacks."
    RETURN = "return", "The text that the network wants in our response."
    PARAM = "param", "Stored for the macro of the same name."
    EVENT = "event", "A number, stored for the macro of the same name."
    IGNORED = "ignored", "Accepted but not used."
    EMPTY = "empty", "Empty, so treated as not sent."
    SECOND = "second", "Another name for the same value took precedence. This one is stored as it came."
    UNKNOWN = "unknown", "Unknown parameter, stored as it came."


_PLAIN = {
    "token": ParameterMeaning.TOKEN,
    "at": ParameterMeaning.AT,
    "conversion_id": ParameterMeaning.CONVERSION_ID,
    "disable_postback": ParameterMeaning.DISABLE_POSTBACK,
    "return": ParameterMeaning.RETURN,
    "userid": ParameterMeaning.IGNORED,
    **{f"param{number}": ParameterMeaning.PARAM for number in range(1, MAX_PARAMS + 1)},
    **{f"event{number}": ParameterMeaning.EVENT for number in range(1, MAX_EVENTS + 1)},
}


MIN_TOKEN = 4  # a shorter one may occur in other values by chance, which would be masked
_WIDE = ("utf-16-le", "utf-16-be")


class InterpretedParameter(msgspec.Struct, frozen=True):
    """A parameter and its interpretation. Texts are in the form of ``text.escape_bytes``."""

    name: str
    value: str
    meaning: ParameterMeaning


def interpreted_parameters(raw: RawNotice) -> tuple[InterpretedParameter, ...]:
    """Return each parameter of a raw notice in order, with its interpretation by ``read_notice``."""
    _, values, _ = read_values(raw)
    meanings: dict[str, ParameterMeaning] = {}
    for field, names in NAMES.items():
        meanings |= {name: ParameterMeaning.SECOND for name in names if values.get(name, "").strip()}
        if name := effective_name(values, field):
            meanings[name] = ParameterMeaning(field)
    return tuple(
        InterpretedParameter(name, value, meanings.get(name) or _meaning(name, value)) for name, value in values.items()
    )


def sent_tokens(raw: RawNotice) -> tuple[str, ...]:
    """Return the secret token of a raw notice in each form in which its text may contain it, so that it can be masked.

    In a malformed body its parameter's name may not be recognisable. A token too short to be a secret is masked only by name.
    """
    _, values, _ = read_values(raw)
    token = values.get("token", "")
    if len(token) < MIN_TOKEN:
        return ()
    wide = [escape_bytes(unescape_bytes(token).decode("utf-8", "replace").encode(encoding)) for encoding in _WIDE]
    return (token, *wide)


def _meaning(name: str, value: str) -> ParameterMeaning:
    if not value.strip():
        return ParameterMeaning.EMPTY
    meaning = _PLAIN.get(name, ParameterMeaning.UNKNOWN)
    if meaning is ParameterMeaning.EVENT and not isinstance(read_amount(value), Amount):
        return ParameterMeaning.UNKNOWN
    return meaning
