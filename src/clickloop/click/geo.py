"""Looks up countries by IP address, in the base shipped by the package geoip2fast or in the user's own .mmdb file."""

import gzip
import ipaddress
import pickle
from array import array
from bisect import bisect_right
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import maxminddb

_PROBED = ("1.1.1.1", "8.8.8.8", "81.2.69.142", "200.160.2.3")
"""Addresses in different parts of the tree, looked up on opening so that a truncated or corrupt base is noticed at once."""


class GeoBase(Protocol):
    """Looks up the country of an IP address."""

    def country(self, ip: str) -> str:
        """Return the ISO 3166-1 alpha-2 code, upper case; empty if unknown. Never raises."""
        ...


class MmdbGeoBase:
    """A country or city base in MaxMind's format, memory-mapped and so shared between processes."""

    def __init__(self, path: Path) -> None:
        try:
            self._reader = maxminddb.open_database(path)
            for address in _PROBED:
                self._reader.get(address)  # opening reads only the metadata behind the tree
        except (OSError, maxminddb.InvalidDatabaseError) as fault:
            raise ValueError(
                f"geo_base {path} cannot be opened: {fault}. Expected a country or city base as .mmdb."
            ) from fault

    def close(self) -> None:
        self._reader.close()

    def country(self, ip: str) -> str:
        try:
            found = self._reader.get(ip)
        except (ValueError, LookupError, RuntimeError, TypeError):  # not an address, or a base that is damaged inside
            return ""
        if not isinstance(found, dict):
            return ""
        place = found.get("country") or found.get("registered_country")
        code = place.get("iso_code") if isinstance(place, dict) else None
        return code if isinstance(code, str) else ""


class ShippedGeoBase:
    """The GeoLite2 country base that the package ``geoip2fast`` ships, as flat arrays: 12 MB instead of 60."""

    def __init__(self) -> None:
        starts, codes, lengths = _shipped_ranges()
        split = bisect_right(starts, 0xFFFFFFFF)
        self._codes = sorted(set(codes))
        place = {code: index for index, code in enumerate(self._codes)}
        self._starts4 = array("I", starts[:split])
        # Country bases have no IPv6 network longer than /64, so the upper half of an address is enough.
        self._starts6 = array("Q", [start >> 64 for start in starts[split:]])
        self._places4 = bytes(place[code] for code in codes[:split])
        self._places6 = bytes(place[code] for code in codes[split:])
        self._lengths4 = bytes(lengths[:split])
        self._lengths6 = bytes(lengths[split:])

    def country(self, ip: str) -> str:
        try:
            address = ipaddress.ip_address(ip)
        except ValueError:
            return ""
        number = int(address)
        if address.version == 4:
            found = bisect_right(self._starts4, number) - 1
            if found < 0 or number >> (32 - self._lengths4[found]) != self._starts4[found] >> (
                32 - self._lengths4[found]
            ):
                return ""
            return self._codes[self._places4[found]]
        number >>= 64
        found = bisect_right(self._starts6, number) - 1
        if found < 0 or self._lengths6[found] > 64:
            return ""
        if number >> (64 - self._lengths6[found]) != self._starts6[found] >> (64 - self._lengths6[found]):
            return ""
        return self._codes[self._places6[found]]


def _shipped_ranges() -> tuple[list[int], list[str], list[int]]:
    """Return first addresses, country codes and prefix lengths of the shipped base, ordered by address."""
    package = find_spec("geoip2fast")
    if package is None or package.origin is None:
        raise ValueError("the package geoip2fast, which ships the geo base, is missing: install it or set geo_base")
    path = Path(package.origin).parent / "geoip2fast-ipv6.dat.gz"
    with gzip.open(path) as file:
        # The file belongs to an installed package and is as trustworthy as its code.
        version, _, _, (_, names, firsts, countries, lengths) = pickle.load(file)  # noqa: S301
    if version not in (120, 121):
        raise ValueError(
            f"the shipped geo base has format {version}, expected 120 or 121: install geoip2fast 1.2 or set geo_base"
        )
    codes = [name.split(":", 1)[0] for name in names]
    codes = [code if code.isalpha() else "" for code in codes]
    return (
        [first for chunk in firsts for first in chunk],
        [codes[index] for chunk in countries for index in chunk],
        [length for chunk in lengths for length in chunk],
    )
