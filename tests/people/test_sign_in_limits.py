"""Limits on guessing passwords, which never lock a user out."""

from clickloop.clock import DAY_MS, HOUR_MS
from clickloop.people.sign_in_limits import FREE_FOR_NAME, FREE_FROM_ADDRESS, MAX_TRACKED, SignInLimits

NOW = 1_772_366_400_000


def guesses(limits: SignInLimits, name: str, address: str, until_ms: int) -> int:
    """Return the number of attempts of a guesser who tries whenever allowed."""
    now_ms, tried = NOW, 0
    while now_ms < until_ms:
        wait_ms = limits.attempt(name, address, now_ms)
        if wait_ms:
            now_ms += wait_ms
        else:
            tried += 1
    return tried


def test_an_address_gets_a_few_attempts_at_once_and_then_four_an_hour() -> None:
    assert guesses(SignInLimits(), "anna", "192.0.2.1", NOW + HOUR_MS) <= FREE_FROM_ADDRESS + 14
    assert guesses(SignInLimits(), "anna", "192.0.2.1", NOW + DAY_MS) <= FREE_FROM_ADDRESS + 110


def test_attempts_at_many_names_from_one_address_are_slowed_down() -> None:
    limits = SignInLimits()
    entered = [limits.attempt(f"name{number}", "192.0.2.1", NOW) for number in range(100)]
    assert entered.count(0) == FREE_FROM_ADDRESS


def test_an_ipv6_64_counts_as_one_address() -> None:
    limits = SignInLimits()
    entered = [limits.attempt("anna", f"2001:db8::{number:x}", NOW) for number in range(100)]
    assert entered.count(0) == FREE_FROM_ADDRESS
    assert limits.attempt("ben", "2001:db8:0:1::1", NOW) == 0


def test_addresses_that_failed_share_the_wait_for_a_name() -> None:
    limits = SignInLimits()
    for number in range(FREE_FOR_NAME):
        assert limits.attempt("anna", f"192.0.2.{number}", NOW) == 0
    assert limits.attempt("anna", "192.0.2.3", NOW) > 0
    assert limits.attempt("ben", "192.0.2.3", NOW) == 0


def test_an_address_that_did_not_fail_never_waits() -> None:
    limits = SignInLimits()
    for number in range(500):
        limits.attempt("anna", f"192.0.2.{number % 256}", NOW)
    assert limits.attempt("anna", "198.51.100.1", NOW) == 0


def test_an_unknown_name_is_counted_like_any_other() -> None:
    limits = SignInLimits()
    entered = [
        [limits.attempt(name, f"{net}.{number % 12}", NOW) for number in range(40)]
        for name, net in (("anna", "192.0.2"), ("nobody", "198.51.100"))
    ]
    assert entered[0] == entered[1]


def test_failures_are_forgotten_after_success_and_after_a_day() -> None:
    limits = SignInLimits()
    for _ in range(FREE_FROM_ADDRESS):
        limits.attempt("anna", "192.0.2.1", NOW)
    limits.succeeded("anna", "192.0.2.1")
    assert limits.attempt("anna", "192.0.2.1", NOW) == 0
    for _ in range(FREE_FROM_ADDRESS):
        limits.attempt("anna", "192.0.2.1", NOW)
    assert limits.attempt("anna", "192.0.2.1", NOW) > 0
    assert limits.attempt("anna", "192.0.2.1", NOW + DAY_MS + 1) == 0


def test_an_attempt_that_was_not_checked_does_not_count() -> None:
    limits = SignInLimits()
    for _ in range(50):
        assert limits.attempt("anna", "192.0.2.1", NOW) == 0
        limits.uncount("anna", "192.0.2.1")


def test_memory_is_bounded() -> None:
    limits = SignInLimits()
    for number in range(MAX_TRACKED + 100):
        limits.attempt(f"n{number}", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", NOW)
    assert len(limits._addresses) == len(limits._names) == MAX_TRACKED
