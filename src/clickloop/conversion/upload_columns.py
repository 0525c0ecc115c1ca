"""The columns of an uploaded table, and the parameters of a notice that they mean, as networks name them in their exports."""

import re
from collections.abc import Sequence, Set

import msgspec

from clickloop.conversion.notice import EVENTS, NAMES, PARAMS
from clickloop.currency import CURRENCIES, SIGNS, usual_meaning
from clickloop.text import readable

RESULT_PREFIX = "clickloop_"
"""Begins the names of the columns that a result adds: a result that was corrected can be uploaded again."""
KNOWN = frozenset(
    [name for names in NAMES.values() for name in names]
    + [f"param{number}" for number in range(1, PARAMS + 1)]
    + [f"event{number}" for number in range(1, EVENTS + 1)]
    + ["conversion_id", "at", "token", "disable_postback", "userid", "return"]
)
"""The parameters of a notice."""
_PLAIN_NAMES = {name.replace("_", ""): name for name in sorted(KNOWN)}
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
"""Networks' names for a value, in small letters and without anything between them; the first that a table has counts."""
_FIELD_OF_ALIAS = {alias: field for field, aliases in _ALIASES.items() for alias in aliases.split()}
_RANKS = {alias: rank for rank, alias in enumerate(_FIELD_OF_ALIAS)}
WANTED = ("payout", "txid")
"""Without these a table registers no money, or several orders of one click as one conversion."""
_BROKEN = re.compile(r"[\s\-]+")
_BETWEEN = re.compile(r"[\s_\-.,:;/|()\[\]]+|(?<=[a-z])(?=[A-Z])")
_MAX_HEADER = 200  # a longer first line is no header
_SHOWN_COLUMNS = 10  # a message that names hundreds is not read
_SHOWN_CHARACTERS = 60  # a cell may have thousands


class Column(msgspec.Struct, frozen=True):
    """A column. ``name``: the parameter that it means, or its header in small letters where it means none."""

    header: str
    name: str
    currency: str = ""
    """Of its amounts by the header, as a notice's currency."""
    is_used: bool = False


class Repeated(msgspec.Struct, frozen=True):
    """Two columns have the same known name; the second is the one at ``position``."""

    position: int


def read_columns(headers: Sequence[str]) -> tuple[Column, ...] | Repeated:
    """Return the meaning of each column of a table."""
    exact = [_exact_name(header) for header in headers]
    own: set[str] = set()
    for position, name in enumerate(exact):
        if name in own:
            return Repeated(position)
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
            columns.append(Column(header, exact[position], is_used=True))
        elif name and taken.get(name) == position:
            columns.append(Column(header, name, currency, is_used=True))
        else:
            columns.append(Column(header, header.strip().lower()))
    return tuple(columns)


def column_name(header: str) -> str:
    """Return the parameter that a column alone would mean, else its header in small letters."""
    columns = read_columns([header])
    return columns[0].name if isinstance(columns, tuple) else header


def keyed_pairs(key: str, value: bytes) -> list[tuple[str, bytes]]:
    """Return a value under the parameter that its key means, behind the currency that is named in the key."""
    match read_columns([key]):
        case (Column(name=name, currency=currency),):
            return [("cnv_currency", currency.encode()), (name, value)] if currency else [(name, value)]
    return [(key, value)]


def unused_columns(columns: Sequence[Column]) -> tuple[str, ...]:
    """Return the headers of the columns that mean no parameter; their cells stay with the conversion."""
    return tuple(
        column.header
        for column in columns
        if not column.is_used and column.header.strip() and not column.name.startswith(RESULT_PREFIX)
    )


def missing_values(columns: Sequence[Column]) -> tuple[str, ...]:
    """Return which of payout and txid no column means."""
    used = {column.name for column in columns if column.is_used}
    return tuple(field for field in WANTED if used.isdisjoint(NAMES[field]))


def not_understood(missing: Sequence[str], unused: Sequence[str]) -> str:
    """Return what is missing of a table, the columns that may be it, and what to do."""
    wanted = " and none as ".join({"payout": "payout", "txid": "transaction id (txid)"}[name] for name in missing)
    shown = ", ".join(readable(name)[:_SHOWN_CHARACTERS] for name in unused[:_SHOWN_COLUMNS])
    more = f" and {len(unused) - _SHOWN_COLUMNS} more" if len(unused) > _SHOWN_COLUMNS else ""
    return (
        f"No column was taken as {wanted}; not used: {shown}{more}. Name the column payout, or Payout (USD), and txid; or preview "
        "the file and register it from there, or confirm that these values are missing (incomplete=1, --incomplete)."
    )


def payout_currencies(columns: Sequence[Column]) -> list[tuple[int, str]]:
    """Return the places of payout columns, in the order in which they count, with the currencies of their headers."""
    places = {column.name: at for at, column in enumerate(columns)}
    payouts = [(places[name], columns[places[name]].currency) for name in NAMES["payout"] if name in places]
    return payouts if any(currency for _, currency in payouts) else []


def _has_own(name: str, own: Set[str]) -> bool:
    """Return whether a table has a column by the very name of a parameter, which counts before an alias of it.

    Of the money only ``payout`` does: beside a commission, an amount or a sum is what the customer paid.
    """
    return name in own if name in NAMES["payout"] else not own.isdisjoint(NAMES.get(name, (name,)))


def _exact_name(header: str) -> str:
    """Return the parameter of which this is the name, however it is written; empty: of none."""
    joined = _BROKEN.sub("_", header.strip().lower())
    return joined if joined in KNOWN else _PLAIN_NAMES.get(joined.replace("_", ""), "")


def _alias_of(header: str) -> tuple[str, int, str]:
    """Return the parameter that a header means, how sure that is (less is more), and the currency in it."""
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
    """Return the ways to read a currency at the end or the beginning of a header: the other words, and the currency."""
    found = []
    words = [part for word in words for part in _parted(word)]
    for rest, unit in ((words[:-1], words[-1:]), (words[1:], words[:1])):
        if rest and unit and (unit[0].upper() in CURRENCIES or unit[0].upper() in SIGNS):
            without = [word for word in rest if word.lower() != "in"]
            found.append((without, usual_meaning(unit[0]) or unit[0]))
    return found


def _parted(word: str) -> list[str]:
    """Return a word and the currency's sign that is written at it, such as ``Payout$``."""
    for sign, rest in ((word[-1:], word[:-1]), (word[:1], word[1:])):
        if rest and sign in SIGNS and not sign.isalpha() and word.upper() not in SIGNS:
            return [rest, sign] if word.endswith(sign) else [sign, rest]
    return [word]
