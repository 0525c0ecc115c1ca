"""Multipart bodies: fields and files, whatever the values contain."""

from email import message_from_bytes

from clickloop.postback.multipart import multipart_body
from clickloop.text import unescape_bytes


def parts_of(form: str) -> list[tuple[str | None, str | None, bytes]]:
    content_type, body = multipart_body(form, "view-1.csv")
    message = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + unescape_bytes(body))
    found: list[tuple[str | None, str | None, bytes]] = []
    for part in message.get_payload():
        assert not isinstance(part, str)
        name = part.get_param("name", header="Content-Disposition")
        data = part.get_payload(decode=True)
        assert isinstance(data, bytes)
        found.append((str(name), part.get_filename(), data))
    return found


def test_a_field_that_begins_with_an_at_sign_is_a_file() -> None:
    assert parts_of("chat_id=-100&document=@a%2Cb") == [
        ("chat_id", None, b"-100"),
        ("document", "view-1.csv", b"a,b"),
    ]


def test_an_at_sign_in_a_value_of_a_macro_makes_no_file() -> None:
    assert parts_of("caption=%40all+%26+more") == [("caption", None, b"@all & more")]


def test_a_value_cannot_end_its_part() -> None:
    first = multipart_body("a=@x", "f")[0].rpartition("=")[2]
    value = f"%0D%0A--{first}--%0D%0A"
    assert len(parts_of(f"a=@x{value}&b=1")) == 2


def test_the_same_values_make_the_same_body_and_bytes_stay_as_they_are() -> None:
    assert multipart_body("a=@%FF%00", "f") == multipart_body("a=@%FF%00", "f")
    assert b"\xff\x00" in unescape_bytes(multipart_body("a=@%FF%00", "f")[1])
