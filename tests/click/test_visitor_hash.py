"""The daily hash of visitors."""

from hypothesis import given
from hypothesis import strategies as st

from clickloop.click.visitor_hash import HEX_DIGITS, VisitorHashes
from clickloop.clock import DAY_MS

_NOON = 20_000 * DAY_MS + DAY_MS // 2
_AGENT = b"Mozilla/5.0"


def test_yesterdays_hash_is_the_one_that_the_visitor_had_yesterday() -> None:
    hashes, others = VisitorHashes(b"k" * 32), VisitorHashes(b"k" * 32)
    assert hashes.yesterday("::1", _AGENT, _NOON + DAY_MS) == others.today("::1", _AGENT, _NOON)
    assert hashes.today("::1", _AGENT, _NOON + DAY_MS) != others.today("::1", _AGENT, _NOON)


def test_the_hash_changes_at_midnight_utc_and_with_the_installation() -> None:
    midnight = 20_001 * DAY_MS
    hashes = VisitorHashes(b"k" * 32)
    before, after = hashes.today("::1", _AGENT, midnight - 1), hashes.today("::1", _AGENT, midnight)
    assert before != after
    assert hashes.today("::1", _AGENT, midnight - DAY_MS) == before
    assert VisitorHashes(b"l" * 32).today("::1", _AGENT, midnight) != after


@given(st.text(max_size=60), st.binary(max_size=3000), st.integers(0, 2**45))
def test_it_is_60_bits_of_hexadecimal_digits_whatever_comes(ip: str, useragent: bytes, now_ms: int) -> None:
    hashes = VisitorHashes(b"k" * 32)
    for digits in (hashes.today(ip, useragent, now_ms), hashes.yesterday(ip, useragent, now_ms)):
        assert len(digits) == HEX_DIGITS
        assert 0 <= int(digits, 16) < 2**60


def test_the_end_of_an_address_is_not_the_beginning_of_a_user_agent() -> None:
    hashes = VisitorHashes(b"k" * 32)
    assert hashes.today("1.2.3.4", b"5", _NOON) != hashes.today("1.2.3.45", b"", _NOON)
