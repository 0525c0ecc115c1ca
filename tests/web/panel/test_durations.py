"""Durations as users write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.web.panel.frame.durations import (
    UnreadableDurationError,
    duration_text,
    read_duration,
    read_durations,
    times_of,
)


@pytest.mark.parametrize(
    ("word", "seconds"), [("0", 0), ("5s", 5), (" 2M ", 120), ("1h30m", 5400), ("1h 30m", 5400), ("1d", 86400)]
)
def test_a_duration_is_read(word: str, seconds: int) -> None:
    assert read_duration(word) == seconds


@pytest.mark.parametrize("word", ["", "soon", "5 x", "-5s", "1.5h", "٣s", "5" * 30, "1h30"])
def test_what_is_no_duration_is_refused_with_what_is_expected(word: str) -> None:
    with pytest.raises(UnreadableDurationError, match="such as 30s"):
        read_duration(word)


@given(st.integers(min_value=0, max_value=10**8))
def test_every_duration_is_written_as_it_is_read(seconds: int) -> None:
    assert read_duration(duration_text(seconds)) == seconds


def test_a_line_of_durations_gives_the_times_of_attempts() -> None:
    assert times_of(read_durations("5s, 30s  2m")) == ["5s", "35s", "2m35s"]


def test_times_leave_out_what_is_too_small_to_matter() -> None:
    assert times_of([86_400 * 3 + 3_600 * 3 + 125]) == ["3d3h"]
