"""The values of macros: worked out when the first template asks for one, and encoded once for each place."""

from collections.abc import Callable, Mapping
from typing import Self

from clickloop.macro.place import Place


class Values(dict[str, str]):
    """Canonical name to text in the form of ``text.text_of``. Ask with ``values[name]``: a name without a value is empty.

    Made for one rendering or many; not for several threads at once.
    """

    __slots__ = ("_work_out", "in_places")

    def __init__(self, work_out: Callable[[str], str]) -> None:
        super().__init__()
        self._work_out = work_out
        self.in_places: dict[str, _InPlace] = {}  # by the place's key, which hashes faster than the place

    @classmethod
    def of(cls, known: Mapping[str, str]) -> Self:
        """Values that are known already; the same object when they are in this form."""
        if isinstance(known, cls):
            return known
        return cls(lambda name: known.get(name) or "")

    def __missing__(self, name: str) -> str:
        value = self[name] = self._work_out(name)
        return value

    def take(self, others: "Values", but: frozenset[str]) -> None:
        """Takes over what has been worked out and encoded elsewhere, ``but`` for the names that differ here."""
        self.update(others)
        for name in but:
            self.pop(name, None)
        for key, theirs in others.in_places.items():
            encoded = self.in_places[key] = _InPlace(self, theirs.place)
            encoded.update(theirs)
            for name in but:
                encoded.pop(name, None)

    def put(self, name: str, value: str) -> None:
        """Sets what differs from one rendering to the next."""
        self[name] = value
        for encoded in self.in_places.values():
            encoded.pop(name, None)

    def encoded(self, place: Place) -> "_InPlace":
        """The values as they are written into a place."""
        found = self.in_places.get(place.key)
        if found is None:
            found = self.in_places[place.key] = _InPlace(self, place)
        return found


class _InPlace(dict[str, str]):
    """Each value encoded, once it has been asked for."""

    __slots__ = ("_values", "place")

    def __init__(self, values: Values, place: Place) -> None:
        super().__init__()
        self._values = values
        self.place = place

    def __missing__(self, name: str) -> str:
        value = self._values[name]
        # Letters and digits are the same everywhere, and most values are made of nothing else.
        encoded = self[name] = value if value.isalnum() and value.isascii() else self.place.encode(value)
        return encoded
