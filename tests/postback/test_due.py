"""Which changes create a postback: one test for every reason, and the triggers."""

import inspect
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.click.click import Click
from clickloop.conversion.conversion import Change, Conversion
from clickloop.conversion.status import CountsAs, Status
from clickloop.money import Money
from clickloop.postback.due import DuePostback, RuleContext, SkippedPostback, SkipReason, decide_postback
from clickloop.postback.rule import Conditions, PostbackRequest, PostbackRule, RequestTemplate, Trigger

NOW = 1_800_000_000_000
REQUEST = PostbackRequest(url="https://source.example/")
HOLD = Status("hold", "Hold", CountsAs.PENDING)
SALE = Status("sale", "Sale", CountsAs.CONFIRMED)
REJECTED = Status("rejected", "Rejected", CountsAs.REJECTED)


def decide(
    change: Change, rule: PostbackRule, uses_external_id: bool = True, **earlier: Any
) -> DuePostback | SkippedPostback:
    return decide_postback(
        change, rule, RuleContext(**earlier), uses_external_id=uses_external_id, now_ms=NOW, resolve=lambda: REQUEST
    )


def reason_of(decision: DuePostback | SkippedPostback) -> SkipReason | None:
    return decision.reason if isinstance(decision, SkippedPostback) else None


def test_a_new_conversion_makes_the_rules_request_due_at_once(change: Any, rule: Any) -> None:
    decision = decide(change(), rule())

    assert isinstance(decision, DuePostback)
    assert (decision.request, decision.not_before) == (REQUEST, NOW)
    assert all(finding.met for finding in decision.findings)


_OF_CONVERSIONS = [reason for reason in SkipReason if reason is not SkipReason.VIEW_FAULT]
"""Reasons for which a postback of a conversion is skipped; that of views is tested in ``tests/tracking/views``."""


def test_every_decision_reports_the_result_of_every_condition(change: Any, rule: Any) -> None:
    decision = decide(change(disable_postback=True), rule(active=False))

    assert sorted(finding.condition for finding in decision.findings) == sorted(_OF_CONVERSIONS)


def test_an_inactive_rule_is_skipped_as_rule_off(change: Any, rule: Any) -> None:
    assert reason_of(decide(change(), rule(active=False))) is SkipReason.RULE_OFF


def test_a_campaign_can_turn_off_its_sources_rules_but_no_others(change: Any, rule: Any) -> None:
    assert reason_of(decide(change(), rule(), source_rules_off=True)) is SkipReason.RULE_OFF
    assert reason_of(decide(change(), rule(source_id=None), source_rules_off=True)) is None


def test_a_notice_with_disable_postback_is_skipped_as_disabled_by_notice(change: Any, rule: Any) -> None:
    assert reason_of(decide(change(disable_postback=True), rule())) is SkipReason.DISABLED_BY_NOTICE


def test_a_match_by_likelihood_is_skipped_as_probabilistic(change: Any, rule: Any) -> None:
    assert reason_of(decide(change(), rule(), probabilistic=True)) is SkipReason.PROBABILISTIC


def test_a_status_that_is_not_chosen_is_skipped_as_status_not_selected(change: Any, rule: Any, conversion: Any) -> None:
    held = change(conversion(status=HOLD))

    assert reason_of(decide(held, rule(conditions=Conditions(statuses=("sale",))))) is SkipReason.STATUS_NOT_SELECTED


def test_without_selected_statuses_all_but_rejected_are_sent(change: Any, rule: Any, conversion: Any) -> None:
    reasons = [reason_of(decide(change(conversion(status=status)), rule())) for status in (HOLD, SALE, REJECTED)]

    assert reasons == [None, None, SkipReason.STATUS_NOT_SELECTED]


def test_a_rejected_conversion_is_sent_where_it_is_chosen(change: Any, rule: Any, conversion: Any) -> None:
    chosen = rule(conditions=Conditions(statuses=("rejected",)))

    assert reason_of(decide(change(conversion(status=REJECTED)), chosen)) is None


def test_a_later_change_of_a_conversion_with_a_postback_is_skipped_as_duplicate(
    change: Any, rule: Any, conversion: Any
) -> None:
    later = change(conversion(version=2), before=conversion(status=HOLD))

    assert reason_of(decide(later, rule(), owed=1)) is SkipReason.DUPLICATE


def test_a_status_change_is_sent_again_if_every_change_triggers(change: Any, rule: Any, conversion: Any) -> None:
    later = change(conversion(version=2), before=conversion(status=HOLD))
    every = rule(conditions=Conditions(trigger=Trigger.STATUS))

    assert reason_of(decide(later, every, owed=1)) is None


def test_a_payout_change_is_not_a_status_change(change: Any, rule: Any, conversion: Any) -> None:
    later = change(conversion(version=2), before=conversion(payout=Money(1, "USD")))
    every = rule(conditions=Conditions(trigger=Trigger.STATUS))

    assert reason_of(decide(later, every, owed=1)) is SkipReason.DUPLICATE


def test_a_conversion_is_new_to_a_rule_when_it_first_gets_a_chosen_status(
    change: Any, rule: Any, conversion: Any
) -> None:
    later = change(conversion(version=2), before=conversion(status=HOLD))
    skipped = frozenset({SkipReason.STATUS_NOT_SELECTED})

    assert reason_of(decide(later, rule(conditions=Conditions(statuses=("sale",))), skipped=skipped)) is None


def test_a_conversion_whose_notice_disabled_postbacks_is_not_sent_at_a_later_change(
    change: Any, rule: Any, conversion: Any
) -> None:
    later = change(conversion(version=2), before=conversion(status=HOLD))
    skipped = frozenset({SkipReason.DISABLED_BY_NOTICE})

    assert reason_of(decide(later, rule(), skipped=skipped)) is SkipReason.DUPLICATE


SALES = Conditions(statuses=("sale",))


def trigger_of(decision: DuePostback | SkippedPostback) -> tuple[bool, str]:
    """Return the result of the trigger condition."""
    (found,) = [finding for finding in decision.findings if finding.condition is SkipReason.DUPLICATE]
    return found.met, found.detail


def test_a_rule_created_after_a_conversion_is_sent_when_a_change_gives_it_a_selected_status(
    change: Any, rule: Any, conversion: Any
) -> None:
    approved = change(conversion(version=2), before=conversion(status=HOLD))

    assert reason_of(decide(approved, rule(conditions=SALES))) is None


def test_a_rule_created_after_a_conversion_qualified_is_not_sent_at_later_changes_and_the_record_says_so(
    change: Any, rule: Any, conversion: Any
) -> None:
    later = change(conversion(version=2), before=conversion(status=HOLD))
    paid_more = change(conversion(version=2, payout=Money(2, "USD")), before=conversion(payout=Money(1, "USD")))

    assert trigger_of(decide(later, rule())) == (False, "it already qualified as hold, before this rule was created")
    assert trigger_of(decide(paid_more, rule(conditions=SALES))) == (
        False,
        "it already qualified as sale, before this rule was created",
    )


OFF = frozenset({SkipReason.RULE_OFF})


def test_a_rule_that_was_off_at_the_hold_is_sent_at_the_approval_but_not_if_it_qualified_before(
    change: Any, rule: Any, conversion: Any
) -> None:
    approved = change(conversion(version=2), before=conversion(status=HOLD))
    paid_more = change(conversion(version=3, payout=Money(2, "USD")), before=conversion(payout=Money(1, "USD")))

    assert reason_of(decide(approved, rule(conditions=SALES), skipped=OFF)) is None
    assert trigger_of(decide(paid_more, rule(conditions=SALES), skipped=OFF)) == (
        False,
        "it already qualified as sale, before this rule was turned on",
    )


def test_a_rule_that_was_off_is_sent_when_a_payout_first_reaches_its_minimum(
    change: Any, rule: Any, conversion: Any
) -> None:
    dear = rule(conditions=Conditions(minimum_payout_micros=10_000_000))
    paid_more = change(conversion(version=2), before=conversion(payout=Money(1, "USD")))

    assert reason_of(decide(paid_more, dear, skipped=OFF)) is None


def test_an_earlier_decision_about_the_conversion_itself_is_named_when_a_later_change_does_not_trigger(
    change: Any, rule: Any, conversion: Any
) -> None:
    approved = change(conversion(version=2), before=conversion(status=HOLD))
    skipped = frozenset({SkipReason.NOT_UNIQUE, SkipReason.RULE_OFF})

    assert trigger_of(decide(approved, rule(conditions=SALES), skipped=skipped)) == (
        False,
        "a status change, and skipped earlier: not_unique",
    )


SILENT = frozenset({SkipReason.DISABLED_BY_NOTICE})


def test_a_conversion_whose_first_notice_disabled_postbacks_is_sent_when_it_first_qualifies_only(
    change: Any, rule: Any, conversion: Any
) -> None:
    approved = change(conversion(version=2), before=conversion(status=HOLD))
    paid_more = change(conversion(version=3, payout=Money(2, "USD")), before=conversion(payout=Money(1, "USD")))
    late = SILENT | {SkipReason.STATUS_NOT_SELECTED}

    assert reason_of(decide(approved, rule(conditions=SALES), skipped=SILENT)) is None
    assert trigger_of(decide(paid_more, rule(conditions=SALES), skipped=late)) == (
        False,
        "it already qualified as sale, when an incoming postback turned postbacks off",
    )


def test_a_later_conversion_of_a_click_is_skipped_as_not_unique(change: Any, rule: Any, conversion: Any) -> None:
    second = change(conversion(first_of_click=False, txid="T-2"))

    assert reason_of(decide(second, rule())) is None
    assert reason_of(decide(second, rule(conditions=Conditions(only_first=True)))) is SkipReason.NOT_UNIQUE


@pytest.mark.parametrize(("micros", "sent"), [(9_999_999, False), (10_000_000, True), (-3_000_000, False)])
def test_a_payout_under_the_minimum_is_skipped_as_below_minimum(
    micros: int, sent: bool, change: Any, rule: Any, conversion: Any
) -> None:
    conditions = Conditions(minimum_payout_micros=10_000_000)

    decision = decide(change(conversion(payout=Money(micros, "USD"))), rule(conditions=conditions))

    assert reason_of(decision) is (None if sent else SkipReason.BELOW_MINIMUM)


def test_a_request_that_needs_an_external_id_is_skipped_without_one(change: Any, rule: Any, conversion: Any) -> None:
    without = change(conversion(external_id=""))

    assert reason_of(decide(without, rule())) is SkipReason.NO_EXTERNAL_ID
    assert reason_of(decide(without, rule(), uses_external_id=False)) is None


@pytest.mark.parametrize("external_id", ["{clickid}", "${SUBID}", "[CID]", "__CLICKID__", "{{id}}", "%CID%"])
def test_an_external_id_that_is_a_macro_is_skipped_as_unreplaced(
    external_id: str, change: Any, rule: Any, conversion: Any
) -> None:
    unreplaced = change(conversion(external_id=external_id))

    assert reason_of(decide(unreplaced, rule())) is SkipReason.UNREPLACED_EXTERNAL_ID
    assert reason_of(decide(unreplaced, rule(), uses_external_id=False)) is None


def test_a_receiver_at_a_refused_address_is_skipped_as_address_refused(change: Any, rule: Any) -> None:
    decision = decide(change(), rule(), refused_address="127.0.0.1 is this machine itself.")

    assert reason_of(decision) is SkipReason.ADDRESS_REFUSED
    assert "127.0.0.1 is this machine itself." in [finding.detail for finding in decision.findings]


def test_every_third_conversion_is_sent_and_the_others_skipped_as_not_sampled(change: Any, rule: Any) -> None:
    third = rule(conditions=Conditions(every_nth=3))

    decisions = [decide(change(), third, counted=counted) for counted in range(6)]

    skipped = SkipReason.NOT_SAMPLED
    assert [reason_of(decision) for decision in decisions] == [None, skipped, skipped, None, skipped, skipped]
    assert all(decision.counted for decision in decisions)


def test_a_conversion_skipped_for_another_reason_is_not_counted_for_the_share(change: Any, rule: Any) -> None:
    off = rule(active=False, conditions=Conditions(every_nth=3))

    assert not decide(change(), off).counted


def test_a_conversion_in_the_share_stays_in_it_at_later_changes(change: Any, rule: Any, conversion: Any) -> None:
    every = rule(conditions=Conditions(every_nth=3, trigger=Trigger.STATUS))
    later = change(conversion(version=2), before=conversion(status=HOLD))

    inside = decide(later, every, owed=1, counted=1)
    outside = decide(later, every, skipped=frozenset({SkipReason.NOT_SAMPLED}), counted=3)

    assert (reason_of(inside), inside.counted) == (None, False)
    assert (reason_of(outside), outside.counted) == (SkipReason.NOT_SAMPLED, False)


def test_a_delay_moves_the_first_attempt(change: Any, rule: Any) -> None:
    decision = decide(change(), rule(conditions=Conditions(delay_seconds=60)))

    assert isinstance(decision, DuePostback)
    assert decision.not_before == NOW + 60_000


def test_a_notice_from_the_future_does_not_delay_its_postback(change: Any, rule: Any) -> None:
    decision = decide_postback(
        change(), rule(), RuleContext(), uses_external_id=True, now_ms=NOW - 10**9, resolve=lambda: REQUEST
    )

    assert isinstance(decision, DuePostback)
    assert decision.not_before == NOW - 10**9


@given(
    active=st.booleans(),
    disabled=st.booleans(),
    first=st.booleans(),
    only_first=st.booleans(),
    every=st.integers(1, 4),
    counted=st.integers(0, 20),
    micros=st.integers(-(10**9), 10**9),
    minimum=st.none() | st.integers(0, 10**9),
)
def test_a_postback_is_due_if_and_only_if_every_condition_is_met(
    active: bool,
    disabled: bool,
    first: bool,
    only_first: bool,
    every: int,
    counted: int,
    micros: int,
    minimum: int | None,
) -> None:
    click = Click(click_id="c", at=NOW, campaign_id=1, source_id=1, external_id="x1")
    after = Conversion(
        conversion_id="a",
        click=click,
        txid="",
        status=SALE,
        status_word="",
        payout=Money(micros, "USD"),
        first_of_click=first,
        converted_at=NOW,
        created_at=NOW,
        updated_at=NOW,
        version=1,
    )
    conditions = Conditions(only_first=only_first, every_nth=every, minimum_payout_micros=minimum)
    rule = PostbackRule(
        rule_id=1, name="r", active=active, request=RequestTemplate(url="http://a.example/"), conditions=conditions
    )
    changed = Change(before=None, after=after, at=NOW, notice_id="n", disable_postback=disabled)

    decision = decide(changed, rule, counted=counted)

    assert isinstance(decision, DuePostback) == all(finding.met for finding in decision.findings)
    if isinstance(decision, SkippedPostback):
        assert decision.reason is next(finding.condition for finding in decision.findings if not finding.met)


@pytest.mark.parametrize("reason", SkipReason)
def test_every_reason_has_a_sentence_and_a_test(reason: SkipReason) -> None:
    assert reason.sentence.endswith(".")
    assert f"SkipReason.{reason.name}" in inspect.getsource(sys.modules[__name__])
