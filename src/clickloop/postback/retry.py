"""Retries: decide what follows from the outcome of an attempt. Pure; time and chance are passed in.

Only the number of attempts ends a schedule, never elapsed time, so a clock that jumps abandons nothing.
"""

import enum
import re
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

import msgspec

from clickloop.clock import DAY_MS, SECOND_MS
from clickloop.explained import Explained
from clickloop.pattern import PatternError, matches
from clickloop.postback.rule import Schedule, Success

JITTER = 0.2  # spreads retries of postbacks that failed together
MAX_RETRY_AFTER_MS = DAY_MS  # a receiver must not be able to defer its postbacks for ever
REJECTIONS_ALLOWED = 3
"""Maximum number of attempts answered like 404. More than one, because receivers are often misconfigured at first."""
REJECTION_WAITS_SECONDS = (60, 420)
"""Waits before the second and the third; with jitter, all within ten minutes."""

TRANSIENT_CODES = (408, 425, 429)
"""Status codes below 500 that mean: try again later."""


class Trouble(Explained):
    """The reason why an attempt got no usable response."""

    TIMEOUT = "timeout", "The receiver did not answer within the deadline."
    DNS = "dns", "The receiver's name could not be resolved."
    CONNECT = "connect", "Could not connect to the receiver."
    TLS = "tls", "TLS failed, or the receiver's certificate is not valid."
    BROKEN = "broken", "The connection broke, or the response was not HTTP."
    MALFORMED = "malformed", "The response is malformed after its status line; the readable part was used."
    TOO_MANY_REDIRECTS = "too_many_redirects", "The receiver redirected more than three times."
    REDIRECT_REFUSED = "redirect_refused", "The receiver redirected to a URL that is not allowed."
    ADDRESS_REFUSED = "address_refused", "The receiver's address is not allowed."
    NAME_REFUSED = "name_refused", "The receiver's name resolved to an address that is not allowed."
    """Retried, unlike a refused address in the URL: the name may resolve to another address later."""
    UNSENDABLE = "unsendable", "The request is not valid once its macros are filled in."


_DECIDED_BY_PARTIAL_RESPONSE = frozenset({Trouble.MALFORMED, Trouble.BROKEN})


MAX_ERROR_LENGTH = 500  # stored with each attempt, and may quote the receiver


class AttemptOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one attempt: a response with its status code, a trouble, or both if the response broke off."""

    status_code: int | None = None
    answer: bytes = b""
    """The first 16 KB of the body."""
    retry_after: str = ""
    trouble: Trouble | None = None
    error: str = ""
    """Details of the trouble, at most ``MAX_ERROR_LENGTH`` characters."""
    duration_ms: int = 0


class AttemptCounts(msgspec.Struct, frozen=True):
    """Numbers of attempts, this one included. Attempts lost to a crash of ours do not count."""

    attempts: int
    rejections: int = 0
    """Earlier attempts answered like 404, see ``is_rejecting``."""


class Result(enum.StrEnum):
    """The recorded result of an attempt. ``unknown``: the process stopped before the outcome was written."""

    DELIVERED = "delivered"
    AGAIN = "again"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Delivered(msgspec.Struct, frozen=True):
    """The receiver accepted the postback."""


class Retry(msgspec.Struct, frozen=True):
    """Retry at ``at``, in Unix milliseconds."""

    at: int


class Failed(msgspec.Struct, frozen=True):
    """No further attempt; ``sentence`` says why."""

    sentence: str


class PauseRule(msgspec.Struct, frozen=True):
    """No further attempt, and the rule is paused: the receiver answered 410 Gone."""

    sentence: str = "The receiver is gone (410), so the rule is paused."


def decide(
    outcome: AttemptOutcome,
    counts: AttemptCounts,
    success: Success,
    schedule: Schedule,
    now_ms: int,
    chance: Callable[[], float],
) -> Delivered | Retry | Failed | PauseRule:
    """Return what follows from an attempt that ended at ``now_ms``. ``chance`` draws from [0, 1)."""
    if outcome.trouble is Trouble.UNSENDABLE:
        return Failed(outcome.error or Trouble.UNSENDABLE.sentence)
    if outcome.trouble is Trouble.ADDRESS_REFUSED and outcome.status_code is None:
        return Failed(Trouble.ADDRESS_REFUSED.sentence)
    if fault_of(outcome, success) is None:
        return Delivered()
    if outcome.status_code == 410:
        return PauseRule()
    if counts.attempts >= schedule.attempts:
        return Failed(
            f"All {schedule.attempts} attempts failed." if schedule.attempts > 1 else "The only attempt failed."
        )
    wait_seconds = schedule.waits_seconds[counts.attempts - 1]
    if is_rejecting(outcome.status_code):
        if counts.rejections + 1 >= REJECTIONS_ALLOWED:
            return Failed(f"The receiver rejected the request {REJECTIONS_ALLOWED} times.")
        wait_seconds = REJECTION_WAITS_SECONDS[counts.rejections]
    wait_ms = int(wait_seconds * SECOND_MS * (1 + JITTER * (2 * chance() - 1)))
    return Retry(now_ms + max(wait_ms, retry_after_ms(outcome.retry_after, now_ms)))


def fault_of(outcome: AttemptOutcome, success: Success) -> str | None:
    """Return why an outcome is not a delivery, as a sentence; None if it is one.

    The status line decides, whatever is malformed or cut off after it. A rule that checks the body decides by the part that could
    be read, except of a 2xx cut off by the deadline: more was still to come, so that is not a delivery.
    """
    accepted = outcome.status_code is not None and 200 <= outcome.status_code < 300
    trouble = outcome.trouble
    if trouble is not None and trouble is not Trouble.MALFORMED and not accepted:
        return trouble.sentence
    if trouble is not None and trouble not in _DECIDED_BY_PARTIAL_RESPONSE and success.reads_answer:
        return trouble.sentence
    if not accepted:
        return f"The receiver answered {outcome.status_code}."
    if success.must_contain and success.must_contain.encode() not in outcome.answer:
        return "The response does not contain the text that means success."
    if success.must_not_contain and success.must_not_contain.encode() in outcome.answer:
        return "The response contains text that means failure."
    return _pattern_fault(outcome.answer, success)


def _pattern_fault(answer: bytes, success: Success) -> str | None:
    try:
        if success.must_match and not matches(success.must_match, answer):
            return "The response does not match the regular expression that means success."
        if success.must_not_match and matches(success.must_not_match, answer):
            return "The response matches the regular expression that means failure."
    except PatternError as error:
        return f"The rule's regular expression for the response is not valid: {error}."
    return None


def is_rejecting(status_code: int | None) -> bool:
    """Return whether a status code rejects the request itself, so that retrying for days is pointless.

    True for 300 to 499, except the transient 408, 425 and 429. ``counts.rejections`` counts by the same rule.
    """
    return status_code is not None and 300 <= status_code < 500 and status_code not in TRANSIENT_CODES


def requested_wait_ms(outcome: AttemptOutcome, now_ms: int) -> int:
    """Return the wait that the receiver requests for all postbacks, by Retry-After with a 429 or 503; 0 if it requests none."""
    return retry_after_ms(outcome.retry_after, now_ms) if outcome.status_code in (429, 503) else 0


_SECONDS = re.compile(r"0*([0-9]*)")
_MAX_DIGITS = 18
"""Maximum number of digits read after leading zeros. Enough for far more than a day; int() of a long text is slow."""


def retry_after_ms(text: str, now_ms: int) -> int:
    """Return the wait in a Retry-After header, whole seconds or an HTTP date, at most 24 hours; 0 for anything else."""
    text = text.strip()
    if text and (seconds := _SECONDS.fullmatch(text)):
        return min(int(seconds[1][:_MAX_DIGITS] or "0") * SECOND_MS, MAX_RETRY_AFTER_MS)
    try:
        moment = parsedate_to_datetime(text)
        if (
            moment.tzinfo is None
        ):  # the zone -0000, which is UTC (RFC 5322, 3.3); timestamp() would assume the local zone
            moment = moment.replace(tzinfo=UTC)
        moment_ms = int(moment.timestamp() * 1000)
    # Neither seconds nor a date: treated like no header.
    except (ValueError, TypeError, OverflowError):
        return 0
    return max(0, min(moment_ms - now_ms, MAX_RETRY_AFTER_MS))
