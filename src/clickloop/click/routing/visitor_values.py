"""The values of a recorded click for conditions. Pure."""

from collections.abc import Mapping
from urllib.parse import unquote_plus

from clickloop.click.click import Click
from clickloop.click.continent import continent_of
from clickloop.click.routing.conditions import Value
from clickloop.setup.condition import FIELDS, QUERY_PREFIX
from clickloop.setup.mark import Mark, MarkMoment

_SAME_NAME = frozenset(FIELDS) - {"continent", "unique", "visit_number", "ip_version", "schedule", "date", "mark"}
"""Fields that a click stores unchanged under the same name."""
_REQUEST_MARKS = frozenset(mark for mark in Mark if mark.moment is MarkMoment.REQUEST)


def click_value_of(click: Click, field: str, rows: Mapping[str, str] = {}) -> Value:
    """Return a click's value of a field for a condition; empty if it is unknown or was not stored.

    ``rows``: the click's field of each link parameter, by the parameter's name in lower case.
    """
    if field in _SAME_NAME:
        value: str = getattr(click, field)
        return value
    if field.startswith(QUERY_PREFIX):
        return _parameter(click, field[len(QUERY_PREFIX) :], rows)
    match field:
        case "continent":
            return continent_of(click.country)
        case "unique":
            return "yes" if click.was_routed_as_unique else "no"
        case "visit_number":
            return str(click.visit_number) if click.visit_number else ""
        case "ip_version":
            return ("6" if ":" in click.ip else "4") if click.ip else ""
        case "mark":
            # Those given later were not there when the click was routed.
            return ",".join(mark for mark in click.marks.split(",") if mark in _REQUEST_MARKS)
        case "schedule" | "date":
            return click.at
    return ""


def _parameter(click: Click, name: str, rows: Mapping[str, str]) -> str:
    """Return a parameter of the link, from the field of its row or from the stored query."""
    wanted = name.lower()
    row_field = rows.get(wanted)
    if row_field is not None:
        value: str = getattr(click, row_field, "")
        return value
    for pair in click.query.split("&") if click.query else ():
        found, _, text = pair.partition("=")
        if unquote_plus(found).lower() == wanted:
            return unquote_plus(text, errors="surrogatepass")
    return ""
