"""Access to the panel: one-time links, sign-in and sign-out, cookies, forms of other sites, roles."""

import contextlib
import dataclasses
import re
import sqlite3
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from litestar.testing import TestClient

from clickloop.config import proxy_networks
from clickloop.people.user import Right, Role
from clickloop.saving.access import csrf_token, make_link
from clickloop.store.ledger.people.sessions import sessions_of_user
from clickloop.web.panel.frame.auth_guard import NEEDS, OPEN, SAFE_METHODS
from clickloop.web.panel.frame.session_cookie import COOKIE
from clickloop.web.panel.frame.streamed_form import STREAMED
from clickloop.web.site import create_site
from tests.web.conftest import PASSWORD

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

HOST = "panel.example"


@pytest.fixture
def browser(instance: "Instance") -> Iterator[TestClient[Any]]:
    """A browser without a session, at a panel without TLS."""
    made: TestClient[Any] = TestClient(instance.app, base_url=f"http://{HOST}", raise_server_exceptions=False)
    made.follow_redirects = False
    with made:
        made.headers["origin"] = f"http://{HOST}"
        yield made


def sign_in(browser: TestClient[Any], name: str, password: str = PASSWORD, **more: str) -> Any:
    return browser.post("/panel/sign-in", data={"name": name, "password": password, **more})


def welcome(instance: "Instance", user_id: int | None = None) -> str:
    with instance.ledger.write() as tx:
        return make_link(tx, user_id, instance.now)


def pages(browser: TestClient[Any]) -> list[tuple[str, str, Any]]:
    found = []
    for route in browser.app.routes:
        if route.path.startswith("/panel"):
            for handler in route.route_handlers:
                found += [
                    (method, route.path_format, handler) for method in handler.http_methods if method != "OPTIONS"
                ]
    return found


def test_every_page_leads_strangers_to_the_sign_in_page(browser: TestClient[Any]) -> None:
    opened = {path for _, path, handler in pages(browser) if handler.opt.get(OPEN)}
    assert opened == {"/panel/static/{version}/{name}", "/panel/sign-in", "/panel/welcome"}
    for method, path, _ in pages(browser):
        if path not in opened:
            answer = browser.request(method, re.sub(r"\{[^}]+\}", "1", path))
            if method in SAFE_METHODS:
                assert answer.status_code == 303, (method, path)
                assert answer.headers["location"].startswith("/panel/sign-in")
            else:
                assert answer.status_code == 401, (method, path)
                assert 'action="/panel/sign-in"' in answer.text, (method, path)


def test_the_first_owner_comes_by_the_link_and_is_in(instance: "Instance", browser: TestClient[Any]) -> None:
    key = welcome(instance)
    form = browser.get(f"/panel/welcome?key={key}")
    assert form.status_code == 200
    assert key in form.text
    assert "set-cookie" not in form.headers
    data = {"key": key, "name": "Anna", "password": PASSWORD, "again": PASSWORD}
    answer = browser.post("/panel/welcome", data=data)
    assert (answer.status_code, answer.headers["location"]) == (303, "/panel")
    assert browser.get("/panel/profile").status_code == 200
    assert browser.post("/panel/welcome", data=data).status_code == 410
    assert browser.get(f"/panel/welcome?key={key}").status_code == 410


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"password": "short", "again": "short"}, "at least 10"),
        ({"again": "something else"}, "do not match"),
        ({"name": ""}, "Enter a value."),
        (
            {"name": "long enough name", "password": "long enough name", "again": "long enough name"},
            "differ from the user name",
        ),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_the_link_stays_good(
    instance: "Instance", browser: TestClient[Any], changes: dict[str, str], sentence: str
) -> None:
    key = welcome(instance)
    data = {"key": key, "name": "Anna", "password": PASSWORD, "again": PASSWORD}
    answer = browser.post("/panel/welcome", data={**data, **changes})
    assert answer.status_code == 422
    assert sentence in answer.text
    assert "aria-invalid" in answer.text
    assert browser.post("/panel/welcome", data=data).status_code == 303


def test_the_cookie_is_for_the_panel_alone_and_no_script(instance: "Instance", browser: TestClient[Any]) -> None:
    instance.user(Role.OWNER, "anna")
    cookie = sign_in(browser, "anna").headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/panel" in cookie
    assert "Secure" not in cookie


@pytest.mark.parametrize(("proxies", "trusted"), [("198.51.100.0/24", True), ("192.0.2.0/24", False)])
def test_over_https_behind_a_proxy_that_is_trusted_the_cookie_is_for_https_alone(
    instance: "Instance", proxies: str, trusted: bool
) -> None:
    instance.user(Role.OWNER, "anna")
    context = dataclasses.replace(instance.context, proxies=proxy_networks(proxies))
    site = create_site(context)

    async def behind_a_proxy(scope: Any, receive: Any, send: Any) -> None:
        scope["client"] = ("198.51.100.1", 1)
        await site(scope, receive, send)

    told = {
        "x-forwarded-proto": "https",
        "x-forwarded-host": "p.example",
        "x-forwarded-for": "203.0.113.9, 198.51.100.2",
    }
    with TestClient(behind_a_proxy) as browser:
        browser.follow_redirects = False
        data = {"name": "anna", "password": PASSWORD}
        answer = browser.post("/panel/sign-in", data=data, headers={**told, "origin": "https://p.example"})
        assert answer.status_code == (303 if trusted else 403)
        assert answer.headers.get("strict-transport-security") == ("max-age=31536000" if trusted else None)
        if not trusted:
            return
        name, _, rest = answer.headers["set-cookie"].partition("=")
        secret, *attributes = rest.split("; ")
        assert name == "__Host-clickloop_session"
        assert {attribute.lower() for attribute in attributes} >= {"secure", "httponly", "path=/", "samesite=lax"}
        assert "domain" not in answer.headers["set-cookie"].lower()
        with instance.ledger.read() as tx:
            assert sessions_of_user(tx, 1, 1)[0].address == "203.0.113.9"
        profile = partial(browser.get, "/panel/profile")
        browser.cookies.clear()
        assert profile(headers=told | {"cookie": f"{name}={secret}"}).status_code == 200
        assert profile(headers=told | {"cookie": f"{COOKIE}={secret}"}).status_code == 303, "anybody may have set it"
        ended = browser.post(
            "/panel/sign-out",
            data={"csrf": csrf_token(secret)},
            headers={**told, "origin": "https://p.example", "cookie": f"{name}={secret}"},
        )
        assert ended.headers["set-cookie"].startswith(f'{name}=""; ')
        assert "Secure" in ended.headers["set-cookie"], "else a browser keeps it"
    with instance.ledger.read() as tx:
        assert sessions_of_user(tx, 1, 1) == []


def test_the_secret_changes_with_each_sign_in(instance: "Instance", browser: TestClient[Any]) -> None:
    instance.user(Role.OWNER, "anna")
    browser.cookies.set(COOKIE, "planted", domain=HOST, path="/panel")
    secrets = []
    for _ in range(2):
        secrets.append(sign_in(browser, "anna").headers["set-cookie"].partition("=")[2].partition(";")[0])
        browser.cookies.clear()
    assert len({*secrets, "planted"}) == 3


def test_signing_out_ends_the_session_for_good(instance: "Instance", browser: TestClient[Any]) -> None:
    instance.user(Role.OWNER, "anna")
    sign_in(browser, "anna")
    secret = browser.cookies[COOKIE]
    answer = browser.post("/panel/sign-out", data={"csrf": csrf_token(secret)})
    assert answer.headers["location"] == "/panel/sign-in?said=signed-out"
    browser.cookies.set(COOKIE, secret, domain=HOST, path="/panel")
    assert browser.get("/panel/profile").status_code == 303
    assert "signed out" in browser.get("/panel/sign-in?said=signed-out").text


def test_a_wrong_name_and_a_wrong_password_look_the_same(instance: "Instance", browser: TestClient[Any]) -> None:
    instance.user(Role.OWNER, "anna")
    known, unknown = sign_in(browser, "anna", "wrong"), sign_in(browser, "nora", "wrong")
    assert (known.status_code, unknown.status_code) == (403, 403)
    assert known.text.replace("anna", "") == unknown.text.replace("nora", "")
    assert 'wrong"' not in known.text


def test_guessing_gets_429_with_the_time_to_wait(instance: "Instance", browser: TestClient[Any]) -> None:
    instance.user(Role.OWNER, "anna")
    answers = [sign_in(browser, "anna", f"guess {number}") for number in range(8)]
    assert [answer.status_code for answer in answers][-1] == 429
    assert int(answers[-1].headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("wanted", "place"),
    [
        ("/panel/offers?cursor=x", "/panel/offers?cursor=x"),
        ("/panel", "/panel"),
        ("", "/panel"),
        ("https://evil.example/panel/", "/panel"),
        ("//evil.example", "/panel"),
        ("/panel\\evil", "/panel"),
        ("/panelevil", "/panel"),
        ("/panel/\r\nset-cookie: x=1", "/panel"),
        ("javascript:alert(1)", "/panel"),
    ],
)
def test_after_signing_in_one_goes_to_a_page_of_ours_alone(
    instance: "Instance", browser: TestClient[Any], wanted: str, place: str
) -> None:
    instance.user(Role.OWNER, "anna")
    assert sign_in(browser, "anna", next=wanted).headers["location"] == place


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://panel.example.evil"},
        {"origin": "null"},
        {"origin": "http://panel.example:81"},
        {"origin": "", "sec-fetch-site": "cross-site"},
        {"origin": "", "sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/panel/sign-in", "/panel/welcome", "/panel/profile", "/panel/sign-out"])
def test_what_another_site_sends_does_nothing(
    instance: "Instance", browser: TestClient[Any], headers: dict[str, str], path: str
) -> None:
    instance.user(Role.OWNER, "anna")
    sign_in(browser, "anna")
    secret = browser.cookies[COOKIE]
    data = {"csrf": csrf_token(secret), "name": "anna", "password": PASSWORD, "time_zone": "Asia/Tokyo"}
    assert browser.post(path, data=data, headers=headers).status_code == 403
    assert "set-cookie" not in browser.post(path, data=data, headers=headers).headers


def test_behind_a_proxy_that_changes_the_host_a_browser_on_https_gets_in(
    instance: "Instance", browser: TestClient[Any]
) -> None:
    instance.user(Role.OWNER, "anna")
    headers = {"origin": "https://panel.example", "host": "127.0.0.1:8081", "sec-fetch-site": "same-origin"}
    answer = browser.post("/panel/sign-in", data={"name": "anna", "password": PASSWORD}, headers=headers)
    assert answer.status_code == 303


def test_behind_a_proxy_that_changes_the_host_the_refusal_says_what_to_do(browser: TestClient[Any]) -> None:
    headers = {"origin": "http://panel.example", "host": "127.0.0.1:8081"}
    answer = browser.post("/panel/sign-in", data={"name": "anna", "password": PASSWORD}, headers=headers)
    assert answer.status_code == 403
    assert "The page is on panel.example, but the request was for 127.0.0.1:8081." in answer.text
    assert "proxy_set_header Host $http_host;" in answer.text


def test_a_form_without_its_word_does_nothing(instance: "Instance", browser: TestClient[Any]) -> None:
    instance.user(Role.OWNER, "anna")
    sign_in(browser, "anna")
    for method, path, handler in pages(browser):
        if method not in SAFE_METHODS and not handler.opt.get(OPEN):
            for data in ({}, {"csrf": ""}, {"csrf": csrf_token("another session")}):
                answer = browser.request(method, re.sub(r"\{[^}]+\}", "1", path), data=data)
                refused = (400, 403) if handler.opt.get(STREAMED) else (403,)  # 400: no file is in it
                assert answer.status_code in refused, (method, path, answer.text)
    assert browser.get("/panel/profile").status_code == 200


def test_no_page_changes_anything_by_get(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    before = stored(instance)
    for method, path, _ in pages(panel.client):
        if method == "GET":
            panel.client.get(re.sub(r"\{[^}]+\}", "1", path))
    assert stored(instance) == before


def stored(instance: "Instance") -> list[str]:
    """Return a dump of the ledger."""
    with contextlib.closing(sqlite3.connect(instance.folder / "ledger.sqlite")) as connection:
        return list(connection.iterdump())


@pytest.mark.parametrize("role", [Role.VIEWER, Role.WORKER])
def test_a_role_does_what_it_may_and_no_more(panel: "Panel", role: Role) -> None:
    panel.become(role)
    for method, path, handler in pages(panel.client):
        if handler.opt.get(OPEN):
            continue
        needed = handler.opt.get(NEEDS, None if method in SAFE_METHODS else Right.WORK)
        place = re.sub(r"\{[^}]+\}", "1", path)
        data = {"csrf": csrf_token(panel.secret)} if method not in SAFE_METHODS else None
        if path == "/panel/sign-out":
            continue
        answer = panel.client.request(method, place, data=data)
        assert (answer.status_code == 403) is (needed is not None and not role.may(needed)), (method, path)


def test_administered_pages_ask_for_the_right(browser: TestClient[Any]) -> None:
    for method, path, handler in pages(browser):
        if path.startswith(("/panel/users", "/panel/tokens", "/panel/changes", "/panel/settings")):
            assert handler.opt[NEEDS] is Right.ADMINISTER, (method, path)
