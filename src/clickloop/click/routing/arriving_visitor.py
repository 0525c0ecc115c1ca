"""The visitor at the edge, and their values for conditions. For recorded clicks see ``visitor_values``."""

from collections.abc import Callable, Mapping

import msgspec

from clickloop.click.continent import continent_of
from clickloop.click.place import Place
from clickloop.click.routing.conditions import Value
from clickloop.click.useragent import Device
from clickloop.setup.condition import QUERY_PREFIX
from clickloop.setup.source_rows import V_ROWS


class ArrivingVisitor(msgspec.Struct, frozen=True, gc=False):
    """A visitor whose click is being recorded. ``click``: its fields so far, from the link and the request."""

    now_ms: int
    ip: str
    device: Device
    useragent: str
    place: Place
    language: str
    click: Mapping[str, object]


Getter = Callable[[ArrivingVisitor], Value]


def getter_of(field: str, row_fields: Mapping[str, str]) -> Getter:
    """Return the function that reads a field's value. ``row_fields``: parameter in lower case → field of the click.

    A parameter with a row of the source is stored in that row only.
    """
    if field.startswith(QUERY_PREFIX):
        return _of_click(row_fields.get(field[len(QUERY_PREFIX) :].lower(), field.lower()))
    return _GETTERS[field]


def _of_click(name: str) -> Getter:
    def read(visitor: ArrivingVisitor) -> Value:
        value = visitor.click.get(name, "")
        return value if isinstance(value, str) else ""

    return read


_GETTERS: dict[str, Getter] = {
    "country": lambda visitor: visitor.place.country,
    # Not the geo base's continent: a click stores only the country, and its replay must decide the same.
    "continent": lambda visitor: continent_of(visitor.place.country),
    "region": lambda visitor: visitor.place.region,
    "city": lambda visitor: visitor.place.city,
    "isp": lambda visitor: visitor.place.isp,
    "asn": lambda visitor: visitor.place.asn,
    "connection": lambda visitor: visitor.place.connection,
    "device": lambda visitor: visitor.device.kind,
    "brand": lambda visitor: visitor.device.brand,
    "model": lambda visitor: visitor.device.model,
    "os": lambda visitor: visitor.device.os,
    "os_version": lambda visitor: visitor.device.os_version,
    "browser": lambda visitor: visitor.device.browser,
    "browser_version": lambda visitor: visitor.device.browser_version,
    "language": lambda visitor: visitor.language,
    "referrer": _of_click("referrer"),
    "useragent": lambda visitor: visitor.useragent,
    "ip": lambda visitor: visitor.ip,
    "ip_version": lambda visitor: "6" if ":" in visitor.ip else "4" if visitor.ip else "",
    "schedule": lambda visitor: visitor.now_ms,
    "date": lambda visitor: visitor.now_ms,
    "unique": lambda visitor: "yes" if visitor.click.get("unique") else "no",
    "visit_number": lambda visitor: str(visitor.click.get("visit_number", "")),
    "mark": _of_click("marks"),
    "external_id": _of_click("external_id"),
    **{f"v{number}": _of_click(f"v{number}") for number in V_ROWS},
}
