"""The interface between delivery and the store of waiting postbacks."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from clickloop.postback.delivery.receiver_queue import ReceiverCommand, ReceiverCondition, StoredReceiver
from clickloop.postback.delivery.receiver_queues import UNLIMITED_QUOTAS, Quotas
from clickloop.postback.retry import AttemptCounts, AttemptOutcome, Result
from clickloop.postback.rule import PostbackRequest, Schedule, Success


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed postback, with everything that one attempt needs."""

    postback_id: str
    rule_id: int
    receiver: str
    """The receiver, ``host:port``."""
    token: int
    """The lease's fencing token."""
    attempt: int
    """Number of this attempt; its row has been written."""
    tried: AttemptCounts
    request: PostbackRequest
    success: Success
    schedule: Schedule
    probes_rule: bool = False
    """Its rule was resumed, and this one is sent first: the others follow once the receiver has responded."""


class ClaimBatch(msgspec.Struct, frozen=True):
    """The result of a claim. ``seen`` counts all postbacks that were due, even deferred ones."""

    jobs: tuple[Job, ...]
    seen: int
    next_at: int | None
    """When the next postback is due for receivers for which nothing is due now; for the others, a later claim reports it."""
    more: bool = False
    """More is due, and there is capacity for it: claim again."""
    full: tuple[str, ...] = ()
    """Receivers for which more may be due than could be claimed."""
    last: str = ""
    """The receiver after which the next claim is to start."""


class EndedAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """The record of an ended attempt. ``at``: when it ended; ``retry_at``: when the next one is due."""

    job: Job
    outcome: AttemptOutcome
    result: Result
    at: int
    retry_at: int | None = None
    pauses_rule: bool = False
    error: str = ""
    """Why it was not a delivery, or a remark on one; at most ``retry.MAX_ERROR_LENGTH`` characters."""


class RecordingResult(msgspec.Struct, frozen=True):
    """The effects of recording outcomes."""

    paused: tuple[int, ...] = ()
    """Rules paused by a 410."""
    resumed: tuple[int, ...] = ()
    """Rules resumed because the receiver responded to their first postback. Their other postbacks are to be woken."""
    woken: int = 0
    """Number of postbacks now due because an earlier one of the same conversion and rule is final."""


class PostbackStore(Protocol):
    """The store of waiting postbacks. Every call is one transaction, blocks, and may raise if the store is down."""

    def claim(self, now_ms: int, limit: int, lease_ms: int, rooms: Quotas = UNLIMITED_QUOTAS) -> ClaimBatch:
        """Claim at most ``limit`` due postbacks, in fair shares, for each receiver at most its room.

        A postback is not claimed before the earlier ones of its conversion and rule are final.
        """
        ...

    def record(self, ended: Sequence[EndedAttempt]) -> RecordingResult:
        """Write outcomes. Those with a stale token change nothing."""
        ...

    def wake_resumed(self) -> bool:
        """Wake a batch of postbacks whose rules were resumed. Return False if that was all."""
        ...

    def receivers(self) -> tuple[StoredReceiver, ...]:
        """Return the stored receivers: those with limits, a pause, a wait or a command."""
        ...

    def save_receiver_conditions(
        self, standings: Mapping[str, ReceiverCondition], done: Mapping[str, ReceiverCommand]
    ) -> None:
        """Store receivers' conditions, and that commands are done."""
        ...

    def release(self, jobs: Sequence[Job], now_ms: int) -> None:
        """Release claimed postbacks that were never sent, as if they had not been claimed."""
        ...

    def rescue(self, now_ms: int, everything: bool = False) -> int:
        """Return postbacks with an expired lease (or with any) to waiting. Return how many."""
        ...

    def follow_clock(self, jump_ms: int) -> None:
        """Shift leases by a clock jump, and due times as well if the clock jumped back."""
        ...

    def note_clock(self, now_ms: int) -> None:
        """Store the time of delivery's clock, by which due times were set."""
        ...

    def latest_moment(self) -> int | None:
        """Return the time stored last, otherwise when the newest postback was created; None if there is neither."""
        ...
