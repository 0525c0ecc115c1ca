"""Where a user of the panel comes from, as the named proxies tell it in every form in which proxies write it."""

from typing import Any

import pytest
from litestar.connection import ASGIConnection

from clickloop.config import proxy_networks
from clickloop.people.browser import Browser
from clickloop.web.browser import browser_of

PROXIES = proxy_networks("10.0.0.0/8, 2001:db8:ffff::/48")


def browser(*headers: tuple[str, str], peer: str = "10.0.0.1") -> Browser:
    """Return who sends a request with these header lines from a peer."""
    scope: Any = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/panel",
        "query_string": b"",
        "server": ("127.0.0.1", 8080),
        "client": (peer, 50_000),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }
    return browser_of(ASGIConnection(scope), PROXIES)


@pytest.mark.parametrize(
    ("lines", "address"),
    [
        (["203.0.113.9"], "203.0.113.9"),
        (["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
        (["1.1.1.1", "203.0.113.9"], "203.0.113.9"),
        (["1.1.1.1", "203.0.113.9", "10.0.0.7"], "203.0.113.9"),
        (["1.1.1.1, 2.2.2.2", "203.0.113.9:51008, 10.0.0.7"], "203.0.113.9"),
        (["1.1.1.1, [2001:db8::1]:443, 10.0.0.1"], "2001:db8::1"),
        (['1.1.1.1, "203.0.113.9", 10.0.0.1:80'], "203.0.113.9"),
        (["::ffff:203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9, unknown"], "10.0.0.1"),
        ([""], "10.0.0.1"),
        ([], "10.0.0.1"),
        (["203.0.113.9" + ", 10.0.0.7" * 5_000], "10.0.0.7"),
    ],
)
def test_the_address_is_the_rightmost_one_that_is_no_trusted_proxy_across_all_header_lines(
    lines: list[str], address: str
) -> None:
    assert browser(*[("x-forwarded-for", line) for line in lines]).address == address


def test_forwarding_headers_of_others_are_ignored() -> None:
    found = browser(
        ("host", "a.example"),
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-host", "b.example"),
        ("x-forwarded-proto", "https"),
        peer="198.51.100.1",
    )
    assert (found.address, found.host, found.secure) == ("198.51.100.1", "a.example", False)


@pytest.mark.parametrize(
    ("host", "seen"),
    [
        ("Panel.example", "panel.example"),
        ("panel.example, inner.example", "panel.example"),
        (" panel.example:8443 ,x", "panel.example:8443"),
        ("", "a.example"),
    ],
)
def test_behind_a_chain_of_proxies_the_host_is_the_one_the_user_requested(host: str, seen: str) -> None:
    assert browser(("host", "a.example"), ("x-forwarded-host", host)).host == seen


@pytest.mark.parametrize(
    ("proto", "secure"), [("https", True), ("HTTPS, http", True), ("http, https", False), ("", False)]
)
def test_behind_a_chain_of_proxies_the_protocol_is_the_one_the_user_used(proto: str, secure: bool) -> None:
    assert browser(("x-forwarded-proto", proto)).secure is secure


ODD_HOSTS = (
    *("", ":", "a:b", "a:b:c", "[", "[::1", "]", "a.example:99999", "a.example:-1", "::::::", "@", "a@b:c"),
    *("%", "é", "[v1.x]", "a:٣"),
)
"""Host headers that are none."""


@pytest.mark.parametrize("host", ODD_HOSTS)
def test_an_invalid_host_breaks_nothing(host: str) -> None:
    assert browser(("host", host.encode().decode("latin-1"))).address == "10.0.0.1"
