"""The thread in which a delivery worker calls its store, so that calls do not block the event loop."""

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from clickloop.postback.delivery.work import PostbackStore

_Result = TypeVar("_Result")
_Arguments = ParamSpec("_Arguments")


class StoreThread:
    """A single thread, so that calls reach the store in order.

    An outcome that is being written when the clock is set back is therefore stored first, then shifted with everything stored.
    """

    def __init__(self, store: PostbackStore) -> None:
        self.store = store
        self._pool = ThreadPoolExecutor(1, "delivery-ledger")

    async def call(
        self, method: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> _Result:
        """Call a method of ``store`` in the thread, and return its result. Raise as it does."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, functools.partial(method, *args, **kwargs))

    def close(self) -> None:
        """Wait for pending calls, and end the thread."""
        self._pool.shutdown()
