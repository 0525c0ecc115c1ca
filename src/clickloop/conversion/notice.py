"""The notice: a network reports that a click converted. Raw as it came, parsed, and the reasons to refuse it."""

import enum
import hashlib

import msgspec

from clickloop.click_id import LENGTH as CLICK_ID_LENGTH
from clickloop.click_id import ClickId, ClickIdFault, ClickIds, is_shaped_like_click_id
from clickloop.conversion.arrival_order import arrival_order_of
from clickloop.conversion.conversion import Parameters
from clickloop.conversion.mending import chosen_name, is_replaced, mended_click_id
from clickloop.conversion.moment import read_moment
from clickloop.conversion.pairs import MAX_KEYS, Pairs, read_pairs
from clickloop.explained import Explained
from clickloop.macro import unreplaced_macro
from clickloop.money import Amount, amount_text, read_amount
from clickloop.text import unescape_bytes


class Channel(enum.StrEnum):
    """How a notice came in. All channels lead to the same processing."""

    S2S = "s2s"
    PIXEL = "pixel"
    API = "api"
    HAND = "hand"
    UPLOAD = "upload"

    @property
    def is_public(self) -> bool:
        """Whether anyone can use it, so that the network's token, address list and modes apply."""
        return self in (Channel.S2S, Channel.PIXEL)


class RawNotice(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A notice as it arrived, so that it can be reprocessed with later settings. One line in the journal.

    ``query`` and ``body`` are the undecoded bytes in the form of ``text.escape_bytes``. ``at`` is Unix milliseconds.
    """

    notice_id: str
    at: int
    channel: Channel = msgspec.field(name="door")  # as journals and ledgers of earlier versions call it
    method: str = "GET"
    query: str = ""
    body: str = ""
    content_type: str = ""
    ip: str = ""
    useragent: str = ""
    domain: str = ""
    cookie_click_id: str = ""
    """The click id from the visitor's cookie; only the pixel uses it."""
    shortened: bool = False
    """Only the first kilobyte of query and body was stored: its address sent too many without a genuine click id."""
    condensed: bool = False
    """Only the known parameters were stored: see ``conversion.condensed``."""


class RefusalReason(Explained):
    """The reasons why a notice is stored but registers nothing."""

    NO_CLICK_ID = (
        "no_click_id",
        "The click ID is missing. The network's postback URL needs cid= with its click ID macro.",
    )
    MALFORMED_CLICK_ID = "malformed_click_id", "The click ID does not have the right format."
    FORGED_CLICK_ID = (
        "forged_click_id",
        "The click ID is not from this tracker. It was mistyped, cut off or guessed, or belongs to another tracker.",
    )
    UNKNOWN_CLICK = (
        "unknown_click",
        "The click ID is genuine, but its click was still missing after ten minutes.",
    )
    EXPIRED_CLICK = "expired_click", "The click is older than the network's click lifetime."
    WRONG_TOKEN = "wrong_token", "The network has a secret token, but the token is missing or wrong."
    ADDRESS_NOT_ALLOWED = "address_not_allowed", "The sender's IP address is not on the network's list."
    UNREPLACED_MACRO = "unreplaced_macro", "The click ID is a macro that the sender did not replace."
    DUPLICATE = "duplicate", "This conversion is already registered, and the network is set to refuse repeats."
    TEST_ONLY = "test_only", "The network is set to accept conversions for test clicks only."


class NoticeFlag(Explained):
    """Irregularities of a notice. It is registered anyway."""

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
            "A parameter's name began with amp; or an extra question mark, as in links copied from HTML, which was "
            "removed. Or the whole query was percent-encoded once too often."
        ),
    )
    CLICK_ID_MENDED = (
        "click_id_mended",
        (
            "The click ID was surrounded by other text, such as a quote, a brace or percent-encoded parameters. "
            "The ID and those parameters were used."
        ),
    )
    SHORTENED = (
        "shortened",
        "This address sent too many incoming postbacks without a genuine click ID. Only the first kilobyte was stored.",
    )
    CONDENSED = (
        "condensed",
        "Too many incoming postbacks came for this click, or too many long ones from this address. Only the known parameters were stored.",
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
    NO_LANDING_CLICK = (
        "no_landing_click",
        (
            "The visitor came over a landing page, and no click on one of its buttons was recorded before, so the offer is unknown. "
            "Link the buttons to the click URL."
        ),
    )
    EVENT_UNREADABLE = (
        "event_unreadable",
        "One of event1 … event30 was not a number. It is stored as an unknown parameter.",
    )
    TXID_UNREPLACED_MACRO = (
        "txid_unreplaced_macro",
        "The transaction ID was a macro that the sender did not replace, and was ignored.",
    )
    UNKNOWN_STATUS = "unknown_status", "The status word is not mapped. The conversion counts as Other until you map it."
    UNKNOWN_CURRENCY = "unknown_currency", "The currency is unknown. The amount is stored but not converted."
    CURRENCY_UNREPLACED_MACRO = (
        "currency_unreplaced_macro",
        "The currency was a macro that the sender did not replace, and was ignored.",
    )
    CURRENCY_CONFLICT = (
        "currency_conflict",
        "The payout and the currency parameter name different currencies. The currency parameter was used.",
    )
    OUT_OF_ORDER = (
        "out_of_order",
        "A later postback arrived first. This one changes only what the later one did not set.",
    )
    SAME_CLICK_AGAIN = (
        "same_click_again",
        (
            "An earlier line of the file has the same click and no transaction ID either. Both count as one "
            "conversion, with the values of the later line."
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
    """The contents of a raw notice, not yet interpreted by settings. Texts are in the form of ``text.escape_bytes``."""

    notice_id: str
    at: int
    """The time of arrival in Unix milliseconds."""
    channel: Channel
    ip: str = ""
    click_id_text: str = ""
    """The text sent as our click id, from the parameters, else from the cookie; empty if none."""
    txid: str = ""
    status_word: str = ""
    payout_text: str = ""
    """Empty: no payout was sent, which is not the same as zero."""
    currency_text: str = ""
    token: str = ""
    converted_at: int | None = None
    """The parameter ``at`` in Unix milliseconds; None if not sent or implausible."""
    disable_postback: bool = False
    return_text: str = ""
    """The response text that the network requested in place of ours."""
    parameters: Parameters = Parameters()
    flags: tuple[NoticeFlag, ...] = ()

    @property
    def arrival_order(self) -> str:
        """Its position in the order of arrival: see ``arrival_order``."""
        return arrival_order_of(self.at, self.notice_id)


NAMES = {
    "click_id": ("cid", "clickid", "click_id", "subid"),
    "payout": ("payout", "revenue", "amount", "sum"),
    "status": ("status", "type", "et", "cnv_status"),
    "txid": ("txid", "transaction_id", "tid", "orderid", "order_id", "transactionid"),
    "currency": ("currency", "cnv_currency"),
}
"""The accepted names of each value. Of several, the first in this order that is neither empty nor an unreplaced macro counts."""

_FIELDS = {name: field for field, names in NAMES.items() for name in names}

MAX_PARAMS = 20
MAX_EVENTS = 30
MAX_TXID = 500  # part of an index
MAX_WORD = 200  # status words are shown, and matched as a whole
MAX_RETURN = 1_000  # usually a word, and anyone can send it
PLAIN_NAMES = frozenset({"token", "at", "disable_postback", "conversion_id"})
"""Known parameters with only one name."""
_NEVER_STORED = frozenset({"userid", "token", "at", "return", "disable_postback", "conversion_id"})
_PARAM_NUMBERS = {f"param{number}": number for number in range(1, MAX_PARAMS + 1)}
_EVENT_NUMBERS = {f"event{number}": number for number in range(1, MAX_EVENTS + 1)}
_YES = frozenset({"1", "true", "yes", "on"})


def read_notice(raw: RawNotice) -> Notice:
    """Parse a raw notice. Pure; never raises, even for arbitrary bytes: unreadable values are flagged and left out.

    Stored as unknown parameters: unknown names, further names of a value, and events that are not numbers. The token never is.
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
        channel=raw.channel,
        ip=raw.ip,
        click_id_text=_click_id_text(taken["click_id"], raw.cookie_click_id.strip()),
        txid=_txid(taken["txid"], flags),
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
    """Return the pairs of a raw notice, their values with a repaired click id, and whether it needed repair."""
    pairs = read_pairs(unescape_bytes(raw.query), unescape_bytes(raw.body), raw.content_type)
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


def effective_name(values: dict[str, str], field: str) -> str:
    """Return the name that counts for a field of ``NAMES``; empty: the field was not sent."""
    return chosen_name(values, NAMES[field], is_shaped_like_click_id if field == "click_id" else is_replaced)


WITHOUT_CLICK_ID = (
    RefusalReason.NO_CLICK_ID,
    RefusalReason.MALFORMED_CLICK_ID,
    RefusalReason.FORGED_CLICK_ID,
    RefusalReason.UNREPLACED_MACRO,
)
"""The reasons that ``quick_verdict`` returns: such a notice has no genuine click id."""


def quick_verdict(notice: Notice, click_ids: ClickIds) -> ClickId | RefusalReason:
    """Return the genuine click id of a notice, or why it will be refused; needs no database."""
    text = notice.click_id_text
    if not text:
        return RefusalReason.NO_CLICK_ID
    match click_ids.read(text):
        case ClickId() as click_id:
            return click_id
        case ClickIdFault.FORGED:
            return RefusalReason.FORGED_CLICK_ID
        case ClickIdFault.MALFORMED:
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
    """Remove the fields of ``NAMES`` from ``values`` and return each by the name that counts; empty if not sent."""
    names = dict.fromkeys(NAMES, "")
    for name, value in values.items():  # over what came, not over all accepted names: this runs for every notice
        field = _FIELDS.get(name)
        if field is not None and value.strip():
            names[field] = effective_name(values, field) if names[field] else name
    return {field: values.pop(name).strip() if name else "" for field, name in names.items()}


def _click_id_text(sent: str, from_cookie: str) -> str:
    """Return the click id that was sent, else the cookie's: a thank-you page may leave the pixel's macro unreplaced."""
    return from_cookie if from_cookie and (not sent or unreplaced_macro(sent)) else sent


def _cut(text: str, length: int, flags: list[NoticeFlag]) -> str:
    if len(text) > length:
        flags.append(NoticeFlag.VALUE_CUT)
    return text[:length]


def _txid(txid: str, flags: list[NoticeFlag]) -> str:
    """Return the txid to store; empty for an unreplaced macro."""
    if unreplaced_macro(txid):
        flags.append(NoticeFlag.TXID_UNREPLACED_MACRO)
        return ""
    if len(txid) > MAX_TXID:
        flags.append(NoticeFlag.VALUE_CUT)
    return identifying_txid(txid)


def identifying_txid(txid: str) -> str:
    """Return a txid as it is stored: a long one as its beginning and a digest, so that different ones stay different."""
    if len(txid) <= MAX_TXID:
        return txid
    digest = hashlib.sha256(unescape_bytes(txid)).hexdigest()
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
        elif name not in _NEVER_STORED:
            if name in _EVENT_NUMBERS and value:
                flags.append(NoticeFlag.EVENT_UNREADABLE)
            others[name] = value
    conversion_id = _cut(values.get("conversion_id", "").strip(), MAX_WORD, flags)
    return Parameters(conversion_id=conversion_id, params=params, events=events, others=others)
