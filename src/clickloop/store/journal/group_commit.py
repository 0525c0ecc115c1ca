"""Group commit: many requests wait for one sync of the journal, which runs in a thread beside the event loop."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from clickloop.store.journal.writer import JournalBroken, JournalWriter, SyncTicket


class GroupCommit:
    """Lets requests wait until their record is on disk. One sync at a time; requests that arrive meanwhile share the next one."""

    def __init__(self, writer: JournalWriter) -> None:
        self._writer = writer
        # A single thread: a concurrent sync would only wait for the same disk.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal-sync")
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._running: asyncio.Task[None] | None = None

    async def durable(self, position: int) -> None:
        """Wait for a successful sync that began after the record at ``position`` was appended.

        Raise JournalBroken if it failed: it is then unknown whether the record is stored.
        """
        if position <= self._writer.synced:
            return
        if self._writer.failure:
            raise JournalBroken(self._writer.failure)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((position, waiter))
        if self._running is None:
            self._running = asyncio.ensure_future(self._sync_until_idle())
        await waiter

    async def sync(self) -> None:
        """Sync everything appended so far; called by a timer for a stream without waiting requests."""
        await self.durable(self._writer.position)

    async def close(self) -> None:
        """Wait for a running sync and stop the thread. Close the writer afterwards."""
        if self._running is not None:
            await asyncio.wait([self._running])
        self._thread.shutdown()

    async def _sync_until_idle(self) -> None:
        """Sync repeatedly until no request waits."""
        loop = asyncio.get_running_loop()
        try:
            while self._waiters:
                ticket = self._writer.begin_sync()
                await loop.run_in_executor(self._thread, ticket.run)
                self._writer.end_sync(ticket)
                self._release(ticket)
        except JournalBroken as error:
            self._refuse(error)
        finally:
            self._running = None

    def _release(self, ticket: SyncTicket) -> None:
        """Wake the requests whose records the ticket covers."""
        remaining = []
        for position, waiter in self._waiters:
            if position > ticket.position:
                remaining.append((position, waiter))
            elif not waiter.done():
                waiter.set_result(None)
        self._waiters = remaining

    def _refuse(self, error: JournalBroken) -> None:
        """Raise the error in all waiting requests."""
        waiters, self._waiters = self._waiters, []
        for _, waiter in waiters:
            if not waiter.done():
                waiter.set_exception(JournalBroken(str(error)))
