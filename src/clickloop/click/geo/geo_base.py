"""The interface of geo bases, in which addresses are looked up."""

from typing import Protocol

import msgspec

from clickloop.click.place import NOWHERE, Place


class GeoBase(Protocol):
    """Looks up where an IP address is."""

    def place(self, ip: str) -> Place:
        """Return the place of an address, ``NOWHERE`` if it is unknown. Never raises."""
        ...


class FixedPlace(msgspec.Struct, frozen=True):
    """A base that has one place for every address, for simulated visitors and for a tracker without a base."""

    fixed: Place = NOWHERE

    def place(self, ip: str) -> Place:
        """Return the place, whatever the address."""
        return self.fixed
