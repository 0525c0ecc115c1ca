"""A rule's conditions in plain English: "from the United States or Canada", "whose Zone (V1) is in the list “Bad zones”". Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from clickloop.click.continent import CONTINENTS
from clickloop.click.country import country_name
from clickloop.setup.condition import QUERY_PREFIX, WEEKDAYS, Condition, Operator, hours_in
from clickloop.setup.mark import mark_name

MAX_LISTED = 6
"""Values that a sentence lists. The others are only counted."""
MAX_SHOWN = 60  # characters of a value

_DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_PLURALS = ("Bahamas", "Comoros", "Gambia", "Maldives", "Philippines", "Seychelles", "Federated States of Micronesia")
_ENDINGS = ("Islands", "Republic", "Kingdom", "Emirates", "Territory", "Territories", "States")
"""Names of countries that take "the", and last words of such names."""
DEVICES = {"mobile": "phones", "tablet": "tablets", "desktop": "desktop computers", "tv": "TVs"}
CONNECTIONS = {
    "mobile": "mobile",
    "broadband": "broadband",
    "corporate": "corporate",
    "dialup": "dial-up",
    "satellite": "satellite",
}


class FlowNames(msgspec.Struct, frozen=True, kw_only=True):
    """Names of what a flow refers to, by number; a missing one is shown by its number."""

    offers: Mapping[int, str] = {}
    landings: Mapping[int, str] = {}
    campaigns: Mapping[int, str] = {}
    lists: Mapping[int, str] = {}
    parameters: Mapping[str, str] = {}
    """Names of the source's parameters, by field: ``v1`` is ``Zone``."""


class _Wording(msgspec.Struct, frozen=True):
    """The words for a field. ``among`` and ``outside`` take the values; without them it is "whose NOUN is"."""

    noun: str
    among: str = ""
    outside: str = ""
    show: Callable[[str], str] = str
    without: str = ""
    """For a field that can be missing: "a referrer". Otherwise an empty value is unknown."""
    is_always_known: bool = False


def _country(code: str) -> str:
    name = country_name(code).removeprefix("The ")
    return f"the {name}" if name in _PLURALS or name.endswith(_ENDINGS) or code == "NL" else name


def _of(names: Mapping[str, str]) -> Callable[[str], str]:
    return lambda value: names.get(value, value)


_WORDINGS = {
    "country": _Wording("country", "from {or}", "from outside {and}", _country),
    "continent": _Wording("continent", "from {or}", "from outside {and}", _of(CONTINENTS)),
    "region": _Wording("region", "from region {or}", "from outside region {and}"),
    "city": _Wording("city", "in {or}", "outside {and}"),
    "isp": _Wording("ISP", "with the ISP {or}", "with an ISP other than {or}"),
    "asn": _Wording("ASN", "in {or}", "outside {and}", lambda value: f"AS{value}"),
    "connection": _Wording("connection", "on a {or} connection", "on a connection other than {or}", _of(CONNECTIONS)),
    "device": _Wording("device", "on {or}", "on devices other than {or}", _of(DEVICES)),
    "brand": _Wording("device brand", "with a device by {or}", "with a device not made by {or}"),
    "model": _Wording("device model", "with the model {or}", "with a model other than {or}"),
    "os": _Wording("operating system", "on {or}", "on systems other than {or}"),
    "os_version": _Wording("OS version", "with OS version {or}", "with an OS version other than {or}"),
    "browser": _Wording("browser", "in {or}", "in browsers other than {or}"),
    "browser_version": _Wording(
        "browser version", "with browser version {or}", "with a browser version other than {or}"
    ),
    "language": _Wording("language"),
    "referrer": _Wording("referrer", without="a referrer"),
    "useragent": _Wording("user agent", without="a user agent"),
    "ip": _Wording(
        "IP address", "with an IP address in {or}", "with an IP address outside {and}", is_always_known=True
    ),
    "ip_version": _Wording("IP version", "using {or}", "not using {or}", lambda v: f"IPv{v}", is_always_known=True),
    "visit_number": _Wording("visit number", "on visit {or}", "on a visit other than {or}", is_always_known=True),
    "unique": _Wording("uniqueness", is_always_known=True),
    "schedule": _Wording("time", is_always_known=True),
    "date": _Wording("date", is_always_known=True),
    "external_id": _Wording("external ID", without="an external ID"),
    "mark": _Wording("mark", "marked as {or}", "not marked as {or}", mark_name, is_always_known=True),
}
_RANGED = frozenset({"os_version", "browser_version", "visit_number"})
"""Fields whose phrase for one value also begins that for a range."""


def field_noun(field: str, parameters: Mapping[str, str] = {}) -> str:
    """Return the noun for a field: ``operating system``, ``Zone (V1)``, ``link parameter sub``."""
    return _wording(field, parameters).noun


def can_be_unknown(field: str) -> bool:
    """Return whether a visitor's value of a field can be unknown or missing."""
    return not _wording(field, {}).is_always_known


def _wording(field: str, parameters: Mapping[str, str]) -> _Wording:
    if found := _WORDINGS.get(field):
        return found
    if field.startswith(QUERY_PREFIX):
        noun = f"link parameter {shortened(field[len(QUERY_PREFIX) :])}"
        return _Wording(noun, without=f"the {noun}")
    name = parameters.get(field, "")
    noun = f"{shortened(name)} ({field.upper()})" if name else field.upper()[:20]
    return _Wording(noun, without=noun)


def condition_phrase(condition: Condition, names: FlowNames) -> str:
    """Return a condition in words that follow "Visitors": ``on Android``."""
    wording = _wording(condition.field, names.parameters)
    special = {"schedule": _schedule, "date": _date, "unique": _unique}.get(condition.field)
    if condition.op is Operator.EMPTY:
        return unknown_phrase([condition.field], names)
    if special is not None:
        return special(condition)
    if condition.op is Operator.BETWEEN:
        return _between(condition, wording)
    if condition.op in (Operator.IN, Operator.NOT_IN):
        return _membership(condition, wording, names)
    verb = {
        Operator.CONTAINS: "contains",
        Operator.STARTS_WITH: "starts with",
        Operator.MATCHES: "matches the expression",
    }[condition.op]
    values = [f"“{shortened(value)}”" for value in condition.values]
    listed = _list_words(condition, names)
    return f"whose {wording.noun} {verb} {_listed(values, 'or', listed and f'a value {listed}')}"


def unknown_phrase(fields: Sequence[str], names: FlowNames) -> str:
    """Return the words for visitors whose value of these fields is unknown: ``whose country or region is unknown``."""
    wordings = [_wording(field, names.parameters) for field in dict.fromkeys(fields)]
    unknown = [wording.noun for wording in wordings if not wording.without]
    missing = [wording.without for wording in wordings if wording.without]
    parts = [f"whose {joined(unknown, 'or')} is unknown"] if unknown else []
    return " or ".join([*parts, *([f"without {joined(missing, 'or')}"] if missing else [])])


def _membership(condition: Condition, wording: _Wording, names: FlowNames) -> str:
    is_in = condition.op is Operator.IN
    pattern = wording.among if is_in else wording.outside
    values = [shortened(wording.show(value)) for value in condition.values]
    listed = _list_words(condition, names)
    if not pattern or not values:
        return f"whose {wording.noun} is {'' if is_in else 'not '}{_listed(values, 'or', listed)}"
    either = _listed(values, "or", listed and f"one {listed}")
    neither = _listed(values, "and", listed and f"those {listed}")
    return pattern.replace("{or}", either).replace("{and}", neither)


def _list_words(condition: Condition, names: FlowNames) -> str:
    """Return the words for a condition's named list; empty if it has none."""
    if condition.list_id is None:
        return ""
    name = names.lists.get(condition.list_id, str(condition.list_id))
    return f"in the list “{shortened(name)}”"


def _between(condition: Condition, wording: _Wording) -> str:
    low, high = (*(shortened(value) for value in condition.values[:2]), "", "")[:2]
    start = wording.among.removesuffix(" {or}") if condition.field in _RANGED else f"whose {wording.noun} is"
    if low and high:
        return f"{start} {low} to {high}"
    if not low and not high:
        return f"{start} …"
    return f"{start} {low} or higher" if low else f"{start} {high} or lower"


def _unique(condition: Condition) -> str:
    wanted = {"yes", "no"} & {*condition.values}
    if condition.op is Operator.NOT_IN:
        wanted = {"yes", "no"} - wanted
    if wanted == {"yes"}:
        return "on a unique visit"
    return "on a repeat visit" if wanted == {"no"} else "on any visit" if wanted else "on no visit"


def _date(condition: Condition) -> str:
    low, high, zone, *_ = (*(shortened(value) for value in condition.values[:3]), "", "", "")
    place = f" ({zone or 'UTC'})"
    if not low and not high:
        return f"on any date{place}"
    if low and high:
        return f"from {low.replace('T', ' ')} to {high.replace('T', ' ')}{place}"
    return f"from {low.replace('T', ' ')} on{place}" if low else f"until {high.replace('T', ' ')}{place}"


def _schedule(condition: Condition) -> str:
    zone = shortened(condition.values[0]) if condition.values else "UTC"
    spans = schedule_spans(condition.values[1:])
    words = joined(spans, "and") if spans else "no hour of the week"
    return f"{'outside' if condition.op is Operator.NOT_IN else 'during'} {words} ({zone})"


def schedule_spans(values: Iterable[str]) -> list[str]:
    """Return the hours of a schedule, with days of the same hours combined: ``Mon–Fri 9:00–17:00``."""
    hours = {hour for value in values for hour in hours_in(value) or ()}
    by_day = [_day_spans({hour - day * 24 for hour in hours if hour // 24 == day}) for day in range(len(WEEKDAYS))]
    spans: list[str] = []
    first = 0
    while first < len(by_day):
        last = first
        while last + 1 < len(by_day) and by_day[last + 1] == by_day[first]:
            last += 1
        if by_day[first]:
            days = _DAY_NAMES[first] if first == last else f"{_DAY_NAMES[first]}–{_DAY_NAMES[last]}"
            spans.append(f"{days} {by_day[first]}")
        first = last + 1
    return spans


def _day_spans(hours: set[int]) -> str:
    """Return the hours of one day: ``9:00–12:00, 13:00–17:00``; empty: none."""
    if len(hours) == 24:
        return "all day"
    return ", ".join(f"{first}:00–{last + 1}:00" for first, last in runs(hours))


def runs(hours: Iterable[int]) -> list[tuple[int, int]]:
    """Return the first and last number of each unbroken run."""
    found: list[tuple[int, int]] = []
    for hour in sorted(hours):
        if found and found[-1][1] == hour - 1:
            found[-1] = (found[-1][0], hour)
        else:
            found.append((hour, hour))
    return found


def _listed(values: Sequence[str], word: str, place: str) -> str:
    """Return the first few values and the named list, joined."""
    items = list(values[:MAX_LISTED]) if len(values) > MAX_LISTED + 1 else list(values)
    if len(values) > len(items):
        items.append(f"{len(values) - len(items):,} others")
    return joined([*items, *([place] if place else [])], word) or "nothing"


def joined(items: Sequence[str], word: str) -> str:
    """Return ``A, B or C``."""
    return f" {word} ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)


def shortened(text: str, most: int = MAX_SHOWN) -> str:
    """Return a text, cut if it is long."""
    return text if len(text) <= most else text[: most - 1] + "…"
