"""The alarm outbox: messages to rules, from the first attempt to the last. Pure; moments are passed in."""

import enum
from collections.abc import Sequence

import msgspec

from clickloop.alarm.tracker import AlarmMessage
from clickloop.clock import DAY_MS
from clickloop.postback.alarm_rules import AlarmRules
from clickloop.postback.rule import Rule

MAX_WAITING = 500  # a receiver that is away for weeks must not fill the disk
MAX_FINISHED = 200
"""Finished ones that are remembered, to be shown."""
MAX_SENT_PER_ROUND = 50  # they are sent by one short process, within its deadline
_MAX_WAIT_MS = 8 * DAY_MS
"""Longer than any wait of a schedule: a moment that is further ahead is one of a clock that has jumped back."""


class DeliveryState(enum.StrEnum):
    """The state of one message to one rule."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"
    NO_RULE = "no_rule"
    """There was no alarm rule: it was seen on this machine alone."""


class AlarmDelivery(msgspec.Struct, kw_only=True):
    """One message to one rule. Moments are Unix milliseconds."""

    message: AlarmMessage
    rule_id: int = 0
    rule_name: str = ""
    state: DeliveryState = DeliveryState.WAITING
    attempts: int = 0
    rejections: int = 0
    next_at: int = 0
    status_code: int | None = None
    detail: str = ""
    """Why it was not delivered, for people; never a secret."""
    finished_at: int = 0


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one attempt."""

    state: DeliveryState
    next_at: int = 0
    rejections: int = 0
    status_code: int | None = None
    detail: str = ""


class SendingJob(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to make: the rule as it is today, and the message."""

    rule: Rule
    message: AlarmMessage
    attempts: int = 0
    """Attempts that were made before."""
    rejections: int = 0


class AlarmOutbox:
    """Messages that are to be sent, and those that were. For one thread."""

    def __init__(self, deliveries: Sequence[AlarmDelivery] = ()) -> None:
        self.deliveries = list(deliveries)
        """Oldest first; to be remembered over a restart."""

    def add(self, messages: Sequence[AlarmMessage], rules: AlarmRules, now_ms: int) -> None:
        """Take messages in, each for every rule."""
        for message in messages:
            for rule in rules.rules:
                self.deliveries.append(
                    AlarmDelivery(message=message, rule_id=rule.rule_id, rule_name=rule.name, next_at=now_ms)
                )
            if not rules.rules:
                state = DeliveryState.NO_RULE
                self.deliveries.append(AlarmDelivery(message=message, state=state, finished_at=now_ms))
        self._stay_bounded(now_ms)

    def due(self, rules: AlarmRules, now_ms: int) -> list[tuple[AlarmDelivery, SendingJob]]:
        """Return what may be sent now. The end of an alarm waits until its beginning has been delivered or given up."""
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

    def record(self, delivery: AlarmDelivery, attempt: Attempt, now_ms: int) -> None:
        """Record the outcome of an attempt."""
        delivery.attempts += 1
        delivery.rejections = attempt.rejections
        delivery.status_code = attempt.status_code
        delivery.detail = attempt.detail
        if attempt.state is DeliveryState.WAITING:
            delivery.next_at = attempt.next_at
        else:
            self._finish(delivery, attempt.state, attempt.detail, now_ms)
        self._stay_bounded(now_ms)

    def _finish(self, delivery: AlarmDelivery, state: DeliveryState, detail: str, now_ms: int) -> None:
        delivery.state, delivery.detail, delivery.finished_at = state, detail, now_ms

    def _stay_bounded(self, now_ms: int) -> None:
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
