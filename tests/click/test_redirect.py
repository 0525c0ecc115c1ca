"""The redirect and its cookie."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.click.redirect import cookie_line, cookie_value, cookie_values, date_line, redirect_response

CLICK_ID = "01kaqj6z8m4x2c9v7b5n3t1w0y"


def test_a_redirect_is_an_uncacheable_302_without_a_body() -> None:
    answer = redirect_response("https://a.example/", b"set-cookie: x\r\n", True, date_line(0))
    head, end, body = answer.partition(b"\r\n\r\n")
    status, *headers = head.split(b"\r\n")
    assert (status, end, body) == (b"HTTP/1.1 302 Found", b"\r\n\r\n", b"")
    assert {b"location: https://a.example/", b"cache-control: no-store, max-age=0"} < set(headers)
    assert {b"content-length: 0", b"set-cookie: x", b"date: Thu, 01 Jan 1970 00:00:00 GMT"} < set(headers)


def test_the_last_response_of_a_connection_has_connection_close() -> None:
    assert b"\r\nconnection: close\r\n" in redirect_response("https://a.example/", b"", False, b"")


def test_a_location_that_is_not_ascii_raises_an_error() -> None:
    with pytest.raises(UnicodeEncodeError):
        redirect_response("https://a.example/ä", b"", True, b"")


@pytest.mark.parametrize(("secure", "attributes"), [(True, "SameSite=None; Secure"), (False, "SameSite=Lax")])
def test_over_https_the_cookie_works_across_sites_and_over_http_on_our_own(secure: bool, attributes: str) -> None:
    line = f"set-cookie: clickloop={CLICK_ID}; Max-Age=7776000; Path=/; HttpOnly; {attributes}\r\n"
    assert cookie_line(CLICK_ID, secure) == line.encode()


@pytest.mark.parametrize(
    ("header", "value"),
    [
        (b"clickloop=abc", "abc"),
        (b"a=b; clickloop=abc; c=d", "abc"),
        (b"a=b;clickloop=abc", "abc"),
        (b"myclickloop=no; clickloop=abc", "abc"),
        (b"myclickloop=no", ""),
        (b"x=clickloop=no", ""),
        (b"", ""),
        (b"clickloop=", ""),
        (b"clickloop=" + b"a" * 100, "a" * 64),
        (b"clickloop=\xff", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_the_click_id_is_found_among_other_cookies(header: bytes, value: str) -> None:
    assert cookie_value(header) == value


@given(st.lists(st.sampled_from([b"clickloop=", b"x", b"; ", b"=", b"\xff", b" "]), max_size=20).map(b"".join))
def test_any_cookie_header_is_parsed(header: bytes) -> None:
    assert len(cookie_value(header)) <= 64


def test_few_cookies_of_one_name_are_read() -> None:
    header = b"clickloop_v=0; " + b"; ".join(b"clickloop=%d" % number for number in range(1000))
    assert list(cookie_values(header)) == ["0", "1", "2", "3", "4"]
    assert list(cookie_values(b"xclickloop=1; clickloop=2")) == ["2"]
