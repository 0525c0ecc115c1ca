"""The place of a visitor, merged from several geo bases: country, region, city, provider and connection."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from clickloop.click.continent import CONTINENTS
from clickloop.click.geo.region import region_code

_COUNTRY = re.compile(r"[A-Z]{2}")
_SUBDIVISION = re.compile(r"[A-Z0-9]{1,3}")
_AS_NUMBER = re.compile(r"(?:AS)?([0-9]{1,10})")
MAX_NAME_LENGTH = 100
_WITHIN_COUNTRY = ("continent", "region", "city")
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
"""Our name of each connection type of MaxMind's and other bases, in lower case."""


class Place(msgspec.Struct, frozen=True, gc=False):
    """The place of a visitor. A text is empty if no base knows it.

    ``country``: ISO 3166-1 alpha-2. ``region``: ISO 3166-2 (``US-CA``). ``asn``: number of the autonomous system, as digits.
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
    """Merge the records that several bases have for one address; the first one with a value counts.

    Reads the formats of MaxMind (GeoIP2, GeoLite2) and of bases that follow them, such as DB-IP's, and the flat ones of IPinfo and
    ip-location-db. Regions that are not ISO 3166-2 codes are read by name, if the name is unambiguous. A record with another country
    adds no continent, region or city.
    """
    found: dict[str, str] = {}
    for record in records:
        if isinstance(record, Mapping):
            country = found.get("country", "")
            values = _values(record, country)
            is_elsewhere = bool(country and values["country"] and values["country"] != country)
            for name, value in values.items():
                if value and name not in found and not (is_elsewhere and name in _WITHIN_COUNTRY):
                    found[name] = value
    if not found.get("region", "").startswith(f"{found.get('country', '')}-"):
        found.pop("region", None)
    return Place(**found)


def _values(record: Mapping[Any, Any], known_country: str) -> dict[str, str]:
    traits = _mapping(record, "traits")
    country = _country(record)
    return {
        "country": country,
        "continent": _continent(record),
        "region": _region(record, country or known_country),
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
    for name in ("continent", "continent_code"):
        value = record.get(name)
        code = value.get("code") if isinstance(value, Mapping) else value
        if isinstance(code, str) and code in CONTINENTS:
            return code
    return ""


def _region(record: Mapping[Any, Any], country: str) -> str:
    subdivisions = record.get("subdivisions")
    first = subdivisions[0] if isinstance(subdivisions, list) and subdivisions else None
    code = first.get("iso_code") if isinstance(first, Mapping) else None
    if country and isinstance(code, str) and _SUBDIVISION.fullmatch(code):
        return f"{country}-{code}"
    names = (_name(value) for value in (first, record.get("region"), record.get("state1"), record.get("stateprov")))
    return region_code(country, next((name for name in names if name), ""))


def _name(value: object) -> str:
    """Return the English name of a place."""
    if isinstance(value, Mapping):
        names = value.get("names")
        value = names.get("en") if isinstance(names, Mapping) else None
    return _clean(value) if isinstance(value, str) else ""


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
                return _clean(value)
    return ""


def _clean(text: str) -> str:
    """Return a text that the facts can store."""
    return text[:MAX_NAME_LENGTH].replace("\0", "")


def _mapping(record: Mapping[Any, Any], name: str) -> Mapping[Any, Any]:
    value = record.get(name)
    return value if isinstance(value, Mapping) else {}
