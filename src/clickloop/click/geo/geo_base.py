"""What a visitor's address is looked up in."""

from typing import Protocol

import msgspec

from clickloop.click.place import NOWHERE, Place


class GeoBase(Protocol):
    """Looks up where an IP address is."""

    def place(self, ip: str) -> Place:
        """Return what is known of an address; ``NOWHERE`` if nothing is. Never raises."""
        ...


class FixedPlace(msgspec.Struct, frozen=True):
    """A base that has one place for every address, for simulated visitors and for a tracker without a base."""

    fixed: Place = NOWHERE

    def place(self, ip: str) -> Place:
        """Return the place, whatever the address."""
        return self.fixed
