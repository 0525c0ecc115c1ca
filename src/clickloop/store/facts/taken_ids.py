"""Which rows of the ledger's outbox the facts have taken, by id: a row may be committed after one with a higher id."""

from collections.abc import Iterable, Iterator

import msgspec

from clickloop.store.id_runs import id_runs


class TakenIds(msgspec.Struct, frozen=True):
    """All ids from 1 to ``last`` but those in ``skipped``: first and last id of each gap, ascending.

    A database with several writers gives ids out in one order and commits them in another, so a gap may still be filled. Where a
    transaction was rolled back it never is.
    """

    last: int = 0
    skipped: tuple[tuple[int, int], ...] = ()

    def __contains__(self, id_: int) -> bool:
        return id_ <= self.last and not any(first <= id_ <= last for first, last in self.skipped)

    def adding(self, ids: Iterable[int]) -> "TakenIds":
        """Return what is taken when these are taken as well."""
        last, skipped = self.last, list(self.skipped)
        for first, end in id_runs(ids):
            if first > last + 1:
                skipped.append((last + 1, first - 1))
            skipped = [gap for old in skipped for gap in _without(old, first, end)]
            last = max(last, end)
        return TakenIds(last, tuple(skipped))


def _without(gap: tuple[int, int], first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield what is left of a gap when the ids from ``first`` to ``last`` are filled."""
    if last < gap[0] or gap[1] < first:
        yield gap
        return
    if gap[0] < first:
        yield gap[0], first - 1
    if last < gap[1]:
        yield last + 1, gap[1]
