"""Owing: whether a change of a conversion owes a rule's postback. Pure; the same code decides, explains and records.

Each condition gives a finding. All are looked at, so that a dry run shows them all; the first that is not met is the reason.
"""

from collections.abc import Callable, Sequence, Set
from functools import lru_cache
from typing import Self

import msgspec

from clickloop.clock import SECOND_MS
from clickloop.conversion.conversion import Change, ChangeKind, Conversion
from clickloop.conversion.status import CountsAs, Status
from clickloop.explained import Explained
from clickloop.macro import unreplaced_macro
from clickloop.money import amount_text
from clickloop.postback.rule import Request, Rule, Trigger


class SkipReason(Explained):
    """Why a change did not owe a rule's postback: a condition that is not met. A closed list.

    Each with the sentence for that, and with the one for when the condition is met.
    """

    met_sentence: str

    def __new__(cls, value: str, sentence: str = "", met_sentence: str = "") -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence, member.met_sentence = sentence, met_sentence
        return member

    RULE_OFF = (
        "rule_off",
        "The rule is switched off, or the campaign has switched its source's rules off.",
        "The rule is on.",
    )
    DISABLED_BY_NOTICE = (
        "disabled_by_notice",
        "The notice asked that no postback be sent (disable_postback=1).",
        "The notice does not ask for silence.",
    )
    PROBABILISTIC = (
        "probabilistic",
        "The conversion was matched to its click by likelihood, not by a click id.",
        "The conversion was matched by a click id.",
    )
    STATUS_NOT_SELECTED = (
        "status_not_selected",
        "The rule is not sent for this status.",
        "The rule is sent for this status.",
    )
    DUPLICATE = (
        "duplicate",
        "This change of the conversion is not one that the rule is sent for: it was sent before, or fitted before.",
        "This change triggers the rule.",
    )
    NOT_UNIQUE = (
        "not_unique",
        "The rule is sent only for the first conversion of a click, and this is a later one.",
        "It is the click's first conversion, or the rule takes later ones too.",
    )
    BELOW_MINIMUM = (
        "below_minimum",
        "The payout is below the rule's minimum.",
        "The payout reaches the rule's minimum.",
    )
    NO_EXTERNAL_ID = (
        "no_external_id",
        "The click came without the source's click id, which the request needs.",
        "The click has the source's click id, or the request does without.",
    )
    UNREPLACED_EXTERNAL_ID = (
        "unreplaced_external_id",
        "The click came with a macro that the source had not replaced, instead of its click id.",
        "The source's click id is no macro left over.",
    )
    ADDRESS_REFUSED = (
        "address_refused",
        "The receiver's address is one that nothing may be sent to.",
        "The receiver's address may be sent to.",
    )
    NOT_SAMPLED = (
        "not_sampled",
        "The rule is sent for a share of the conversions, and this one is not in it.",
        "It is in the share of conversions that the rule is sent for.",
    )


_MAY_FIT_LATER = frozenset({SkipReason.STATUS_NOT_SELECTED, SkipReason.BELOW_MINIMUM})
_MASKING = frozenset({SkipReason.RULE_OFF, SkipReason.DISABLED_BY_NOTICE})
"""These are looked at before the statuses and the minimum, so that skipping for them does not tell whether the conversion fitted."""
_UNDECIDED = _MASKING | {SkipReason.DUPLICATE}
"""For these nothing of the conversion itself was decided."""


class Finding(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What became of one condition, named by the reason that it gives when it is not met."""

    condition: SkipReason
    met: bool
    detail: str = ""
    """What was compared, for people; empty where there is nothing to add to the reason's sentence."""


class Earlier(msgspec.Struct, frozen=True):
    """What is known of a rule before it is decided for a change."""

    owed: int = 0
    """How many postbacks of this rule were owed for this conversion before (resends not counted)."""
    skipped: frozenset[SkipReason] = frozenset()
    """Why it was skipped for earlier changes of this conversion."""
    counted: int = 0
    """How many conversions the rule's share has been counted over so far."""
    source_rules_off: bool = False
    """The click's campaign has switched its source's rules off."""
    refused_address: str = ""
    """Why the address guard refuses the receiver's address, as a sentence; empty: it does not."""
    probabilistic: bool = False


class Owed(msgspec.Struct, frozen=True):
    """A postback is owed: this request, not before a moment in Unix milliseconds. ``counted``: it used up a count of the share."""

    request: Request
    not_before: int
    findings: tuple[Finding, ...]
    counted: bool = False


class Skipped(msgspec.Struct, frozen=True):
    """No postback is owed, for the first condition that is not met."""

    reason: SkipReason
    findings: tuple[Finding, ...]
    counted: bool = False


def owe(
    change: Change,
    rule: Rule,
    earlier: Earlier,
    *,
    uses_external_id: bool,
    now_ms: int,
    resolve: Callable[[], Request],
) -> Owed | Skipped:
    """Decides one rule for one change. ``resolve`` fills in the request's macros and is asked only when one is owed."""
    after, conditions = change.after, rule.conditions
    external_id = after.click.external_id
    minimum = conditions.minimum_payout_micros
    findings = (  # in the order in which they give the reason
        _rule_on(rule, earlier),
        _NOTICE_FORBIDS if change.disable_postback else _NOTICE_ALLOWS,
        _MATCHED_BY_LIKELIHOOD if earlier.probabilistic else _MATCHED_BY_CLICK_ID,
        _status_selected(change, rule),
        _triggered(change, rule, earlier),
        _LATER_OF_CLICK if conditions.only_first and not after.first_of_click else _FIRST_OF_CLICK,
        _NO_MINIMUM if minimum is None else _compared(after.payout.micros, minimum),
        _LACKS_EXTERNAL_ID if uses_external_id and not external_id else _HAS_EXTERNAL_ID,
        _external_id_replaced(external_id) if uses_external_id and external_id else _EXTERNAL_ID_REPLACED,
        _address_refused(earlier.refused_address) if earlier.refused_address else _ADDRESS_ALLOWED,
    )
    reason = _first_not_met(findings)
    sampled, counted = _sampled(rule, earlier, counting=reason is None)
    if reason is None and not sampled.met:
        reason = SkipReason.NOT_SAMPLED
    if reason is not None:
        return Skipped(reason, (*findings, sampled), counted)
    not_before = min(change.at, now_ms) + conditions.delay_seconds * SECOND_MS
    return Owed(resolve(), not_before, (*findings, sampled), counted)


def _first_not_met(findings: Sequence[Finding]) -> SkipReason | None:
    for finding in findings:
        if not finding.met:
            return finding.condition
    return None


_is_unreplaced = lru_cache(256)(unreplaced_macro)
"""All rules ask the same of a change's external id."""

# Most findings, made once as constants of their own: a change is decided against 20 rules in 100 µs, and to look a member of an enum
# up on its class takes longer than a condition does.
_RULE_ON = Finding(SkipReason.RULE_OFF, True)
_NOTICE_FORBIDS = Finding(SkipReason.DISABLED_BY_NOTICE, False, "disable_postback=1")
_NOTICE_ALLOWS = Finding(SkipReason.DISABLED_BY_NOTICE, True)
_MATCHED_BY_LIKELIHOOD = Finding(SkipReason.PROBABILISTIC, False)
_MATCHED_BY_CLICK_ID = Finding(SkipReason.PROBABILISTIC, True)
_STATUS_SELECTED = Finding(SkipReason.STATUS_NOT_SELECTED, True)
_TRIGGERED = Finding(SkipReason.DUPLICATE, True)
_FIRST_OF_CLICK = Finding(SkipReason.NOT_UNIQUE, True)
_LATER_OF_CLICK = Finding(SkipReason.NOT_UNIQUE, False)
_NO_MINIMUM = Finding(SkipReason.BELOW_MINIMUM, True)
_HAS_EXTERNAL_ID = Finding(SkipReason.NO_EXTERNAL_ID, True)
_LACKS_EXTERNAL_ID = Finding(SkipReason.NO_EXTERNAL_ID, False)
_EXTERNAL_ID_REPLACED = Finding(SkipReason.UNREPLACED_EXTERNAL_ID, True)
_ADDRESS_ALLOWED = Finding(SkipReason.ADDRESS_REFUSED, True)
_IN_SHARE = Finding(SkipReason.NOT_SAMPLED, True)


def _rule_on(rule: Rule, earlier: Earlier) -> Finding:
    if not rule.active:
        return Finding(SkipReason.RULE_OFF, False, "the rule is off")
    if earlier.source_rules_off and rule.source_id is not None:
        return Finding(SkipReason.RULE_OFF, False, "the campaign has switched its source's rules off")
    return _RULE_ON


def _status_selected(change: Change, rule: Rule) -> Finding:
    status = change.after.status
    if _selects(rule, status):
        return _STATUS_SELECTED
    selected = rule.conditions.statuses
    why = f"{status.key} is not among {', '.join(selected)}" if selected else f"{status.key} counts as rejected"
    return Finding(SkipReason.STATUS_NOT_SELECTED, False, why)


def _selects(rule: Rule, status: Status) -> bool:
    selected = rule.conditions.statuses
    return status.key in selected if selected else status.counts_as is not CountsAs.REJECTED


def _triggered(change: Change, rule: Rule, earlier: Earlier) -> Finding:
    """Whether the change is one that the rule is sent for.

    A conversion that did not fit the statuses or the minimum is new to the rule when a later change makes it fit: when it was
    skipped for that, and also when the rule did not exist or was off at the time, or a notice asked for silence.
    """
    if change.before is None:
        return _TRIGGERED
    kind = change.kind
    if kind is ChangeKind.STATUS and rule.conditions.trigger is Trigger.STATUS:
        return _TRIGGERED
    if earlier.owed:
        return Finding(SkipReason.DUPLICATE, False, f"a {kind} change, and already owed for this conversion")
    if kind is ChangeKind.DETAILS:
        return Finding(SkipReason.DUPLICATE, False, "neither the status nor the payout was changed")
    decided = sorted(earlier.skipped - _MAY_FIT_LATER - _UNDECIDED)
    if decided:
        return Finding(SkipReason.DUPLICATE, False, f"a {kind} change, and skipped before: {', '.join(decided)}")
    masked = earlier.skipped & _MASKING
    if not masked and earlier.skipped & _MAY_FIT_LATER:
        return Finding(SkipReason.DUPLICATE, True, "the first change that may fit")
    if _fits(change.before, rule):
        return Finding(
            SkipReason.DUPLICATE, False, f"it fitted before, as {change.before.status.key}, {_passed(masked)}"
        )
    return Finding(SkipReason.DUPLICATE, True, "the first change that may fit")


def _passed(masked: Set[SkipReason]) -> str:
    """Why nothing was sent when the conversion fitted."""
    if SkipReason.DISABLED_BY_NOTICE in masked:
        return "when a notice asked that nothing be sent"
    return "before this rule was switched on" if masked else "before this rule was made"


def _fits(conversion: Conversion, rule: Rule) -> bool:
    """Whether a conversion fits what a later change may bring it into: the statuses and the minimum."""
    minimum = rule.conditions.minimum_payout_micros
    return _selects(rule, conversion.status) and (minimum is None or conversion.payout.micros >= minimum)


@lru_cache(256)
def _compared(payout: int, minimum: int) -> Finding:
    detail = f"{amount_text(payout)} of at least {amount_text(minimum)}"
    return Finding(SkipReason.BELOW_MINIMUM, payout >= minimum, detail)


def _external_id_replaced(external_id: str) -> Finding:
    if _is_unreplaced(external_id):
        return Finding(SkipReason.UNREPLACED_EXTERNAL_ID, False, external_id[:100])
    return _EXTERNAL_ID_REPLACED


def _address_refused(sentence: str) -> Finding:
    return Finding(SkipReason.ADDRESS_REFUSED, False, sentence)


def _sampled(rule: Rule, earlier: Earlier, counting: bool) -> tuple[Finding, bool]:
    """Whether the conversion is in the rule's share, and whether it was counted for it now. One already in it stays in it."""
    every = rule.conditions.every_nth
    if every <= 1 or earlier.owed:
        return _IN_SHARE, False
    if SkipReason.NOT_SAMPLED in earlier.skipped:
        return Finding(SkipReason.NOT_SAMPLED, False, "it was left out when it was new"), False
    place = earlier.counted % every + 1
    return Finding(SkipReason.NOT_SAMPLED, place == 1, f"number {place} of every {every}"), counting
