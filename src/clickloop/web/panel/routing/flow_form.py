"""Reading a flow's form into a draft. Nothing is checked here; what the form lacks is left out, and rows are bounded."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from litestar.exceptions import HTTPException
from msgspec.structs import replace

from clickloop.click.country import country_code
from clickloop.diagnosis.condition_phrases import runs
from clickloop.setup.condition import (
    MAX_CONDITIONS,
    MAX_VALUES,
    QUERY_PREFIX,
    WEEKDAYS,
    Comparison,
    Operator,
    comparison_of,
    hours_in,
)
from clickloop.setup.flow import MAX_LANDINGS, MAX_OFFERS, MAX_PATHS, MAX_RULES
from clickloop.web.panel.frame.form import Form
from clickloop.web.panel.routing.flow_draft import (
    DEFAULT_WEIGHT,
    ConditionDraft,
    FlowDraft,
    PathDraft,
    RuleDraft,
    ShareDraft,
)

PACKED = "packed"
"""The field of a closed rule, or of the closed default paths, with all of it as JSON."""
_BY_COMMA = frozenset({Comparison.CODE, Comparison.NUMBER, Comparison.VERSION, Comparison.LANGUAGE, Comparison.ADDRESS})
"""Values of these kinds hold no comma; names and texts may, and stand one on a line."""
_UNREADABLE = (
    "The form cannot be read: a part of the flow arrived damaged. Nothing was saved. Reload the page and try again."
)

Node = Mapping[Any, Any]


def read_draft(form: Form, prefix: str = "") -> FlowDraft:
    """Return the flow in a form. ``prefix``: the path of the flow's fields, such as ``flow.``. Raise HTTPException 400."""
    tree: Node = form.numbered_tree()
    for step in prefix.split(".")[:-1]:
        tree = _node(tree.get(step))
    packed = _text(tree.get("default_packed"))
    shown = tree.get("default_paths")
    return FlowDraft(
        rules=tuple(_rule(node) for node in _rows(tree.get("rules"), MAX_RULES)),
        default_paths=_weighted_paths(_unpacked(packed, tuple[PathDraft, ...]), _node(shown))
        if packed
        else _paths(_rows(shown, MAX_PATHS)),
        is_open=not packed,
    )


def packed_rule(rule: RuleDraft) -> str:
    """Return a closed rule as its form carries it."""
    return msgspec.json.encode(rule).decode()


def packed_paths(paths: tuple[PathDraft, ...]) -> str:
    """Return closed default paths as their form carries them."""
    return msgspec.json.encode(paths).decode()


def _unpacked(text: str, kind: Any) -> Any:
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise HTTPException(status_code=400, detail=_UNREADABLE) from None


def _rule(node: Node) -> RuleDraft:
    packed = _text(node.get(PACKED))
    if packed:
        rule: RuleDraft = _unpacked(packed, RuleDraft)
        is_active = bool(_text(node.get("active"))) if "active" in node else rule.is_active
        return replace(
            rule, is_active=is_active, is_open=False, paths=_weighted_paths(rule.paths, _node(node.get("paths")))
        )
    conditions = tuple(_condition(one) for one in _rows(node.get("conditions"), MAX_CONDITIONS))
    return RuleDraft(
        id=_text(node.get("id")) or "0",
        name=_text(node.get("name")).strip(),
        is_active=bool(_text(node.get("active"))),
        conditions=conditions,
        paths=_paths(_rows(node.get("paths"), MAX_PATHS)),
        is_open=True,
    )


def _weighted_paths(paths: tuple[PathDraft, ...], shown: Node) -> tuple[PathDraft, ...]:
    """Return packed paths with the weights that the closed form shows, by the number of each row."""
    weighted = []
    for at, path in enumerate(paths):
        node = _node(shown.get(at))
        weighted.append(
            replace(
                path,
                weight=_text(node["weight"]) if "weight" in node else path.weight,
                landings=_weighted_shares(path.landings, _node(node.get("landings"))),
                offers=_weighted_shares(path.offers, _node(node.get("offers"))),
            )
        )
    return tuple(weighted)


def _weighted_shares(shares: tuple[ShareDraft, ...], shown: Node) -> tuple[ShareDraft, ...]:
    nodes = [_node(shown.get(at)) for at in range(len(shares))]
    return tuple(
        replace(share, weight=_text(node["weight"])) if "weight" in node else share
        for share, node in zip(shares, nodes, strict=True)
    )


def _paths(nodes: list[Node]) -> tuple[PathDraft, ...]:
    return tuple(_path(node) for node in nodes)


def _path(node: Node) -> PathDraft:
    return PathDraft(
        id=_text(node.get("id")) or "0",
        name=_text(node.get("name")).strip(),
        is_active=bool(_text(node.get("active", "on"))),
        weight=_text(node.get("weight", DEFAULT_WEIGHT)),
        target=_text(node.get("target")) or PathDraft().target,
        landings=_shares(node.get("landings"), MAX_LANDINGS),
        offers=_shares(node.get("offers"), MAX_OFFERS),
        url=_text(node.get("url")).strip(),
        campaign_id=_text(node.get("campaign_id")).strip(),
        redirect=_text(node.get("redirect")),
        pass_query=_text(node.get("pass_query")),
        goal=_text(node.get("goal")),
        window_hours=_text(node.get("window_hours")).strip() or PathDraft().window_hours,
        least_share=_text(node.get("least_share")).strip() or PathDraft().least_share,
        delay_hours=_text(node.get("delay_hours")).strip(),
        is_frozen=bool(_text(node.get("frozen"))),
    )


def _shares(value: Any, most: int) -> tuple[ShareDraft, ...]:
    return tuple(
        ShareDraft(_text(node.get("number")).strip(), _text(node.get("weight", DEFAULT_WEIGHT)).strip())
        for node in _rows(value, most)
    )


def _condition(node: Node) -> ConditionDraft:
    field, op = _text(node.get("field")), _text(node.get("op"))
    if field.startswith(QUERY_PREFIX):
        field = QUERY_PREFIX + _text(node.get("parameter")).strip()
    return ConditionDraft(
        field=field,
        op=op or Operator.IN,
        values=tuple(_values(field, op, node))[: MAX_VALUES + 1],
        list_id="" if op in (Operator.EMPTY, Operator.BETWEEN) else _text(node.get("list_id")),
        unknown="" if op == Operator.EMPTY else _text(node.get("unknown")),
    )


def _values(field: str, op: str, node: Node) -> Iterable[str]:
    """Return the values of a condition, whichever fields its form showed them in."""
    if op == Operator.EMPTY:
        return ()
    low, high = _text(node.get("low")).strip(), _text(node.get("high")).strip()
    typed = typed_values(
        field, node.get("values"), is_pattern=op not in (Operator.IN, Operator.NOT_IN, Operator.BETWEEN)
    )
    match comparison_of(field):
        case Comparison.SCHEDULE:
            return _schedule_values(_text(node.get("zone")).strip(), node.get("hours"))
        case Comparison.DATE:
            zone = _text(node.get("zone")).strip()
            return (low, high, *([zone] if zone and zone != "UTC" else []))
    if op == Operator.BETWEEN:
        return (low, high) if "low" in node else (*typed, "", "")[:2] if typed else ()
    return typed or [value for value in (low, high) if value]


def typed_values(field: str, value: Any, *, is_pattern: bool = False) -> list[str]:
    """Return typed or ticked values: one per line, separated by commas where no value holds one; countries by name, too."""
    lines = [line for text in (value if isinstance(value, list) else [value]) for line in _text(text).splitlines()]
    if not is_pattern and comparison_of(field) in _BY_COMMA:
        lines = [part for line in lines for part in line.split(",")]
    words = [word for line in lines if (word := line.strip())]
    if not is_pattern:
        words = [_normal(field, word) for word in words]
    return list(dict.fromkeys(words))


def _normal(field: str, word: str) -> str:
    """Return a value as it is compared: country names as codes, codes in their case."""
    match field:
        case "country":
            return country_code(word) or word
        case "region":
            return word.upper()
        case "language":
            return word.lower().replace("_", "-")
        case "asn":
            return word[2:] if word[:2].upper() == "AS" else word
    return word


def _schedule_values(zone: str, hours: Any) -> Iterable[str]:
    """Return a schedule's values from its grid, in which ``mon 9`` is a ticked hour."""
    ticked = [_text(one) for one in (hours if isinstance(hours, list) else [hours])]
    found: set[int] = set()
    for text in ticked[: 7 * 24]:
        day, _, hour = text.partition(" ")
        if hour.isascii() and hour.isdecimal() and len(hour) <= 2:
            found.update(hours_in(f"{day} {hour}-{int(hour) + 1}") or ())
    spans = [
        f"{name} {first - day * 24}-{last + 1 - day * 24}"
        for day, name in enumerate(WEEKDAYS)
        for first, last in runs(hour for hour in found if hour // 24 == day)
    ]
    return (zone or "UTC", *spans) if spans or zone else ()


def _rows(value: Any, most: int) -> list[Node]:
    """Return the rows of a list in order; one more than allowed, so that the excess is reported."""
    node = _node(value)
    return [_node(node[key]) for key in sorted(key for key in node if isinstance(key, int))[: most + 1]]


def _node(value: Any) -> Node:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    if isinstance(value, list):
        return next((text for text in reversed(value) if isinstance(text, str)), "")
    return value if isinstance(value, str) else ""
