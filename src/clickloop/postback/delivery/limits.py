"""The limits of a delivery worker: how much is under way at once, and how often is looked."""

import msgspec

from clickloop.postback.delivery.lane import LANE_CONNECTIONS


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much is under way at once, and how often is looked."""

    connections: int = 200
    """Requests under way at once."""
    lane_connections: int = LANE_CONNECTIONS
    """Requests under way at once to one receiver, where its lane says nothing else."""
    queue: int = 400
    """Claimed postbacks that wait for a connection."""
    held: int = 2_000
    """Claimed postbacks whose outcome is not yet written."""
    unwritten: int = 100
    """Maximum number of outcomes not yet written before sending stops: after a crash they are sent again, like what was under way."""
    batch: int = 64
    """Maximum number of postbacks per claim and per write."""
    lease_seconds: float = 60
    deadline_seconds: float = 10
    """Of one attempt; nothing is sent that could outlive its lease."""
    write_after_seconds: float = 0.02
    """Maximum time outcomes are collected before they are written: one commit for many."""
    claim_after_seconds: float = 0.01
    """Pause after a claim that found little: the next one then finds more."""
    look_again_seconds: float = 0.05
    """Pause after a claim that found something, before looking for what is due next."""
    look_seconds: float = 5
    """Maximum time between two looks at what is due or whose lease has ended."""
    error_seconds: float = 1
    """How long to wait when the store failed."""


DEFAULT_LIMITS = Limits()
