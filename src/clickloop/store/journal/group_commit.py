"""Group commit: many requests wait for one sync of the journal, which runs in a thread while the loop goes on."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from clickloop.store.journal.writer import JournalBroken, JournalWriter, SyncTicket


class GroupCommit:
    """Tells requests when their record is on disk. One sync at a time; whoever arrives meanwhile shares the next one."""

    def __init__(self, writer: JournalWriter) -> None:
        self._writer = writer
        # One thread: a second sync at once would only wait for the same disk.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal-sync")
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._running: asyncio.Task[None] | None = None

    async def durable(self, position: int) -> None:
        """Returns when a sync that began after the record at ``position`` was appended has succeeded.

        Raises ``JournalBroken`` when it failed: then it is unknown whether the record will be found again.
        """
        if position <= self._writer.synced:
            return
        if self._writer.failure:
            raise JournalBroken(self._writer.failure)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((position, waiter))
        # One task for all who wait: those who come meanwhile share its next sync.
        if self._running is None:
            self._running = asyncio.ensure_future(self._sync_while_waited_for())
        await waiter

    async def sync(self) -> None:
        """Brings all that was appended so far to disk: what a timer calls for a stream whose records nobody waits for."""
        await self.durable(self._writer.position)

    async def close(self) -> None:
        """Lets a running sync end and stops the thread. Close the writer after it."""
        if self._running is not None:
            await asyncio.wait([self._running])
        self._thread.shutdown()

    async def _sync_while_waited_for(self) -> None:
        """Syncs again and again until nobody waits."""
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
        """Wakes those whose record the ticket covered."""
        still = []
        for position, waiter in self._waiters:
            if position > ticket.position:
                still.append((position, waiter))
            elif not waiter.done():
                waiter.set_result(None)
        self._waiters = still

    def _refuse(self, error: JournalBroken) -> None:
        """Tells everybody who waits that nothing is known any more."""
        waiters, self._waiters = self._waiters, []
        for _, waiter in waiters:
            if not waiter.done():
                waiter.set_exception(JournalBroken(str(error)))
