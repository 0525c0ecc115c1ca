"""How each parameter of a notice was understood, for people who wonder what a network sent. Pure."""

import msgspec

from clickloop.conversion.notice import EVENTS, NAMES, PARAMS, RawNotice, name_that_counts, read_values
from clickloop.explained import Explained
from clickloop.money import Amount, read_amount
from clickloop.text import octets_of, text_of


class Meaning(Explained):
    """What a parameter was taken for. A closed list."""

    CLICK_ID = "click_id", "Our click id."
    PAYOUT = "payout", "The payout."
    STATUS = "status", "The status."
    TXID = "txid", "The transaction id, which tells several conversions of one click apart."
    CURRENCY = "currency", "The currency of the payout."
    TOKEN = "token", "The secret token of the network."
    AT = "at", "When the conversion happened."
    CONVERSION_ID = "conversion_id", "The network's own id of the conversion, for {conversion_id}."
    DISABLE_POSTBACK = "disable_postback", "Whether postbacks are to be held back."
    RETURN = "return", "What the network wants to read in our answer."
    PARAM = "param", "Kept for the macro of the same name."
    EVENT = "event", "A number, kept for the macro of the same name."
    IGNORED = "ignored", "Taken and not used."
    EMPTY = "empty", "Empty, as if it had not been sent."
    SECOND = "second", "The same came under another name, which counts; this one is kept as it is."
    UNKNOWN = "unknown", "Not known to us; kept as it came."


_PLAIN = {
    "token": Meaning.TOKEN,
    "at": Meaning.AT,
    "conversion_id": Meaning.CONVERSION_ID,
    "disable_postback": Meaning.DISABLE_POSTBACK,
    "return": Meaning.RETURN,
    "userid": Meaning.IGNORED,
    **{f"param{number}": Meaning.PARAM for number in range(1, PARAMS + 1)},
    **{f"event{number}": Meaning.EVENT for number in range(1, EVENTS + 1)},
}


MIN_TOKEN = 4  # shorter ones turn up in values by chance, and would hide them
_WIDE = ("utf-16-le", "utf-16-be")


class Understood(msgspec.Struct, frozen=True):
    """A parameter and what it was taken for. Texts are in the form of ``text.text_of``."""

    name: str
    value: str
    meaning: Meaning


def understood(raw: RawNotice) -> tuple[Understood, ...]:
    """Every parameter of a raw notice in the order in which they came, as ``read_notice`` takes them."""
    _, values, _ = read_values(raw)
    meanings: dict[str, Meaning] = {}
    for field, names in NAMES.items():
        meanings |= {name: Meaning.SECOND for name in names if values.get(name, "").strip()}
        if name := name_that_counts(values, field):
            meanings[name] = Meaning(field)
    return tuple(Understood(name, value, meanings.get(name) or _meaning(name, value)) for name, value in values.items())


def sent_tokens(raw: RawNotice) -> tuple[str, ...]:
    """Return the secret token of a raw notice in every form in which its text may hold it, to be masked where it is shown.

    A body that is not as it should be may hide that the value is the token's. One too short to be a secret is left to its name.
    """
    _, values, _ = read_values(raw)
    token = values.get("token", "")
    if len(token) < MIN_TOKEN:
        return ()
    wide = [text_of(octets_of(token).decode("utf-8", "replace").encode(encoding)) for encoding in _WIDE]
    return (token, *wide)


def _meaning(name: str, value: str) -> Meaning:
    if not value.strip():
        return Meaning.EMPTY
    meaning = _PLAIN.get(name, Meaning.UNKNOWN)
    if meaning is Meaning.EVENT and not isinstance(read_amount(value), Amount):
        return Meaning.UNKNOWN
    return meaning
