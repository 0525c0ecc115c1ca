"""The values of macros, computed on first use and encoded once for each context."""

from collections.abc import Callable, Mapping
from typing import Self

from clickloop.macro.encoding_context import EncodingContext


class Values(dict[str, str]):
    """Canonical name to text as ``text.escape_bytes`` returns it. ``values[name]`` is empty for a name without a value.

    For any number of renderings. Not thread-safe.
    """

    __slots__ = ("_compute", "encoded_by_context")

    def __init__(self, compute: Callable[[str], str]) -> None:
        super().__init__()
        self._compute = compute
        self.encoded_by_context: dict[
            str, _EncodedValues
        ] = {}  # by the context's key, which hashes faster than the context

    @classmethod
    def of(cls, known: Mapping[str, str]) -> Self:
        """Return known values as ``Values``; the same object if they are."""
        if isinstance(known, cls):
            return known
        return cls(lambda name: known.get(name) or "")

    def __missing__(self, name: str) -> str:
        value = self[name] = self._compute(name)
        return value

    def take(self, others: "Values", but: frozenset[str]) -> None:
        """Copy what has been computed and encoded in ``others``, ``but`` not the names that differ here."""
        self.update(others)
        for name in but:
            self.pop(name, None)
        for key, theirs in others.encoded_by_context.items():
            encoded = self.encoded_by_context[key] = _EncodedValues(self, theirs.context)
            encoded.update(theirs)
            for name in but:
                encoded.pop(name, None)

    def put(self, name: str, value: str) -> None:
        """Set a value that differs between renderings."""
        self[name] = value
        for encoded in self.encoded_by_context.values():
            encoded.pop(name, None)

    def encoded(self, context: EncodingContext) -> "_EncodedValues":
        found = self.encoded_by_context.get(context.key)
        if found is None:
            found = self.encoded_by_context[context.key] = _EncodedValues(self, context)
        return found


class _EncodedValues(dict[str, str]):
    """The values encoded for one context, on first use."""

    __slots__ = ("_values", "context")

    def __init__(self, values: Values, context: EncodingContext) -> None:
        super().__init__()
        self._values = values
        self.context = context

    def __missing__(self, name: str) -> str:
        value = self._values[name]
        # ASCII letters and digits are the same in every context, and most values consist of nothing else.
        encoded = self[name] = value if value.isalnum() and value.isascii() else self.context.encode(value)
        return encoded
