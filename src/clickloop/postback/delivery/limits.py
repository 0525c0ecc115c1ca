"""The limits and intervals of a delivery worker."""

import msgspec

from clickloop.postback.delivery.receiver_queue import RECEIVER_CONNECTIONS


class DeliveryLimits(msgspec.Struct, frozen=True, kw_only=True):
    connections: int = 200
    """Maximum number of requests under way."""
    receiver_connections: int = RECEIVER_CONNECTIONS
    """Maximum number of requests under way to one receiver, unless the user has set another."""
    queue: int = 400
    """Maximum number of claimed postbacks that wait for a connection."""
    held: int = 2_000
    """Maximum number of claimed postbacks whose outcome is not yet written."""
    unwritten: int = 100
    """Number of unwritten outcomes at which sending stops: after a crash they are sent again, like what was under way."""
    batch: int = 64
    """Maximum number of postbacks per claim and per write."""
    lease_seconds: float = 60
    deadline_seconds: float = 10
    """Deadline of one attempt. Nothing is sent that could outlive its lease."""
    write_after_seconds: float = 0.02
    """Maximum time outcomes are collected before they are written: one commit for many."""
    claim_after_seconds: float = 0.01
    """Delay after a claim that found little, so that the next one finds more."""
    next_poll_seconds: float = 0.05
    """Delay after a claim that found something, before checking for what is due next."""
    poll_seconds: float = 5
    """Maximum time between checks for due postbacks and expired leases."""
    error_seconds: float = 1
    """Delay after the store failed."""


DEFAULT_LIMITS = DeliveryLimits()
