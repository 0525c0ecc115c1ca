"""The macro language: names, aliases, rows, braces that are left as they are, a single pass."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.macro import KNOWN, EncodingContext, Macro, Template, parse
from tests.steps import executed_lines

CONTRACT_TABLE = [
    "clickid",
    "click_id",
    "subid",
    "cid",
    "externalid",
    "external_id",
    "txid",
    "transaction_id",
    "transaction.id",
    "tid",
    "conversion_id",
    "postback_id",
    "payout",
    "revenue",
    "currency",
    "cost",
    "profit",
    "conversion",
    "status",
    "conversion.group",
    "conversion.key",
    "campaign.id",
    "campaign.name",
    "campaign.key",
    "trafficsource.id",
    "trafficsource.name",
    "offer.id",
    "offer.name",
    "network.id",
    "network.name",
    "offersource.id",
    "offersource.name",
    "landing.id",
    "landing.name",
    "lander.id",
    "lander.name",
    "path.name",
    "rule.name",
    "domain",
    "ip",
    "country",
    "country.name",
    "region",
    "city",
    "isp",
    "connection",
    "language",
    "useragent",
    "referrer",
    "device",
    "brand",
    "model",
    "os",
    "os.version",
    "browser",
    "browser.version",
    "unique",
    "click_time",
    "conversion_time",
    "now",
]
NUMBERED = [f"{stem}{n}" for stem in ("token", "t", "v", "var", "event") for n in range(1, 31)] + [
    f"param{n}" for n in range(1, 21)
]
ALIASES = {
    "click_id": "clickid",
    "subid": "clickid",
    "cid": "clickid",
    "external_id": "externalid",
    "ref_id": "externalid",
    "transaction_id": "txid",
    "transaction.id": "txid",
    "tid": "txid",
    "revenue": "payout",
    "status": "conversion",
    "cnv_status": "conversion",
    "cnv_currency": "currency",
    "clickcost": "cost",
    "lander.id": "landing.id",
    "offersource.name": "network.name",
    "affiliatenetwork.id": "network.id",
    "campaign_name": "campaign.name",
    "t1": "token1",
    "v30": "token30",
    "var7": "token7",
    "sub_id_12": "token12",
    "country_code": "country",
    "osversion": "os.version",
    "user_agent": "useragent",
    "visit_time": "click_time",
    "conversion_type": "conversion.key",
}


@pytest.mark.parametrize("name", CONTRACT_TABLE + NUMBERED)
def test_every_macro_of_the_table_is_known(name: str) -> None:
    template = parse(f"https://x.example/?a={{{name}}}")

    assert template.unknown == ()
    assert len(template.names) == 1


@pytest.mark.parametrize(("alias", "canonical"), ALIASES.items())
def test_an_alias_means_its_canonical_name(alias: str, canonical: str) -> None:
    assert parse(f"{{{alias}}}").names == (canonical,)


def test_no_spelling_means_two_macros() -> None:
    spellings = [spelling for macro in KNOWN for spelling in (macro.name, *macro.aliases)]

    assert len(spellings) == len(set(spellings))
    assert all(spelling == spelling.lower() for spelling in spellings)


@pytest.mark.parametrize("macro", KNOWN, ids=lambda macro: macro.name)
def test_every_known_macro_has_a_sentence_and_an_example_that_renders(macro: Macro) -> None:
    assert macro.sentence.endswith(".")
    assert parse(f"{{{macro.name}}}").render({macro.name: macro.example}, EncodingContext.TEXT) == macro.example


@pytest.mark.parametrize("spelling", ["{ClickId}", "{CLICKID}", "{Click_ID}", "{SubID}"])
def test_names_match_in_any_case(spelling: str) -> None:
    assert parse(spelling).render({"clickid": "abc"}, EncodingContext.URL) == "abc"


def test_a_known_macro_without_value_is_empty() -> None:
    assert parse("a={payout}&b={txid}").render({"txid": ""}, EncodingContext.URL) == "a=&b="


def test_an_unknown_macro_is_left_as_it_is_and_reported() -> None:
    template = parse("https://x.example/?a={zoneid}&b={payuot|round:2}&c={clickid}")

    assert (
        template.render({"clickid": "abc"}, EncodingContext.URL)
        == "https://x.example/?a={zoneid}&b={payuot|round:2}&c=abc"
    )
    assert template.unknown == ("zoneid", "payuot|round:2")
    assert template.names == ("clickid",)


def test_names_are_listed_once_in_order() -> None:
    assert parse("{payout}{clickid}{revenue}{PAYOUT}").names == ("payout", "clickid")


@pytest.mark.parametrize("text", ["{{id}}", "{{campaign.id}}", "${SUBID}", "${PAYOUT}", "{{{bidhash}}}", "{{clickid}}"])
def test_another_systems_macro_is_left_as_it_is(text: str) -> None:
    template = parse(f"a={text}&b=1")

    assert template.render({"clickid": "x", "payout": "1", "campaign.id": "7"}, EncodingContext.URL) == f"a={text}&b=1"
    assert len(template.unknown) == 1


def test_a_dollar_sign_before_a_macro_in_small_letters_is_a_dollar_sign() -> None:
    assert parse("You earned ${payout}").render({"payout": "5"}, EncodingContext.TEXT) == "You earned $5"


@pytest.mark.parametrize(
    "text", ["{}", "{ }", '{"a": 1}', "a{b: c; d: e}", "{{", "}}{", "{1,2}", "{a\nb}", '{"a":{"b":[]}}']
)
def test_braces_that_are_not_a_macro_stay_as_they_are(text: str) -> None:
    template = parse(text)

    assert template.render({"clickid": "abc"}, EncodingContext.TEXT) == text
    assert template.unknown == ()


ROWS = {"external_id": "externalid", "cost": "cost", "zoneid": "token3", "campaign_id": "token4", "payout": "token5"}


def test_a_row_of_the_source_is_known_by_its_parameter() -> None:
    assert parse("{ZoneID}", ROWS).render({"token3": "z9"}, EncodingContext.URL) == "z9"


def test_a_row_takes_precedence_over_an_alias() -> None:
    assert parse("{campaign_id}", ROWS).names == ("token4",)


def test_a_canonical_name_takes_precedence_over_a_row() -> None:
    assert parse("{payout}", ROWS).names == ("payout",)


def test_voluums_var_reaches_a_row_by_its_parameter() -> None:
    template = parse("{var:payout}{var:nothing}", ROWS)

    assert (template.names, template.unknown) == (("token5",), ("var:nothing",))


def test_keitaros_underscore_means_raw() -> None:
    assert parse("{_referrer}").render({"referrer": "https://a/?b=c"}, EncodingContext.URL) == "https://a/?b=c"


def test_binoms_md5_of_a_token_is_the_hash() -> None:
    assert parse("{t2_md5}").render({"token2": "abc"}, EncodingContext.URL) == "900150983cd24fb0d6963f7d28e17f72"


def test_now_is_the_time_of_rendering_in_unix_seconds() -> None:
    assert parse("t={now}").render({}, EncodingContext.URL, now_ms=1_767_225_600_999) == "t=1767225600"


@given(
    value=st.text(alphabet="{}|$_%" + string.ascii_lowercase)
    | st.sampled_from(["{payout}", "${payout}", "{{clickid}}"])
)
@pytest.mark.parametrize("place", [EncodingContext.HEADER, EncodingContext.TEXT])
def test_values_are_never_expanded(place: EncodingContext, value: str) -> None:
    template = parse("[{externalid}{payout|raw}]")

    assert (
        template.render({"externalid": value, "payout": "{clickid}", "clickid": "9"}, place) == f"[{value}{{clickid}}]"
    )


MACRO_LIKE = st.lists(
    st.sampled_from(
        ["{", "}", "|", ":", "$", "_", "payout", "round", "2", "map", "=", ",", "%", '"', "\\", "\ud800", "x", " "]
    )
).map("".join)


@given(text=st.text() | MACRO_LIKE, value=st.text())
def test_no_text_and_no_value_breaks_parsing_or_rendering(text: str, value: str) -> None:
    template = parse(text, ROWS)

    assert isinstance(template, Template)
    for place in EncodingContext:
        template.render(dict.fromkeys(template.names, value), place, chance=lambda: 7)


@given(text=st.text() | MACRO_LIKE)
def test_known_macros_render_and_unknown_ones_stay_in_the_text(text: str) -> None:
    template = parse(text)

    rendered = template.render({}, EncodingContext.TEXT)

    assert all(unknown in rendered for unknown in template.unknown if "\0" not in unknown)
    if not template.names and "\0" not in text:
        assert rendered == text


@pytest.mark.parametrize(
    "unit", ["{", "{{", "{a", "{a|", "{payout}", "${", "}", "{payout|round:2}", "{_", "__A", '"\\']
)
def test_parsing_takes_steps_in_proportion_to_the_text(unit: str) -> None:
    # A quadratic parser would need 64 times as many for 8 times the text.
    assert executed_lines(lambda: parse(unit * 1_600)) < 10 * executed_lines(lambda: parse(unit * 200))


def test_a_template_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        parse("{payout}").text = "x"  # type: ignore[misc]


def test_the_contracts_numbered_macros_end_where_they_should() -> None:
    assert parse("{token31}{token0}{param21}{event31}{t31_md5}").names == ()


def test_canonical_names_are_plain_words() -> None:
    assert all(re.fullmatch(r"[a-z_]+(\.[a-z]+)?\d*", macro.name) for macro in KNOWN)
