"""The self-audit: what is wrong is found and reported."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Table, delete, insert, literal, select, text, update

from clickloop.alarm.alarms import Alarm
from clickloop.click.click import Click
from clickloop.click_id import ClickIds
from clickloop.conversion.conversion_input import ConversionInput
from clickloop.conversion.notice import Channel
from clickloop.diagnosis.self_audit import (
    LONG_WAIT_MS,
    audit_alarms,
    audit_everything,
    audit_rows_step,
    audit_step,
    held_alarms,
    paused_alarms,
    refused_alarms,
    refused_rules,
    rows_alarms,
)
from clickloop.money import Money
from clickloop.postback.rule import PostbackRule, RequestTemplate
from clickloop.postback.sending.address_guard import STRICT
from clickloop.postback.state import STORED, PostbackState
from clickloop.record_id import RecordIds
from clickloop.store.delivery_hold import StoredHold
from clickloop.store.ledger.audit.changes import (
    BATCH,
    MAX_REMEMBERED_CHANGES,
    AuditedChange,
    mismatch_of,
    read_change_audit_progress,
)
from clickloop.store.ledger.audit.row_checks import CHECKED_CONVERSION, CHECKED_POSTBACK, check_of
from clickloop.store.ledger.audit.rows import (
    RowFault,
    accept_checksum_mismatches,
    checksum_mismatches,
    count_faulty_rows,
    find_faulty_rows,
)
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.conversions import conversions_of_ids, update_conversions
from clickloop.store.ledger.schema.tables import (
    attempts,
    conversion_changes,
    conversions,
    postback_rules,
    postbacks,
    receivers,
)
from clickloop.store.ledger.setup.postback_rules import insert_rule
from clickloop.tracking.notices import Intake, convert
from tests.empty_stores import open_ledger

NOW = 1_772_366_400_000


class Tracker:
    """A tracker whose every click has arrived."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.click_ids = ClickIds(b"k" * 32)
        self.intake = Intake(ledger, self, self.click_ids, RecordIds(lambda: NOW), "USD")

    def find_clicks(self, click_ids: Any) -> dict[str, Click]:
        return {
            click_id: Click(click_id=click_id, at=NOW - 1000, campaign_id=1, source_id=1, external_id="x")
            for click_id in click_ids
        }

    def add_rule(self) -> None:
        request = RequestTemplate(url="https://r.example/?id={externalid}")
        with self.ledger.write() as tx:
            insert_rule(tx, PostbackRule(rule_id=0, name="R", request=request), NOW)

    def convert(self, click_id: str = "", status: str = "") -> str:
        click_id = click_id or self.click_ids.new(NOW - 1000)
        convert(self.intake, ConversionInput(click_id=click_id, status=status), Channel.API, NOW)
        return click_id

    def harm(self, statement: Any) -> None:
        with self.ledger.write() as tx:
            tx.execute(statement)


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    yield Tracker(ledger)
    ledger.close()


def test_each_change_has_one_postback_per_rule_in_a_known_state(tracker: Tracker) -> None:
    tracker.convert()
    tracker.add_rule()
    click_id = tracker.convert()
    tracker.add_rule()
    tracker.convert(click_id, status="rejected")

    audited = audit_everything(tracker.ledger)

    assert (audited.changes, audited.decisions, audited.mismatches) == (3, 3, ())
    assert audited.in_states == dict.fromkeys(STORED, 0) | {"waiting": 1, "skipped": 2}
    assert audit_step(tracker.ledger) == ()


HARM: dict[str, Callable[[], Any]] = {
    "a postback is gone": lambda: delete(postbacks),
    "a change was never decided": lambda: update(conversion_changes).values(rules_decided=None),
    "one more rule was decided": lambda: update(conversion_changes).values(rules_decided=2),
}


@pytest.mark.parametrize("harm", HARM)
def test_a_wrong_change_is_reported_until_it_is_right(tracker: Tracker, harm: str) -> None:
    tracker.add_rule()
    tracker.convert()
    with tracker.ledger.read() as tx:
        row = dict(tx.execute(postbacks.select()).mappings().one())
    tracker.harm(HARM[harm]())

    for _ in range(2):
        (mismatch,) = audit_step(tracker.ledger)
        assert mismatch.version == 1

    tracker.harm(delete(postbacks))
    tracker.harm(insert(postbacks).values(**row))
    tracker.harm(update(conversion_changes).values(rules_decided=1))
    assert audit_step(tracker.ledger) == ()


def test_a_postback_in_an_unknown_state_is_a_mismatch() -> None:
    change = AuditedChange(
        number=1, conversion_id="c", version=1, rules_decided=2, postbacks=2, in_states={PostbackState.DELIVERED: 1}
    )
    mismatch = mismatch_of(change)
    assert mismatch is not None
    assert "known state" in mismatch.sentence


def test_resends_do_not_count_as_decisions(tracker: Tracker) -> None:
    tracker.add_rule()
    tracker.convert()
    with tracker.ledger.read() as tx:
        row = dict(tx.execute(postbacks.select()).mappings().one())
    again = row | {"postback_id": "r" * 26, "resend": 1, "original_id": row["postback_id"]}
    tracker.harm(insert(postbacks).values(**again))
    assert audit_step(tracker.ledger) == ()


def test_old_changes_are_rechecked_after_some_steps(tracker: Tracker) -> None:
    tracker.add_rule()
    for _ in range(1_200):
        tracker.convert()
    assert audit_step(tracker.ledger) == ()
    assert audit_step(tracker.ledger) == ()
    tracker.harm(text("DELETE FROM postbacks WHERE rowid = 3"))
    found = [len(audit_step(tracker.ledger)) for _ in range(3)]
    assert found[-1] == 1
    with tracker.ledger.read() as tx:
        assert read_change_audit_progress(tx).mismatched == (3,)


def test_a_step_checks_a_limited_number_of_changes(tracker: Tracker) -> None:
    tracker.convert()
    with tracker.ledger.write() as tx:
        tx.execute(
            text(
                "INSERT INTO conversion_changes (conversion_id, version, at, notice_id, after, rules_decided) "
                "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) "
                "SELECT conversion_id, i, at, notice_id, after, NULL FROM conversion_changes, n"
            )
        )
    assert len(audit_step(tracker.ledger)) == MAX_REMEMBERED_CHANGES
    with tracker.ledger.read() as tx:
        assert read_change_audit_progress(tx).looked_to == BATCH


LOST: dict[RowFault, Callable[[], list[Any]]] = {
    RowFault.HISTORY: lambda: [update(conversions).values(version=2)],
    RowFault.CHANGE: lambda: [update(postbacks).values(version=7)],
    RowFault.DELIVERED_ATTEMPT: lambda: [
        update(postbacks).values(state="delivered", next_attempt_at=None, finished_at=NOW)
    ],
    RowFault.FAILED_ATTEMPT: lambda: [update(postbacks).values(state="failed", next_attempt_at=None, finished_at=NOW)],
    RowFault.DELIVERED_STATE: lambda: [
        insert(attempts).from_select(
            ["postback_id", "number", "started_at", "finished_at", "result"],
            select(postbacks.c.postback_id, literal(1), literal(NOW), literal(NOW), literal("delivered")),
        )
    ],
    RowFault.CONVERSION_CHECK: lambda: [update(conversions).values(payout_micros=conversions.c.payout_micros + 4096)],
    RowFault.POSTBACK_CHECK: lambda: [update(postbacks).values(receiver="elsewhere.example:443")],
    RowFault.MOMENT: lambda: [update(postbacks).values(next_attempt_at=NOW + (1 << 50))],
}
ALSO = {RowFault.HISTORY: {RowFault.CONVERSION_CHECK}, RowFault.CHANGE: {RowFault.POSTBACK_CHECK}}
"""Further faults caused by the same harm: the version is in the checksum."""
CHECKS = {RowFault.CONVERSION_CHECK, RowFault.POSTBACK_CHECK}


@pytest.mark.parametrize("fault", RowFault)
def test_a_faulty_row_is_reported_until_it_is_right(tracker: Tracker, fault: RowFault) -> None:
    tracker.add_rule()
    tracker.convert()
    with tracker.ledger.read() as tx:
        rows = [(table, tx.execute(select(table)).mappings().one()) for table in (conversions, postbacks)]
    assert audit_rows_step(tracker.ledger) == ()
    for statement in LOST[fault]():
        tracker.harm(statement)
    expected = {fault} | ALSO.get(fault, set())
    for _ in range(2):
        assert {found.fault for found in audit_rows_step(tracker.ledger)} == expected
    with tracker.ledger.read() as tx:
        assert {kind for kind, count in count_faulty_rows(tx).items() if count} == expected - CHECKS
        assert {found.fault for found in find_faulty_rows(tx, 5)} == expected - CHECKS
        assert {found.fault for found in checksum_mismatches(tx)} == expected & CHECKS
    alarms = rows_alarms(audit_rows_step(tracker.ledger))
    assert len(alarms) == len(expected)
    assert any(fault.sentence in alarm and "rows that do not add up: 1;" in alarm for alarm in alarms)
    tracker.harm(delete(attempts))
    for table, row in rows:
        tracker.harm(update(table).values(dict(row)))
    assert rows_alarms(audit_rows_step(tracker.ledger)) == ()


@pytest.mark.parametrize("fault", sorted(CHECKS))
def test_an_accepted_row_is_an_alarm_only_when_it_changes_again(tracker: Tracker, fault: RowFault) -> None:
    tracker.add_rule()
    tracker.convert()
    tracker.convert()
    for statement in LOST[fault]():
        tracker.harm(statement)
    with tracker.ledger.write() as tx:
        assert {found.fault for found in accept_checksum_mismatches(tx)} == {fault}
        assert accept_checksum_mismatches(tx) == ()
    assert rows_alarms(audit_rows_step(tracker.ledger)) == ()
    table = conversions if fault is RowFault.CONVERSION_CHECK else postbacks
    tracker.harm(update(table).values(source_id=9))
    assert {found.fault for found in audit_rows_step(tracker.ledger)} == {fault}


@pytest.mark.parametrize("table", [conversions, postbacks], ids=["conversions", "postbacks"])
def test_a_change_of_any_fixed_column_is_found(tracker: Tracker, table: Table) -> None:
    tracker.add_rule()
    tracker.convert()
    names = CHECKED_CONVERSION if table is conversions else CHECKED_POSTBACK
    with tracker.ledger.read() as tx:
        row = dict(tx.execute(select(table)).mappings().one())
    fault = RowFault.CONVERSION_CHECK if table is conversions else RowFault.POSTBACK_CHECK
    for name in names:
        changed = {**row, name: _other(row[name])}
        assert check_of(changed[column] for column in names) != row["row_check"], name
    assert check_of(row[column] for column in names) == row["row_check"]
    tracker.harm(text(f"UPDATE {table.name} SET source_id = 'x'"))
    assert fault in {found.fault for found in audit_rows_step(tracker.ledger)}


def _other(value: object) -> object:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value ^ 1
    if isinstance(value, bytes):
        return bytes([*value[:-1], value[-1] ^ 1]) if value else b"x"
    return f"{value}x"


def test_a_text_that_is_no_longer_utf8_is_found_and_does_not_stop_the_audit(tracker: Tracker) -> None:
    tracker.add_rule()
    tracker.convert()
    tracker.harm(text("UPDATE conversions SET payout_text = CAST(x'ff31' AS TEXT)"))
    assert [found.fault for found in audit_rows_step(tracker.ledger)] == [RowFault.CONVERSION_CHECK]


def test_a_later_change_of_a_damaged_conversion_does_not_hide_the_damage(tracker: Tracker) -> None:
    tracker.convert()
    with tracker.ledger.read() as tx:
        (conversion,) = conversions_of_ids(tx, tx.scalars(select(conversions.c.conversion_id)).all())
    tracker.harm(text("UPDATE conversions SET payout_micros = payout_micros + 4096"))
    with tracker.ledger.write() as tx:
        update_conversions(tx, [msgspec.structs.replace(conversion, status_word="again")])
    assert RowFault.CONVERSION_CHECK in {found.fault for found in audit_rows_step(tracker.ledger)}


def test_a_change_of_a_sound_conversion_leaves_it_sound(tracker: Tracker) -> None:
    tracker.convert()
    with tracker.ledger.write() as tx:
        (conversion,) = conversions_of_ids(tx, tx.scalars(select(conversions.c.conversion_id)).all())
        update_conversions(tx, [msgspec.structs.replace(conversion, status_word="again", payout=Money(7, "EUR"))])
        assert list(checksum_mismatches(tx)) == []


def test_a_delivered_postback_needs_a_delivered_attempt(tracker: Tracker) -> None:
    tracker.add_rule()
    tracker.convert()
    for statement in LOST[RowFault.DELIVERED_ATTEMPT]():
        tracker.harm(statement)
    with tracker.ledger.read() as tx:
        postback_id = tx.scalar(select(postbacks.c.postback_id))
    attempt = {"postback_id": postback_id, "number": 1, "started_at": NOW, "finished_at": NOW}
    tracker.harm(insert(attempts).values(**attempt, result="failed"))
    assert [found.fault for found in audit_rows_step(tracker.ledger)] == [RowFault.DELIVERED_ATTEMPT]
    tracker.harm(insert(attempts).values(**attempt | {"number": 2}, result="delivered"))
    assert audit_rows_step(tracker.ledger) == ()


def test_each_step_checks_a_limited_number_of_rows_and_reaches_old_ones_later(tracker: Tracker) -> None:
    tracker.add_rule()
    for _ in range(12):
        tracker.convert()
    tracker.harm(text("UPDATE conversions SET version = 2 WHERE rowid = 6"))
    tracker.harm(text("DELETE FROM conversion_changes WHERE id = 7"))
    found = [len(audit_rows_step(tracker.ledger, at_once=5)) for _ in range(4)]
    assert found[0] == 0
    assert found[2:] == [4, 4]


def test_a_mismatch_is_an_alarm_without_ids(tracker: Tracker) -> None:
    tracker.add_rule()
    tracker.convert()
    assert audit_alarms(audit_step(tracker.ledger)) == ()
    tracker.harm(delete(postbacks))
    (alarm,) = audit_alarms(audit_step(tracker.ledger))
    assert "changes of conversions whose postbacks do not add up: 1;" in alarm
    assert "clickloop doctor" in alarm


def test_paused_rules_and_receivers_are_alarms(tracker: Tracker) -> None:
    tracker.add_rule()
    assert paused_alarms(tracker.ledger) == ()
    tracker.harm(update(postback_rules).values(paused_at=NOW))
    tracker.harm(insert(receivers).values(receiver="r.example:443", opened_at=NOW, probe_at=NOW, probes=0, why="x"))
    assert paused_alarms(tracker.ledger) == (  # a receiver without waiting postbacks is no alarm
        "postback rule 1 'R' is paused: its receiver answered 410 Gone; postbacks waiting: 0",
    )


@pytest.mark.parametrize(("held_ms", "alarms"), [(LONG_WAIT_MS, 0), (LONG_WAIT_MS + 1, 1), (86_400_000, 1), (-1, 0)])
def test_a_receiver_that_asks_for_a_long_wait_is_an_alarm(tracker: Tracker, held_ms: int, alarms: int) -> None:
    tracker.add_rule()
    tracker.convert()
    with tracker.ledger.read() as tx:
        (receiver,) = tx.execute(select(postbacks.c.receiver)).scalars()
    tracker.harm(insert(receivers).values(receiver=receiver, held_until=NOW + held_ms, probes=0, why=""))
    alarm_texts = paused_alarms(tracker.ledger, lambda: NOW)
    expected = (
        f"receiver {receiver} requested a long wait (Retry-After): postbacks waiting: 1; resume it to send at once"
    )
    assert alarm_texts == (expected,) * alarms


def test_an_alarm_keeps_its_key_when_its_counts_change(tracker: Tracker) -> None:
    tracker.add_rule()
    tracker.harm(update(postback_rules).values(paused_at=NOW))
    tracker.harm(insert(receivers).values(receiver="r.example:443", opened_at=NOW, probe_at=NOW, probes=0, why="x"))
    hold = StoredHold(since=NOW, why="restored from a backup")
    seen = []
    for _ in range(2):
        tracker.convert()
        texts = [*held_alarms(tracker.ledger, hold), *paused_alarms(tracker.ledger)]
        seen.append([(Alarm(code="x", sentence=text).key, text) for text in texts])
    assert len(seen[0]) == 3
    for (first_key, first), (second_key, second) in zip(*seen, strict=True):
        assert (first_key, "waiting: 1" in first, "waiting: 2" in second) == (second_key, True, True)


def test_a_live_rule_to_a_refused_address_is_an_alarm(tracker: Tracker) -> None:
    tracker.add_rule()
    with tracker.ledger.write() as tx:
        for active in (True, False):
            request = RequestTemplate(url="http://127.0.0.1:9000/?id={externalid}")
            insert_rule(tx, PostbackRule(rule_id=0, name="Local", request=request, active=active), NOW)
    (refused,) = refused_rules(tracker.ledger, STRICT)
    assert (refused.rule_id, "loopback" in refused.sentence) == (2, True)
    assert "'Local' sends nothing" in refused_alarms([refused])[0]
