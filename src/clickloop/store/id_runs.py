"""Runs of consecutive ids."""

from collections.abc import Iterable, Iterator


def id_runs(ids: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield first and last id of each run of consecutive ids, ascending."""
    run: tuple[int, int] | None = None
    for id_ in sorted(ids):
        if run is not None and id_ <= run[1] + 1:
            run = (run[0], id_)
            continue
        if run is not None:
            yield run
        run = (id_, id_)
    if run is not None:
        yield run
