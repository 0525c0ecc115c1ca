"""A condition as its form shows it: operators, a fitting field for its values, and what happens to unknown values. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from clickloop.click.continent import CONTINENTS
from clickloop.click.country import country_name
from clickloop.diagnosis.condition_phrases import CONNECTIONS, can_be_unknown, field_noun
from clickloop.diagnosis.flow_sentences import percent
from clickloop.setup.condition import (
    FIELDS,
    QUERY_PREFIX,
    WEEKDAYS,
    Comparison,
    Operator,
    UnknownValue,
    comparison_of,
    hours_in,
)
from clickloop.setup.mark import Mark, MarkMoment, mark_name
from clickloop.web.panel.routing.flow_draft import ConditionDraft
from clickloop.web.panel.routing.flow_steps import operators_of

_DEVICES = {"mobile": "phone", "tablet": "tablet", "desktop": "desktop", "tv": "TV"}
_CHOICES: dict[str, Mapping[str, str]] = {
    "device": _DEVICES,
    "connection": CONNECTIONS,
    "continent": CONTINENTS,
    "unique": {"yes": "unique visit", "no": "repeat visit"},
    "ip_version": {"4": "IPv4", "6": "IPv6"},
    "mark": {mark.value: mark_name(mark) for mark in Mark if mark.moment is MarkMoment.REQUEST},
}
"""Values of fields that have few, with their labels."""
_GROUPS = (
    ("Place", ("country", "region", "city", "continent", "isp", "asn", "connection")),
    ("Device", ("device", "os", "os_version", "browser", "browser_version", "brand", "model", "language")),
    ("Time", ("schedule", "date")),
    ("Visitor", ("unique", "visit_number", "referrer", "useragent", "ip", "ip_version", "mark")),
)
_HELP = {
    "country": "Names or two-letter codes, separated by commas.",
    "region": "ISO 3166-2 codes, such as US-CA, US-NY.",
    "city": "One per line, as your geo base spells them in English.",
    "isp": "One per line, as your geo base spells them.",
    "asn": "Numbers, such as 15169.",
    "os": "One per line, such as Android, iOS, Windows, Mac OS X.",
    "browser": "One per line, such as Chrome, Mobile Safari, Firefox.",
    "brand": "One per line, such as Samsung or Apple.",
    "os_version": "Such as 17 or 17.5; 17 stands for 17.5, too.",
    "browser_version": "Such as 120; 120 stands for 120.1, too.",
    "language": "Such as en, pt-br; en stands for en-us, too.",
    "ip": "Addresses or networks, such as 203.0.113.0/24.",
    "visit_number": "Whole numbers, such as 1.",
    "mark": "Only marks that are given before the redirect and are on for the campaign.",
}
_OPERATORS = {
    Operator.IN: "is",
    Operator.NOT_IN: "is not",
    Operator.CONTAINS: "contains",
    Operator.STARTS_WITH: "starts with",
    Operator.MATCHES: "matches (regular expression)",
    Operator.BETWEEN: "is between",
    Operator.EMPTY: "is unknown",
}
_BY_COMMA = frozenset({"country", "region", "asn", "os_version", "browser_version", "language", "visit_number"})
"""Fields whose few values stand on one line."""
MAX_ON_A_LINE = 30
OFTEN_UNKNOWN = 0.2


class UnknownChoice(msgspec.Struct, frozen=True):
    """What can become of visitors whose value is unknown. ``options``: value and label, the usual one first."""

    options: tuple[tuple[str, str], ...]
    share: str
    """How many there were in the last days; empty: there is no telling."""
    is_often: bool
    """Whether there were so many that the condition misses its point."""


class ConditionView(msgspec.Struct, frozen=True, kw_only=True):
    """A condition with its place in the form."""

    at: str
    """The path of its form fields."""
    place: str
    """Its place as buttons name it."""
    rule_place: str
    draft: ConditionDraft
    noun: str
    widget: str
    """``text``, ``choices``, ``range``, ``date``, ``schedule`` or ``none``."""
    operators: tuple[tuple[str, str], ...]
    choices: tuple[tuple[str, str], ...] = ()
    text: str = ""
    help: str = ""
    countries: str = ""
    """The names of a few country codes."""
    hours: frozenset[str] = frozenset()
    """Ticked hours of a schedule, such as ``mon 9``."""
    bounds: tuple[str, str, str] = ("", "", "")
    """The lowest and the highest value, and a time zone."""
    takes_list: bool = True
    unknown: UnknownChoice | None = None

    @property
    def parameter(self) -> str:
        """Return the name in a condition on a parameter of the link."""
        return self.draft.field.removeprefix(QUERY_PREFIX)

    @property
    def is_parameter(self) -> bool:
        return self.draft.field.startswith(QUERY_PREFIX)


def condition_view(
    at: str,
    rule_place: str,
    number: int,
    draft: ConditionDraft,
    parameters: Mapping[str, str],
    shares: Mapping[str, float],
) -> ConditionView:
    """Return a condition for its form. ``shares``: how many visitors had no value, by field."""
    widget = _widget(draft)
    pattern = draft.op in (Operator.CONTAINS, Operator.STARTS_WITH, Operator.MATCHES)
    few = len(draft.values) <= MAX_ON_A_LINE
    known = _CHOICES.get(draft.field, {})
    return ConditionView(
        at=at,
        place=f"{rule_place}.conditions[{number}]",
        rule_place=rule_place,
        draft=draft,
        noun=_noun(draft.field, parameters),
        widget=widget,
        operators=tuple((op.value, operator_label(draft.field, op)) for op in operators_of(draft.field)),
        choices=tuple({**known, **{value: value for value in draft.values if value not in known}}.items()),
        text=(", " if draft.field in _BY_COMMA and few and not pattern else "\n").join(draft.values),
        help="One regular expression (RE2) per line."
        if draft.op == Operator.MATCHES
        else _help(draft, is_pattern=pattern),
        countries=", ".join(country_name(code) for code in draft.values)
        if draft.field == "country" and 0 < len(draft.values) <= MAX_ON_A_LINE
        else "",
        hours=_ticked(draft.values) if widget == "schedule" else frozenset(),
        bounds=_bounds(draft.values, widget),
        takes_list=widget == "text" or (widget == "choices" and bool(draft.list_id)),
        unknown=_unknown(draft, shares),
    )


def _widget(draft: ConditionDraft) -> str:
    comparison = comparison_of(draft.field)
    if draft.op == Operator.EMPTY:
        return "none"
    if comparison in (Comparison.SCHEDULE, Comparison.DATE):
        return comparison.value
    if draft.op == Operator.BETWEEN:
        return "range"
    return "choices" if draft.field in _CHOICES else "text"


def _help(draft: ConditionDraft, *, is_pattern: bool) -> str:
    return "One per line." if is_pattern else _HELP.get(draft.field, "One per line.")


def _noun(field: str, parameters: Mapping[str, str]) -> str:
    if field.startswith(QUERY_PREFIX):
        return "Link parameter"
    noun = field_noun(field, parameters)
    return noun[:1].upper() + noun[1:]


def operator_label(field: str, op: Operator) -> str:
    """Return an operator in words that fit the field."""
    if field == "schedule":
        return "during" if op is Operator.IN else "outside"
    if op is Operator.EMPTY and (
        field in ("referrer", "useragent", "external_id") or field not in FIELDS or field[1:].isdecimal()
    ):
        return "is missing"
    return _OPERATORS[op]


def _bounds(values: Sequence[str], widget: str) -> tuple[str, str, str]:
    if widget == "schedule":
        return "", "", values[0] if values else "UTC"
    low, high, zone, *_ = (*values, "", "", "")
    return low, high, zone or "UTC"


def _ticked(values: Sequence[str]) -> frozenset[str]:
    hours = {hour for value in values[1:] for hour in hours_in(value) or ()}
    return frozenset(f"{WEEKDAYS[hour // 24]} {hour % 24}" for hour in hours)


def _unknown(draft: ConditionDraft, shares: Mapping[str, float]) -> UnknownChoice | None:
    if draft.op == Operator.EMPTY or not can_be_unknown(draft.field):
        return None
    usual, other = UnknownValue.NO_MATCH, UnknownValue.MATCH
    if draft.op == Operator.NOT_IN:
        usual, other = other, usual
    labels = {UnknownValue.NO_MATCH: "goes on to the next rule", UnknownValue.MATCH: "counts as a match"}
    share = shares.get("country" if draft.field == "continent" else draft.field)
    return UnknownChoice(
        (("", f"{labels[usual]} (usual)"), (other.value, labels[other])),
        "" if share is None else f"{percent(share)} of visitors in the last 7 days had no known value",
        share is not None and share >= OFTEN_UNKNOWN,
    )


def field_groups(parameters: Mapping[str, str], *, has_all_rows: bool) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the fields for a new condition by group. ``parameters``: the source's; ``has_all_rows``: offer V1 to V30 all the same."""
    rows = [field for field in FIELDS if field[:1] == "v" and field[1:].isdecimal()]
    link = [*(field for field in rows if has_all_rows or field in parameters), "external_id"]
    groups = [(name, [(field, _noun(field, parameters)) for field in fields]) for name, fields in _GROUPS]
    return [
        *groups,
        ("Campaign link", [*((field, _noun(field, parameters)) for field in link), (QUERY_PREFIX, "Link parameter …")]),
    ]
