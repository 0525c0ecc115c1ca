"""Macro values of an offer URL behind a landing: what the visit carries of the click, and what the visitor's next request says again."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from clickloop.click.click import Click
from clickloop.click.click_values import SetupNames, click_values
from clickloop.click.visitor_cookie import Visit
from clickloop.money import amount_text
from clickloop.setup.source_rows import ROW_FIELDS, ROW_MACROS, V_ROWS

CARRIED = frozenset({"externalid", "cost", "referrer", "unique", *(f"token{number}" for number in V_ROWS)})
"""Macros that only the click knows. Address, device and language are taken from the visitor's next request."""
AT_HAND = CARRIED | {"clickid", "click_time", "now"}
"""Macros that a visit is enough for."""
MAX_VALUE_BYTES = 600  # of a visit in a cookie: beyond, they would push out what was seen of other campaigns

_FIELDS = {"externalid": "external_id", "referrer": "referrer"} | {
    ROW_MACROS[number]: ROW_FIELDS[number] for number in V_ROWS
}
"""Macro → field of the click with its value."""
_NO_NAMES = SetupNames()


def carried_values(names: Iterable[str], click: Click) -> dict[str, str]:
    """Return the values of those macros in ``names`` that a visit carries, without empty ones."""
    values = click_values((name for name in names if name in CARRIED), click, _NO_NAMES)
    return {name: value for name, value in values.items() if value}


def carried_of_fields(names: Iterable[str], fields: Mapping[str, Any]) -> dict[str, str]:
    """Return the same for a click that is being taken. ``fields``: its fields, as far as they are set."""
    values: dict[str, str] = {}
    for name in names:
        field = _FIELDS.get(name)
        if field is not None:
            value = fields.get(field, "")
        elif name == "cost":
            value = amount_text(fields["cost_micros"]) if "cost_micros" in fields else ""
        elif name == "unique":
            value = "1" if fields.get("unique") else "0"
        else:
            continue
        if value:
            values[name] = value
    return values


def visit_values(visit: Visit) -> dict[str, str]:
    """Return the values of the macros ``AT_HAND``, except ``now``."""
    return {"clickid": visit.click_id, "click_time": str(visit.at), **(visit.values or {})}


def for_cookie(visit: Visit) -> Visit:
    """Return a visit as the cookie holds it: without its values, if they are too long."""
    values: Mapping[str, str] | None = visit.values
    if not values or sum(len(value) for value in values.values()) * 4 <= MAX_VALUE_BYTES:
        return visit
    is_short = sum(len(value.encode()) for value in values.values()) <= MAX_VALUE_BYTES
    return visit if is_short else replace(visit, values=None)
