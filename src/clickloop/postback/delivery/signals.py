"""The events with which the parts of a delivery worker wake each other. For one event loop."""

import asyncio


class Signals:
    """The events of a worker. Any part may set one; only the part that waits for it clears it."""

    def __init__(self) -> None:
        self.due = asyncio.Event()
        """A postback was created, or there is capacity for more. The claimer clears it before a claim, not after, so that one
        created too late for that claim leads to another."""
        self.look = asyncio.Event()
        """A user has a command for a receiver. The rescuer clears it before it checks, for the same reason."""
        self.quit = asyncio.Event()
        """The worker is to end. Never cleared, so parts that wait for another event check it afterwards."""

    def end(self) -> None:
        """Let all parts end. Wakes those that wait for other events, so that they need not wait for seconds."""
        for event in (self.quit, self.due, self.look):
            event.set()


async def pause(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, at most ``seconds``."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
