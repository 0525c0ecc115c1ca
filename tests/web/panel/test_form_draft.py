"""A form that is sent when one is signed out: nothing of it is saved, and nothing of it is lost."""

import re
from collections.abc import Iterator
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from litestar.testing import TestClient

from clickloop.people.user import Role
from clickloop.web.panel.frame.form_draft import MAX_FORM_BYTES
from tests.web.conftest import PASSWORD

if TYPE_CHECKING:
    from tests.web.conftest import Instance

HOST = "panel.example"
HERE = {"origin": f"http://{HOST}"}
TYPED = {"csrf": "of before", "name": 'New "name" & <more>', "network_id": "1", "url": "https://a.example/?{clickid}"}
_INPUT = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')


@pytest.fixture
def browser(instance: "Instance") -> Iterator[TestClient[Any]]:
    """A browser without a session, at a panel with one record of each kind and the owner anna."""
    instance.set_up()
    instance.user(Role.OWNER, "anna")
    made: TestClient[Any] = TestClient(instance.app, base_url=f"http://{HOST}", raise_server_exceptions=False)
    made.follow_redirects = False
    with made:
        yield made


def fields_of(html: str) -> dict[str, str]:
    return {unescape(name): unescape(value) for name, value in _INPUT.findall(html)}


def sign_in(browser: TestClient[Any], kept: dict[str, str], **more: Any) -> Any:
    data = {"name": "anna", "password": PASSWORD, **kept}
    return browser.post("/panel/sign-in", data=data, **{"headers": HERE, **more})


def kept_by(answer: Any) -> dict[str, str]:
    return {name: value for name, value in fields_of(answer.text).items() if name.startswith("kept")}


def test_what_was_typed_is_saved_after_signing_in_again(instance: "Instance", browser: TestClient[Any]) -> None:
    answer = browser.post("/panel/offers/1", data=TYPED, headers=HERE)
    assert answer.status_code == 401
    assert "You were signed out, so nothing has been saved" in answer.text
    asked = sign_in(browser, kept_by(answer))
    assert asked.status_code == 200
    assert "Save your changes?" in asked.text
    assert 'action="/panel/offers/1"' in asked.text
    assert instance.got("offers/1")["name"] == "Offer"
    sent = browser.post("/panel/offers/1", data=fields_of(asked.text), headers=HERE)
    assert sent.headers["location"] == "/panel/offers/1?said=saved"
    assert instance.got("offers/1")["name"] == TYPED["name"]


def test_the_word_of_the_old_session_is_not_sent_again(browser: TestClient[Any]) -> None:
    asked = sign_in(browser, kept_by(browser.post("/panel/offers/1", data=TYPED, headers=HERE)))
    assert "of before" not in asked.text
    assert asked.text.count('name="csrf"') == 1


def test_a_wrong_password_loses_nothing(browser: TestClient[Any]) -> None:
    kept = kept_by(browser.post("/panel/offers/1", data=TYPED, headers=HERE))
    answer = sign_in(browser, {**kept, "password": "wrong"})
    assert answer.status_code == 403
    assert kept_by(answer) == kept


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/panel/users/new", {"name": "ben", "role": "owner"}),
        ("/panel/users/1", {"name": "ben"}),
        ("/panel/profile", {"time_zone": "UTC"}),
        ("/panel/profile/password", {"current": "a", "password": "b", "again": "b"}),
        ("/panel/sign-out", {"x": "y"}),
        ("/panel/uploads", {"lines": "a:1:sale"}),
        ("/panel/offers/1/archive", {"csrf": "of before"}),
        ("/panel/offers/1", {"name": "x" * (MAX_FORM_BYTES + 1)}),
    ],
)
def test_some_forms_are_not_kept_and_it_is_said_where_the_text_is(
    browser: TestClient[Any], path: str, data: dict[str, str]
) -> None:
    answer = browser.post(path, data=data, headers=HERE)
    assert answer.status_code == 401
    assert "Back button" in answer.text
    assert kept_by(answer) == {}


def test_passwords_and_files_are_never_kept(browser: TestClient[Any]) -> None:
    data = {"name": "Kept", "password": "hush", "again": "hush"}
    answer = browser.post("/panel/offers/1", data=data, files={"file": ("f.txt", b"content of a file")}, headers=HERE)
    assert "Kept" in kept_by(answer)["kept"]
    assert "hush" not in answer.text
    assert "content of a file" not in answer.text


@pytest.mark.parametrize("headers", [{}, {"sec-fetch-site": "none"}])
def test_a_form_of_which_no_browser_says_that_it_is_ours_is_not_kept(
    browser: TestClient[Any], headers: dict[str, str]
) -> None:
    answer = browser.post("/panel/offers/1", data=TYPED, headers=headers)
    assert answer.status_code == 401
    assert kept_by(answer) == {}


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"origin": "null"}])
def test_a_form_of_another_site_is_refused_as_before(browser: TestClient[Any], headers: dict[str, str]) -> None:
    assert browser.post("/panel/offers/1", data=TYPED, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "kept",
    [
        {"kept_path": "https://evil.example/", "kept": '[["name","x"]]'},
        {"kept_path": "//evil.example/panel/offers/1", "kept": '[["name","x"]]'},
        {"kept_path": "/panel/../api/v1/offers", "kept": '[["name","x"]]'},
        {"kept_path": "/api/v1/offers", "kept": '[["name","x"]]'},
        {"kept_path": "/panel/trace", "kept": '[["q","x"]]'},
        {"kept_path": "/panel/no/such", "kept": '[["q","x"]]'},
        {"kept_path": "/panel/users/new", "kept": '[["name","ben"],["role","owner"]]'},
        {"kept_path": "/panel/profile/password", "kept": '[["x","y"]]'},
        {"kept_path": "/panel/welcome", "kept": '[["x","y"]]'},
        {"kept_path": "/panel/offers/1", "kept": "no json"},
        {"kept_path": "/panel/offers/1", "kept": '{"name": "x"}'},
        {"kept_path": "/panel/offers/1", "kept": "[]"},
        {"kept_path": "/panel/offers/..", "kept": '[["name","x"]]'},
        {"kept_path": "/panel/offers/1\r\nx: y", "kept": '[["name","x"]]'},
        {"kept_path": "/panel/offers/1", "kept": '[["name","' + "x" * (MAX_FORM_BYTES + 1) + '"]]'},
    ],
)
def test_the_sign_in_page_sends_nothing_on_that_it_would_not_have_kept(
    browser: TestClient[Any], kept: dict[str, str]
) -> None:
    answer = sign_in(browser, kept)
    assert (answer.status_code, answer.headers["location"]) == (303, "/panel")


def test_without_an_origin_the_sign_in_page_sends_nothing_on(browser: TestClient[Any]) -> None:
    kept = kept_by(browser.post("/panel/offers/1", data=TYPED, headers=HERE))
    assert sign_in(browser, kept, headers={}).headers["location"] == "/panel"
