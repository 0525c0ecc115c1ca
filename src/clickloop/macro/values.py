"""The values of macros: worked out when the first template asks for one, and encoded once for each place."""

from collections.abc import Callable, Mapping
from typing import Self

from clickloop.macro.place import Place


class Values(dict[str, str]):
    """Canonical name to text in the form of ``octets.text_of``. Ask with ``values[name]``: a name without a value is empty.

    Made for one rendering or many; not for several threads at once.
    """

    __slots__ = ("_in_places", "_shared", "_work_out")

    def __init__(self, work_out: Callable[[str], str], shared: "Shared | None" = None) -> None:
        """``shared``: values that are the same elsewhere, so that they are worked out and encoded there once for all."""
        super().__init__()
        self._work_out = work_out
        self._shared = shared
        self._in_places: dict[str, _InPlace] = {}  # by the place's key, which hashes faster than the place

    @classmethod
    def of(cls, known: Mapping[str, str]) -> Self:
        """Values that are known already; the same object when they are in this form."""
        if isinstance(known, cls):
            return known
        return cls(lambda name: known.get(name) or "")

    def __missing__(self, name: str) -> str:
        shared = self._shared
        if shared is not None and name not in shared.but:
            value = self[name] = shared.values[name]
            return value
        value = self[name] = self._work_out(name)
        return value

    def put(self, name: str, value: str) -> None:
        """Sets what differs from one rendering to the next."""
        self[name] = value
        for encoded in self._in_places.values():
            encoded.pop(name, None)

    def encoded(self, place: Place) -> "_InPlace":
        """The values as they are written into a place."""
        found = self._in_places.get(place.key)
        if found is None:
            found = self._in_places[place.key] = _InPlace(self, place, self._shared)
        return found


class Shared:
    """Other values that hold here too, ``but`` for some names."""

    __slots__ = ("but", "values")

    def __init__(self, values: Values, but: frozenset[str]) -> None:
        self.values = values
        self.but = but


class _InPlace(dict[str, str]):
    """Each value encoded, once it has been asked for."""

    __slots__ = ("_place", "_shared", "_values")

    def __init__(self, values: Values, place: Place, shared: Shared | None) -> None:
        super().__init__()
        self._values = values
        self._place = place
        self._shared = shared

    def __missing__(self, name: str) -> str:
        shared = self._shared
        if shared is not None and name not in shared.but:
            encoded = self[name] = shared.values.encoded(self._place)[name]
            return encoded
        value = self._values[name]
        # Letters and digits are the same everywhere, and most values are made of nothing else.
        encoded = self[name] = value if value.isalnum() and value.isascii() else self._place.encode(value)
        return encoded
