"""Screened clicks do not count; all others do."""

import pytest

from clickloop.click.click import Screening
from clickloop.click.screening import screen


def test_a_visitors_click_counts() -> None:
    assert screen(b"GET", b"", None) is None


def test_a_head_request_does_not_count() -> None:
    assert screen(b"HEAD", b"", None) is Screening.HEAD_REQUEST


@pytest.mark.parametrize("purpose", [b"prefetch", b"Prefetch;prerender", b"prerender", b"preview", b"PREFETCH"])
def test_a_prefetch_does_not_count(purpose: bytes) -> None:
    assert screen(b"GET", purpose, None) is Screening.PREFETCH


def test_another_purpose_counts() -> None:
    assert screen(b"GET", b"navigate", None) is None


def test_the_preview_of_a_link_does_not_count() -> None:
    assert screen(b"GET", b"", Screening.PREVIEW_BOT) is Screening.PREVIEW_BOT


def test_a_crawler_does_not_count() -> None:
    assert screen(b"GET", b"", Screening.CRAWLER) is Screening.CRAWLER


def test_the_surest_of_several_reasons_is_reported() -> None:
    assert screen(b"HEAD", b"prefetch", Screening.PREVIEW_BOT) is Screening.HEAD_REQUEST


def test_a_test_click_counts_as_a_test_whoever_opens_it() -> None:
    assert screen(b"HEAD", b"prefetch", Screening.PREVIEW_BOT, test=True) is Screening.TEST


def test_screening_can_return_every_reason() -> None:
    given = {screen(b"HEAD", b"", None), screen(b"GET", b"prefetch", None), screen(b"GET", b"", Screening.PREVIEW_BOT)}
    given |= {screen(b"GET", b"", Screening.CRAWLER)}
    assert given | {screen(b"GET", b"", None, test=True)} == set(Screening)
