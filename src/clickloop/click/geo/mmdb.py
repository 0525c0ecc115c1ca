"""A base in MaxMind's format (``.mmdb``): its records and its description."""

import enum
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import maxminddb
import msgspec
from maxminddb.decoder import Decoder

from clickloop.click.geo.mmdb_writer import METADATA_START
from clickloop.click.place import place_from

MAX_KIND_LENGTH = 100
_MAX_METADATA_BYTES = 128 * 1024
_SAMPLED_RECORDS = 300
"""Number of records that show what a base has. One alone may lack a city."""
_PROBED = (
    *("1.1.1.1", "8.8.8.8", "81.2.69.142", "200.160.2.3"),
    *(f"{first}.1.1.1" for first in range(2, 224, 3)),
)
_PROBED6 = (
    "2001:4860:4860::8888",
    "2001:200::1",
    "2003::1",
    "2400:cb00::1",
    "2600::1",
    "2804::1",
    "2a00::1",
    "2c0f::1",
)
"""Addresses in different parts of the tree, looked up on opening so that a truncated or corrupt base is noticed at once."""


class GeoField(enum.StrEnum):
    """A field that a base can provide."""

    COUNTRY = "country"
    REGION = "region"
    CITY = "city"
    ISP = "isp"
    ASN = "asn"
    CONNECTION = "connection"


class GeoBaseError(Exception):
    """A file that is not usable as a geo base. The message names it and says what is expected."""


class BaseDescription(msgspec.Struct, frozen=True, kw_only=True):
    """A base's own description, and the fields that it provides."""

    kind: str
    """Its maker's name for its kind, such as ``GeoLite2-City``."""
    built_at: int
    """Unix milliseconds; 0 if unknown."""
    provides: tuple[GeoField, ...]


class MmdbBase:
    """An opened base. ``mapped``: in memory, shared between processes and fast; otherwise read piece by piece."""

    def __init__(self, path: Path, *, mapped: bool = True) -> None:
        """Raise GeoBaseError if the file is no base, is damaged, or provides no field that we use."""
        try:
            # A file that is cut off while it is mapped kills the process: only private copies are.
            mode = maxminddb.MODE_AUTO if mapped else maxminddb.MODE_FILE
            self._reader = maxminddb.open_database(path, mode)
            metadata = self._reader.metadata()
            self._is_ipv4 = metadata.ip_version == 4
            kind = str(metadata.database_type)[:MAX_KIND_LENGTH]
            if not mapped:
                _refuse_truncated(path)
            provides = self._provides()
            built_at = int(metadata.build_epoch) * 1000
        except OSError as fault:
            raise GeoBaseError(f"{path} cannot be used as a geo base: {fault.strerror or fault}.") from fault
        except Exception as fault:  # a damaged file can make the reader raise anything
            raise GeoBaseError(
                f"{path} cannot be used as a geo base: it is not complete, damaged, or no base at all. Expected a file in MaxMind's "
                "format (.mmdb)."
            ) from fault
        if not provides:
            raise GeoBaseError(
                f"{path} is a base of the kind {kind!r}, which has nothing that Clickloop uses. "
                "Expected a base of countries, cities, providers (ISP, ASN) or connection types."
            )
        self.description = BaseDescription(kind=kind, built_at=built_at, provides=provides)

    def record(self, ip: str) -> object:
        """Return the record of an address, or None. Never raises."""
        if self._is_ipv4 and ":" in ip:
            return None
        try:
            return self._reader.get(ip)
        except Exception:  # not an address, or a base that is damaged inside
            return None

    def close(self) -> None:
        self._reader.close()

    def _provides(self) -> tuple[GeoField, ...]:
        # First, since going through a corrupt tree from its root may not end.
        found = [self._reader.get(address) for address in (_PROBED if self._is_ipv4 else (*_PROBED, *_PROBED6))]
        places = [place_from((record,)) for record in (*found, *self._first_records())]
        return tuple(field for field in GeoField if any(getattr(place, field) for place in places))

    def _first_records(self) -> Iterator[object]:
        for _, record in islice(self._reader, _SAMPLED_RECORDS):
            yield record


def _refuse_truncated(path: Path) -> None:
    """Raise ValueError if the end is missing, which the reader in Python, unlike that in C, does not notice in a text."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _MAX_METADATA_BYTES))
        tail = file.read()
    start = tail.rfind(METADATA_START) + len(METADATA_START)
    _, end = Decoder(tail, start).decode(start)
    if end > len(tail):
        raise ValueError("its end is missing")
