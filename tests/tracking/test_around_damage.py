"""Isolating damage: a damaged record of the ledger does not keep other conversions from being registered."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import OperationalError

from clickloop.clock import HOUR_MS, MINUTE_MS
from clickloop.conversion.notice import NoticeFlag
from clickloop.conversion.notice_log import NoticeOutcome
from clickloop.store.ledger.logs.notices import find_notice, notices_of_ids
from clickloop.store.ledger.logs.segments import settled_among
from clickloop.store.ledger.schema.tables import conversions, notices
from clickloop.tracking.damage_isolation import (
    RECHECK_MS,
    damaged_record_alarms,
    recheck_isolating_damage,
    take_notices_isolating_damage,
)
from clickloop.tracking.notices import take_notices
from tests.partner import NOW, Partner


@pytest.fixture
def partner(tmp_path: Path) -> Iterator[Partner]:
    made = Partner(tmp_path)
    yield made
    made.intake.ledger.close()


def damaged(partner: Partner, column: str, value: object) -> tuple[str, object]:
    """Return a click whose conversion with txid ``one`` has a damaged column, and the column's former value."""
    click_id = partner.click()
    take_notices(partner.intake, [partner.notice(click_id, txid="one")], NOW)
    of_click = conversions.c.click_id == click_id
    with partner.intake.ledger.write() as tx:
        before = tx.scalar(select(conversions.c[column]).where(of_click))
        tx.execute(text("PRAGMA ignore_check_constraints = ON"))
        # As text, what is no UTF-8 is refused by SQLite's driver.
        stored = "CAST(? AS TEXT)" if column == "status_word" else "?"
        statement = f"UPDATE conversions SET {column} = {stored} WHERE click_id = ?"
        tx.exec_driver_sql(statement, (value, click_id))
        tx.execute(text("PRAGMA ignore_check_constraints = OFF"))
    return click_id, before


DAMAGES: dict[str, Any] = {
    "parameters": b"{",
    "counts_as": "confirmee",
    "payout_micros": "twelve",
    "status_word": b"\xff",
}


@pytest.mark.parametrize("column", DAMAGES)
def test_a_damaged_conversion_holds_up_its_own_notices_alone_and_they_are_registered_when_it_can_be_read(
    partner: Partner, column: str
) -> None:
    click_id, before = damaged(partner, column, DAMAGES[column])
    others = [partner.click() for _ in range(6)]
    changing = partner.notice(click_id, txid="one", payout="7")
    raws = [partner.notice(other, txid="t") for other in others]
    raws.insert(3, changing)

    take_notices_isolating_damage(partner.intake, raws, NOW, ["notices/w/00000001"])

    assert [len(partner.conversions(other)) for other in others] == [1] * 6
    with partner.intake.ledger.read() as tx:
        held = find_notice(tx, changing.notice_id)
        assert settled_among(tx, ["notices/w/00000001"]) == {"notices/w/00000001"}
    assert held is not None
    assert (held.outcome, held.flags, held.raw) == (NoticeOutcome.WAITING, (NoticeFlag.HELD_BY_DAMAGE,), changing)
    assert damaged_record_alarms(partner.intake.ledger)[0].startswith(
        "incoming postbacks waiting because a ledger record is damaged: 1;"
    )

    assert recheck_isolating_damage(partner.intake, NOW + RECHECK_MS) == []
    assert recheck_isolating_damage(partner.intake, NOW + RECHECK_MS) == [], "it is deferred"
    with partner.intake.ledger.write() as tx:
        tx.execute(update(conversions).where(conversions.c.click_id == click_id).values({column: before}))
    (result,) = recheck_isolating_damage(partner.intake, NOW + HOUR_MS)
    assert (result.outcome, result.notice.flags) == (NoticeOutcome.CHANGED, ())
    assert [conversion.payout.micros for conversion in partner.conversions(click_id)] == [7_000_000]
    assert damaged_record_alarms(partner.intake.ledger) == ()


def test_a_click_that_is_damaged_in_the_ledger_is_taken_from_the_facts(partner: Partner) -> None:
    click_id, _ = damaged(partner, "click", b"{")
    (result,) = take_notices_isolating_damage(partner.intake, [partner.notice(click_id, txid="two")], NOW)
    assert result.outcome is NoticeOutcome.NEW


def test_a_waiting_notice_that_is_damaged_keeps_no_other_one_waiting(partner: Partner) -> None:
    early = [partner.click(arrived=False) for _ in range(3)]
    raws = [partner.notice(click_id) for click_id in early]
    take_notices_isolating_damage(partner.intake, raws, NOW)
    for click_id in early:
        partner.arrives(click_id)
    with partner.intake.ledger.write() as tx:
        tx.execute(update(notices).where(notices.c.notice_id == raws[0].notice_id).values(raw=b"{"))
    results = recheck_isolating_damage(partner.intake, NOW + MINUTE_MS)
    assert sorted(result.notice.raw.notice_id for result in results) == sorted(raw.notice_id for raw in raws[1:])
    assert {result.outcome for result in results} == {NoticeOutcome.NEW}


def test_the_same_call_after_a_crash_stores_nothing_twice(partner: Partner) -> None:
    click_id, _ = damaged(partner, "counts_as", "confirmee")
    raws = [partner.notice(click_id, txid="one", payout="7"), partner.notice(partner.click())]
    for _ in range(2):
        take_notices_isolating_damage(partner.intake, raws, NOW, ["notices/w/00000001"])
    with partner.intake.ledger.read() as tx:
        assert len(notices_of_ids(tx, [raw.notice_id for raw in raws])) == 2


def test_a_ledger_that_fails_as_a_whole_is_no_damage_of_a_record(partner: Partner) -> None:
    with partner.intake.ledger.write() as tx:
        tx.execute(text("ALTER TABLE conversions RENAME TO elsewhere"))
    raw = partner.notice(partner.click())
    with pytest.raises(OperationalError):
        take_notices_isolating_damage(partner.intake, [raw], NOW)
    with partner.intake.ledger.read() as tx:
        assert find_notice(tx, raw.notice_id) is None, "it stands in the journal"
