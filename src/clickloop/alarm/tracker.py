"""The alarm tracker: decides which messages alarms are worth. Pure; moments are passed in.

An alarm is worth one message when it begins, one when it ends, and a reminder a day. What comes and goes is let go only after it
has been gone for longer and longer, and there is a number of messages in an hour that is never exceeded.
"""

import enum
from collections.abc import Callable, Sequence

import msgspec

from clickloop.alarm.alarms import Alarm
from clickloop.alarm.vital_signs import Patience
from clickloop.clock import DAY_MS, HOUR_MS

REMINDER_MS = DAY_MS  # an alarm that nobody has ended was perhaps overlooked
MAX_MESSAGES_PER_HOUR = 20  # nobody reads more, and receivers of messages block who sends more
MAX_TRACKED = 500  # alarms are few; this bounds the file should a fault make thousands
_FORGET_FLAPS_MS = DAY_MS
_MAX_FLAPS = 6
"""Each time an alarm comes back within a day, its end is awaited twice as long; at most 64 times."""


class AlarmState(enum.StrEnum):
    """Why a message is sent."""

    BEGUN = "begun"
    STANDING = "standing"
    """A reminder."""
    ENDED = "ended"
    TEST = "test"


class AlarmMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message about one alarm. Moments are Unix milliseconds."""

    message_id: str
    code: str
    sentence: str
    state: AlarmState
    since: int
    at: int
    key: str = ""


class TrackedAlarm(msgspec.Struct, kw_only=True):
    """The memory of one alarm. ``announced_at`` 0: no message was made of it yet."""

    code: str
    sentence: str
    since: int
    announced_at: int = 0
    flaps: int = 0
    ended_at: int = 0
    """The moment of the message about its end; it is remembered for a day, so that one that comes back is known."""


class _Seen(msgspec.Struct):
    """In monotonic seconds, which say nothing after a restart."""

    first: float
    last: float


class AlarmTracker:
    """Compares the alarms of now with those that were announced. For one thread."""

    def __init__(self, patience: Patience, new_id: Callable[[], str], tracked: dict[str, TrackedAlarm] | None = None):
        self._patience = patience
        self._new_id = new_id
        self.tracked = tracked or {}
        """By key; to be remembered over a restart."""
        self._seen: dict[str, _Seen] = {}
        self._sent_at: list[float] = []
        self._overflow_announced_at: float | None = None

    def update(self, alarms: Sequence[Alarm], now: float, now_ms: int) -> list[AlarmMessage]:
        """Return the messages that are due. ``now``: monotonic seconds."""
        self._sent_at = [at for at in self._sent_at if now - at < HOUR_MS / 1000]
        for alarm in alarms[:MAX_TRACKED]:
            self._see(alarm, now, now_ms)
        due: list[tuple[str, AlarmState]] = []
        for key, one in list(self.tracked.items()):
            state = self._due(key, one, now, now_ms)
            if state is not None:
                due.append((key, state))
        return self._within_the_limit(due, now, now_ms)

    def reminders(self, now_ms: int) -> list[AlarmMessage]:
        """Return a message for each alarm that was announced and has not ended, for a rule that was made since."""
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

    def _see(self, alarm: Alarm, now: float, now_ms: int) -> None:
        key = alarm.key
        one = self.tracked.get(key)
        if one is None:
            one = self.tracked[key] = TrackedAlarm(
                code=alarm.code, sentence=alarm.sentence, since=alarm.since or now_ms
            )
        elif one.ended_at:
            one.since, one.ended_at, one.announced_at = alarm.since or now_ms, 0, 0
            one.flaps = min(one.flaps + 1, _MAX_FLAPS)
            self._seen.pop(key, None)
        one.sentence = alarm.sentence
        seen = self._seen.setdefault(key, _Seen(now, now))
        seen.last = now

    def _due(self, key: str, one: TrackedAlarm, now: float, now_ms: int) -> AlarmState | None:
        if one.ended_at:
            if not 0 <= now_ms - one.ended_at < _FORGET_FLAPS_MS:
                del self.tracked[key]
            return None
        # One that was announced before a restart and is not there any more: its absence counts from the restart.
        seen = self._seen.setdefault(key, _Seen(now, now))
        if now - seen.last >= self._patience.end_seconds * 2**one.flaps:
            if one.announced_at:
                return AlarmState.ENDED
            del self.tracked[key], self._seen[key]
            return None
        if seen.last < now:
            return None  # absent just now: neither new nor to be reminded of
        if not one.announced_at:
            return AlarmState.BEGUN if now - seen.first >= self._patience.begin_seconds else None
        return AlarmState.STANDING if abs(now_ms - one.announced_at) >= REMINDER_MS else None

    def _within_the_limit(self, due: list[tuple[str, AlarmState]], now: float, now_ms: int) -> list[AlarmMessage]:
        """Make messages of as many as may be sent in this hour; the others stay due, and one message says that there are more."""
        room = max(0, MAX_MESSAGES_PER_HOUR - 1 - len(self._sent_at))
        messages = [self._message(key, state, now_ms) for key, state in due[:room]]
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
            self._seen.pop(key, None)
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
