"""Map the columns of an uploaded table to the parameters of a notice, by the names that networks use in their exports."""

import re
from collections.abc import Sequence, Set

import msgspec

from clickloop.conversion.notice import MAX_EVENTS, MAX_PARAMS, NAMES
from clickloop.currency import CURRENCIES, SIGNS, usual_meaning
from clickloop.text import readable

RESULT_PREFIX = "clickloop_"
"""Prefix of the columns that a result file adds. They are ignored when a corrected result file is uploaded again."""
KNOWN_PARAMETERS = frozenset(
    [name for names in NAMES.values() for name in names]
    + [f"param{number}" for number in range(1, MAX_PARAMS + 1)]
    + [f"event{number}" for number in range(1, MAX_EVENTS + 1)]
    + ["conversion_id", "at", "token", "disable_postback", "userid", "return"]
)
"""The parameters of a notice."""
_PLAIN_NAMES = {name.replace("_", ""): name for name in sorted(KNOWN_PARAMETERS)}
_ALIASES = {
    "payout": (
        "payouts payoutamount netpayout totalpayout affiliatepayout publisherpayout partnerpayout yourpayout "
        "commission commissions commissionamount netcommission totalcommission affiliatecommission publishercommission "
        "yourcommission earning earnings netearnings totalearnings affiliateearnings publisherearnings yourearnings earned "
        "netrevenue reward rewards"
    ),
    "txid": (
        "transaction transactionno transactionnumber transactionref transactionreference ordernumber orderno orderref "
        "orderreference saleid salenumber leadid leadnumber actionid bookingid bookingnumber bookingreference invoiceid "
        "invoicenumber purchaseid"
    ),
    "status": (
        "conversionstatus transactionstatus orderstatus leadstatus salestatus actionstatus commissionstatus approvalstatus"
    ),
    "currency": "currencycode payoutcurrency commissioncurrency earningscurrency",
    "at": (
        "conversiontime conversiondatetime conversiondate conversiontimestamp convertedat transactiontime transactiondatetime "
        "transactiondate saletime saledate ordertime orderdate leadtime leaddate actiontime actiondate eventtime eventdate "
        "bookingdate purchasedate datetime timestamp date"
    ),
}
"""Networks' names for a parameter, in lower case without separators; the first one in a table counts."""
_FIELD_OF_ALIAS = {alias: field for field, aliases in _ALIASES.items() for alias in aliases.split()}
_RANKS = {alias: rank for rank, alias in enumerate(_FIELD_OF_ALIAS)}
REQUIRED_VALUES = ("payout", "txid")
"""Without payout a table registers no money; without txid, several orders of a click become one conversion."""
_BROKEN = re.compile(r"[\s\-]+")
_BETWEEN = re.compile(r"[\s_\-.,:;/|()\[\]]+|(?<=[a-z])(?=[A-Z])")
_MAX_HEADER = 200  # characters examined; longer cells are not column names
_SHOWN_COLUMNS = 10  # a message that lists hundreds is of no use
_SHOWN_CHARACTERS = 60  # a cell may have thousands


class UploadColumn(msgspec.Struct, frozen=True):
    """A column. ``name``: the parameter that it means, or its header in lower case if it means none."""

    header: str
    name: str
    currency: str = ""
    """The currency of its amounts, if the header names one."""
    is_used: bool = False
    """Whether it means a parameter."""


class RepeatedColumn(msgspec.Struct, frozen=True):
    """The second of two columns with the same known name, at ``position``."""

    position: int


def read_columns(headers: Sequence[str]) -> tuple[UploadColumn, ...] | RepeatedColumn:
    """Return the meaning of each column of a table."""
    exact = [_exact_name(header) for header in headers]
    own: set[str] = set()
    for position, name in enumerate(exact):
        if name in own:
            return RepeatedColumn(position)
        if name:
            own.add(name)
    meant = [_alias_of(header) for header in headers]
    taken: dict[str, int] = {}
    for position, (name, rank, _) in enumerate(meant):
        if not name or exact[position] or _has_own(name, own):
            continue
        if name not in taken or rank < meant[taken[name]][1]:
            taken[name] = position
    columns = []
    for position, header in enumerate(headers):
        name, _, currency = meant[position]
        if exact[position]:
            columns.append(UploadColumn(header, exact[position], is_used=True))
        elif name and taken.get(name) == position:
            columns.append(UploadColumn(header, name, currency, is_used=True))
        else:
            columns.append(UploadColumn(header, header.strip().lower()))
    return tuple(columns)


def column_name(header: str) -> str:
    """Return the parameter that a column alone would mean, else its header in lower case."""
    columns = read_columns([header])
    return columns[0].name if isinstance(columns, tuple) else header


def keyed_pairs(key: str, value: bytes) -> list[tuple[str, bytes]]:
    """Return a value with the parameter that its key means, preceded by the currency if the key names one."""
    match read_columns([key]):
        case (UploadColumn(name=name, currency=currency),):
            return [("cnv_currency", currency.encode()), (name, value)] if currency else [(name, value)]
    return [(key, value)]


def unused_columns(columns: Sequence[UploadColumn]) -> tuple[str, ...]:
    """Return the headers of unrecognised columns; their cells are stored as unknown parameters."""
    return tuple(
        column.header
        for column in columns
        if not column.is_used and column.header.strip() and not column.name.startswith(RESULT_PREFIX)
    )


def missing_values(columns: Sequence[UploadColumn]) -> tuple[str, ...]:
    """Return which of payout and txid have no column."""
    used = {column.name for column in columns if column.is_used}
    return tuple(field for field in REQUIRED_VALUES if used.isdisjoint(NAMES[field]))


def missing_columns_sentence(missing: Sequence[str], unused: Sequence[str]) -> str:
    """Return the sentences about missing values, the unrecognised columns, and what to do."""
    values = " or ".join({"payout": "payout", "txid": "transaction ID (txid)"}[name] for name in missing)
    shown = ", ".join(readable(name)[:_SHOWN_CHARACTERS] for name in unused[:_SHOWN_COLUMNS])
    more = f" and {len(unused) - _SHOWN_COLUMNS} more" if len(unused) > _SHOWN_COLUMNS else ""
    return (
        f"No column was recognised as {values}. Unused columns: {shown}{more}. Rename the columns to payout, or Payout (USD), "
        "and txid; or preview the file and register it from there; or confirm that these values are missing (incomplete=1, "
        "--incomplete)."
    )


def payout_currencies(columns: Sequence[UploadColumn]) -> list[tuple[int, str]]:
    """Return the positions of payout columns by precedence, with the currencies in their headers; empty if none names one."""
    places = {column.name: at for at, column in enumerate(columns)}
    payouts = [(places[name], columns[places[name]].currency) for name in NAMES["payout"] if name in places]
    return payouts if any(currency for _, currency in payouts) else []


def _has_own(name: str, own: Set[str]) -> bool:
    """Return whether a table has a column with an exact name of the parameter, which takes precedence over its aliases.

    For money only the same name counts: next to a commission, an amount or a sum is what the customer paid.
    """
    return name in own if name in NAMES["payout"] else not own.isdisjoint(NAMES.get(name, (name,)))


def _exact_name(header: str) -> str:
    """Return the parameter with this name, ignoring case and separators; empty if none."""
    joined = _BROKEN.sub("_", header.strip().lower())
    return joined if joined in KNOWN_PARAMETERS else _PLAIN_NAMES.get(joined.replace("_", ""), "")


def _alias_of(header: str) -> tuple[str, int, str]:
    """Return the parameter that a header means, its rank (lower is more certain), and the currency in it."""
    words = [word for word in _BETWEEN.split(header.strip()[:_MAX_HEADER]) if word]
    joined = "".join(words).lower()
    if joined in _FIELD_OF_ALIAS:
        return _FIELD_OF_ALIAS[joined], _RANKS[joined], ""
    for rest, currency in _with_currency(words):
        rest_joined = "".join(rest).lower()
        if rest_joined in NAMES["payout"]:
            return rest_joined, -1, currency
        if _FIELD_OF_ALIAS.get(rest_joined) == "payout":
            return "payout", _RANKS[rest_joined], currency
    return "", 0, ""


def _with_currency(words: list[str]) -> list[tuple[list[str], str]]:
    """Return the possible currencies at the end or the beginning of a header, each with the other words."""
    found = []
    words = [part for word in words for part in _parted(word)]
    for rest, unit in ((words[:-1], words[-1:]), (words[1:], words[:1])):
        if rest and unit and (unit[0].upper() in CURRENCIES or unit[0].upper() in SIGNS):
            without = [word for word in rest if word.lower() != "in"]
            found.append((without, usual_meaning(unit[0]) or unit[0]))
    return found


def _parted(word: str) -> list[str]:
    """Split a word from a currency sign attached to it, such as ``Payout$``."""
    for sign, rest in ((word[-1:], word[:-1]), (word[:1], word[1:])):
        if rest and sign in SIGNS and not sign.isalpha() and word.upper() not in SIGNS:
            return [rest, sign] if word.endswith(sign) else [sign, rest]
    return [word]
