"""The breaker: when it pauses a receiver, probes it and resumes it."""

import pytest

from clickloop.postback.delivery.breaker import (
    FIRST_PROBE_SECONDS,
    MAX_PROBE_SECONDS,
    OPENS_AT,
    WINDOW_SECONDS,
    AttemptVerdict,
    Breaker,
    BreakerChange,
    Pause,
    probe_wait,
    verdict_of,
)
from clickloop.postback.retry import AttemptOutcome, Trouble

NOW_MS = 1_800_000_000_000
FAILED, ANSWERED, NOT_ASKED = AttemptVerdict.FAILED, AttemptVerdict.ANSWERED, AttemptVerdict.NOT_ASKED


def judged(breaker: Breaker, verdicts: list[AttemptVerdict], now: float = 0.0) -> list[BreakerChange | None]:
    return [breaker.judge(verdict, now, NOW_MS) for verdict in verdicts]


def paused(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    judged(breaker, [FAILED] * OPENS_AT, now)
    assert breaker.pause is not None
    return breaker


@pytest.mark.parametrize("trouble", [Trouble.TIMEOUT, Trouble.DNS, Trouble.CONNECT, Trouble.TLS, Trouble.BROKEN])
def test_attempts_that_do_not_get_through_count_against_the_receiver(trouble: Trouble) -> None:
    assert verdict_of(AttemptOutcome(trouble=trouble)) is FAILED


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 599])
def test_codes_that_ask_to_try_again_count_against_the_receiver(code: int) -> None:
    assert verdict_of(AttemptOutcome(status_code=code)) is FAILED


@pytest.mark.parametrize("code", [200, 204, 301, 400, 401, 403, 404, 410, 422])
def test_other_responses_concern_one_request(code: int) -> None:
    assert verdict_of(AttemptOutcome(status_code=code)) is ANSWERED


def test_a_delivery_whose_body_broke_off_shows_that_the_receiver_works() -> None:
    assert verdict_of(AttemptOutcome(status_code=200, trouble=Trouble.TIMEOUT)) is ANSWERED


@pytest.mark.parametrize("trouble", [Trouble.UNSENDABLE, Trouble.ADDRESS_REFUSED])
def test_an_attempt_that_was_never_sent_says_nothing(trouble: Trouble) -> None:
    assert verdict_of(AttemptOutcome(trouble=trouble)) is NOT_ASKED


def test_every_trouble_has_a_verdict() -> None:
    assert {verdict_of(AttemptOutcome(trouble=trouble)) for trouble in Trouble} <= {FAILED, NOT_ASKED}


def test_ten_attempts_of_which_seven_failed_pause_the_receiver() -> None:
    breaker = Breaker()

    turns = judged(breaker, [ANSWERED] * 3 + [FAILED] * 7)

    assert turns == [None] * 9 + [BreakerChange.PAUSED]
    assert breaker.pause == Pause(
        opened_at=NOW_MS,
        probe_at=NOW_MS + 30_000,
        why="7 of 10 attempts within 5 minutes failed.",
    )


def test_nine_failures_do_not_pause_it() -> None:
    assert set(judged(Breaker(), [FAILED] * 9)) == {None}


def test_less_than_seventy_percent_of_failures_do_not_pause_it() -> None:
    assert set(judged(Breaker(), ([ANSWERED] * 4 + [FAILED] * 6) * 10)) == {None}


def test_failures_older_than_the_window_do_not_count() -> None:
    breaker = Breaker()
    judged(breaker, [FAILED] * 9, 0.0)

    assert judged(breaker, [FAILED], WINDOW_SECONDS) == [None]
    assert judged(breaker, [FAILED] * 9, WINDOW_SECONDS + 1)[-1] is BreakerChange.PAUSED


def test_attempts_that_were_never_sent_are_not_counted() -> None:
    assert set(judged(Breaker(), [NOT_ASKED] * 50 + [FAILED] * 9)) == {None}


def test_only_a_probe_counts_while_it_is_paused() -> None:
    breaker = paused()

    assert judged(breaker, [ANSWERED, FAILED]) == [None, None]
    assert breaker.pause is not None


def test_a_probe_leaves_after_thirty_seconds_and_resumes_the_receiver_when_answered() -> None:
    breaker = paused(100.0)

    assert breaker.probe_in(100.0) == FIRST_PROBE_SECONDS
    assert breaker.probe_in(130.0) == 0
    assert breaker.judge(ANSWERED, 130.0, NOW_MS, probe=True) is BreakerChange.RESUMED
    assert breaker.pause is None


def test_probes_grow_rarer_up_to_fifteen_minutes() -> None:
    breaker, now, waits = paused(), 0.0, []
    for _ in range(8):
        waits.append(breaker.probe_in(now))
        now += waits[-1]
        assert breaker.judge(FAILED, now, NOW_MS + int(now * 1000), probe=True) is BreakerChange.STILL_PAUSED

    assert waits == [30, 60, 120, 240, 480, 900, 900, 900]
    assert breaker.pause is not None
    assert (breaker.pause.probes, breaker.pause.opened_at) == (8, NOW_MS)
    assert breaker.pause.probe_at == NOW_MS + int(now * 1000) + MAX_PROBE_SECONDS * 1000


def test_a_probe_that_was_never_sent_is_repeated_without_a_longer_wait() -> None:
    breaker = paused()

    assert breaker.judge(NOT_ASKED, 30.0, NOW_MS, probe=True) is BreakerChange.STILL_PAUSED
    assert breaker.probe_in(30.0) == FIRST_PROBE_SECONDS


def test_a_resumed_receiver_is_not_paused_by_what_failed_before() -> None:
    breaker = paused()
    breaker.judge(ANSWERED, 30.0, NOW_MS, probe=True)

    assert set(judged(breaker, [FAILED] * 9, 31.0)) == {None}


def test_a_pause_continues_after_a_restart() -> None:
    breaker, kept = Breaker(), Pause(opened_at=NOW_MS - 100_000, probe_at=NOW_MS + 45_000, probes=1)

    breaker.restore(kept, 7.0, NOW_MS)

    assert (breaker.pause, breaker.probe_in(7.0)) == (kept, 45.0)


@pytest.mark.parametrize(("jump_ms", "wait"), [(-86_400_000, 60.0), (86_400_000, 0.0)])
def test_a_clock_that_jumped_meanwhile_delays_the_probe_no_longer_than_usual(jump_ms: int, wait: float) -> None:
    breaker = Breaker()

    breaker.restore(Pause(opened_at=NOW_MS, probe_at=NOW_MS + 45_000, probes=1), 0.0, NOW_MS + jump_ms)

    assert breaker.probe_in(0.0) == wait


def test_the_wait_for_a_probe_stays_finite() -> None:
    assert probe_wait(10_000) == MAX_PROBE_SECONDS
