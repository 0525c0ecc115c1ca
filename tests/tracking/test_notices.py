"""Taking notices: the ledger afterwards, if they come twice, late, at once or before their click."""

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import insert

from clickloop.clock import DAY_MS, MINUTE_MS
from clickloop.conversion.attribution import WAIT_MS
from clickloop.conversion.conversion_input import ConversionInput
from clickloop.conversion.notice import Channel, NoticeFlag, RawNotice, RefusalReason
from clickloop.conversion.notice_log import NoticeOutcome
from clickloop.conversion.status import CountsAs
from clickloop.money import Money
from clickloop.store.ledger.logs.conversions import (
    changes_of_conversions,
)
from clickloop.store.ledger.logs.notices import find_notice
from clickloop.store.ledger.logs.outbox import delete_facts, oldest_facts
from clickloop.store.ledger.logs.segments import forget_settled, settled_among
from clickloop.store.ledger.schema.tables import offers
from clickloop.store.ledger.setup.statuses import (
    status_rows,
    update_status,
)
from clickloop.tracking.notices import convert, recheck_due, rerun, take_notices
from tests.partner import NOW, Partner


@pytest.fixture
def partner(tmp_path: Path) -> Partner:
    return Partner(tmp_path)


# Refusals -------------------------------------------------------------------------------------------------------------


def _duplicate(partner: Partner) -> RawNotice:
    partner.set_up_network(refuse_duplicates=True)
    click_id = partner.click()
    take_notices(partner.intake, [partner.notice(click_id)], NOW)
    return partner.notice(click_id)


def _with_network(partner: Partner, **settings: object) -> RawNotice:
    partner.set_up_network(**settings)
    return partner.notice(partner.click())


REFUSED: dict[RefusalReason, Callable[[Partner], RawNotice]] = {
    RefusalReason.NO_CLICK_ID: lambda partner: partner.notice(),
    RefusalReason.MALFORMED_CLICK_ID: lambda partner: partner.notice("12345"),
    RefusalReason.FORGED_CLICK_ID: lambda partner: partner.notice("0123456789abcdefghjkmnpqrs"),
    RefusalReason.UNREPLACED_MACRO: lambda partner: partner.notice("{clickid}"),
    RefusalReason.UNKNOWN_CLICK: lambda partner: partner.notice(partner.click(arrived=False)),
    RefusalReason.EXPIRED_CLICK: lambda partner: partner.notice(partner.click(NOW - 91 * DAY_MS)),
    RefusalReason.WRONG_TOKEN: lambda partner: _with_network(partner, token="secret"),
    RefusalReason.ADDRESS_NOT_ALLOWED: lambda partner: _with_network(partner, addresses=["203.0.113.0/24"]),
    RefusalReason.DUPLICATE: _duplicate,
    RefusalReason.TEST_ONLY: lambda partner: _with_network(partner, test_only=True),
}


def test_every_reason_for_refusing_has_its_case() -> None:
    assert set(REFUSED) == set(RefusalReason)


@pytest.mark.parametrize("reason", REFUSED)
def test_a_refused_notice_is_stored_with_its_reason_and_registers_nothing(
    partner: Partner, reason: RefusalReason
) -> None:
    raw = REFUSED[reason](partner)
    already = len(partner.facts())
    result = take_notices(partner.intake, [raw], NOW)[0]
    if reason is RefusalReason.UNKNOWN_CLICK:
        assert result.outcome is NoticeOutcome.WAITING
        result = recheck_due(partner.intake, NOW + WAIT_MS)[0]
    with partner.intake.ledger.read() as tx:
        stored = find_notice(tx, raw.notice_id)
    assert result.notice == stored
    assert (result.outcome, result.reason, result.conversion) == (NoticeOutcome.REFUSED, reason, None)
    assert len(partner.facts()) == already


# Registering ----------------------------------------------------------------------------------------------------------


def test_a_notice_registers_a_conversion_with_its_whole_click(partner: Partner) -> None:
    click_id = partner.click()
    result = take_notices(partner.intake, [partner.notice(click_id, payout="12.5", txid="t1")], NOW)[0]
    assert result.outcome is NoticeOutcome.NEW
    assert partner.conversions(click_id) == [result.conversion]
    assert result.conversion is not None
    assert result.conversion.click == partner.clicks.arrived[click_id]
    assert (result.conversion.payout, result.conversion.first_of_click) == (Money(12_500_000, "USD"), True)


def test_different_txids_are_different_conversions_and_only_one_is_the_first(partner: Partner) -> None:
    click_id = partner.click()
    raws = [partner.notice(click_id, txid=txid) for txid in ("", "a", "b")]
    assert partner.outcomes(*raws) == [NoticeOutcome.NEW] * 3
    assert [conversion.first_of_click for conversion in partner.conversions(click_id)] == [True, False, False]


def test_within_one_batch_notices_of_a_conversion_count_in_order(partner: Partner) -> None:
    click_id = partner.click()
    raws = [partner.notice(click_id, status=status) for status in ("lead", "approved", "approved", "rejected")]
    expected = [NoticeOutcome.NEW, NoticeOutcome.CHANGED, NoticeOutcome.REPEATED, NoticeOutcome.CHANGED]
    assert partner.outcomes(*raws) == expected
    assert [conversion.status.key for conversion in partner.conversions(click_id)] == ["rejected"]


def test_the_history_holds_every_change_with_its_notice(partner: Partner) -> None:
    click_id = partner.click()
    raws = [partner.notice(click_id, status=status, payout="5") for status in ("lead", "approved")]
    take_notices(partner.intake, raws, NOW)
    with partner.intake.ledger.read() as tx:
        history = changes_of_conversions(tx, [partner.conversions(click_id)[0].conversion_id])
    assert [(change.version, change.notice_id) for change in history] == [
        (1, raws[0].notice_id),
        (2, raws[1].notice_id),
    ]
    assert history[1].before == history[0].after


def test_each_change_adds_and_subtracts_facts(partner: Partner) -> None:
    click_id = partner.click()
    take_notices(partner.intake, [partner.notice(click_id, status="approved", payout="5")], NOW)
    take_notices(partner.intake, [partner.notice(click_id, status="rejected")], NOW)
    sums = [(fact.conversions, fact.revenue_micros, fact.rejected_micros) for fact in partner.facts()]
    assert sums == [(1, 5_000_000, 0), (-1, -5_000_000, 0), (1, 0, 5_000_000)]


def test_facts_that_were_taken_leave_the_outbox(partner: Partner) -> None:
    take_notices(partner.intake, [partner.notice(partner.click())], NOW)
    with partner.intake.ledger.write() as tx:
        delete_facts(tx, [id_ for id_, _ in oldest_facts(tx, 10)])
        assert oldest_facts(tx, 10) == []


def test_a_status_that_counts_otherwise_since_is_taken_back_as_it_was_counted(partner: Partner) -> None:
    raw = partner.notice(partner.click(), status="lead", payout="5")
    take_notices(partner.intake, [raw], NOW)
    with partner.intake.ledger.write() as tx:
        hold = next(row for row in status_rows(tx) if row.status.key == "hold")
        counted = msgspec.structs.replace(hold.status, counts_as=CountsAs.CONFIRMED)
        update_status(tx, counted, hold.version, NOW)
    rerun(partner.intake, [raw.notice_id], NOW)
    assert [(fact.pending_micros, fact.revenue_micros) for fact in partner.facts()[1:]] == [
        (-5_000_000, 0),
        (0, 5_000_000),
    ]


def test_the_offers_payout_applies_if_the_notice_names_none(partner: Partner) -> None:
    values = {"id": 7, "name": "O", "url": "https://o.example", "payout_micros": 4_000_000, "currency": "EUR"}
    with partner.intake.ledger.write() as tx:
        tx.execute(insert(offers).values(**values, created_at=0, updated_at=0))
    result = take_notices(partner.intake, [partner.notice(partner.click(), payout="{payout}")], NOW)[0]
    assert result.conversion is not None
    assert result.conversion.payout == Money(4_000_000, "EUR")
    assert result.notice.flags == (NoticeFlag.PAYOUT_UNREPLACED_MACRO,)


def test_a_conversion_stated_by_hand_needs_no_journal(partner: Partner) -> None:
    stated = ConversionInput(click_id=partner.click(), payout="5 EUR", status="lead", txid="x", at="2026-02-28")
    conversion = convert(partner.intake, stated, Channel.HAND, NOW).conversion
    assert conversion is not None
    assert (conversion.payout, conversion.status.key, conversion.txid) == (Money(5_000_000, "EUR"), "hold", "x")
    assert conversion.converted_at == NOW - 36 * 60 * MINUTE_MS


# The same again -------------------------------------------------------------------------------------------------------


def test_a_batch_that_is_taken_again_after_a_crash_changes_nothing(partner: Partner) -> None:
    click_id = partner.click()
    raws = [partner.notice(click_id), partner.notice(), partner.notice(partner.click(arrived=False))]
    first = take_notices(partner.intake, raws, NOW)
    assert take_notices(partner.intake, raws, NOW + MINUTE_MS) == first
    assert len(partner.facts()) == 1


def test_a_batch_of_which_a_part_was_taken_is_completed(partner: Partner) -> None:
    raws = [partner.notice(partner.click(), txid=str(number)) for number in range(1_200)]
    take_notices(partner.intake, raws[:700], NOW)
    results = take_notices(partner.intake, raws, NOW, segments=["notices/w/00000001"])
    assert [result.notice.raw for result in results] == raws
    assert len(partner.facts()) == 1_200


def test_the_segments_of_a_batch_are_recorded_as_settled_once(partner: Partner) -> None:
    take_notices(partner.intake, [partner.notice()], NOW, segments=["a", "b"])
    take_notices(partner.intake, [], NOW, segments=["b", "c"])
    take_notices(partner.intake, [], NOW, segments=["b", "c"])  # a crash came before they were put away
    with partner.intake.ledger.write() as tx:
        assert settled_among(tx, ["a", "b", "c", "d"]) == {"a", "b", "c"}
        forget_settled(tx, ["a"])
        assert settled_among(tx, ["a", "b"]) == {"b"}


def test_a_thousand_equal_notices_at_once_make_one_conversion(partner: Partner) -> None:
    click_id = partner.click()
    raws = [partner.notice(click_id, payout="5") for _ in range(1_000)]
    results: list[NoticeOutcome | RefusalReason] = []

    def send(part: list[RawNotice]) -> None:
        for raw in part:
            results.extend(partner.outcomes(raw))

    threads = [threading.Thread(target=send, args=(raws[start::16],)) for start in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [NoticeOutcome.NEW] + [NoticeOutcome.REPEATED] * 999
    assert len(partner.conversions(click_id)) == 1
    assert len(partner.facts()) == 1
