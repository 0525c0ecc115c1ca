"""The check of what holds postbacks up: receivers that are paused or slow, archived rules that hold some, refused addresses. Pure."""

from collections.abc import Iterator, Mapping

import msgspec

from clickloop.clock import MINUTE_MS
from clickloop.diagnosis.check.chain import Chain, rule_place
from clickloop.diagnosis.check.finding import Code, Finding, Kind, Place, moment_words
from clickloop.macro import Severity
from clickloop.plural import counted

BACKLOG_MINUTES = 15
"""Minutes after which a postback that is due should have left."""
REFUSED_DAYS = 7
"""Days in which postbacks that were skipped for their address are searched."""


class SlowReceiver(msgspec.Struct, frozen=True, kw_only=True):
    """A receiver that postbacks wait for. Moments are Unix milliseconds."""

    receiver: str
    waiting: int
    paused_at: int | None = None
    why: str = ""
    next_probe_at: int | None = None
    held_until: int | None = None
    """It asked us to wait until then."""
    due: int = 0
    """How many should have left, …"""
    due_since: int | None = None
    """… and since when the first of them should have."""


class ArchivedRule(msgspec.Struct, frozen=True, kw_only=True):
    """An archived rule that is paused and holds postbacks."""

    rule_id: int
    name: str
    waiting: int


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What holds postbacks up."""

    receivers: tuple[SlowReceiver, ...] = ()
    archived: tuple[ArchivedRule, ...] = ()
    address_refused: Mapping[int, int] = {}
    """By rule, how many postbacks were skipped lately because nothing may be sent to their address."""


def held_findings(chain: Chain, held: Held, now_ms: int) -> Iterator[Finding]:
    """What holds postbacks up, each with what to do about it."""
    for receiver in held.receivers:
        yield from _receiver(receiver, now_ms)
    for rule in held.archived:
        yield archived_rule_finding(rule)
    for checked in chain.rules:
        count = held.address_refused.get(checked.rule.rule_id, 0)
        if count:
            were = "was" if count == 1 else "were"
            yield Finding(
                Severity.ERROR,
                Code.ADDRESS_REFUSED,
                rule_place(checked.rule, "request.url"),
                f"{counted(count, 'postback')} of {REFUSED_DAYS} days {were} skipped: nothing may be sent to the receiver's address.",
                "Correct the URL, or allow the address by CLICKLOOP_ALLOWED_ADDRESSES; then: clickloop resend "
                f"--rule {checked.rule.rule_id} --reason address_refused --anew.",
            )


def archived_rule_finding(rule: ArchivedRule) -> Finding:
    """Return what to say of an archived rule that holds postbacks."""
    place = Place(kind=Kind.POSTBACK_RULE, id=rule.rule_id, name=rule.name)
    sentence = f"The rule is archived, and paused since its receiver said 410 Gone: it holds {counted(rule.waiting, 'postback')}."
    remedy = f"Resume it, and they leave; or cancel them: clickloop cancel --rule {rule.rule_id}."
    return Finding(Severity.ERROR, Code.ARCHIVED_RULE_HOLDS, place, sentence, remedy)


def _receiver(seen: SlowReceiver, now_ms: int) -> Iterator[Finding]:
    place = Place(kind=Kind.RECEIVER, name=seen.receiver)
    if seen.paused_at is not None and not seen.waiting:
        yield Finding(
            Severity.NOTE,
            Code.RECEIVER_PAUSED,
            place,
            f"The receiver is paused since {moment_words(seen.paused_at)}: {seen.why} Nothing waits for it.",
            "The next postback tries it. Once it is repaired, resume it on its page, or with "
            f"POST /api/v1/receivers/{seen.receiver}/resume.",
            (seen.paused_at,),
        )
    elif seen.paused_at is not None:
        next_at = seen.next_probe_at
        probe = f" Otherwise it is tried again at {moment_words(next_at)}." if next_at is not None else ""
        yield Finding(
            Severity.ERROR,
            Code.RECEIVER_PAUSED,
            place,
            f"The receiver is paused since {moment_words(seen.paused_at)}: {seen.why} {_wait(seen.waiting)}",
            "See its answers in Conversions - Out. Once it is repaired, try it on its page, or with "
            f"POST /api/v1/receivers/{seen.receiver}/probe.{probe}",
            (seen.paused_at, *(() if next_at is None else (next_at,))),
        )
    elif seen.held_until is not None and seen.held_until > now_ms:
        yield Finding(
            Severity.NOTE,
            Code.RECEIVER_ASKED_TO_WAIT,
            place,
            f"The receiver asked us to wait until {moment_words(seen.held_until)} (Retry-After). {_wait(seen.waiting)}",
            "Lower its rate limit (per_minute) if it keeps asking.",
            (seen.held_until,),
        )
    elif seen.due_since is not None and now_ms - seen.due_since > BACKLOG_MINUTES * MINUTE_MS:
        minutes = (now_ms - seen.due_since) // MINUTE_MS
        yield Finding(
            Severity.WARNING,
            Code.BACKLOG,
            place,
            f"{counted(seen.due, 'postback')} should have been sent to it, the first {minutes} minutes ago.",
            "See Health for whether delivery goes on. If the receiver is slow, raise its connections or rate limit.",
        )


def _wait(count: int) -> str:
    return f"{counted(count, 'postback waits', 'postbacks wait')} for it."
