"""Values that a visit of a landing carries from its click to the URLs of the offers behind it. The visitor's next request says the rest."""

from collections.abc import Iterable, Mapping
from typing import Any

from clickloop.click.click import Click
from clickloop.click.click_values import SetupNames, click_values
from clickloop.money import amount_text
from clickloop.setup.source_rows import ROW_FIELDS, ROW_MACROS, V_ROWS

CARRIED = frozenset({"externalid", "cost", "referrer", "unique", *(f"token{number}" for number in V_ROWS)})
"""Macros that only the click has values for. Address, device and language are read from the visitor's next request."""
AT_HAND = CARRIED | {"clickid", "click_time", "now"}
"""Macros that a visit has values for."""

_FIELDS = {"externalid": "external_id", "referrer": "referrer"} | {
    ROW_MACROS[number]: ROW_FIELDS[number] for number in V_ROWS
}
"""Macro → field of the click with its value."""
_NO_NAMES = SetupNames()


def carried_values(names: Iterable[str], click: Click) -> dict[str, str]:
    """Return a click's values of the macros in ``names`` that a visit carries, without empty ones."""
    values = click_values((name for name in names if name in CARRIED), click, _NO_NAMES)
    return {name: value for name, value in values.items() if value}


def carried_of_fields(names: Iterable[str], fields: Mapping[str, Any]) -> dict[str, str]:
    """Return the same for a click at the edge. ``fields``: its fields so far."""
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
