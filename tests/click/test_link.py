"""Campaign links mangled by people, mail programs and ad panels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.click.click import Flag
from clickloop.click.link import Link, mended_link

KEY = b"aB3xY9"


@pytest.mark.parametrize(
    "behind",
    [
        b"/",
        b".",
        b",",
        b")",
        b"%20",
        b"%20%20",
        b"//",
        b"/.",
        b"%0A",
        b"%0D%0A",
        b"%E2%80%8B",
        b"%C2%A0",
        b"&",
        b";",
        b"%22",
        b"'",
        *[b"]", b">", b"%3E", b"...", b"%2F", b"%3F", b"#", b"!", b"%E2%80%9D", b"*", b"-", b"%", b"/%20/"],
    ],
)
def test_punctuation_and_spaces_after_the_key_are_ignored(behind: bytes) -> None:
    assert mended_link(KEY + behind, b"external_id=x") == Link(KEY, b"external_id=x")


@pytest.mark.parametrize(
    ("behind", "query"),
    [
        (b"&external_id=x", b"external_id=x"),
        (b"/&external_id=x", b"external_id=x"),
        (b"&amp;external_id=x", b"amp;external_id=x"),
        (b";external_id=x&cost=1", b"external_id=x&cost=1"),
        (b"/external_id=x", b"external_id=x"),
        (b"%3Fexternal_id=x", b"external_id=x"),
        (b"%3fexternal_id%3Dx%26cost%3D1", b"external_id=x&cost=1"),
        (b"%26external_id=a%2526b", b"external_id=a%2526b"),
        (b"&external_id=%26%3D", b"external_id=%26%3D"),
        (b"&_id=x", b"_id=x"),
        (b"%26%5Fid=x", b"id=x"),
    ],
)
def test_parameters_without_a_plain_question_mark_are_read_and_flagged(behind: bytes, query: bytes) -> None:
    assert mended_link(KEY + behind, b"") == Link(KEY, query, Flag.LINK_MENDED)


def test_they_come_before_those_after_the_question_mark() -> None:
    assert mended_link(KEY + b"&external_id=x", b"cost=1") == Link(KEY, b"external_id=x&cost=1", Flag.LINK_MENDED)


@pytest.mark.parametrize("behind", [b"/index.html", b"/foo/bar", b".html", b"/%41", b"-x", b"/aB3xY9", b"_x"])
def test_words_after_the_key_are_flagged_and_ignored(behind: bytes) -> None:
    assert mended_link(KEY + behind, b"cost=1") == Link(KEY, b"cost=1", Flag.PATH_IGNORED)


def test_slashes_before_the_key_are_ignored() -> None:
    assert mended_link(b"/" + KEY, b"cost=1") == Link(KEY, b"cost=1")


@pytest.mark.parametrize(
    "path", [b"", b"/", b"aB3", b"aB3xY9x", b"aB3xY9%41", b"aB3xY9%00", b"aB3xY9/%00", b"a.3xY9/", b"x/aB3xY9"]
)
def test_another_key_or_none_is_not_repaired(path: bytes) -> None:
    assert mended_link(path, b"external_id=x") is None


@given(
    st.lists(st.sampled_from([KEY, b"/", b"%", b"%3", b"%3F", b"&", b"=", b"a", b"\xff", b"%00", b"%E2"]), max_size=40)
)
def test_any_path_is_parsed(pieces: list[bytes]) -> None:
    mended_link(b"".join(pieces), b"")
    mended_link(KEY + b"".join(pieces), b"")


@pytest.mark.parametrize("piece", [b"/", b"%20", b"%", b"&", b"=", b"x", b"%3D"])
def test_a_long_path_is_parsed_quickly(piece: bytes) -> None:
    mended_link(KEY + b"/" + piece * (128 * 1024 // len(piece)), b"")
