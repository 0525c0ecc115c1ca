"""Whether a click counts."""

import pytest

from clickloop.click.click import Screening
from clickloop.click.screening import screen


def test_a_visitors_click_counts() -> None:
    assert screen(b"GET", b"", False) is None


def test_a_head_request_does_not_count() -> None:
    assert screen(b"HEAD", b"", False) is Screening.HEAD_REQUEST


@pytest.mark.parametrize("purpose", [b"prefetch", b"Prefetch;prerender", b"prerender", b"preview", b"PREFETCH"])
def test_what_a_browser_fetches_before_anybody_asks_does_not_count(purpose: bytes) -> None:
    assert screen(b"GET", purpose, False) is Screening.PREFETCH


def test_another_purpose_counts() -> None:
    assert screen(b"GET", b"navigate", False) is None


def test_the_preview_of_a_link_does_not_count() -> None:
    assert screen(b"GET", b"", True) is Screening.PREVIEW_BOT


def test_of_several_reasons_the_surest_is_named() -> None:
    assert screen(b"HEAD", b"prefetch", True) is Screening.HEAD_REQUEST


def test_a_test_is_a_test_whoever_opens_it() -> None:
    assert screen(b"HEAD", b"prefetch", True, test=True) is Screening.TEST


def test_every_reason_is_given_by_screening() -> None:
    given = {screen(b"HEAD", b"", False), screen(b"GET", b"prefetch", False), screen(b"GET", b"", True)}
    assert given | {screen(b"GET", b"", False, test=True)} == set(Screening)
