"""The events by which the parts of a delivery worker wake each other. For one event loop."""

import asyncio


class Signals:
    """Each is set by anybody, and cleared only by the one part that waits for it."""

    def __init__(self) -> None:
        self.due = asyncio.Event()
        """Something is owed, or there is room for more. The claimer clears it before it claims, not after: what is set during a claim,
        which may be too late to be part of it, makes it claim again."""
        self.look = asyncio.Event()
        """Somebody wants something of a receiver. The rescuer clears it before it looks, for the same reason."""
        self.quit = asyncio.Event()
        """The worker is to end. Never cleared, so it is the flag as well: whoever waits for something else looks at it afterwards."""

    def end(self) -> None:
        """Have all parts end. Those that wait for other events are woken, so that nobody sits out a wait of seconds."""
        for event in (self.quit, self.due, self.look):
            event.set()


async def pause(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, for ``seconds`` at most."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
