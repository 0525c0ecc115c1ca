"""The sums that a report needs, as columns of its statement."""

import msgspec

from clickloop.report.column import EventFigure, StatusFigure
from clickloop.report.measure import Unit


class WantedSums(msgspec.Struct, frozen=True, kw_only=True):
    """The sums that a report needs, as columns."""

    counts: tuple[str, ...]
    money: tuple[str, ...]
    """In micros. Until the sides are joined: times 10¹²."""
    statuses: tuple[str, ...]
    events: tuple[int, ...]
    has_delay: bool
    rounded: tuple[str, ...] = ()
    """The columns of money that conditions or the order need in micros."""
    has_unpriced: bool = True
    """True if there may be money in a currency without a rate."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return all columns of groups but the median delay."""
        return (*self.whole, *self.micros)

    @property
    def whole(self) -> tuple[str, ...]:
        """Return the columns that are not money."""
        counted = (f"status_{number}" for number in range(len(self.statuses)))
        return (*self.counts, *counted, *(f"event_{number}" for number in self.events))

    @property
    def in_pieces(self) -> tuple[str, ...]:
        """Return the columns of pieces: expected revenue is made from pending payouts."""
        return tuple(dict.fromkeys(name.replace("expected_micros", "pending_micros") for name in self.names))

    @property
    def micros(self) -> tuple[str, ...]:
        """Return the columns of money."""
        return (*self.money, *(f"payouts_{number}" for number in range(len(self.statuses))))

    def columns(self) -> dict[str, str]:
        """Return the column of each figure of statuses and events, by key."""
        found = {EventFigure(number).key: f"event_{number}" for number in self.events}
        for number, status in enumerate(self.statuses):
            found[StatusFigure(status, Unit.COUNT).key] = f"status_{number}"
            found[StatusFigure(status, Unit.MONEY).key] = f"payouts_{number}"
        return found
