"""Regular expressions for responses: no pattern and no response takes long or breaks anything."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickloop.pattern import MAX_PATTERN, PatternError, matches, pattern_of

MAX_ANSWER_BYTES = 16_384


@pytest.mark.parametrize(
    "pattern", [r"(a|aa)+$", r"(a+)+b", r"(.*a){30}x", r"[ab]*a[ab]{200}c", r"((a{10}){10}){9}b", r"(a?){500}a{500}$"]
)
@pytest.mark.parametrize("answer", [b"a" * MAX_ANSWER_BYTES, b"ab" * (MAX_ANSWER_BYTES // 2)])
def test_a_pattern_that_explodes_elsewhere_takes_less_than_two_seconds(pattern: str, answer: bytes) -> None:
    # CPU time of this thread: other processes on the machine do not count.
    started = time.thread_time()
    matches(pattern, answer)
    assert time.thread_time() - started < 2


@pytest.mark.parametrize("pattern", ["(", "[a", "a{1001}", r"\1", "(?=a)", "x" * (MAX_PATTERN + 1), r"\pL{200}"])
def test_an_invalid_or_too_large_pattern_is_refused_with_the_reason(pattern: str) -> None:
    with pytest.raises(PatternError, match=r"\w"):
        pattern_of(pattern)


@given(st.text(max_size=MAX_PATTERN + 20), st.binary(max_size=200))
@settings(max_examples=300)
def test_no_text_breaks_anything(pattern: str, answer: bytes) -> None:
    try:
        matches(pattern, answer)
    except PatternError as error:
        assert str(error)  # noqa: PT017 – either may happen
