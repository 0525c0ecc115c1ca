"""Decide whether a postback is due: one rule for one change of a conversion. Pure; the same code decides, explains and records.

Every condition is evaluated, so that a dry run shows them all; the first that is not met is the reason.
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
from clickloop.postback.rule import PostbackRequest, PostbackRule, Trigger


class SkipReason(Explained):
    """The reason why no postback was sent for a change: a condition that is not met. ``met_sentence`` is shown if it is met."""

    met_sentence: str

    def __new__(cls, value: str, sentence: str = "", met_sentence: str = "") -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence, member.met_sentence = sentence, met_sentence
        return member

    RULE_OFF = (
        "rule_off",
        "The rule is off, or the campaign turns off its source's postbacks. Turn it on, then rebuild and resend.",
        "The rule is on.",
    )
    DISABLED_BY_NOTICE = (
        "disabled_by_notice",
        "The incoming postback turned postbacks off (disable_postback=1). Remove the parameter at the network to send them.",
        "The incoming postback does not turn postbacks off.",
    )
    PROBABILISTIC = (
        "probabilistic",
        "The conversion was matched to its click probabilistically, not by click ID. Only exact matches are sent.",
        "The conversion was matched by click ID.",
    )
    STATUS_NOT_SELECTED = (
        "status_not_selected",
        "The rule does not send this status. To send it, select it in the rule.",
        "The rule sends this status.",
    )
    DUPLICATE = (
        "duplicate",
        (
            "This change does not trigger the rule: the conversion was sent, was skipped or qualified earlier. "
            "To send every status change, change the rule's trigger."
        ),
        "This change triggers the rule.",
    )
    NOT_UNIQUE = (
        "not_unique",
        "The rule sends only the first conversion of a click, and this is a later one.",
        "It is the click's first conversion, or the rule sends later ones too.",
    )
    BELOW_MINIMUM = (
        "below_minimum",
        "The payout is below the rule's minimum. To send it, lower the minimum.",
        "The payout reaches the rule's minimum.",
    )
    NO_EXTERNAL_ID = (
        "no_external_id",
        "The click came without the source's click ID, which the postback needs. Check external_id in the campaign link.",
        "The click has the source's click ID, or the postback does not need it.",
    )
    UNREPLACED_EXTERNAL_ID = (
        "unreplaced_external_id",
        "The source sent its macro instead of its click ID. Correct the macro in external_id of the campaign link.",
        "The source's click ID is not an unreplaced macro.",
    )
    ADDRESS_REFUSED = (
        "address_refused",
        "The receiver's address is not allowed. Correct the rule's URL, or allow the address.",
        "The receiver's address is allowed.",
    )
    VIEW_FAULT = (
        "view_fault",
        "The view cannot be computed any more: it names something that was renamed or removed. Open and save it again.",
        "The view was computed.",
    )
    NOT_SAMPLED = (
        "not_sampled",
        "The rule sends only every Nth conversion, and this is not one of them.",
        "The rule sends every conversion, or this is an Nth one.",
    )


_MAY_QUALIFY_LATER = frozenset({SkipReason.STATUS_NOT_SELECTED, SkipReason.BELOW_MINIMUM})
_MASKING = frozenset({SkipReason.RULE_OFF, SkipReason.DISABLED_BY_NOTICE})
"""Evaluated before status and minimum, so a skip for one of these does not tell whether the conversion qualified."""
_UNDECIDED = _MASKING | {SkipReason.DUPLICATE}
"""Reasons that say nothing about the conversion itself."""


class ConditionResult(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The result of one condition. ``condition`` is the reason for skipping when it is not met."""

    condition: SkipReason
    met: bool
    detail: str = ""
    """The values compared, as text; empty if the reason's sentence says it all."""


class RuleContext(msgspec.Struct, frozen=True):
    """The facts that a decision needs besides rule and change."""

    owed: int = 0
    """Postbacks of this rule created for this conversion so far, without resends."""
    skipped: frozenset[SkipReason] = frozenset()
    """Reasons for which earlier changes of this conversion were skipped."""
    counted: int = 0
    """Conversions counted so far for the rule's every-Nth share."""
    source_rules_off: bool = False
    """The click's campaign turns off its source's rules."""
    refused_address: str = ""
    """The address guard's reason to refuse the receiver's address, as a sentence; empty if it does not."""
    probabilistic: bool = False


class DuePostback(msgspec.Struct, frozen=True):
    """A postback is owed: ``request`` is due at ``not_before`` (Unix ms). ``counted``: it advances the every-Nth count."""

    request: PostbackRequest
    not_before: int
    findings: tuple[ConditionResult, ...]
    counted: bool = False


class SkippedPostback(msgspec.Struct, frozen=True):
    """No postback is owed. ``reason`` is the first condition that is not met."""

    reason: SkipReason
    findings: tuple[ConditionResult, ...]
    counted: bool = False


def decide_postback(
    change: Change,
    rule: PostbackRule,
    earlier: RuleContext,
    *,
    uses_external_id: bool,
    now_ms: int,
    resolve: Callable[[], PostbackRequest],
) -> DuePostback | SkippedPostback:
    """Decide one rule for one change. ``resolve`` fills in the request's macros; it is called only if a postback is due."""
    after, conditions = change.after, rule.conditions
    external_id = after.click.external_id
    minimum = conditions.minimum_payout_micros
    findings = (  # the order decides which reason is reported
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
        return SkippedPostback(reason, (*findings, sampled), counted)
    not_before = min(change.at, now_ms) + conditions.delay_seconds * SECOND_MS
    return DuePostback(resolve(), not_before, (*findings, sampled), counted)


def _first_not_met(findings: Sequence[ConditionResult]) -> SkipReason | None:
    for finding in findings:
        if not finding.met:
            return finding.condition
    return None


_is_unreplaced = lru_cache(256)(unreplaced_macro)
"""Cached: every rule of a change checks the same external id."""

# Most results, as module constants: a change is decided against 20 rules in 100 µs, and looking up an enum member on its class
# takes longer than evaluating a condition.
_RULE_ON = ConditionResult(SkipReason.RULE_OFF, True)
_NOTICE_FORBIDS = ConditionResult(SkipReason.DISABLED_BY_NOTICE, False, "disable_postback=1")
_NOTICE_ALLOWS = ConditionResult(SkipReason.DISABLED_BY_NOTICE, True)
_MATCHED_BY_LIKELIHOOD = ConditionResult(SkipReason.PROBABILISTIC, False)
_MATCHED_BY_CLICK_ID = ConditionResult(SkipReason.PROBABILISTIC, True)
_STATUS_SELECTED = ConditionResult(SkipReason.STATUS_NOT_SELECTED, True)
_TRIGGERED = ConditionResult(SkipReason.DUPLICATE, True)
_FIRST_OF_CLICK = ConditionResult(SkipReason.NOT_UNIQUE, True)
_LATER_OF_CLICK = ConditionResult(SkipReason.NOT_UNIQUE, False)
_NO_MINIMUM = ConditionResult(SkipReason.BELOW_MINIMUM, True)
_HAS_EXTERNAL_ID = ConditionResult(SkipReason.NO_EXTERNAL_ID, True)
_LACKS_EXTERNAL_ID = ConditionResult(SkipReason.NO_EXTERNAL_ID, False)
_EXTERNAL_ID_REPLACED = ConditionResult(SkipReason.UNREPLACED_EXTERNAL_ID, True)
_ADDRESS_ALLOWED = ConditionResult(SkipReason.ADDRESS_REFUSED, True)
_IN_SHARE = ConditionResult(SkipReason.NOT_SAMPLED, True)


def _rule_on(rule: PostbackRule, earlier: RuleContext) -> ConditionResult:
    if not rule.active:
        return ConditionResult(SkipReason.RULE_OFF, False, "the rule is off")
    if earlier.source_rules_off and rule.source_id is not None:
        return ConditionResult(SkipReason.RULE_OFF, False, "the campaign turns off its source's postbacks")
    return _RULE_ON


def _status_selected(change: Change, rule: PostbackRule) -> ConditionResult:
    status = change.after.status
    if _selects(rule, status):
        return _STATUS_SELECTED
    selected = rule.conditions.statuses
    detail = (
        f"the rule sends {', '.join(selected)}, not {status.key}" if selected else f"{status.key} counts as rejected"
    )
    return ConditionResult(SkipReason.STATUS_NOT_SELECTED, False, detail)


def _selects(rule: PostbackRule, status: Status) -> bool:
    selected = rule.conditions.statuses
    return status.key in selected if selected else status.counts_as is not CountsAs.REJECTED


def _triggered(change: Change, rule: PostbackRule, earlier: RuleContext) -> ConditionResult:
    """Return whether the change triggers the rule.

    A conversion that did not qualify (by status and minimum) is new to the rule at the change that makes it qualify. So it is if
    it was skipped for that, but also if the rule did not exist or was off at the time, or a notice had turned postbacks off.
    """
    if change.before is None:
        return _TRIGGERED
    kind = change.kind
    if kind is ChangeKind.STATUS and rule.conditions.trigger is Trigger.STATUS:
        return _TRIGGERED
    if earlier.owed:
        return ConditionResult(
            SkipReason.DUPLICATE, False, f"a {kind} change, and this conversion already has a postback"
        )
    if kind is ChangeKind.DETAILS:
        return ConditionResult(SkipReason.DUPLICATE, False, "neither status nor payout changed")
    decided = sorted(earlier.skipped - _MAY_QUALIFY_LATER - _UNDECIDED)
    if decided:
        return ConditionResult(
            SkipReason.DUPLICATE, False, f"a {kind} change, and skipped earlier: {', '.join(decided)}"
        )
    masked = earlier.skipped & _MASKING
    was_skipped_for_now = not masked and earlier.skipped & _MAY_QUALIFY_LATER
    if not was_skipped_for_now and _qualifies(change.before, rule):
        detail = f"it already qualified as {change.before.status.key}, {_when_missed(masked)}"
        return ConditionResult(SkipReason.DUPLICATE, False, detail)
    return ConditionResult(SkipReason.DUPLICATE, True, "the first change that can qualify")


def _when_missed(masked: Set[SkipReason]) -> str:
    """Return a clause on when the conversion qualified without a postback."""
    if SkipReason.DISABLED_BY_NOTICE in masked:
        return "when an incoming postback turned postbacks off"
    return "before this rule was turned on" if masked else "before this rule was created"


def _qualifies(conversion: Conversion, rule: PostbackRule) -> bool:
    """Return whether a conversion meets the conditions that a later change can affect: status and minimum payout."""
    minimum = rule.conditions.minimum_payout_micros
    return _selects(rule, conversion.status) and (minimum is None or conversion.payout.micros >= minimum)


@lru_cache(256)
def _compared(payout: int, minimum: int) -> ConditionResult:
    detail = f"payout {amount_text(payout)}, minimum {amount_text(minimum)}"
    return ConditionResult(SkipReason.BELOW_MINIMUM, payout >= minimum, detail)


def _external_id_replaced(external_id: str) -> ConditionResult:
    if _is_unreplaced(external_id):
        return ConditionResult(SkipReason.UNREPLACED_EXTERNAL_ID, False, external_id[:100])
    return _EXTERNAL_ID_REPLACED


def _address_refused(sentence: str) -> ConditionResult:
    return ConditionResult(SkipReason.ADDRESS_REFUSED, False, sentence)


def _sampled(rule: PostbackRule, earlier: RuleContext, counting: bool) -> tuple[ConditionResult, bool]:
    """Return whether the conversion is in the rule's share, and whether it was counted now. Once in the share, it stays in."""
    every = rule.conditions.every_nth
    if every <= 1 or earlier.owed:
        return _IN_SHARE, False
    if SkipReason.NOT_SAMPLED in earlier.skipped:
        return ConditionResult(SkipReason.NOT_SAMPLED, False, "left out when the conversion was new"), False
    place = earlier.counted % every + 1
    return ConditionResult(SkipReason.NOT_SAMPLED, place == 1, f"number {place} of every {every}"), counting
