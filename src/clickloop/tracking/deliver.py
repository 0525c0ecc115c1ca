"""Send postbacks to the outside world."""

from clickloop.postback.delivery.worker import Delivery
from clickloop.postback.sending.client import Sender


async def deliver(delivery: Delivery, sender: Sender) -> None:
    """Send postbacks until ``delivery.stop()``. Promise 4: an unfinished postback always has a time of its next check."""
    async with sender:
        await delivery.run()
