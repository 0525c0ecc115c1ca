"""The query of a campaign link."""

from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.click.click import Flag
from clickloop.click.query import MAX_PAIRS, MAX_QUERY_BYTES, read_query
from clickloop.text import escape_bytes, unescape_bytes

WANTED = {"external_id": "external_id", "cost": "cost", "zone": "v1", "a b": "v2", "ä": "v3"}


def values(query: bytes) -> dict[str, str]:
    return read_query(query, WANTED, "external_id")[0]


@given(st.binary(max_size=3_000))
def test_any_bytes_are_parsed_without_an_exception_and_only_wanted_parameters_are_returned(query: bytes) -> None:
    assert values(query).keys() <= set(WANTED.values())


@given(st.lists(st.sampled_from([b"zone=", b"external_id=", b"%", b"%z", b"+", b"&", b"=", b"a", b"%C3"]), max_size=60))
def test_any_mixture_of_separators_is_parsed(parts: list[bytes]) -> None:
    assert values(b"".join(parts)).keys() <= set(WANTED.values())


@given(st.binary(max_size=300))
def test_an_encoded_value_is_decoded_byte_for_byte(value: bytes) -> None:
    query = b"external_id=" + quote_from_bytes(value, safe="").encode() + b"&zone=1"
    assert values(query) == {"external_id": escape_bytes(value), "v1": "1"}


@given(st.permutations(["external_id=a", "cost=b", "zone=c", "other=d"]))
def test_the_order_of_parameters_never_matters(pairs: list[str]) -> None:
    assert values("&".join(pairs).encode()) == {"external_id": "a", "cost": "b", "v1": "c"}


def test_the_first_value_of_a_repeated_parameter_wins() -> None:
    assert values(b"zone=first&zone=second&%7Aone=third") == {"v1": "first"}


def test_even_an_empty_first_value_wins() -> None:
    assert values(b"zone=&zone=second") == {"v1": ""}


def test_a_plus_is_a_space_except_in_the_external_id() -> None:
    assert values(b"zone=a+b&external_id=a+b%2Bc") == {"v1": "a b", "external_id": "a+b+c"}


def test_a_name_may_be_encoded() -> None:
    assert values(b"a+b=1&%C3%A4=2&%65xternal_id=3") == {"v2": "1", "v3": "2", "external_id": "3"}


def test_an_invalid_escape_is_left_unchanged() -> None:
    assert values(b"zone=100%&external_id=%zz%4") == {"v1": "100%", "external_id": "%zz%4"}


def test_overlong_utf_8_is_preserved_as_bytes() -> None:
    assert unescape_bytes(values(b"external_id=%C0%AF%ED%A0%80%00")["external_id"]) == b"\xc0\xaf\xed\xa0\x80\0"


def test_a_value_may_contain_an_equals_sign() -> None:
    assert values(b"external_id=YQ==&zone") == {"external_id": "YQ==", "v1": ""}


def test_more_than_a_hundred_pairs_are_truncated_and_flagged() -> None:
    query = b"&".join([b"x=1"] * (MAX_PAIRS - 1) + [b"zone=kept", b"cost=1"])
    assert read_query(query, WANTED, "external_id") == ({"v1": "kept"}, (Flag.QUERY_CUT,))


def test_exactly_a_hundred_pairs_are_parsed() -> None:
    assert read_query(b"&".join([b"x=1"] * (MAX_PAIRS - 1) + [b"zone=1"]), WANTED, "external_id") == (
        {"v1": "1"},
        (),
    )


def test_a_truncated_value_is_dropped() -> None:
    query = b"zone=1&x=" + b"y" * (MAX_QUERY_BYTES - 20) + b"&external_id=abcdef"
    assert read_query(query, WANTED, "external_id") == ({"v1": "1"}, (Flag.QUERY_CUT,))


def test_a_single_overlong_value_is_truncated() -> None:
    found, flags = read_query(b"external_id=" + b"y" * MAX_QUERY_BYTES, WANTED, "external_id")
    assert flags == (Flag.QUERY_CUT,)
    assert found["external_id"] == "y" * (MAX_QUERY_BYTES - len("external_id="))


def test_an_empty_query_has_no_values() -> None:
    assert read_query(b"", WANTED, "external_id") == ({}, ())


@pytest.mark.parametrize(
    "query",
    [
        b"external_id=a&amp;cost=0.5",
        b"external_id=a&AMP;cost=0.5",
        b"external_id=a&amp;amp;cost=0.5",
        b"external_id=a&amp;Amp;COST=0.5",
        b"amp;external_id=a&cost=0.5",
        b"external_id=a&#38;cost=0.5",
        b"external_id=a&#038;cost=0.5",
        b"external_id=a&#x26;cost=0.5",
        b"external_id=a&%23038;cost=0.5",
        b"external_id=a&amp%3Bcost=0.5",
        b"external_id=a&amp;cost=0.5&amp;",
        b"?external_id=a&cost=0.5",
        b"external_id=a&?cost=0.5",
    ],
)
def test_leftovers_before_a_name_are_ignored_and_flagged(query: bytes) -> None:
    found, flags = read_query(query, WANTED, "external_id")
    assert (found, flags) == ({"external_id": "a", "cost": "0.5"}, (Flag.NAME_MENDED,))


def test_the_first_value_of_a_mended_and_a_plain_name_wins() -> None:
    assert values(b"&amp;cost=1&cost=2") == {"cost": "1"}


@pytest.mark.parametrize("value", ["a&amp;b", "amp;x", "#38;", "?x", "a&amp;amp;cost=1"])
def test_a_value_keeps_what_would_be_a_leftover_in_a_name(value: str) -> None:
    query = b"external_id=" + quote_from_bytes(value.encode(), safe=";#?").encode()
    assert read_query(query, WANTED, "external_id") == ({"external_id": value}, ())


@pytest.mark.parametrize("name", ["amp", "amp;", "ampcost", "x-amp;cost", "#39;cost", "&lt;cost", "COSTS", "co.st"])
def test_no_other_name_matches_a_wanted_one(name: str) -> None:
    assert values(quote_from_bytes(name.encode(), safe=";").encode() + b"=1") == {}


@pytest.mark.parametrize("name", [b"COST", b"Cost", b"%43ost", b"cosT"])
def test_names_match_in_any_case(name: bytes) -> None:
    assert read_query(name + b"=1", WANTED, "external_id") == ({"cost": "1"}, ())


@given(st.sampled_from([b"amp;", b"#38;", b"?", b"&amp;", b"AMP;#x26;"]))
def test_any_number_of_leftovers_takes_linear_time(leftover: bytes) -> None:
    assert values(leftover * 4_000 + b"cost=1") in ({}, {"cost": "1"})
