"""The interface of roll-ups in the facts: sums by quarter-hour, written with the facts they are made of."""

from typing import Protocol


class RollupFacts(Protocol):
    """Comparing roll-ups with the facts, and making them anew, by days of UTC since 1970-01-01."""

    def days(self) -> tuple[int, int] | None:
        """Return the first and last day that has facts; None without any."""
        ...

    def differences(self, day: int) -> int:
        """Return the number of keys (quarter-hour and set-up) of a day whose sums differ from the facts."""
        ...

    def rebuild(self, day: int) -> None:
        """Make the roll-ups of a day anew, in one transaction: readers see the old ones or the new ones."""
        ...
