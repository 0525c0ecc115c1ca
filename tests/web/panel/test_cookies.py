"""Hostile cookies."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from litestar.connection import ASGIConnection
from litestar.testing import TestClient

from clickloop.web.cookies import cookie_of

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

LONG = 60_000
MAX_SECONDS = 1.0
"""CPU time. Reading all cookies with the standard library took five seconds."""


@pytest.fixture
def browser(instance: "Instance") -> Iterator[TestClient[Any]]:
    """A browser without a session."""
    made: TestClient[Any] = TestClient(instance.app, raise_server_exceptions=False)
    made.follow_redirects = False
    with made:
        yield made


def connection(*lines: bytes) -> "ASGIConnection[Any, Any, Any, Any]":
    scope: Any = {"type": "http", "headers": [(b"host", b"a"), *((b"cookie", line) for line in lines)]}
    return ASGIConnection(scope)


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        ((), ""),
        ((b"a=1",), "1"),
        ((b"b=2; a=1",), "1"),
        ((b"b=2;a = 1 ;c=3",), "1"),
        ((b"b=2", b"a=1"), "1"),
        ((b"a=1; a=2",), "1"),
        ((b"aa=2; ba=3; a=1",), "1"),
        ((b"a",), ""),
        ((b"b=a=1",), ""),
        ((b"a=b=c",), "b=c"),
        ((b'a="1"',), '"1"'),
        ((b"a=\xff",), "\xff"),
        ((b";;=;a=;",), ""),
    ],
)
def test_the_first_cookie_of_a_name_is_read_as_it_came(lines: tuple[bytes, ...], value: str) -> None:
    assert cookie_of(connection(*lines), "a") == value


@pytest.mark.parametrize("unit", ["\\", "\\a", "\\37", '\\"', ";", "=", "a=b;"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda browser, headers: browser.get("/panel/sign-in", headers=headers),
        lambda browser, headers: browser.get("/panel/clicks", headers=headers),
        lambda browser, headers: browser.post("/panel/sign-in", data={"name": "x", "password": "y"}, headers=headers),
        lambda browser, headers: browser.post("/panel/offers/new", data={"name": "x"}, headers=headers),
    ],
)
def test_no_cookie_holds_up_the_core(
    browser: TestClient[Any], unit: str, ask: Callable[[TestClient[Any], dict[str, str]], Any]
) -> None:
    cookie = f'clickloop_session="{unit * (LONG // len(unit))}"'
    begun = time.process_time()
    answer = ask(browser, {"cookie": cookie})
    assert time.process_time() - begun < MAX_SECONDS
    assert answer.status_code < 500


def test_a_signed_in_browser_with_such_a_cookie_beside_its_own_is_served(panel: "Panel") -> None:
    long = "\\" * LONG
    begun = time.process_time()
    panel.client.headers["cookie"] = f'clickloop_session={panel.secret}; clickloop_columns_clicks="{long}"'
    panel.get("/panel/clicks")
    assert time.process_time() - begun < MAX_SECONDS
