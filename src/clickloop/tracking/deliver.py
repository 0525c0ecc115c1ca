"""Delivering: the postbacks that are owed leave for the world."""

from clickloop.postback.delivery.worker import Delivery
from clickloop.postback.sending.client import Sender


async def deliver(delivery: Delivery, sender: Sender) -> None:
    """Sends what is owed until ``delivery.stop()``; wake it when something is owed. Promise 4: what is not final is looked at again."""
    async with sender:
        await delivery.run()
