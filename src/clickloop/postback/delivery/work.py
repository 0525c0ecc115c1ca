"""What passes between delivery and the store where postbacks wait."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from clickloop.postback.delivery.lane import Asked, KeptLane, Standing
from clickloop.postback.delivery.lanes import EVERY_ROOM, Rooms
from clickloop.postback.retry import Outcome, Result, Tried
from clickloop.postback.rule import Request, Schedule, Success


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed postback: everything that one attempt needs."""

    postback_id: str
    rule_id: int
    lane: str
    """The receiver, ``host:port``."""
    token: int
    """The lease's fencing token."""
    attempt: int
    """Number of the attempt whose row has been written."""
    tried: Tried
    request: Request
    success: Success
    schedule: Schedule
    probes_rule: bool = False
    """Its rule was resumed, and this one is let through first: when it is answered, the others follow."""


class Claimed(msgspec.Struct, frozen=True):
    """What a claim took. ``seen`` counts all that were due, also those put off."""

    jobs: tuple[Job, ...]
    seen: int
    next_at: int | None
    """When the next one will be due in the lanes of which nothing is due now; of the others a later claim tells."""
    more: bool = False
    """More is due, and there is room for it: claim again."""
    full: tuple[str, ...] = ()
    """Lanes of which perhaps more is due than they had room for."""
    last: str = ""
    """The lane behind which the next claim is to begin."""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt whose outcome is to be written: ``at`` is when it ended, ``again_at`` the next attempt's moment."""

    job: Job
    outcome: Outcome
    result: Result
    at: int
    again_at: int | None = None
    pauses_rule: bool = False
    error: str = ""
    """Why it was no delivery, for people; empty when it was one. At most 500 characters."""


class Recorded(msgspec.Struct, frozen=True):
    """What writing outcomes has brought about."""

    paused: tuple[int, ...] = ()
    """Rules that a 410 has paused."""
    resumed: tuple[int, ...] = ()
    """Rules that go on, because the one that was let through first was answered. What they hold is to be woken."""
    woken: int = 0
    """Postbacks that stood behind one that is final now, and are due."""


class PostbackStore(Protocol):
    """Where postbacks wait. Every call is one transaction, blocks, and may raise when the store is away."""

    def claim(self, now_ms: int, limit: int, lease_ms: int, rooms: Rooms = EVERY_ROOM) -> Claimed:
        """Takes at most ``limit`` due postbacks, of each lane at most its room, in fair shares.

        Each is taken not before the earlier ones of its conversion and rule are final.
        """
        ...

    def record(self, ended: Sequence[Ended]) -> Recorded:
        """Writes outcomes; those whose token is stale touch nothing."""
        ...

    def wake_held(self) -> bool:
        """Lets some of what rules have held go on that are not held any more; False: that was all."""
        ...

    def lanes(self) -> tuple[KeptLane, ...]:
        """The lanes of which something is kept: what the user has set, and who is paused."""
        ...

    def keep_standings(self, standings: Mapping[str, Standing], done: Mapping[str, Asked]) -> None:
        """Keeps by lane how its receiver stands, and that what somebody asked of it is done."""
        ...

    def release(self, jobs: Sequence[Job], now_ms: int) -> None:
        """Gives back claimed postbacks that were never sent, as if they had not been claimed."""
        ...

    def rescue(self, now_ms: int, everything: bool = False) -> int:
        """Puts postbacks with an expired lease (or all under a lease) back to waiting; answers how many."""
        ...

    def follow_clock(self, jump_ms: int) -> None:
        """Moves leases with a clock that jumped, and with one that jumped back also the moments of what waits."""
        ...

    def note_clock(self, now_ms: int) -> None:
        """Remember the moment by delivery's clock, by which the moments of what waits were set."""
        ...

    def latest_moment(self) -> int | None:
        """Return the moment that was noted last, else when the newest postback was created; None when there is neither."""
        ...
