"""The outcome of an attempt: schedules, rejections, Retry-After. With a fixed clock."""

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.clock import HOUR_MS, MINUTE_MS
from clickloop.postback.retry import (
    AttemptCounts,
    AttemptOutcome,
    Delivered,
    Failed,
    PauseRule,
    Retry,
    Trouble,
    decide,
    fault_of,
    requested_wait_ms,
    retry_after_ms,
)
from clickloop.postback.rule import Schedule, Success

NOW = 1_800_000_000_000
SCHEDULE = Schedule()
ANY = Success()
NEVER_ASKED = (Trouble.UNSENDABLE, Trouble.ADDRESS_REFUSED)


def middle() -> float:
    return 0.5


def after(outcome: AttemptOutcome, attempts: int = 1, rejections: int = 0) -> Delivered | Retry | Failed | PauseRule:
    return decide(outcome, AttemptCounts(attempts, rejections), ANY, SCHEDULE, NOW, middle)


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_delivery(code: int) -> None:
    assert after(AttemptOutcome(status_code=code)) == Delivered()


def test_the_default_schedule_makes_13_attempts_over_75_hours() -> None:
    assert SCHEDULE.attempts == 13
    assert sum(SCHEDULE.waits_seconds) * 1000 // HOUR_MS == 75


@pytest.mark.parametrize("trouble", NEVER_ASKED)
def test_a_request_that_can_never_leave_fails_at_once(trouble: Trouble) -> None:
    assert isinstance(after(AttemptOutcome(trouble=trouble)), Failed)


def test_a_redirect_to_a_refused_address_is_a_response_of_the_receiver_and_tried_three_times() -> None:
    redirected = AttemptOutcome(status_code=302, trouble=Trouble.ADDRESS_REFUSED)
    assert isinstance(after(redirected), Retry)
    assert isinstance(after(redirected, 3, 2), Failed)


def test_a_schedule_without_waits_makes_one_attempt() -> None:
    once = Schedule(waits_seconds=())
    assert decide(AttemptOutcome(status_code=500), AttemptCounts(1, 0), ANY, once, NOW, middle) == Failed(
        "The only attempt failed."
    )


@pytest.mark.parametrize(
    ("code", "text", "wait_ms"),
    [
        (429, "120", 120_000),
        (503, "7", 7_000),
        (429, "", 0),
        (429, "0", 0),
        (500, "60", 0),
        (200, "60", 0),
        (503, "9" * 9, 86_400_000),
    ],
)
def test_a_429_or_503_with_retry_after_defers_the_whole_receiver(code: int, text: str, wait_ms: int) -> None:
    assert requested_wait_ms(AttemptOutcome(status_code=code, retry_after=text), NOW) == wait_ms


@pytest.mark.parametrize(("attempts", "wait"), list(enumerate(SCHEDULE.waits_seconds, 1)))
def test_a_server_error_waits_as_the_schedule_says(attempts: int, wait: int) -> None:
    assert after(AttemptOutcome(status_code=503), attempts) == Retry(NOW + wait * 1000)


@pytest.mark.parametrize(
    "outcome",
    [
        *(AttemptOutcome(status_code=code) for code in (408, 425, 429, 500, 502, 503, 504, 599)),
        *(AttemptOutcome(trouble=trouble) for trouble in Trouble if trouble not in NEVER_ASKED),
    ],
)
def test_transient_failures_are_tried_13_times_and_then_fail(outcome: AttemptOutcome) -> None:
    assert after(outcome, 12) == Retry(NOW + 86_400_000)
    assert isinstance(after(outcome, 13), Failed)


@pytest.mark.parametrize("code", [300, 304, 400, 401, 403, 404, 405, 422, 499])
def test_other_codes_are_tried_three_times_within_ten_minutes(code: int) -> None:
    first, second, third = (after(AttemptOutcome(status_code=code), 1 + earlier, earlier) for earlier in range(3))

    assert isinstance(first, Retry)
    assert isinstance(second, Retry)
    assert (first.at - NOW + second.at - NOW) * 1.2 < 10 * MINUTE_MS
    assert isinstance(third, Failed)


def test_a_refusal_late_in_the_schedule_still_gets_its_three_attempts() -> None:
    assert isinstance(after(AttemptOutcome(status_code=404), 9, 0), Retry)


def test_410_pauses_the_rule() -> None:
    assert after(AttemptOutcome(status_code=410)) == PauseRule()


def test_a_request_that_cannot_be_sent_fails_at_once_with_its_reason() -> None:
    assert after(AttemptOutcome(trouble=Trouble.UNSENDABLE, error="Too long.")) == Failed("Too long.")


@pytest.mark.parametrize(
    ("success", "answer", "delivered"),
    [
        (Success(must_contain="OK"), b"status: OK", True),
        (Success(must_contain="OK"), b"ERROR", False),
        (Success(must_not_contain='"ok":false'), b'{"ok":false}', False),
        (Success(must_not_contain='"ok":false'), b'{"ok":true}', True),
        (Success(must_match=r'"ok"\s*:\s*true'), b'{"ok" : true}', True),
        (Success(must_match=r'"ok"\s*:\s*true'), b'{"ok":false}', False),
        (Success(must_match=r"\A\s*ok\s*\z"), b"ok\n", True),
        (Success(must_match=r"\A\s*ok\s*\z"), b"not ok", False),
        (Success(must_not_match="(?i)error"), b"ERROR: no such click", False),
        (Success(must_not_match="(?i)error"), b"\xff\xfe", True),
        (Success(must_match="é"), "é".encode(), True),
        (Success(must_match="(not readable"), b"OK", False),
    ],
)
def test_a_text_in_the_answer_may_decide_over_a_200(success: Success, answer: bytes, delivered: bool) -> None:
    outcome = AttemptOutcome(status_code=200, answer=answer)

    decision = decide(outcome, AttemptCounts(1), success, SCHEDULE, NOW, middle)

    assert decision == (Delivered() if delivered else Retry(NOW + 5_000))


def test_a_200_whose_body_never_ends_is_a_delivery_unless_the_rule_reads_the_body() -> None:
    outcome = AttemptOutcome(status_code=200, trouble=Trouble.TIMEOUT)

    assert fault_of(outcome, Success()) is None
    assert fault_of(outcome, Success(must_contain="OK")) is not None


@pytest.mark.parametrize(
    ("text", "wait_ms"),
    [
        ("120", 120_000),
        (" 7 ", 7_000),
        ("0", 0),
        ("999999999999999", 24 * HOUR_MS),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("", 0),
        ("١٢", 0),
        (formatdate(NOW / 1000 + 90, usegmt=True), 90_000),
        (formatdate(NOW / 1000 - 90, usegmt=True), 0),
        (formatdate(NOW / 1000 + 10**7, usegmt=True), 24 * HOUR_MS),
        ("Fri, 31 Feb 2026 99:00:00 GMT", 0),
        (formatdate(NOW / 1000 + 90, localtime=False).replace("GMT", "-0000"), 90_000),
        (formatdate(NOW / 1000 + 90).removesuffix(" -0000"), 90_000),
        ("9" * 5000, 24 * HOUR_MS),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_retry_after_is_read_as_seconds_or_a_date_up_to_a_day(
    text: str, wait_ms: int, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert retry_after_ms(text, NOW) == wait_ms
    finally:
        monkeypatch.undo()
        time.tzset()


def test_retry_after_makes_the_wait_longer_but_never_shorter() -> None:
    assert after(AttemptOutcome(status_code=429, retry_after="120")) == Retry(NOW + 120_000)
    assert after(AttemptOutcome(status_code=429, retry_after="1"), 5) == Retry(NOW + 1_800_000)


@given(
    codes=st.lists(st.sampled_from([None, 408, 425, 429, 500, 503]), min_size=13, max_size=13),
    chances=st.lists(st.floats(0, 1, exclude_max=True), min_size=13, max_size=13),
    clocks=st.lists(st.integers(0, 2**47), min_size=13, max_size=13),
    retry_after=st.text(max_size=40),
)
def test_a_schedule_never_ends_early_whatever_the_clock_does(
    codes: list[int | None], chances: list[float], clocks: list[int], retry_after: str
) -> None:
    for number in range(1, 14):
        trouble = None if codes[number - 1] else Trouble.TIMEOUT
        outcome = AttemptOutcome(status_code=codes[number - 1], trouble=trouble, retry_after=retry_after)
        now_ms = clocks[number - 1]
        decision = decide(outcome, AttemptCounts(number), ANY, SCHEDULE, now_ms, iter(chances[number - 1 :]).__next__)
        if number == 13:
            assert isinstance(decision, Failed)
        else:
            assert isinstance(decision, Retry)
            wait_ms = SCHEDULE.waits_seconds[number - 1] * 1000
            assert 0.8 * wait_ms - 1 <= decision.at - now_ms <= max(1.2 * wait_ms, 24 * HOUR_MS)


@given(st.text(max_size=60), st.integers(0, 2**47))
def test_no_retry_after_requests_more_than_a_day_or_the_past(text: str, now_ms: int) -> None:
    assert 0 <= retry_after_ms(text, now_ms) <= 24 * HOUR_MS


@pytest.mark.parametrize("trouble", Trouble)
def test_every_trouble_has_a_sentence(trouble: Trouble) -> None:
    assert trouble.sentence.endswith(".")
