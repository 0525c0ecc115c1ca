"""Where the value of a macro came from: the link, the visitor, the notice, the set-up, or us. Pure."""

import enum
from collections.abc import Iterable, Mapping

import msgspec

from clickloop.conversion.conversion import Conversion
from clickloop.conversion.terms import Terms
from clickloop.macro import Group
from clickloop.macro.known import BY_NAME
from clickloop.money import AmountFault, read_amount
from clickloop.setup.source_rows import ROW_NUMBERS, V_ROWS, FixedRow, row_label
from clickloop.setup.traffic_source import SourceParameter
from clickloop.text import readable


class Origin(enum.StrEnum):
    """Who gave a value. A closed list."""

    LINK = "link"
    """A parameter of the campaign link, which the traffic source fills in."""
    VISITOR = "visitor"
    """The visitor's request."""
    NOTICE = "notice"
    """A parameter of what told us of the conversion."""
    CONVERSION = "conversion"
    """What we worked out about the conversion."""
    SETUP = "setup"
    """What you set up."""
    TIME = "time"
    """The clock."""
    MADE = "made"
    """An id that we made."""


class MacroValue(msgspec.Struct, frozen=True):
    """A macro in a request, its value before filters and encoding, and where that came from."""

    macro: str
    value: str
    origin: Origin
    sentence: str


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What bears on where values come from."""

    rows: Mapping[int, SourceParameter]
    """The source's parameter rows by number."""
    fixed_cost: bool = False
    """Whether the campaign has a fixed cost per click."""
    conversion: Conversion | None = None
    named_currency: str = ""
    """The currency that the notice named which the payout is from; empty: it named none, or no notice named a payout."""
    terms: Terms | None = None
    """Today's, which say whose currency counts where the notice named none."""
    payout_percent: int = 100


def origins_of(names: Iterable[str], values: Mapping[str, str], around: Around) -> tuple[MacroValue, ...]:
    """Where the value of each macro in ``names`` (canonical) comes from, in their order."""
    return tuple(_macro_value(name, values[name], around) for name in names)


def _macro_value(name: str, value: str, around: Around) -> MacroValue:
    origin, sentence = _origin(name, value, around)
    return MacroValue(name, readable(value), origin, sentence)


def _origin(name: str, value: str, around: Around) -> tuple[Origin, str]:
    number = ROW_NUMBERS.get(name)
    if number is not None and not (number == FixedRow.COST and around.fixed_cost):
        return _row(number, value, around)
    of_conversion = _OF_CONVERSION.get(name)
    if of_conversion is not None and around.conversion is not None:
        return of_conversion(around.conversion, around)
    if name.startswith(("param", "event")):
        return Origin.NOTICE, f"{name} of the notice." if value else f"The notice brought no {name}."
    if name in _FIXED:
        return _FIXED[name]
    origin, what = _GROUPS[BY_NAME[name].group]
    if not BY_NAME[name].available:
        return origin, "It is not available yet: nothing fills it in."
    return origin, what if value else f"{what} Nothing is known."


def _row(number: int, value: str, around: Around) -> tuple[Origin, str]:
    row = around.rows.get(number)
    label = row_label(number)
    if row is None:
        return Origin.LINK, f"The traffic source has no row {label}, so it is always empty."
    shown = f"{label}, {row.parameter}" if number in V_ROWS else label
    if not row.tracked:
        return Origin.LINK, f"The row {shown} is switched off, so nothing is stored of it."
    if not value:
        return Origin.LINK, f"The campaign link brought no {row.parameter}."
    return Origin.LINK, f"{row.parameter} of the campaign link (row {label})."


def _payout(conversion: Conversion, around: Around) -> tuple[Origin, str]:
    share = f" The rule reports {around.payout_percent} % of it." if around.payout_percent != 100 else ""
    if conversion.payout_turn:
        return Origin.NOTICE, f"The payout of the notice, {readable(conversion.payout_text)!r}.{share}"
    named = "no notice named one"
    if conversion.payout_text:
        named = f"the notice named {readable(conversion.payout_text)!r}, which is no amount"
    if conversion.payout.micros:
        return Origin.SETUP, f"The offer's fixed payout: {named}.{share}"
    return Origin.CONVERSION, f"Zero: {named}, and the offer has no fixed payout."


def _currency(conversion: Conversion, around: Around) -> tuple[Origin, str]:
    if not conversion.payout.currency:
        return Origin.NOTICE, "The notice named a currency that we do not know."
    if around.named_currency:
        return Origin.NOTICE, f"The currency of the notice, {readable(around.named_currency)!r}."
    amount = read_amount(conversion.payout_text) if conversion.payout_turn else AmountFault.EMPTY
    if not isinstance(amount, AmountFault) and amount.currency:
        return Origin.NOTICE, f"The currency in the payout of the notice, {readable(conversion.payout_text)!r}."
    named = "the notice named none" if conversion.payout_turn else "no notice named an amount in one"
    if around.terms is None or around.terms.default_currency != conversion.payout.currency:
        return Origin.SETUP, f"What offer, network or instance had as currency when it came: {named}."
    return Origin.SETUP, f"The currency of the {around.terms.currency_giver}: {named}."


def _profit(conversion: Conversion, around: Around) -> tuple[Origin, str]:
    return Origin.CONVERSION, "The reported payout less the click's cost; empty when they are in different currencies."


def _status_word(conversion: Conversion, around: Around) -> tuple[Origin, str]:
    if conversion.status_word:
        return Origin.NOTICE, "The status of the notice, as it came."
    return Origin.SETUP, "No status came; this is the key of the status that stands for that."


def _status(conversion: Conversion, around: Around) -> tuple[Origin, str]:
    word = readable(conversion.status_word)
    return Origin.SETUP, f"Your status for the word {word!r}." if word else "Your status for a notice without a word."


def _txid(conversion: Conversion, around: Around) -> tuple[Origin, str]:
    return Origin.NOTICE, "txid of the notice." if conversion.txid else "The notice brought no txid."


def _conversion_id(conversion: Conversion, around: Around) -> tuple[Origin, str]:
    if conversion.parameters.conversion_id:
        return Origin.NOTICE, "conversion_id of the notice."
    return Origin.MADE, "Our own id of the conversion: the notice brought no conversion_id."


def _conversion_time(conversion: Conversion, around: Around) -> tuple[Origin, str]:
    return Origin.TIME, "The time that the notice named (at), else when the first notice came, in Unix seconds."


_OF_CONVERSION = {
    "payout": _payout,
    "currency": _currency,
    "profit": _profit,
    "conversion": _status_word,
    "conversion.group": _status,
    "conversion.key": _status,
    "txid": _txid,
    "conversion_id": _conversion_id,
    "conversion_time": _conversion_time,
}
_FIXED = {
    "clickid": (Origin.MADE, "Our click id."),
    "postback_id": (Origin.MADE, "The postback's own id; the same at every attempt."),
    "cost": (Origin.SETUP, "The campaign's fixed cost of a click."),
    "domain": (Origin.VISITOR, "The host under which the click came."),
    "click_time": (Origin.TIME, "The time of the click, in Unix seconds."),
    "now": (Origin.TIME, "The moment at which the request is put together, in Unix seconds."),
}
_GROUPS = {
    Group.IDS: (Origin.MADE, "An id."),
    Group.MONEY: (Origin.CONVERSION, "Known once there is a conversion."),
    Group.STATUS: (Origin.CONVERSION, "Known once there is a conversion."),
    Group.SETUP: (Origin.SETUP, "From what you set up."),
    Group.PARAMETERS: (Origin.NOTICE, "From the notice."),
    Group.VISITOR: (Origin.VISITOR, "From the visitor's request."),
    Group.TIME: (Origin.TIME, "A time, in Unix seconds."),
    Group.ALARM: (Origin.MADE, "Filled in for alarms only; empty for conversions."),
}
