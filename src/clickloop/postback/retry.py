"""Retrying: what follows from the outcome of an attempt. Pure; the moment and the chance are passed in.

Only numbers of attempts end a schedule, never a span of time: a clock that jumps gives nothing up.
"""

import enum
import re
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

import msgspec

from clickloop.clock import DAY_MS, SECOND_MS
from clickloop.explained import Explained
from clickloop.postback.pattern import PatternError, matches
from clickloop.postback.rule import Schedule, Success

JITTER = 0.2  # what failed together does not come back together
MAX_RETRY_AFTER_MS = DAY_MS  # a receiver must not be able to put its postbacks off for ever
REJECTIONS_ALLOWED = 3
"""Maximum number of attempts after answers like 404: receivers are often misconfigured at first."""
REJECTION_WAITS_SECONDS = (60, 420)
"""Before the second and third of them; with jitter within ten minutes."""


PASSING = (408, 425, 429)
"""Codes below 500 that ask to come again later."""


class Trouble(Explained):
    """Why an attempt got no usable answer. A closed list."""

    TIMEOUT = "timeout", "The receiver did not answer within the deadline."
    DNS = "dns", "The receiver's name could not be resolved."
    CONNECT = "connect", "No connection to the receiver could be made."
    TLS = "tls", "The receiver's certificate or TLS could not be accepted."
    BROKEN = "broken", "The connection broke, or the answer was not HTTP."
    MALFORMED = "malformed", "The answer is malformed after its status line; what could be read counts."
    TOO_MANY_REDIRECTS = "too_many_redirects", "The receiver redirected more than three times."
    REDIRECT_REFUSED = "redirect_refused", "The receiver redirected to where nothing may be sent."
    ADDRESS_REFUSED = "address_refused", "The receiver's address is one that nothing may be sent to."
    NAME_REFUSED = "name_refused", "The receiver's name resolved to an address that nothing may be sent to."
    """Unlike an address in the URL a name may resolve to others tomorrow."""
    UNSENDABLE = "unsendable", "The request cannot be sent as its macros made it."


_DECIDED_BY_WHAT_WAS_READ = frozenset({Trouble.MALFORMED, Trouble.BROKEN})


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one attempt: an answer with its status code, or a trouble (or both, when the answer broke off)."""

    status_code: int | None = None
    answer: bytes = b""
    """The first 16 KB of the body."""
    retry_after: str = ""
    trouble: Trouble | None = None
    error: str = ""
    """The trouble in detail, for people; at most 500 characters."""
    duration_ms: int = 0


class Tried(msgspec.Struct, frozen=True):
    """How often it was tried, this attempt included. Attempts that were lost to a crash of ours are not counted."""

    attempts: int
    rejections: int = 0
    """How many of the earlier ones were answered like 404."""


class Result(enum.StrEnum):
    """How an attempt is recorded. ``unknown``: we stopped before its outcome was written."""

    DELIVERED = "delivered"
    AGAIN = "again"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Delivered(msgspec.Struct, frozen=True):
    """The receiver took it."""


class Again(msgspec.Struct, frozen=True):
    """To be tried again at a moment in Unix milliseconds."""

    at: int


class Failed(msgspec.Struct, frozen=True):
    """Given up, with the sentence why."""

    sentence: str


class PauseRule(msgspec.Struct, frozen=True):
    """Failed, and its rule is paused: the receiver said 410 Gone."""

    sentence: str = "The receiver is gone (410): the rule is paused."


def decide(
    outcome: Outcome, tried: Tried, success: Success, schedule: Schedule, now_ms: int, chance: Callable[[], float]
) -> Delivered | Again | Failed | PauseRule:
    """What follows from an attempt that ended at ``now_ms``. ``chance`` draws from [0, 1)."""
    if outcome.trouble is Trouble.UNSENDABLE:
        return Failed(outcome.error or Trouble.UNSENDABLE.sentence)
    if outcome.trouble is Trouble.ADDRESS_REFUSED and outcome.status_code is None:
        return Failed(Trouble.ADDRESS_REFUSED.sentence)
    if fault_of(outcome, success) is None:
        return Delivered()
    if outcome.status_code == 410:
        return PauseRule()
    if tried.attempts >= schedule.attempts:
        made = f"All {schedule.attempts} attempts" if schedule.attempts > 1 else "The one attempt"
        return Failed(f"{made} of the schedule {'were' if schedule.attempts > 1 else 'was'} made.")
    wait_seconds = schedule.waits_seconds[tried.attempts - 1]
    if is_rejecting(outcome.status_code):
        if tried.rejections + 1 >= REJECTIONS_ALLOWED:
            return Failed(f"The receiver refused it {REJECTIONS_ALLOWED} times.")
        wait_seconds = REJECTION_WAITS_SECONDS[tried.rejections]
    wait_ms = int(wait_seconds * SECOND_MS * (1 + JITTER * (2 * chance() - 1)))
    return Again(now_ms + max(wait_ms, retry_after_ms(outcome.retry_after, now_ms)))


def fault_of(outcome: Outcome, success: Success) -> str | None:
    """Return why an outcome is no delivery, as a sentence; None when it is one.

    The status line decides, whatever is malformed or cut off behind it; a rule that reads the answer's text decides by what could be
    read of it. Only a 2xx that dripped past the deadline is no delivery for such a rule: more was to come.
    """
    accepted = outcome.status_code is not None and 200 <= outcome.status_code < 300
    trouble = outcome.trouble
    if trouble is not None and trouble is not Trouble.MALFORMED and not accepted:
        return trouble.sentence
    if trouble is not None and trouble not in _DECIDED_BY_WHAT_WAS_READ and success.reads_answer:
        return trouble.sentence
    if not accepted:
        return f"The receiver answered {outcome.status_code}."
    if success.must_contain and success.must_contain.encode() not in outcome.answer:
        return "The receiver's answer does not contain the text that means success."
    if success.must_not_contain and success.must_not_contain.encode() in outcome.answer:
        return "The receiver's answer contains a text that means failure."
    return _pattern_fault(outcome.answer, success)


def _pattern_fault(answer: bytes, success: Success) -> str | None:
    try:
        if success.must_match and not matches(success.must_match, answer):
            return "The receiver's answer does not match the regular expression that means success."
        if success.must_not_match and matches(success.must_not_match, answer):
            return "The receiver's answer matches the regular expression that means failure."
    except PatternError as error:
        return f"The rule's regular expression for the answer cannot be read: {error}."
    return None


def is_rejecting(status_code: int | None) -> bool:
    """Whether a status code refuses the request as such, so that trying for days is no use.

    All codes from 300 to 499 but 408, 425 and 429, which may pass. ``tried.rejections`` counts by the same rule.
    """
    return status_code is not None and 300 <= status_code < 500 and status_code not in PASSING


def asked_wait_ms(outcome: Outcome, now_ms: int) -> int:
    """How long the receiver as a whole asks to be left alone: by the Retry-After of a 429 or 503; 0: it does not."""
    return retry_after_ms(outcome.retry_after, now_ms) if outcome.status_code in (429, 503) else 0


_SECONDS = re.compile(r"0*([0-9]*)")
_MAX_DIGITS = 18
"""Maximum number of digits read after leading zeros: far more than a day, and int() of a long text is slow."""


def retry_after_ms(text: str, now_ms: int) -> int:
    """How long a Retry-After asks us to wait: whole seconds or an HTTP date, at most 24 hours; 0 for anything else."""
    text = text.strip()
    if text and (seconds := _SECONDS.fullmatch(text)):
        return min(int(seconds[1][:_MAX_DIGITS] or "0") * SECOND_MS, MAX_RETRY_AFTER_MS)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:  # a zone of -0000, which is UTC (RFC 5322, 3.3): else this machine's zone would count
            moment = moment.replace(tzinfo=UTC)
        moment_ms = int(moment.timestamp() * 1000)
    # The receiver wrote neither seconds nor a date: as if it had said nothing.
    except (ValueError, TypeError, OverflowError):
        return 0
    return max(0, min(moment_ms - now_ms, MAX_RETRY_AFTER_MS))
