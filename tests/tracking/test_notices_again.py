"""Notices that are processed more than once: those that wait for their click, and reruns."""

from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from clickloop.click.click import Click
from clickloop.conversion.attribution import WAIT_MS
from clickloop.conversion.notice import RefusalReason
from clickloop.conversion.notice_log import NoticeOutcome
from clickloop.money import Money
from clickloop.store.ledger.logs.conversions import (
    changes_of_conversions,
)
from clickloop.store.ledger.schema.tables import conversions, networks, notices
from clickloop.store.ledger.setup.statuses import (
    UnmappedWord,
    insert_words,
    unmapped_words,
)
from clickloop.tracking.notices import recheck_due, rerun, take_notices
from tests.partner import NOW, Partner


@pytest.fixture
def partner(tmp_path: Path) -> Partner:
    return Partner(tmp_path)


# Waiting --------------------------------------------------------------------------------------------------------------


def test_a_notice_before_its_click_waits_and_is_matched_when_the_click_arrives(partner: Partner) -> None:
    click_id = partner.click(NOW, arrived=False)
    assert partner.outcomes(partner.notice(click_id)) == [NoticeOutcome.WAITING]
    partner.clicks.arrived[click_id] = Click(click_id=click_id, at=NOW, campaign_id=3, source_id=5)
    results = recheck_due(partner.intake, NOW + 1, [click_id])
    assert [result.outcome for result in results] == [NoticeOutcome.NEW]
    assert [conversion.click.campaign_id for conversion in partner.conversions(click_id)] == [3]


def test_a_notice_that_is_not_due_is_not_rechecked(partner: Partner) -> None:
    partner.outcomes(partner.notice(partner.click(arrived=False)))
    assert recheck_due(partner.intake, NOW + 99) == []
    assert [result.outcome for result in recheck_due(partner.intake, NOW + 100)] == [NoticeOutcome.WAITING]


def test_a_notice_whose_click_never_arrives_is_refused_after_ten_minutes(partner: Partner) -> None:
    last = take_notices(partner.intake, [partner.notice(partner.click(arrived=False))], NOW)
    looks, now = 0, NOW
    while (due := last[0].notice.look_again_at) is not None:
        looks, now = looks + 1, due
        last = recheck_due(partner.intake, now)
    assert (last[0].reason, now, last[0].notice.runs) == (RefusalReason.UNKNOWN_CLICK, NOW + WAIT_MS, 1)
    assert looks < 50


def test_looking_again_asks_for_no_click_when_nothing_waits(partner: Partner) -> None:
    assert recheck_due(partner.intake, NOW) == []
    assert partner.clicks.asked == 0


def test_a_notice_that_waited_does_not_overtake_what_came_after_it(partner: Partner) -> None:
    click_id = partner.click(arrived=False)
    early = partner.notice(click_id, at=NOW, status="lead", payout="5")
    partner.outcomes(early)
    partner.clicks.arrived[click_id] = Click(click_id=click_id, at=NOW, campaign_id=3, source_id=5)
    partner.outcomes(partner.notice(click_id, at=NOW + 50, status="rejected"), now=NOW + 60)
    recheck_due(partner.intake, NOW + 200)
    conversion = partner.conversions(click_id)[0]
    assert (conversion.status.key, conversion.payout) == ("rejected", Money(5_000_000, "USD"))


def test_a_notice_that_waits_is_registered_before_a_later_one_of_its_click(partner: Partner) -> None:
    click_id = partner.click(arrived=False)
    partner.outcomes(partner.notice(click_id, status="lead"))
    partner.clicks.arrived[click_id] = Click(click_id=click_id, at=NOW, campaign_id=3, source_id=5)
    assert partner.outcomes(partner.notice(click_id, at=NOW + 50, status="sale"), now=NOW + 60) == [
        NoticeOutcome.CHANGED
    ]
    conversion_id = partner.conversions(click_id)[0].conversion_id
    with partner.intake.ledger.read() as tx:
        history = changes_of_conversions(tx, [conversion_id])
    assert [change.after.status.key for change in history] == ["hold", "sale"]


def test_of_two_notices_that_wait_for_a_click_the_earlier_is_registered_first_whichever_is_due(
    partner: Partner,
) -> None:
    click_id = partner.click(arrived=False)
    partner.outcomes(partner.notice(click_id, status="lead"))
    recheck_due(partner.intake, NOW + 400)
    partner.outcomes(partner.notice(click_id, at=NOW + 410, status="sale"), now=NOW + 410)
    partner.clicks.arrived[click_id] = Click(click_id=click_id, at=NOW, campaign_id=3, source_id=5)
    recheck_due(partner.intake, NOW + 510)
    conversion_id = partner.conversions(click_id)[0].conversion_id
    with partner.intake.ledger.read() as tx:
        history = changes_of_conversions(tx, [conversion_id])
    assert [change.after.status.key for change in history] == ["hold", "sale"]


# Run again ------------------------------------------------------------------------------------------------------------


def test_a_stored_notice_is_run_again_by_todays_words_once(partner: Partner) -> None:
    click_id = partner.click()
    raw = partner.notice(click_id, status="Wow", payout="5")
    partner.outcomes(raw)
    with partner.intake.ledger.write() as tx:
        assert unmapped_words(tx, 10) == [UnmappedWord("wow", 1)]
        insert_words(tx, "sale", ["WOW"])
    first, second = (rerun(partner.intake, [raw.notice_id], NOW)[0] for _ in range(2))
    assert (first.notice.outcome, first.notice.version, first.notice.runs) == (NoticeOutcome.NEW, 2, 2)
    assert (second.notice.version, second.notice.runs) == (2, 3)
    assert [conversion.status.key for conversion in partner.conversions(click_id)] == ["sale"]


def test_a_refused_notice_registers_when_it_is_run_again_after_the_fault_is_mended(partner: Partner) -> None:
    partner.set_up_network(token="secret")
    raw = partner.notice(partner.click())
    partner.outcomes(raw)
    with partner.intake.ledger.write() as tx:
        tx.execute(update(networks).values(token=""))
    assert rerun(partner.intake, [raw.notice_id], NOW)[0].outcome is NoticeOutcome.NEW


def test_a_registered_notice_stays_registered_when_it_is_run_again_under_stricter_settings(partner: Partner) -> None:
    raw = partner.notice(partner.click())
    partner.outcomes(raw)
    partner.set_up_network(token="secret")
    assert rerun(partner.intake, [raw.notice_id], NOW)[0].outcome is NoticeOutcome.NEW


def test_running_an_unknown_notice_again_answers_nothing(partner: Partner) -> None:
    assert rerun(partner.intake, ["nobody"], NOW) == []


def test_the_ledger_counts_as_many_conversions_as_notices_made(partner: Partner) -> None:
    raws = [partner.notice(partner.click()) for _ in range(700)]
    take_notices(partner.intake, raws, NOW)
    with partner.intake.ledger.read() as tx:
        assert tx.scalar(select(func.count()).select_from(conversions)) == 700
        assert tx.scalar(select(func.count()).select_from(notices)) == 700
