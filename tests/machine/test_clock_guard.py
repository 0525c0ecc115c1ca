"""The clock guard: nothing is deleted by a clock that has jumped, or is far from the last sign of life."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.click.click import Click
from clickloop.click.click_log import ClickFilter
from clickloop.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from clickloop.machine.clock_guard import MAX_DRIFT_MS, ClockGuard
from clickloop.people.browser import Browser
from clickloop.people.user import Role, User
from clickloop.saving.access import Access, SignedIn, delete_ended_sessions, find_active_session, sign_in
from clickloop.store.export_files import ExportFiles
from clickloop.store.facts.facts import FactsError
from clickloop.store.ledger.people.users import save_user
from clickloop.tracking.jobs.export_work import delete_old_export_files
from clickloop.tracking.notices import take_notices
from clickloop.tracking.retention import Retention, find_last_seen_at
from tests.partner import NOW, Partner
from tests.web.conftest import QUICK_PASSWORDS


class Clocks:
    """A wall clock that can jump, and a steady clock."""

    def __init__(self) -> None:
        self.wall = NOW
        self.steady = 1_000.0

    def guard(self, last_seen_at: int | None = None) -> ClockGuard:
        return ClockGuard(lambda: self.wall, lambda: self.steady, last_seen_at)

    def pass_time(self, ms: int) -> None:
        self.wall += ms
        self.steady += ms / 1000


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


def _checked(clocks: Clocks, guard: ClockGuard, ms: int, step_ms: int = 30 * SECOND_MS) -> list[int | None]:
    """Return the guard's time, checked as often as by housekeeping."""
    found = []
    for _ in range(ms // step_ms):
        clocks.pass_time(step_ms)
        found.append(guard.trusted_now())
    return found


def test_a_steady_clock_is_trusted(clocks: Clocks) -> None:
    guard = clocks.guard()
    assert guard.trusted_now() == NOW
    assert None not in _checked(clocks, guard, 3 * DAY_MS, HOUR_MS)


@pytest.mark.parametrize("by_ms", [60 * DAY_MS, -60 * DAY_MS, 2 * MINUTE_MS, -2 * MINUTE_MS])
def test_a_clock_that_jumps_is_not_trusted_at_the_very_first_look(clocks: Clocks, by_ms: int) -> None:
    guard = clocks.guard()
    _checked(clocks, guard, HOUR_MS)
    clocks.wall += by_ms
    assert guard.trusted_now() is None


def test_a_clock_that_was_ahead_for_forty_seconds_is_trusted_again_after_a_steady_day(clocks: Clocks) -> None:
    guard = clocks.guard()
    _checked(clocks, guard, HOUR_MS)
    clocks.wall += 60 * DAY_MS
    assert set(_checked(clocks, guard, 40 * SECOND_MS, 10 * SECOND_MS)) == {None}
    clocks.wall -= 60 * DAY_MS
    found = _checked(clocks, guard, DAY_MS + HOUR_MS, 10 * MINUTE_MS)
    assert set(found[:144]) == {None}
    assert None not in found[144:]


def test_a_jump_during_the_day_of_proof_begins_it_anew(clocks: Clocks) -> None:
    guard = clocks.guard()
    clocks.wall += 60 * DAY_MS
    _checked(clocks, guard, 23 * HOUR_MS, HOUR_MS)
    clocks.wall -= HOUR_MS
    assert set(_checked(clocks, guard, 23 * HOUR_MS, HOUR_MS)) == {None}


def test_a_confirmed_clock_is_trusted_at_once(clocks: Clocks) -> None:
    guard = clocks.guard()
    clocks.wall += 60 * DAY_MS
    assert guard.trusted_now() is None
    guard.confirm()
    assert guard.trusted_now() == clocks.wall
    assert guard.doubt is None


@given(st.floats(-0.0006, 0.0006))
def test_a_clock_that_ntp_slews_is_trusted(rate: float) -> None:
    clocks = Clocks()
    guard = clocks.guard()
    for _ in range(100):
        clocks.pass_time(HOUR_MS)
        clocks.wall += round(HOUR_MS * rate)
        assert guard.trusted_now() is not None


def test_a_clock_that_runs_away_by_minutes_a_day_is_not_trusted(clocks: Clocks) -> None:
    guard = clocks.guard()
    found = []
    for _ in range(24):
        clocks.pass_time(HOUR_MS)
        clocks.wall += 5 * SECOND_MS
        found.append(guard.trusted_now())
    assert found[-1] is None


@pytest.mark.parametrize("away_ms", [60 * DAY_MS, 2 * DAY_MS, -2 * DAY_MS, -20_000 * DAY_MS])
def test_a_start_far_from_the_last_sign_of_life_waits_for_a_steady_day_or_a_word(clocks: Clocks, away_ms: int) -> None:
    guard = clocks.guard(last_seen_at=NOW - away_ms)
    assert guard.trusted_now() is None
    assert guard.doubt is not None
    assert "confirm it" in guard.doubt.sentence
    assert _checked(clocks, guard, DAY_MS + HOUR_MS, HOUR_MS)[-1] == clocks.wall


@pytest.mark.parametrize("away_ms", [0, HOUR_MS, DAY_MS, -HOUR_MS])
def test_a_start_soon_after_the_last_one_is_trusted(clocks: Clocks, away_ms: int) -> None:
    assert clocks.guard(last_seen_at=NOW - away_ms).trusted_now() == NOW


def test_a_clock_that_is_corrected_after_the_start_is_not_trusted_before_and_after(clocks: Clocks) -> None:
    right = clocks.wall
    clocks.wall = 0
    guard = clocks.guard(last_seen_at=right - MINUTE_MS)
    assert guard.trusted_now() is None
    clocks.wall = right
    assert guard.trusted_now() is None


def test_the_doubt_says_how_far_the_clock_jumped_and_what_to_do(clocks: Clocks) -> None:
    guard = clocks.guard()
    clocks.wall += 60 * DAY_MS
    guard.trusted_now()
    assert guard.doubt is not None
    assert guard.doubt.sentence.startswith(
        "the clock jumped ahead by 60 days, to 2026-04-30T12:00:00.000Z: no old records are deleted"
    )
    assert "POST /api/v1/health/clock" in guard.doubt.sentence


def test_the_clock_of_sessions_follows_no_jump_ahead_and_every_jump_back(clocks: Clocks) -> None:
    guard = clocks.guard()
    clocks.wall += 60 * DAY_MS
    assert guard.earlier_now() == NOW + MAX_DRIFT_MS
    guard.trusted_now()
    clocks.pass_time(HOUR_MS)
    assert guard.earlier_now() == NOW + HOUR_MS + MAX_DRIFT_MS
    clocks.wall = NOW - DAY_MS
    assert guard.earlier_now() == NOW - DAY_MS


# Retention ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def partner(tmp_path: Path) -> Iterator[Partner]:
    made = Partner(tmp_path)
    yield made
    made.intake.ledger.close()


class NoClicks:
    """Facts without a click."""

    def clicks_page(self, wanted: ClickFilter, limit: int, before_click_id: str = "") -> list[Click]:
        return []


def test_nothing_is_deleted_while_the_clock_is_in_doubt_and_a_confirmation_goes_on(
    partner: Partner, clocks: Clocks
) -> None:
    guard = clocks.guard()
    deleted: list[int] = []
    retention = Retention(partner.intake.ledger, guard, [deleted.append])
    assert retention.step() == ()
    clocks.wall += 60 * DAY_MS
    (alarm,) = retention.step()
    assert "jumped ahead by 60 days" in alarm
    guard.confirm()
    assert retention.step() == ()
    assert deleted == [NOW, NOW + 60 * DAY_MS]


def test_what_cannot_be_deleted_keeps_nothing_else(partner: Partner, clocks: Clocks, tmp_path: Path) -> None:
    (tmp_path / "exports" / "not-ours.csv").mkdir(parents=True)
    ledger, deleted = partner.intake.ledger, list[int]()
    exports = ExportFiles(tmp_path / "exports")
    retention = Retention(
        ledger,
        clocks.guard(),
        [lambda now_ms: delete_old_export_files(ledger, exports, now_ms, DAY_MS), deleted.append],
    )
    with pytest.raises(OSError, match=re.escape("not-ours.csv")):
        retention.step()
    assert deleted == [NOW]


def test_a_restart_while_the_clock_is_wrong_does_not_make_it_right(partner: Partner, clocks: Clocks) -> None:
    ledger = partner.intake.ledger
    Retention(ledger, clocks.guard(), []).step()
    clocks.wall += 60 * DAY_MS
    for _ in range(3):
        again = Retention(ledger, clocks.guard(find_last_seen_at(ledger, NoClicks())), [])
        assert len(again.step()) == 1
    clocks.wall -= 60 * DAY_MS
    assert Retention(ledger, clocks.guard(find_last_seen_at(ledger, NoClicks())), []).step() == ()


def test_before_the_first_sign_of_life_the_newest_notice_is_one(partner: Partner) -> None:
    assert find_last_seen_at(partner.intake.ledger, NoClicks()) is None
    take_notices(partner.intake, [partner.notice(at=NOW - 40 * DAY_MS)], NOW)
    assert find_last_seen_at(partner.intake.ledger, NoClicks()) == NOW - 40 * DAY_MS


class DamagedFacts:
    """Facts without a readable block."""

    def clicks_page(self, wanted: ClickFilter, limit: int, before_click_id: str = "") -> list[Click]:
        raise FactsError("computed checksum does not match")


def test_damaged_facts_keep_no_tracker_from_starting(partner: Partner) -> None:
    take_notices(partner.intake, [partner.notice(at=NOW - DAY_MS)], NOW)
    assert find_last_seen_at(partner.intake.ledger, DamagedFacts()) == NOW - DAY_MS


def test_a_clock_that_jumps_ahead_for_a_while_ends_no_session(partner: Partner, clocks: Clocks) -> None:
    ledger = partner.intake.ledger
    guard = clocks.guard()
    access = Access(ledger=ledger, clock=guard.earlier_now, passwords=QUICK_PASSWORDS)
    with ledger.write() as tx:
        save_user(tx, User(name="owner", role=Role.OWNER, password_hash=QUICK_PASSWORDS.hash("correct horse")), NOW)
    signed_in = sign_in(access, "owner", "correct horse", Browser(address="203.0.113.1"))
    retention = Retention(ledger, guard, [lambda _now_ms: delete_ended_sessions(access)])
    assert isinstance(signed_in, SignedIn)
    secret = signed_in.secret
    clocks.wall += 60 * DAY_MS
    assert find_active_session(access, secret) is not None
    retention.step()
    clocks.pass_time(40 * SECOND_MS)
    clocks.wall -= 60 * DAY_MS
    retention.step()
    assert find_active_session(access, secret) is not None
