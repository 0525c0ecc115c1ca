"""Where a visitor is, put together from several geo bases: country, region, city, provider, connection."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

_COUNTRY = re.compile(r"[A-Z]{2}")
_SUBDIVISION = re.compile(r"[A-Z0-9]{1,3}")
_CONTINENTS = frozenset({"AF", "AN", "AS", "EU", "NA", "OC", "SA"})
_AS_NUMBER = re.compile(r"(?:AS)?([0-9]{1,10})")
MAX_NAME_LENGTH = 100
CONNECTIONS = {
    "cellular": "mobile",
    "mobile": "mobile",
    "cable/dsl": "broadband",
    "cable": "broadband",
    "dsl": "broadband",
    "broadband": "broadband",
    "wifi": "broadband",
    "corporate": "corporate",
    "business": "corporate",
    "dialup": "dialup",
    "dial-up": "dialup",
    "satellite": "satellite",
}
"""The connection types of MaxMind's and other bases, in lower case, and what we call them."""


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where a visitor is. An empty text: no base knows.

    ``country``: ISO 3166-1 alpha-2. ``region``: ISO 3166-2 (``US-CA``). ``asn``: the number of the autonomous system, as digits.
    ``connection``: a value of ``CONNECTIONS``.
    """

    country: str = ""
    continent: str = ""
    region: str = ""
    city: str = ""
    isp: str = ""
    asn: str = ""
    connection: str = ""


NOWHERE = Place()


def place_from(records: Iterable[object]) -> Place:
    """Return what the records that several bases have of one address say together; of two that differ the first counts.

    The forms are those of MaxMind (GeoIP2, GeoLite2) and of bases that follow them, such as DB-IP's, and the flat one of IPinfo. A
    base's own codes of regions are no ISO 3166-2 and are left out.
    """
    found: dict[str, str] = {}
    for record in records:
        if isinstance(record, Mapping):
            for name, value in _values(record).items():
                if value and not found.get(name):
                    found[name] = value
    country = found.get("country", "")
    if not found.get("region", "").startswith(f"{country}-"):
        found.pop("region", None)  # of a base that places the address in another country
    return Place(**found)


def _values(record: Mapping[Any, Any]) -> dict[str, str]:
    traits = _mapping(record, "traits")
    country = _country(record)
    return {
        "country": country,
        "continent": _continent(record),
        "region": _region(record, country),
        "city": _name(record.get("city")),
        "isp": _first_text(record, traits, "isp", "autonomous_system_organization", "as_name", "organization"),
        "asn": _as_number(record, traits),
        "connection": CONNECTIONS.get(_first_text(record, traits, "connection_type").lower(), ""),
    }


def _country(record: Mapping[Any, Any]) -> str:
    for name in ("country", "registered_country", "country_code"):
        value = record.get(name)
        code = value.get("iso_code") if isinstance(value, Mapping) else value
        if isinstance(code, str) and _COUNTRY.fullmatch(code):
            return code
    return ""


def _continent(record: Mapping[Any, Any]) -> str:
    value = record.get("continent", record.get("continent_code"))
    code = value.get("code") if isinstance(value, Mapping) else value
    return code if isinstance(code, str) and code in _CONTINENTS else ""


def _region(record: Mapping[Any, Any], country: str) -> str:
    subdivisions = record.get("subdivisions")
    first = subdivisions[0] if isinstance(subdivisions, list) and subdivisions else None
    code = first.get("iso_code") if isinstance(first, Mapping) else None
    return f"{country}-{code}" if country and isinstance(code, str) and _SUBDIVISION.fullmatch(code) else ""


def _name(value: object) -> str:
    """Return an English name of a place."""
    if isinstance(value, Mapping):
        names = value.get("names")
        value = names.get("en") if isinstance(names, Mapping) else None
    return value[:MAX_NAME_LENGTH] if isinstance(value, str) else ""


def _as_number(record: Mapping[Any, Any], traits: Mapping[Any, Any]) -> str:
    for source in (record, traits):
        for name in ("autonomous_system_number", "asn"):
            value = source.get(name)
            found = _AS_NUMBER.fullmatch(str(value)) if isinstance(value, int | str) else None
            if found is not None:
                return found[1]
    return ""


def _first_text(record: Mapping[Any, Any], traits: Mapping[Any, Any], *names: str) -> str:
    for source in (record, traits):
        for name in names:
            value = source.get(name)
            if isinstance(value, str) and value:
                return value[:MAX_NAME_LENGTH]
    return ""


def _mapping(record: Mapping[Any, Any], name: str) -> Mapping[Any, Any]:
    value = record.get(name)
    return value if isinstance(value, Mapping) else {}
