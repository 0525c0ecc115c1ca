"""A cache of results that are expensive to compute and stay valid while what they depend on is unchanged."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar, cast

MAX_RESULTS = 64
"""Maximum number of cached results. The least recently used one is dropped first."""

T = TypeVar("T")


class PageCache:
    """The last result for each key. For any thread; two threads may compute the same result at once."""

    def __init__(self) -> None:
        self._results: OrderedDict[Hashable, tuple[Hashable, int, object]] = OrderedDict()
        # Guards the order of use only. It is not held while a result is computed, which can take seconds.
        self._lock = threading.Lock()

    def of(
        self,
        key: Hashable,
        depends_on: Hashable,
        compute: Callable[[], T],
        now_ms: int,
        max_age_ms: int | None = None,
    ) -> tuple[T, int]:
        """Return the result and when it was computed.

        It is computed now unless there is one that depends on the same and is at most ``max_age_ms`` old (None: of any age).
        """
        with self._lock:
            known = self._results.get(key)
            if known is not None:
                self._results.move_to_end(key)
        if (
            known is not None
            and known[0] == depends_on
            and (max_age_ms is None or abs(now_ms - known[1]) <= max_age_ms)
        ):
            return cast("T", known[2]), known[1]
        result = compute()
        with self._lock:
            self._results[key] = (depends_on, now_ms, result)
            while len(self._results) > MAX_RESULTS:
                self._results.popitem(last=False)
        return result, now_ms
