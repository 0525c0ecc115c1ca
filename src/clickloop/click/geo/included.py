"""The included base: the GeoLite2 countries in the package ``geoip2fast``."""

import gzip
import ipaddress
import pickle
import re
from array import array
from bisect import bisect_right
from datetime import UTC, datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path

INCLUDED_KIND = "GeoLite2-Country"
_INFO = re.compile(rb"GeoLite2-Country-[A-Za-z0-9-]{1,40}-([0-9]{8})")
_HEAD_BYTES = 4096


class IncludedCountries:
    """The included base as flat arrays: 12 MB instead of 60. Raise ValueError if it is missing or of another version."""

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
        """Return the ISO 3166-1 alpha-2 code of an address, upper case; empty if unknown. Never raises."""
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
    """Return first addresses, country codes and prefix lengths of the included base, ordered by address."""
    with gzip.open(_path()) as file:
        # The file belongs to an installed package and is as trustworthy as its code.
        version, _, _, (_, names, firsts, countries, lengths) = pickle.load(file)  # noqa: S301
    if version not in (120, 121):
        raise ValueError(f"the shipped geo base has format {version}, expected 120 or 121: install geoip2fast 1.2")
    codes = [name.split(":", 1)[0] for name in names]
    codes = [code if code.isalpha() else "" for code in codes]
    return (
        [first for chunk in firsts for first in chunk],
        [codes[index] for chunk in countries for index in chunk],
        [length for chunk in lengths for length in chunk],
    )


@cache
def included_built_at() -> int:
    """Return when the included base was built, in Unix milliseconds; 0 if it does not say."""
    try:
        with gzip.open(_path()) as file:
            # This text comes before the ranges, which are most of the file.
            text = _INFO.search(file.read(_HEAD_BYTES))
        if text is None:
            return 0
        built = datetime.strptime(text[1].decode(), "%Y%m%d").replace(tzinfo=UTC)
    except (OSError, ValueError, EOFError):
        return 0
    return int(built.timestamp()) * 1000


def _path() -> Path:
    package = find_spec("geoip2fast")
    if package is None or package.origin is None:
        raise ValueError("the package geoip2fast, which includes the countries, is missing: install it")
    return Path(package.origin).parent / "geoip2fast-ipv6.dat.gz"
