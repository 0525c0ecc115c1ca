"""Escaping arbitrary bytes as storable text, and back."""

import json

from hypothesis import given
from hypothesis import strategies as st

from clickloop.text import escape_bytes, readable, unescape_bytes

STAND_INS = st.characters(min_codepoint=0x10FF00, max_codepoint=0x10FFFF)
ANY_BYTES = st.one_of(st.binary(), st.text().map(str.encode), st.text(STAND_INS).map(str.encode))


@given(st.lists(ANY_BYTES, max_size=4).map(b"".join))
def test_any_bytes_come_back_as_they_were(data: bytes) -> None:
    assert unescape_bytes(escape_bytes(data)) == data


@given(st.lists(ANY_BYTES, max_size=4).map(b"".join))
def test_the_text_can_be_stored_anywhere(data: bytes) -> None:
    text = escape_bytes(data)
    assert "\0" not in text
    assert json.loads(json.dumps(text, ensure_ascii=False).encode("utf-8")) == text


@given(st.lists(ANY_BYTES, max_size=3).map(b"".join), st.lists(ANY_BYTES, max_size=3).map(b"".join))
def test_different_bytes_are_different_texts(one: bytes, other: bytes) -> None:
    assert (escape_bytes(one) == escape_bytes(other)) is (one == other)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0", max_codepoint=0x10FEFF)))
def test_proper_text_reads_as_it_is(text: str) -> None:
    assert escape_bytes(text.encode()) == text


@given(st.text())
def test_reading_back_never_raises_whatever_the_text(text: str) -> None:
    unescape_bytes(text)


def test_every_single_byte_comes_back() -> None:
    assert [unescape_bytes(escape_bytes(bytes([byte]))) for byte in range(256)] == [
        bytes([byte]) for byte in range(256)
    ]


def test_a_lone_surrogate_becomes_a_question_mark() -> None:
    assert unescape_bytes("a\ud800b") == b"a?b"


def test_people_read_a_replacement_character_for_each_odd_byte() -> None:
    assert readable(escape_bytes(b"a\xff\0b")) == "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}b"
