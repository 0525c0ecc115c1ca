"""The presets: reviewed data whose macros, rows and URLs all follow the rules of our language."""

import re
from collections import Counter
from urllib.parse import parse_qsl, urlsplit

import pytest

from clickloop.macro import EncodingContext, check, parse, unreplaced_macro
from clickloop.saving.preset_records import network_of_preset, rows_of_preset
from clickloop.setup.network import Network, network_faults, postback_url
from clickloop.setup.preset.preset import (
    Confidence,
    NetworkPreset,
    PostbackSupport,
    SourcePreset,
    find_networks,
    find_sources,
    network_presets,
    source_presets,
)
from clickloop.setup.source_rows import row_macros
from clickloop.setup.traffic_source import RowInput, SourceParameter, TrafficSource, numbered_rows, source_faults
from clickloop.setup.web_address import address_faults

SOURCES = tuple(source_presets().values())
NETWORKS = tuple(network_presets().values())
WITH_URL = tuple(preset for preset in SOURCES if preset.postback_url)
NOTICE_PARAMETERS = {"cid", "payout", "txid", "status", "currency"}
each_source = pytest.mark.parametrize("preset", SOURCES, ids=lambda preset: preset.key)
each_network = pytest.mark.parametrize("preset", NETWORKS, ids=lambda preset: preset.key)
each_url = pytest.mark.parametrize("preset", WITH_URL, ids=lambda preset: preset.key)


def rows_of(preset: SourcePreset) -> dict[str, str]:
    """Return the rows of a source created from the preset, as templates see them."""
    rows = [row for row in numbered_rows(rows_of_preset(preset)) if isinstance(row, SourceParameter)]
    return row_macros(rows)


def test_all_reviewed_presets_exist() -> None:
    assert (len(SOURCES), len(NETWORKS)) == (42, 46)


@pytest.mark.parametrize("preset", [*SOURCES, *NETWORKS], ids=lambda preset: preset.key)
def test_every_preset_has_a_permanent_key_a_name_and_the_url_of_its_document(
    preset: SourcePreset | NetworkPreset,
) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", preset.key)
    assert preset.name == preset.name.strip() != ""
    for address in (preset.source_url, *preset.more_sources):
        assert re.fullmatch(r"https?://[a-z0-9.-]+\.[a-z]+/\S+", address)


def test_names_are_unique() -> None:
    for presets in (SOURCES, NETWORKS):
        assert max(Counter(preset.name.lower() for preset in presets).values()) == 1


@each_source
def test_a_source_created_from_a_preset_is_valid(preset: SourcePreset) -> None:
    wishes = [RowInput("external_id", placeholder=preset.external_id), RowInput("cost", placeholder=preset.cost)]
    wishes += [
        RowInput(row.parameter, row.placeholder, row.name, number=number) for number, row in enumerate(preset.rows, 1)
    ]

    rows = numbered_rows(wishes)

    parameters = tuple(row for row in rows if isinstance(row, SourceParameter))
    assert [row.parameter for row in parameters[:2]] == ["external_id", "cost"]
    assert [row.number for row in parameters] == list(range(-1, len(preset.rows) + 1))
    assert source_faults(TrafficSource(name=preset.name, parameters=parameters)) == []


@each_source
def test_rows_have_unique_and_unreserved_names(preset: SourcePreset) -> None:
    names = [row.parameter.lower() for row in preset.rows]

    assert len(names) == len(set(names)) <= 30
    assert not {"external_id", "cost", "cid"} & set(names)
    assert all(row.name for row in preset.rows)


@each_source
def test_the_sources_click_id_is_in_external_id_only(preset: SourcePreset) -> None:
    assert not preset.external_id or preset.external_id not in [row.placeholder for row in preset.rows]
    assert not preset.cost or preset.cost not in [row.placeholder for row in preset.rows]


@each_source
def test_a_placeholder_that_arrives_unreplaced_is_recognized(preset: SourcePreset) -> None:
    for placeholder in (preset.external_id, preset.cost, *(row.placeholder for row in preset.rows)):
        assert not placeholder or unreplaced_macro(placeholder)


@each_source
def test_a_row_without_placeholder_is_the_parameter_that_the_source_adds(preset: SourcePreset) -> None:
    assert [row.parameter for row in preset.rows if not row.placeholder] == (
        [preset.appends] if preset.appends and not preset.external_id else []
    )


@each_source
def test_a_postback_url_is_set_if_and_only_if_conversions_go_back_by_it(preset: SourcePreset) -> None:
    assert bool(preset.postback_url) == (preset.way_back is PostbackSupport.POSTBACK)
    assert not preset.replace or preset.postback_url


@each_url
def test_every_macro_of_a_postback_url_is_known(preset: SourcePreset) -> None:
    assert check(preset.postback_url, rows_of(preset)) == ()
    assert "externalid" in parse(preset.postback_url, rows_of(preset)).names


@each_url
def test_macros_are_spelled_canonically(preset: SourcePreset) -> None:
    template = parse(preset.postback_url, rows_of(preset))

    spelt = re.findall(r"\{([^|}]*)", preset.postback_url)
    assert set(spelt) == set(template.names)


@each_url
def test_a_postback_url_is_an_http_address_without_macros_in_its_host(preset: SourcePreset) -> None:
    assert address_faults("postback_url", preset.postback_url, required=True) == []
    assert "{" not in urlsplit(preset.postback_url).netloc


@each_url
def test_a_postback_url_returns_the_click_id_as_one_value(preset: SourcePreset) -> None:
    values = dict.fromkeys(parse(preset.postback_url).names, "1") | {"externalid": "a&b=c#/d"}

    url = parse(preset.postback_url).render(values, EncodingContext.URL)

    assert [value for _, value in parse_qsl(urlsplit(url).query)].count("a&b=c#/d") == 1


@each_url
def test_words_that_the_user_must_replace_are_listed(preset: SourcePreset) -> None:
    without_macros = re.sub(r"\{[^}]*\}", "", preset.postback_url)
    capitals = set(re.findall(r"(?<![A-Za-z0-9%])[A-Z][A-Z0-9_]+(?![A-Za-z0-9])", without_macros))

    assert capitals == set(preset.replace)


@each_source
@pytest.mark.parametrize("word", ["TRACKER", "{external_id}", "{transaction_id}"])
def test_notes_contain_no_placeholders_of_others(preset: SourcePreset, word: str) -> None:
    assert word not in preset.notes or word == preset.external_id


@each_network
def test_a_network_created_from_a_preset_is_valid(preset: NetworkPreset) -> None:
    network = Network(
        name=preset.name, click_id_parameter=preset.click_id_parameter, postback_parameters=preset.postback
    )

    assert network_faults(network) == []


@each_network
def test_a_networks_macros_are_in_our_postback_parameters_and_recognized_when_unreplaced(preset: NetworkPreset) -> None:
    assert set(preset.postback) <= NOTICE_PARAMETERS
    assert all(map(unreplaced_macro, preset.postback.values()))


@each_network
def test_status_words_mean_statuses_that_exist_initially(preset: NetworkPreset) -> None:
    assert set(preset.status_words.values()) <= {"hold", "sale", "rejected"}
    assert not (preset.statuses_by_url and "status" in preset.postback)


@each_network
def test_a_presets_offer_link_contains_our_click_id(preset: NetworkPreset) -> None:
    addition = preset.offer_url_addition()

    assert bool(addition) == bool(preset.click_id_parameter)
    assert not addition or parse(addition).names == ("clickid",)
    assert check(f"https://offer.example/?{addition}", at_click=True) == ()


def test_a_networks_postback_url_contains_its_macros_unencoded() -> None:
    url = postback_url("https://go.example.com", network_of_preset("linktrust"))

    assert url == "https://go.example.com/postback?cid=[=SID=]&payout=[=AffiliateCommission=]&txid=[=_TransID=]"


def test_a_network_without_status_macro_names_the_words_to_end_its_urls_with() -> None:
    assert network_presets()["adcombo"].statuses_by_url == ("lead", "hold", "reject")


def test_propellerads_gets_its_click_id_through_external_id() -> None:
    assert source_presets()["propellerads"].external_id == "${SUBID}"


def test_clickadu_is_as_documented() -> None:
    preset = source_presets()["clickadu"]

    assert preset.postback_url == "http://sconvtrk.com/conversion/REPLACE/?visitor_id={externalid}"
    assert (preset.replace, preset.confidence) == (("REPLACE",), Confidence.OFFICIAL)
    assert rows_of(preset) == {"external_id": "externalid", "cost": "cost", "zone": "token1", "campaign": "token2"}


@pytest.mark.parametrize(
    ("words", "first"),
    [("propeller", "propellerads"), ("ADS prop", "propellerads"), ("ad", "adcash"), ("bing", "microsoft-advertising")],
)
def test_sources_are_found_by_parts_of_their_name(words: str, first: str) -> None:
    assert find_sources(words)[0].key == first


def test_nothing_is_found_for_an_unknown_name() -> None:
    assert find_sources("no such source") == ()


def test_every_network_is_found_without_words() -> None:
    assert find_networks("  ") == NETWORKS
    assert [preset.key for preset in find_networks("cake")] == ["cake"]
