"""Several bases that are looked up as one."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from clickloop.click.continent import continent_of
from clickloop.click.place import Place, place_from


class GeoRecords(Protocol):
    """The records of one base, by address."""

    def record(self, ip: str) -> object:
        """Return what the base has of an address; None if nothing. Never raises."""
        ...


class CountryBase(Protocol):
    """A base that has countries alone."""

    def country(self, ip: str) -> str:
        """Return a country's code; empty if unknown. Never raises."""
        ...


class MergedBases:
    """Bases in order of preference, and one for the countries that none of them knows. Never changed: a new one replaces it."""

    def __init__(self, bases: Sequence[GeoRecords], countries: CountryBase | None = None) -> None:
        self._bases = tuple(bases)
        self._countries = countries

    def place(self, ip: str) -> Place:
        """Return what the bases know of an address together."""
        place = place_from([base.record(ip) for base in self._bases])
        country = place.country
        if not country and self._countries is not None:
            country = self._countries.country(ip)
        if country and not (place.country and place.continent):
            continent = place.continent or continent_of(country)
            place = msgspec.structs.replace(place, country=country, continent=continent)
        return place
