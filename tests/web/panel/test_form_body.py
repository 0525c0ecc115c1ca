"""Form bodies: what is accepted, and that anything else is refused with a sentence."""

from typing import TYPE_CHECKING, Any

import pytest
from litestar.exceptions import HTTPException

from clickloop.web.panel.frame.form import Form
from clickloop.web.panel.frame.form_body import MAX_FIELDS, MAX_LEVELS, read_form
from tests.steps import executed_lines
from tests.web.panel.page import Page

if TYPE_CHECKING:
    from tests.web.panel.conftest import Panel

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"


def part(head: str, value: bytes = b"x") -> bytes:
    return b"--b\r\n" + head.encode() + b"\r\n\r\n" + value + b"\r\n"


NAMED = 'Content-Disposition: form-data; name="name"'
UNREADABLE = [
    ("a" + ".a" * 900, FORM),
    ("a" + "[0]" * 900, FORM),
    ("a" + "%5B0%5D" * 900, FORM),
    ("a" * 201 + "=1", FORM),
    ("a=&" * 349_000, FORM),
    ("&" * 1_000_000, FORM),
    (part('Content-Disposition: form-data; name="' + "a." * 20 + '"') + b"--b--", MULTIPART),
    (part(NAMED) * (MAX_FIELDS + 1) + b"--b--", MULTIPART),
    (part(NAMED), MULTIPART),
    (b"nothing of that kind", MULTIPART),
    (part(NAMED) + b"--b--", "multipart/form-data"),
    (part("x" * 5000) + b"--b--", MULTIPART),
    (part(NAMED + "\r\na: b" * 20) + b"--b--", MULTIPART),
    ("a[" + "1" * 5000 + "]=1", FORM),
    (part("Content-Disposition: attachment") + b"--b--", MULTIPART),
    (part("no header") + b"--b--", MULTIPART),
]
"""Bodies that get a 400."""
ODD = [
    ("a[" + "1" * 150 + "]=1", FORM),
    ("a[99999]=1&a[-1]=2&a[\u0663]=3&[1]=4&.=5&[=6&]=7&=8", FORM),
    ("a=1&a.b=2&a[0]=3&a[0].b=4&a.b.c=5", FORM),
    (b"name=%ff%fe&password=\xff\x00&%=%&%zz=%zz", FORM),
    (part(NAMED + "\r\nContent-Type: text/plain; charset=zip") + b"--b--", MULTIPART),
    (part(NAMED + "\r\nContent-Type: text/plain; charset=utf-16", b"\xd8\x00") + b"--b--", MULTIPART),
    (part(NAMED + "\r\nContent-Type: x; charset=" + '"') + b"--b--", MULTIPART),
    (part(NAMED + "\r\nContent-Transfer-Encoding: base64") + b"--b--", MULTIPART),
    (part(NAMED + '; filename="a"') + b"--b--", MULTIPART),
    (b"", MULTIPART),
    (b"{}", "application/json"),
    (b"[" * 100_000, "application/json"),
    (b"name=x", f"{FORM}; charset=zip"),
    (b"name=x", "text/plain"),
    (b"name=x", ';;;="\\'),
]
"""Bodies that are read, or contain no form."""


def sent(panel: "Panel", path: str, body: str | bytes, content_type: str) -> Any:
    panel.client.cookies.clear()
    return panel.client.post(path, content=body, headers={"content-type": content_type})


@pytest.mark.parametrize("path", ["/panel/sign-in", "/panel/welcome"])
@pytest.mark.parametrize(("body", "content_type"), UNREADABLE)
def test_what_cannot_be_read_is_a_400_with_a_sentence(
    panel: "Panel", path: str, body: str | bytes, content_type: str
) -> None:
    answer = sent(panel, path, body, content_type)
    assert answer.status_code == (413 if len(body) > 512 * 1024 else 400), answer.text
    if answer.status_code == 400:
        assert "The form cannot be read: " in Page(answer.text).text


@pytest.mark.parametrize(("path", "status"), [("/panel/sign-in", 403), ("/panel/welcome", 410)])
@pytest.mark.parametrize(("body", "content_type"), ODD)
def test_what_is_odd_breaks_nothing(
    panel: "Panel", path: str, status: int, body: str | bytes, content_type: str
) -> None:
    answer = sent(panel, path, body, content_type)
    assert answer.status_code in (status, 400 if body == b"" else status), answer.text


@pytest.mark.parametrize(("body", "content_type"), [*UNREADABLE, *ODD])
def test_a_form_of_somebody_signed_in_is_read_the_same_way(
    panel: "Panel", body: str | bytes, content_type: str
) -> None:
    answer = panel.client.post("/panel/offers/new", content=body, headers={"content-type": content_type})
    assert answer.status_code in (400, 403, 413), answer.text


def test_a_megabyte_of_separators_is_refused_before_it_is_split() -> None:
    def refuse(pairs: int) -> None:
        with pytest.raises(HTTPException):
            read_form(b"a=&" * pairs, FORM)

    assert executed_lines(lambda: refuse(349_000)) == executed_lines(lambda: refuse(34_900)) < 200


def test_texts_are_utf_8_whatever_a_part_claims_and_files_are_left_out() -> None:
    body = (
        part('Content-Disposition: form-data; name="a"\r\nContent-Type: text/plain; charset=latin-1', "é".encode())
        + part('Content-Disposition: form-data; name="b"; filename="f"')
        + part('Content-Disposition: form-data; name="é"', b"")
        + b"--b--\r\n"
    )
    assert read_form(body, MULTIPART) == (("a", "é"), ("é", ""))
    assert read_form("é=%C3%A9+%2B&b&=c&&é=".encode(), FORM) == (("é", "é +"), ("b", ""), ("", "c"), ("é", ""))


def test_as_many_levels_as_are_possible_are_read() -> None:
    name = ".".join("a" * MAX_LEVELS)
    assert read_form(name.encode() + b"=1", FORM) == ((name, "1"),)
    assert Form([(name, "1")]).tree["a"]


def test_a_name_that_is_row_and_field_at_once_is_a_fault_and_no_breakage() -> None:
    form = Form([("a[0]", "x"), ("a.b", "y"), ("c", ""), ("c[1]", "")])
    assert form.tree["a"] == {"0": "x", "b": "y"}
