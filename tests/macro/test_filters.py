"""Every filter of the macro language."""

import hashlib
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.macro import FILTERS, EncodingContext, FilterInfo, parse
from clickloop.text import escape_bytes


def filtered(value: str, filters: str, number: int = 0) -> str:
    """Return ``value`` after ``|filters``, as plain text; chance returns ``number``."""
    template = parse(f"{{externalid|{filters}}}")
    assert template.unknown == ()
    return template.render({"externalid": value}, EncodingContext.TEXT, chance=lambda: number)


CASES = {
    "raw": ("a&b", "raw", "a&b"),
    "default": ("", "default:none", "none"),
    "lower": ("AbÜ", "lower", "abü"),
    "upper": ("AbÜ", "upper", "ABÜ"),
    "md5": ("abc", "md5", "900150983cd24fb0d6963f7d28e17f72"),
    "sha256": ("abc", "sha256", hashlib.sha256(b"abc").hexdigest()),
    "round": ("12.345", "round:2", "12.35"),
    "format": ("1767225600", "format:%Y-%m-%d %H:%M:%S", "2026-01-01 00:00:00"),
    "map": ("Sale", "map:sale=1,hold=0,*=9", "1"),
    "cut": ("abcdef", "cut:3", "abc"),
    "random": ("x", "random:5,9", "7"),
}


@pytest.mark.parametrize("name", [info.name for info in FILTERS])
def test_every_filter_works(name: str) -> None:
    value, filters, expected = CASES[name]

    assert filtered(value, filters, number=2) == expected


@pytest.mark.parametrize("info", FILTERS, ids=lambda info: info.name)
def test_every_filters_example_is_right(info: FilterInfo) -> None:
    template = parse(info.example)

    assert template.unknown == ()
    assert len(template.names) == 1


def test_filters_chain_from_left_to_right() -> None:
    assert filtered("12.345", "round:2|default:0") == "12.35"
    assert filtered("", "round:2|default:0") == "0"
    assert filtered("ABCDEF", "lower|cut:2|upper") == "AB"


def test_a_filters_result_is_encoded_for_its_context() -> None:
    assert parse("{txid|default:a&b}").render({}, EncodingContext.URL) == "a%26b"


def test_a_given_value_is_not_replaced_by_the_default() -> None:
    assert filtered("0", "default:5") == "0"


@given(st.binary(min_size=1))
def test_hashes_are_of_the_bytes(octets: bytes) -> None:
    assert filtered(escape_bytes(octets), "md5") == hashlib.md5(octets).hexdigest()
    assert filtered(escape_bytes(octets), "sha256") == hashlib.sha256(octets).hexdigest()


@pytest.mark.parametrize("filters", ["md5", "sha256", "lower", "upper", "round:2", "format:%Y", "cut:5", "map:a=b"])
def test_an_empty_value_stays_empty(filters: str) -> None:
    assert filtered("", filters) == ""


@given(
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=6),
    st.integers(0, 8),
)
def test_rounding_is_exact_and_halves_go_away_from_zero(amount: Decimal, places: int) -> None:
    expected = amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)

    rounded = filtered(f"{amount:f}", f"round:{places}")

    assert Decimal(rounded) == expected
    assert len(rounded.partition(".")[2]) == places


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        ("1.005", "1.01"),
        ("-0.004", "0.00"),
        ("-0.005", "-0.01"),
        ("5", "5.00"),
        ("+1.", "1.00"),
        ("999.995", "1000.00"),
    ],
)
def test_rounding_at_the_edges(value: str, rounded: str) -> None:
    assert filtered(value, "round:2") == rounded


@pytest.mark.parametrize("value", ["abc", "1e5", "NaN", "1,5", "٣", ".5", "9" * 31])
def test_a_value_that_is_not_a_plain_decimal_is_not_rounded(value: str) -> None:
    assert filtered(value, "round:2") == value


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ("format:%d.%m.%Y,Europe/Berlin", "01.01.2026"),
        ("format:%H:%M,Europe/Berlin", "01:00"),
        ("format:%H:%M, America/New_York", "19:00"),
        ("format:%H:%M,UTC", "00:00"),
        ("format:%Y, %m", "2026, 01"),
    ],
)
def test_a_time_is_formatted_in_its_zone(filters: str, expected: str) -> None:
    assert filtered("1767225600", filters) == expected


@pytest.mark.parametrize("value", ["yesterday", "999999999999", "-99999999999", "1" * 30, "12.5"])
def test_a_value_that_is_not_a_time_is_not_formatted(value: str) -> None:
    assert filtered(value, "format:%Y-%m-%d") == value


def test_a_map_without_star_leaves_other_words() -> None:
    assert filtered("trial", "map:sale=1,hold=0") == "trial"


def test_a_maps_star_also_takes_the_empty_value() -> None:
    assert filtered("", "map:sale=1,*=9") == "9"


def test_the_first_of_equal_words_in_a_map_counts() -> None:
    assert filtered(" SALE ", "map:sale=1,Sale=2") == "1"


@given(st.integers(0, 2**64 - 1))
def test_random_is_an_integer_of_ten_digits(number: int) -> None:
    drawn = filtered("x", "random", number)

    assert drawn.isdecimal()
    assert len(drawn) == 10
    assert parse("{random}").render({}, EncodingContext.URL, chance=lambda: number) == drawn


@given(st.integers(0, 2**64 - 1))
def test_a_random_range_is_kept(number: int) -> None:
    assert -2 <= int(filtered("", "random:-2,3", number)) <= 3
    assert 1 <= int(parse("{random:1,100}").render({}, EncodingContext.URL, chance=lambda: number)) <= 100


def test_random_works_without_the_callers_chance() -> None:
    assert parse("{random:4,4}").render({}, EncodingContext.URL) == "4"


WRONG = [
    *(
        "nonsense",
        "round",
        "round:",
        "round:x",
        "round:13",
        "round:-1",
        "cut",
        "cut:0",
        "cut:٣",
        "lower:x",
        "raw:1",
        "default",
    ),
    *("format", "format:", "format:x", "format:%Q", "format:%", "format:%Y,Mars/Olympus", "format:%Y,", "map", "map:x"),
    *("random:5", "random:9,1", "random:a,b", "md5:", "", "format:%Y,../UTC", "format:%Y\n"),
]


@pytest.mark.parametrize("filters", WRONG)
def test_a_macro_with_an_invalid_filter_or_argument_is_left_as_it_is(filters: str) -> None:
    text = f"{{payout|{filters}}}"

    template = parse(text)

    assert template.render({"payout": "1"}, EncodingContext.TEXT) == text
    assert template.unknown == (text[1:-1],)
