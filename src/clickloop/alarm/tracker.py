"""The alarm tracker: decides which messages to send about alarms. Pure; times are passed in.

An alarm gets a message when it begins and when it ends, and a daily reminder. An alarm that comes and goes must be gone for
longer and longer before it ends, and the number of messages per hour is limited.
"""

import enum
from collections.abc import Callable, Sequence

import msgspec

from clickloop.alarm.alarms import Alarm
from clickloop.alarm.vital_signs import Patience
from clickloop.clock import DAY_MS, HOUR_MS

REMINDER_MS = DAY_MS  # an alarm that persists may have been overlooked
MAX_MESSAGES_PER_HOUR = 20  # people don't read more, and chat services block senders of more
MAX_TRACKED = 500  # bounds the file if a bug causes thousands of alarms
_FORGET_FLAPS_MS = DAY_MS
_MAX_FLAPS = 6
"""Maximum number of doublings: each time an alarm comes back within a day, the wait for its end doubles, up to 64-fold."""


class AlarmState(enum.StrEnum):
    """The occasion of a message."""

    BEGUN = "begun"
    STANDING = "standing"
    """A reminder."""
    ENDED = "ended"
    TEST = "test"


class AlarmMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message about an alarm. Times are Unix milliseconds."""

    message_id: str
    code: str
    sentence: str
    state: AlarmState
    since: int
    at: int
    key: str = ""


class TrackedAlarm(msgspec.Struct, kw_only=True):
    """A remembered alarm. ``announced_at`` is 0 until there is a message about it."""

    code: str
    sentence: str
    since: int
    announced_at: int = 0
    flaps: int = 0
    ended_at: int = 0
    """Time of the message about its end. It is remembered for a day, so that its return is recognised."""


class _Presence(msgspec.Struct):
    """When an alarm was first and last present, in monotonic seconds, which are lost with a restart."""

    first: float
    last: float


class AlarmTracker:
    """Compares current alarms with announced ones. For one thread."""

    def __init__(self, patience: Patience, new_id: Callable[[], str], tracked: dict[str, TrackedAlarm] | None = None):
        self._patience = patience
        self._new_id = new_id
        self.tracked = tracked or {}
        """By key; stored for the next start."""
        self._present: dict[str, _Presence] = {}
        self._sent_at: list[float] = []
        self._overflow_announced_at: float | None = None

    def update(self, alarms: Sequence[Alarm], now: float, now_ms: int) -> list[AlarmMessage]:
        """Return the messages that are due. ``now``: monotonic seconds."""
        self._sent_at = [at for at in self._sent_at if now - at < HOUR_MS / 1000]
        for alarm in alarms[:MAX_TRACKED]:
            self._track(alarm, now, now_ms)
        due: list[tuple[str, AlarmState]] = []
        for key, one in list(self.tracked.items()):
            state = self._due(key, one, now, now_ms)
            if state is not None:
                due.append((key, state))
        return self._within_the_limit(due, now, now_ms)

    def reminders(self, now_ms: int) -> list[AlarmMessage]:
        """Return a message about each announced alarm that has not ended, for a new rule."""
        announced = [(key, one) for key, one in self.tracked.items() if one.announced_at and not one.ended_at]
        return [
            AlarmMessage(
                message_id=self._new_id(),
                code=one.code,
                sentence=one.sentence,
                state=AlarmState.STANDING,
                since=one.since,
                at=now_ms,
                key=key,
            )
            for key, one in announced[:MAX_MESSAGES_PER_HOUR]
        ]

    def _track(self, alarm: Alarm, now: float, now_ms: int) -> None:
        key = alarm.key
        one = self.tracked.get(key)
        if one is None:
            one = self.tracked[key] = TrackedAlarm(
                code=alarm.code, sentence=alarm.sentence, since=alarm.since or now_ms
            )
        elif one.ended_at:
            one.since, one.ended_at, one.announced_at = alarm.since or now_ms, 0, 0
            one.flaps = min(one.flaps + 1, _MAX_FLAPS)
            self._present.pop(key, None)
        one.sentence = alarm.sentence
        presence = self._present.setdefault(key, _Presence(now, now))
        presence.last = now

    def _due(self, key: str, one: TrackedAlarm, now: float, now_ms: int) -> AlarmState | None:
        if one.ended_at:
            if not 0 <= now_ms - one.ended_at < _FORGET_FLAPS_MS:
                del self.tracked[key]
            return None
        # The absence of an alarm that was announced before a restart counts from the restart.
        presence = self._present.setdefault(key, _Presence(now, now))
        if now - presence.last >= self._patience.end_seconds * 2**one.flaps:
            if one.announced_at:
                return AlarmState.ENDED
            del self.tracked[key], self._present[key]
            return None
        if presence.last < now:
            return None  # absent at the moment: neither announce it nor remind of it
        if not one.announced_at:
            return AlarmState.BEGUN if now - presence.first >= self._patience.begin_seconds else None
        return AlarmState.STANDING if abs(now_ms - one.announced_at) >= REMINDER_MS else None

    def _within_the_limit(self, due: list[tuple[str, AlarmState]], now: float, now_ms: int) -> list[AlarmMessage]:
        """Return as many messages as this hour allows. The others stay due, and one message says that there are more."""
        allowed = max(0, MAX_MESSAGES_PER_HOUR - 1 - len(self._sent_at))
        messages = [self._message(key, state, now_ms) for key, state in due[:allowed]]
        left = len(due) - len(messages)
        if left and (self._overflow_announced_at is None or now - self._overflow_announced_at >= HOUR_MS / 1000):
            self._overflow_announced_at = now
            sentence = f"{left} more alarms have begun or ended within an hour: the page Health lists the current ones."
            messages.append(
                AlarmMessage(
                    message_id=self._new_id(),
                    code="many_alarms",
                    sentence=sentence,
                    state=AlarmState.BEGUN,
                    since=now_ms,
                    at=now_ms,
                )
            )
        self._sent_at += [now] * len(messages)
        return messages

    def _message(self, key: str, state: AlarmState, now_ms: int) -> AlarmMessage:
        one = self.tracked[key]
        if state is AlarmState.ENDED:
            one.ended_at = now_ms
            self._present.pop(key, None)
        else:
            one.announced_at = now_ms
        return AlarmMessage(
            message_id=self._new_id(),
            code=one.code,
            sentence=one.sentence,
            state=state,
            since=one.since,
            at=now_ms,
            key=key,
        )
