"""The alarm outbox: messages to rules, from the first attempt to the last. Pure; times are passed in."""

import enum
from collections.abc import Sequence

import msgspec

from clickloop.alarm.tracker import AlarmMessage
from clickloop.clock import DAY_MS
from clickloop.postback.alarm_rules import AlarmRules
from clickloop.postback.rule import PostbackRule

MAX_WAITING = 500  # a receiver that is down for weeks must not fill the disk
MAX_FINISHED = 200
"""Maximum number of finished deliveries to remember and show."""
MAX_SENT_PER_ROUND = 50  # a single process sends them within its deadline
_MAX_WAIT_MS = 8 * DAY_MS
"""Longer than any delay of a schedule; a time further ahead means that the clock has jumped back."""


class DeliveryState(enum.StrEnum):
    """The state of a message to a rule."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"
    NO_RULE = "no_rule"
    """There was no alarm rule, so only the panel shows it."""


class AlarmDelivery(msgspec.Struct, kw_only=True):
    """A message to a rule. Times are Unix milliseconds."""

    message: AlarmMessage
    rule_id: int = 0
    rule_name: str = ""
    state: DeliveryState = DeliveryState.WAITING
    attempts: int = 0
    rejections: int = 0
    next_at: int = 0
    status_code: int | None = None
    detail: str = ""
    """Why it was not delivered, as a text for the user without secrets."""
    finished_at: int = 0


class AlarmAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of an attempt."""

    state: DeliveryState
    next_at: int = 0
    rejections: int = 0
    status_code: int | None = None
    detail: str = ""


class SendingJob(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt to make: a message, and the current rule."""

    rule: PostbackRule
    message: AlarmMessage
    attempts: int = 0
    """Number of earlier attempts."""
    rejections: int = 0


class AlarmOutbox:
    """Waiting and finished messages. For one thread."""

    def __init__(self, deliveries: Sequence[AlarmDelivery] = ()) -> None:
        self.deliveries = list(deliveries)
        """Oldest first; stored for the next start."""

    def add(self, messages: Sequence[AlarmMessage], rules: AlarmRules, now_ms: int) -> None:
        """Add messages, each for every rule."""
        for message in messages:
            for rule in rules.rules:
                self.deliveries.append(
                    AlarmDelivery(message=message, rule_id=rule.rule_id, rule_name=rule.name, next_at=now_ms)
                )
            if not rules.rules:
                state = DeliveryState.NO_RULE
                self.deliveries.append(AlarmDelivery(message=message, state=state, finished_at=now_ms))
        self._prune(now_ms)

    def due(self, rules: AlarmRules, now_ms: int) -> list[tuple[AlarmDelivery, SendingJob]]:
        """Return what to send now. An alarm's end waits until its beginning has been delivered or has failed."""
        by_id = {rule.rule_id: rule for rule in rules.rules}
        blocked: set[tuple[int, str]] = set()
        found: list[tuple[AlarmDelivery, SendingJob]] = []
        for one in self.deliveries:
            if one.state is not DeliveryState.WAITING:
                continue
            rule = by_id.get(one.rule_id)
            if rule is None:
                self._finish(
                    one, DeliveryState.FAILED, "The rule was switched off or archived before it was sent.", now_ms
                )
                continue
            order = (one.rule_id, one.message.key)
            is_due = one.next_at <= now_ms or one.next_at - now_ms > _MAX_WAIT_MS
            if is_due and order not in blocked and len(found) < MAX_SENT_PER_ROUND:
                job = SendingJob(rule=rule, message=one.message, attempts=one.attempts, rejections=one.rejections)
                found.append((one, job))
            blocked.add(order)
        return found

    def record(self, delivery: AlarmDelivery, attempt: AlarmAttempt, now_ms: int) -> None:
        """Record the outcome of an attempt."""
        delivery.attempts += 1
        delivery.rejections = attempt.rejections
        delivery.status_code = attempt.status_code
        delivery.detail = attempt.detail
        if attempt.state is DeliveryState.WAITING:
            delivery.next_at = attempt.next_at
        else:
            self._finish(delivery, attempt.state, attempt.detail, now_ms)
        self._prune(now_ms)

    def _finish(self, delivery: AlarmDelivery, state: DeliveryState, detail: str, now_ms: int) -> None:
        delivery.state, delivery.detail, delivery.finished_at = state, detail, now_ms

    def _prune(self, now_ms: int) -> None:
        """Fail the oldest waiting messages, and remove the oldest finished ones, beyond their maximum numbers."""
        waiting = [one for one in self.deliveries if one.state is DeliveryState.WAITING]
        for one in waiting[: max(0, len(waiting) - MAX_WAITING)]:
            self._finish(one, DeliveryState.FAILED, f"More than {MAX_WAITING} messages were waiting.", now_ms)
        finished = sum(one.state is not DeliveryState.WAITING for one in self.deliveries)
        for one in list(self.deliveries):
            if finished <= MAX_FINISHED:
                return
            if one.state is not DeliveryState.WAITING:
                self.deliveries.remove(one)
                finished -= 1
