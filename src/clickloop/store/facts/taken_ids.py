"""The ids of the ledger's outbox rows that the facts have taken. A row may be committed after one with a higher id."""

from collections.abc import Iterable, Iterator

import msgspec

from clickloop.store.id_runs import id_runs


class TakenIds(msgspec.Struct, frozen=True):
    """All ids from 1 to ``last`` except the gaps in ``skipped``: first and last id of each, ascending.

    A database with several writers assigns ids in one order and commits them in another, so a gap may still be filled. The gap
    of a rolled-back transaction never is.
    """

    last: int = 0
    skipped: tuple[tuple[int, int], ...] = ()

    def __contains__(self, id_: int) -> bool:
        return id_ <= self.last and not any(first <= id_ <= last for first, last in self.skipped)

    def adding(self, ids: Iterable[int]) -> "TakenIds":
        """Return these ids together with further ones."""
        last, skipped = self.last, list(self.skipped)
        for first, end in id_runs(ids):
            if first > last + 1:
                skipped.append((last + 1, first - 1))
            skipped = [gap for old in skipped for gap in _without(old, first, end)]
            last = max(last, end)
        return TakenIds(last, tuple(skipped))


def _without(gap: tuple[int, int], first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield what remains of a gap without the ids from ``first`` to ``last``."""
    if last < gap[0] or gap[1] < first:
        yield gap
        return
    if gap[0] < first:
        yield gap[0], first - 1
    if last < gap[1]:
        yield last + 1, gap[1]
