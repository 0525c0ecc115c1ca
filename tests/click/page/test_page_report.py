"""Reports of track.js: what is read, and what is refused with a sentence."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.click.page.page_report import MAX_REPORT_BYTES, PageReport, UnreadableReportError, read_report


def test_a_report_is_read_with_what_the_script_sends_and_without_what_it_does_not() -> None:
    body = {
        "campaign": "aB3xY9",
        "url": "https://shop.example/p?zone=é 1&cost=5#part?x",
        "language": "de-DE",
        "hints": {"model": "SM-A546B", "platformVersion": "14.0.0", "brands": []},
        "cid": "",
        "loaded": 812,
        "anything": {"else": 1},
    }
    report = read_report(json.dumps(body).encode())
    assert (report.campaign, report.query, report.loaded) == ("aB3xY9", b"zone=%C3%A9%201&cost=5", 812)
    assert report.hints is not None
    assert (report.hints.model, report.hints.platform_version) == ("SM-A546B", "14.0.0")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"url": 1}',
        b'{"cid": "' + b"x" * 101 + b'"}',
        b'{"events": {"1": 2}}',
        b'{"loaded": -1}',
        b'{"url": "\xff"}',
        b"[" * MAX_REPORT_BYTES,
        b'{"a":' * 800,
        b" " * (MAX_REPORT_BYTES + 1),
    ],
)
def test_anything_else_is_refused(body: bytes) -> None:
    with pytest.raises(UnreadableReportError):
        read_report(body)


def test_a_lone_surrogate_in_the_url_is_no_fault() -> None:
    assert PageReport(url="https://a.example/?a=\ud800").query == b"a=?"


@given(st.text(max_size=300))
def test_any_url_has_a_query_that_a_link_can_have(url: str) -> None:
    query = PageReport(url=url).query
    assert query.isascii()
    assert not {b" ", b"\r", b"\n", b"\0"} & {query[at : at + 1] for at in range(len(query))}
