"""Check for held-up postbacks: paused or slow receivers, archived rules with waiting postbacks, blocked addresses. Pure."""

from collections.abc import Iterator, Mapping

import msgspec

from clickloop.clock import MINUTE_MS
from clickloop.diagnosis.check.chain import Chain, rule_place
from clickloop.diagnosis.check.finding import CheckCode, CheckFinding, CheckPlace, CheckPlaceKind, moment_words
from clickloop.macro import Severity
from clickloop.plural import pluralize

BACKLOG_MINUTES = 15
"""Minutes after which an unsent postback counts as overdue."""
REFUSED_DAYS = 7
"""Days searched for postbacks that were skipped because of their address."""


class SlowReceiver(msgspec.Struct, frozen=True, kw_only=True):
    """A receiver that is paused or has waiting postbacks. Times are Unix milliseconds."""

    receiver: str
    waiting: int
    paused_at: int | None = None
    why: str = ""
    next_probe_at: int | None = None
    held_until: int | None = None
    """The receiver requested to wait until then (Retry-After)."""
    due: int = 0
    """Number of postbacks that are due but not sent."""
    due_since: int | None = None
    """When the first of them was due."""


class ArchivedRule(msgspec.Struct, frozen=True, kw_only=True):
    """An archived, paused rule with waiting postbacks."""

    rule_id: int
    name: str
    waiting: int


class Holdups(msgspec.Struct, frozen=True, kw_only=True):
    """The causes of held-up postbacks."""

    receivers: tuple[SlowReceiver, ...] = ()
    archived: tuple[ArchivedRule, ...] = ()
    address_refused: Mapping[int, int] = {}
    """By rule, the number of postbacks skipped recently because their address is blocked."""


def holdup_findings(chain: Chain, holdups: Holdups, now_ms: int) -> Iterator[CheckFinding]:
    """Yield the findings about held-up postbacks."""
    for receiver in holdups.receivers:
        yield from _receiver(receiver, now_ms)
    for rule in holdups.archived:
        yield archived_rule_finding(rule)
    for checked in chain.rules:
        count = holdups.address_refused.get(checked.rule.rule_id, 0)
        if count:
            were = "was" if count == 1 else "were"
            yield CheckFinding(
                Severity.ERROR,
                CheckCode.ADDRESS_REFUSED,
                rule_place(checked.rule, "request.url"),
                f"{pluralize(count, 'postback')} {were} skipped in the last {REFUSED_DAYS} days because the receiver's address is "
                "blocked.",
                "Correct the URL, or allow the address with CLICKLOOP_ALLOWED_ADDRESSES. Then run clickloop resend "
                f"--rule {checked.rule.rule_id} --reason address_refused --anew to resend them.",
            )


def archived_rule_finding(rule: ArchivedRule) -> CheckFinding:
    """Return the finding about an archived rule with waiting postbacks."""
    place = CheckPlace(kind=CheckPlaceKind.POSTBACK_RULE, id=rule.rule_id, name=rule.name)
    sentence = (
        "The rule is archived, and paused because its receiver answered 410 Gone. "
        f"{pluralize(rule.waiting, 'postback is', 'postbacks are')} still waiting."
    )
    remedy = f"Resume the rule to send them, or run clickloop cancel --rule {rule.rule_id} to cancel them."
    return CheckFinding(Severity.ERROR, CheckCode.ARCHIVED_RULE_HOLDS, place, sentence, remedy)


def _receiver(slow: SlowReceiver, now_ms: int) -> Iterator[CheckFinding]:
    place = CheckPlace(kind=CheckPlaceKind.RECEIVER, name=slow.receiver)
    if slow.paused_at is not None and not slow.waiting:
        yield CheckFinding(
            Severity.NOTE,
            CheckCode.RECEIVER_PAUSED,
            place,
            f"The receiver has been paused since {moment_words(slow.paused_at)}: {slow.why} No postbacks are waiting for it.",
            "The next postback will try it. Once it works again, resume it on its page, or with "
            f"POST /api/v1/receivers/{slow.receiver}/resume.",
            (slow.paused_at,),
        )
    elif slow.paused_at is not None:
        next_at = slow.next_probe_at
        probe = f" Otherwise Clickloop tries it again at {moment_words(next_at)}." if next_at is not None else ""
        yield CheckFinding(
            Severity.ERROR,
            CheckCode.RECEIVER_PAUSED,
            place,
            f"The receiver has been paused since {moment_words(slow.paused_at)}: {slow.why} {_wait(slow.waiting)}",
            "Check its responses in Conversions - Out. Once it works again, try it on its page, or with "
            f"POST /api/v1/receivers/{slow.receiver}/probe.{probe}",
            (slow.paused_at, *(() if next_at is None else (next_at,))),
        )
    elif slow.held_until is not None and slow.held_until > now_ms:
        yield CheckFinding(
            Severity.NOTE,
            CheckCode.RECEIVER_ASKED_TO_WAIT,
            place,
            f"The receiver asked us to wait until {moment_words(slow.held_until)} (Retry-After). {_wait(slow.waiting)}",
            "If this keeps happening, lower its rate limit (per_minute).",
            (slow.held_until,),
        )
    elif slow.due_since is not None and now_ms - slow.due_since > BACKLOG_MINUTES * MINUTE_MS:
        minutes = (now_ms - slow.due_since) // MINUTE_MS
        yield CheckFinding(
            Severity.WARNING,
            CheckCode.BACKLOG,
            place,
            f"{pluralize(slow.due, 'postback is', 'postbacks are')} overdue for this receiver, the oldest by {minutes} minutes.",
            "Check on Health whether delivery is running. If the receiver is slow, raise its connections or rate limit.",
        )


def _wait(count: int) -> str:
    return f"{pluralize(count, 'postback is', 'postbacks are')} waiting for it."
