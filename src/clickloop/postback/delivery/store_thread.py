"""The thread in which a delivery worker calls its store, so that the event loop goes on meanwhile."""

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from clickloop.postback.delivery.work import PostbackStore

_Answer = TypeVar("_Answer")
_Given = ParamSpec("_Given")


class StoreThread:
    """One thread alone: calls reach the store in the order in which they were made.

    So an outcome that is on its way when the clock is set back is stored first, and then moved along with all that is stored.
    """

    def __init__(self, store: PostbackStore) -> None:
        self.store = store
        self._pool = ThreadPoolExecutor(1, "delivery-ledger")

    async def call(self, ask: Callable[_Given, _Answer], *args: _Given.args, **kwargs: _Given.kwargs) -> _Answer:
        """Call a method of ``store`` and return what it answers. Raise as it does."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, functools.partial(ask, *args, **kwargs))

    def close(self) -> None:
        """Wait for the calls that were made, and end the thread."""
        self._pool.shutdown()
