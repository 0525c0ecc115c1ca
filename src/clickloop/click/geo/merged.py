"""Several bases looked up as one."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from clickloop.click.continent import continent_of
from clickloop.click.place import Place, place_from


class GeoRecords(Protocol):
    """The records of one base, by address."""

    def record(self, ip: str) -> object:
        """Return the record of an address, or None. Never raises."""
        ...


class CountryBase(Protocol):
    """A base that provides only countries."""

    def country(self, ip: str) -> str:
        """Return a country's code; empty if unknown. Never raises."""
        ...


class MergedBases:
    """Bases in order of preference, and one for countries that none of them knows. Immutable."""

    def __init__(self, bases: Sequence[GeoRecords], countries: CountryBase | None = None) -> None:
        self._bases = tuple(bases)
        self._countries = countries

    def place(self, ip: str) -> Place:
        """Return the merged place of an address."""
        place = place_from([base.record(ip) for base in self._bases])
        country = place.country
        if not country and self._countries is not None:
            country = self._countries.country(ip)
        if country and not (place.country and place.continent):
            continent = place.continent or continent_of(country)
            place = msgspec.structs.replace(place, country=country, continent=continent)
        return place
