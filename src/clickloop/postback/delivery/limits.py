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
    """With so many outcomes not yet written nothing more leaves: after a crash they, and what was under way, are sent again."""
    batch: int = 64
    """The most that one claim or one write takes."""
    lease_seconds: float = 60
    deadline_seconds: float = 10
    """Of one attempt; nothing is sent that could outlive its lease."""
    write_after_seconds: float = 0.02
    """Outcomes are gathered at most so long before they are written."""
    claim_after_seconds: float = 0.01
    """After a claim that took little, what is owed is gathered for so long before the next one."""
    look_again_seconds: float = 0.05
    """After a claim that found something it is looked so soon what will be due next."""
    look_seconds: float = 5
    """At the latest after this long it is looked whether something is due, or a lease has ended."""
    error_seconds: float = 1
    """How long to wait when the store failed."""


DEFAULT_LIMITS = Limits()
