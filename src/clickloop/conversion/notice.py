"""The notice: somebody tells us that a click converted. Raw as it came, what it says, and the reasons to refuse it."""

import enum
import hashlib

import msgspec

from clickloop.click_id import LENGTH as CLICK_ID_LENGTH
from clickloop.click_id import ClickId, ClickIds, Fault, is_shaped_like_click_id
from clickloop.conversion.conversion import Parameters
from clickloop.conversion.mending import chosen_name, is_replaced, mended_click_id
from clickloop.conversion.moment import read_moment
from clickloop.conversion.pairs import MAX_KEYS, Pairs, read_pairs
from clickloop.explained import Explained
from clickloop.macro import unreplaced_macro
from clickloop.money import Amount, amount_text, read_amount
from clickloop.text import octets_of


class Door(enum.StrEnum):
    """The way a notice came in. All do the same."""

    S2S = "s2s"
    PIXEL = "pixel"
    API = "api"
    HAND = "hand"
    UPLOAD = "upload"

    @property
    def is_public(self) -> bool:
        """Whether anybody may knock: then a network's token, address list and modes apply."""
        return self in (Door.S2S, Door.PIXEL)


class RawNotice(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """What arrived, kept as it came, so that it can be read again by tomorrow's settings. One line in the journal.

    ``query`` and ``body`` are the undecoded bytes in the form of ``text.text_of``. ``at`` is Unix milliseconds.
    """

    notice_id: str
    at: int
    door: Door
    method: str = "GET"
    query: str = ""
    body: str = ""
    content_type: str = ""
    ip: str = ""
    useragent: str = ""
    domain: str = ""
    cookie_click_id: str = ""
    """The click id from the visitor's cookie, where the door may use it (pixel)."""
    shortened: bool = False
    """Only the first kilobyte of query and body was stored: too many without a genuine click id came from the address."""
    condensed: bool = False
    """Only the parameters that are understood were stored: see ``conversion.condensed``."""


class RefusalReason(Explained):
    """Why a notice is stored but registers nothing."""

    NO_CLICK_ID = (
        "no_click_id",
        "The click id is missing. The network's postback URL needs cid= with its click id macro.",
    )
    MALFORMED_CLICK_ID = "malformed_click_id", "The click id does not have the right format."
    FORGED_CLICK_ID = (
        "forged_click_id",
        "The click id is not from this tracker. It was mistyped, cut off or guessed, or belongs to another tracker.",
    )
    UNKNOWN_CLICK = (
        "unknown_click",
        "The click id is genuine, but its click was still missing after ten minutes.",
    )
    EXPIRED_CLICK = "expired_click", "The click is older than the network's click lifetime."
    WRONG_TOKEN = "wrong_token", "The network has a secret token, but the token is missing or wrong."
    ADDRESS_NOT_ALLOWED = "address_not_allowed", "The sender's IP address is not on the network's list."
    UNREPLACED_MACRO = "unreplaced_macro", "The click id is a macro that the sender did not replace."
    DUPLICATE = "duplicate", "This conversion is already registered, and the network is set to refuse repeats."
    TEST_ONLY = "test_only", "The network is set to accept conversions for test clicks only."


class NoticeFlag(Explained):
    """What was odd about a notice. It is registered all the same."""

    QUERY_CUT = "query_cut", "The query was longer than 16 KB. The rest was ignored."
    BODY_CUT = "body_cut", "The body was longer than 16 KB. The rest was ignored."
    BODY_UNREADABLE = "body_unreadable", "The body could not be read as a form or as JSON. Only the query was used."
    BODY_MENDED = (
        "body_mended",
        "The body was not valid JSON, for example because a macro had no value. Clickloop repaired it.",
    )
    TOO_MANY_KEYS = "too_many_keys", "There were more than 100 parameters. The rest was ignored."
    NAME_MENDED = (
        "name_mended",
        (
            "A parameter's name began with amp; or an extra question mark, as in links copied from HTML: it was "
            "read without it. Or the whole query was percent-encoded once too often."
        ),
    )
    CLICK_ID_MENDED = (
        "click_id_mended",
        (
            "The click id had something around it, such as a quote, a brace or, percent-encoded, further parameters: "
            "the id was read, and those parameters too."
        ),
    )
    SHORTENED = (
        "shortened",
        "Its address sent many incoming postbacks without a genuine click id: only the first kilobyte was stored.",
    )
    CONDENSED = (
        "condensed",
        "Too many came for its click, or too many long ones from its address: only the known parameters were stored.",
    )
    VALUE_CUT = "value_cut", "A value was too long. The rest was dropped."
    AT_UNREADABLE = (
        "at_unreadable",
        "The time in at= is not ISO 8601 or Unix seconds, or not plausible. The time of arrival was used instead.",
    )
    AT_BEFORE_CLICK = (
        "at_before_click",
        "The time in at= is before the click. The sender's clock or time zone is wrong.",
    )
    AT_IN_FUTURE = "at_in_future", "The time in at= is in the future. The sender's clock or time zone is wrong."
    EVENT_UNREADABLE = "event_unreadable", "An event1 … event30 was not a number. It is stored as an unknown parameter."
    TXID_UNREPLACED_MACRO = (
        "txid_unreplaced_macro",
        "The transaction id was a macro that the sender did not replace, and was ignored.",
    )
    UNKNOWN_STATUS = "unknown_status", "The status word is not mapped. The conversion counts as Other until you map it."
    UNKNOWN_CURRENCY = "unknown_currency", "The currency is unknown. The amount is stored but not converted."
    CURRENCY_UNREPLACED_MACRO = (
        "currency_unreplaced_macro",
        "The currency was a macro that the sender did not replace, and was ignored.",
    )
    CURRENCY_CONFLICT = (
        "currency_conflict",
        "The payout and the currency parameter name different currencies. The parameter was used.",
    )
    OUT_OF_ORDER = "out_of_order", "A later one arrived first. This one changes only what the later one did not set."
    SAME_CLICK_AGAIN = (
        "same_click_again",
        (
            "An earlier line of the file has the same click and no transaction id either: both count as one "
            "conversion, by the later line."
        ),
    )
    PAYOUT_AMBIGUOUS = (
        "payout_ambiguous",
        "The payout can be read in two ways, such as 1,234 or 10 kr. Check that it was read correctly.",
    )
    PAYOUT_ROUNDED = "payout_rounded", "The payout had more than 6 decimal places and was rounded."
    PAYOUT_TOO_LONG = "payout_too_long", "The payout was too long to read."
    PAYOUT_UNREPLACED_MACRO = "payout_unreplaced_macro", "The payout was a macro that the sender did not replace."
    PAYOUT_NOT_A_NUMBER = "payout_not_a_number", "The payout was a word such as NaN, not a number."
    PAYOUT_EXPONENT = "payout_exponent", "The payout had an exponent, which is not supported."
    PAYOUT_TOO_MANY_DIGITS = "payout_too_many_digits", "The payout had more than 12 digits before the decimal point."
    PAYOUT_UNREADABLE = "payout_unreadable", "The payout could not be read as an amount."
    HELD_BY_DAMAGE = (
        "held_by_damage",
        "A ledger record that it needs is damaged. It is registered once the record can be read.",
    )


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What a raw notice says, word for word; nothing is judged yet. Texts are in the form of ``text.text_of``."""

    notice_id: str
    at: int
    """When it reached us, in Unix milliseconds."""
    door: Door
    ip: str = ""
    click_id_text: str = ""
    """What was sent as our click id, from the parameters, else from the cookie; empty: none."""
    txid: str = ""
    status_word: str = ""
    payout_text: str = ""
    """Empty: no payout was sent, which is not the same as zero."""
    currency_text: str = ""
    token: str = ""
    converted_at: int | None = None
    """The parameter ``at`` in Unix milliseconds; None: not sent or not to be believed."""
    disable_postback: bool = False
    return_text: str = ""
    """What the network wants to read in our answer, instead of ours."""
    parameters: Parameters = Parameters()
    flags: tuple[NoticeFlag, ...] = ()

    @property
    def turn(self) -> str:
        """Its place in the order of arrival: see ``turn_of``."""
        return turn_of(self.at, self.notice_id)


_TURN_DIGITS = 15  # of a moment in milliseconds: fixed, so that texts sort as moments do


def turn_of(at: int, notice_id: str) -> str:
    """The place of a notice in the order of arrival, as a text that sorts: by the moment, then by the id."""
    return f"{at:0{_TURN_DIGITS}d}{notice_id}"


_UPLOAD_CHARACTERS = 19
"""Of a notice's id, those that all lines of an upload share (see ``upload.notice_id_of``): the moment, and 45 bits that are its own."""


def are_of_one_upload(turn: str, other: str) -> bool:
    """Return whether the turns are of two lines of the same upload, where each is known to be of one."""
    length = _TURN_DIGITS + _UPLOAD_CHARACTERS
    return turn[:length] == other[:length] and turn != other


def notice_of_turn(turn: str) -> str:
    """The id of the notice whose turn it is."""
    return turn[_TURN_DIGITS:]


NAMES = {
    "click_id": ("cid", "clickid", "click_id", "subid"),
    "payout": ("payout", "revenue", "amount", "sum"),
    "status": ("status", "type", "et", "cnv_status"),
    "txid": ("txid", "transaction_id", "tid", "orderid", "order_id", "transactionid"),
    "currency": ("currency", "cnv_currency"),
}
"""The names under which each value may come. Of several, the first in this order that is neither empty nor an unreplaced macro counts."""

_FIELDS = {name: field for field, names in NAMES.items() for name in names}

PARAMS = 20
EVENTS = 30
MAX_TXID = 500  # it is part of an index
MAX_WORD = 200  # status words are shown, and matched as a whole
MAX_RETURN = 1_000  # it is a word, as a rule, and strangers may send it
PLAIN_NAMES = frozenset({"token", "at", "disable_postback", "conversion_id"})
"""Parameters with a meaning that have one name only."""
_NEVER_KEPT = frozenset({"userid", "token", "at", "return", "disable_postback", "conversion_id"})
_PARAM_NUMBERS = {f"param{number}": number for number in range(1, PARAMS + 1)}
_EVENT_NUMBERS = {f"event{number}": number for number in range(1, EVENTS + 1)}
_YES = frozenset({"1", "true", "yes", "on"})


def read_notice(raw: RawNotice) -> Notice:
    """What a raw notice says. Pure, and never raises, whatever the bytes: what cannot be read is flagged and left out.

    Unknown parameters are kept; so is what came under a further name of a value already taken, and an event that is no
    number. The token never is.
    """
    pairs, values, is_mended = read_values(raw)
    flags = _flags_of(pairs)
    if is_mended:
        flags.append(NoticeFlag.CLICK_ID_MENDED)
    if raw.shortened:
        flags.append(NoticeFlag.SHORTENED)
    if raw.condensed:
        flags.append(NoticeFlag.CONDENSED)
    taken = _take_named(values)
    moment_text = values.get("at", "").strip()
    converted_at = read_moment(moment_text, raw.at) if moment_text else None
    if moment_text and converted_at is None:
        flags.append(NoticeFlag.AT_UNREADABLE)
    return Notice(
        notice_id=raw.notice_id,
        at=raw.at,
        door=raw.door,
        ip=raw.ip,
        click_id_text=_click_id_text(taken["click_id"], raw.cookie_click_id.strip()),
        txid=_kept_apart(taken["txid"], flags),
        status_word=_cut(taken["status"], MAX_WORD, flags),
        payout_text=_cut(taken["payout"], MAX_WORD, flags),
        currency_text=_cut(taken["currency"], MAX_WORD, flags),
        token=values.get("token", ""),
        converted_at=converted_at,
        disable_postback=values.get("disable_postback", "").strip().lower() in _YES,
        return_text=values.get("return", "")[:MAX_RETURN],
        parameters=_parameters(values, flags),
        flags=tuple(dict.fromkeys(flags)) if flags else (),
    )


def read_values(raw: RawNotice) -> tuple[Pairs, dict[str, str], bool]:
    """Return the pairs of a raw notice, their values as they were meant, and whether the click id had to be mended for that."""
    pairs = read_pairs(octets_of(raw.query), octets_of(raw.body), raw.content_type)
    values = dict(pairs.values)
    is_mended = False
    for name in NAMES["click_id"]:
        text = values.get(name, "")
        if len(text) > CLICK_ID_LENGTH and (mended := mended_click_id(text)):
            values[name], further = mended
            for other, value in further.items():
                if not values.get(other) and (other in values or len(values) < MAX_KEYS):
                    values[other] = value
            is_mended = is_mended or values[name] != text.strip()
    return pairs, values, is_mended


def name_that_counts(values: dict[str, str], field: str) -> str:
    """Return the name under which a value of ``NAMES`` counts; empty: it did not come."""
    return chosen_name(values, NAMES[field], is_shaped_like_click_id if field == "click_id" else is_replaced)


WITHOUT_CLICK_ID = (
    RefusalReason.NO_CLICK_ID,
    RefusalReason.MALFORMED_CLICK_ID,
    RefusalReason.FORGED_CLICK_ID,
    RefusalReason.UNREPLACED_MACRO,
)
"""The reasons of ``quick_verdict``: such a notice carries no genuine click id."""


def quick_verdict(notice: Notice, click_ids: ClickIds) -> ClickId | RefusalReason:
    """The click id of a notice, or why it is certain without a database that it will be refused."""
    text = notice.click_id_text
    if not text:
        return RefusalReason.NO_CLICK_ID
    match click_ids.read(text):
        case ClickId() as click_id:
            return click_id
        case Fault.FORGED:
            return RefusalReason.FORGED_CLICK_ID
        case Fault.MALFORMED:
            return RefusalReason.UNREPLACED_MACRO if unreplaced_macro(text) else RefusalReason.MALFORMED_CLICK_ID


def _flags_of(pairs: Pairs) -> list[NoticeFlag]:
    flags: list[NoticeFlag] = []
    if pairs.query_cut:
        flags.append(NoticeFlag.QUERY_CUT)
    if pairs.body_cut:
        flags.append(NoticeFlag.BODY_CUT)
    if pairs.body_unreadable:
        flags.append(NoticeFlag.BODY_UNREADABLE)
    if pairs.body_mended:
        flags.append(NoticeFlag.BODY_MENDED)
    if pairs.too_many_keys:
        flags.append(NoticeFlag.TOO_MANY_KEYS)
    if pairs.name_mended:
        flags.append(NoticeFlag.NAME_MENDED)
    return flags


def _take_named(values: dict[str, str]) -> dict[str, str]:
    """Take the values of ``NAMES`` out, each under the name that counts; empty: it did not come."""
    names = dict.fromkeys(NAMES, "")
    for name, value in values.items():  # by what came, not by all names that might have: this runs for every notice
        field = _FIELDS.get(name)
        if field is not None and value.strip():
            names[field] = name_that_counts(values, field) if names[field] else name
    return {field: values.pop(name).strip() if name else "" for field, name in names.items()}


def _click_id_text(sent: str, from_cookie: str) -> str:
    """Return the click id that was sent, else that of the cookie: a thank-you page may leave the pixel's macro as it is."""
    return from_cookie if from_cookie and (not sent or unreplaced_macro(sent)) else sent


def _cut(text: str, length: int, flags: list[NoticeFlag]) -> str:
    if len(text) > length:
        flags.append(NoticeFlag.VALUE_CUT)
    return text[:length]


def _kept_apart(txid: str, flags: list[NoticeFlag]) -> str:
    """A txid that fits; of a longer one the beginning and a digest, so that two that differ stay two. A macro is none."""
    if unreplaced_macro(txid):
        flags.append(NoticeFlag.TXID_UNREPLACED_MACRO)
        return ""
    if len(txid) > MAX_TXID:
        flags.append(NoticeFlag.VALUE_CUT)
    return identifying_txid(txid)


def identifying_txid(txid: str) -> str:
    """Return a txid as it is stored: one that is too long as its beginning and a digest."""
    if len(txid) <= MAX_TXID:
        return txid
    digest = hashlib.sha256(octets_of(txid)).hexdigest()
    return f"{txid[: MAX_TXID - len(digest) - 1]}~{digest}"


def _parameters(values: dict[str, str], flags: list[NoticeFlag]) -> Parameters:
    params: dict[int, str] = {}
    events: dict[int, str] = {}
    others: dict[str, str] = {}
    for name, value in values.items():
        if name in _PARAM_NUMBERS:
            params[_PARAM_NUMBERS[name]] = value
        elif name in _EVENT_NUMBERS and isinstance(amount := read_amount(value), Amount):
            events[_EVENT_NUMBERS[name]] = amount_text(amount.micros)
        elif name not in _NEVER_KEPT:
            if name in _EVENT_NUMBERS and value:
                flags.append(NoticeFlag.EVENT_UNREADABLE)
            others[name] = value
    conversion_id = _cut(values.get("conversion_id", "").strip(), MAX_WORD, flags)
    return Parameters(conversion_id=conversion_id, params=params, events=events, others=others)
