"""Campaign, offer and network: faults, and the texts to copy."""

import random

import pytest

from clickloop.setup.campaign import Campaign, ClickCost, campaign_faults, campaign_link, new_key
from clickloop.setup.network import Network, network_faults, offer_url, pixel_code, pixel_note, postback_url
from clickloop.setup.offer import Offer, offer_faults
from clickloop.setup.tags import clean_tags
from clickloop.setup.traffic_source import SourceParameter, TrafficSource
from clickloop.setup.web_address import address_faults

SOURCE = TrafficSource(
    name="Source",
    parameters=(
        SourceParameter(-1, "external_id", "${SUBID}"),
        SourceParameter(0, "cost", "{cost}"),
        SourceParameter(1, "zone", "{zoneid}"),
        SourceParameter(2, "off", "{off}", tracked=False),
        SourceParameter(3, "own name", "##X(y)##"),
        SourceParameter(4, "filled by hand", ""),
    ),
)
CAMPAIGN = Campaign(key="aB3xY9", name="Campaign", source_id=1)


def test_the_link_contains_tracked_rows_with_a_placeholder() -> None:
    assert campaign_link("https://go.example.com", CAMPAIGN, SOURCE) == (
        "https://go.example.com/c/aB3xY9?external_id=${SUBID}&cost={cost}&zone={zoneid}&own%20name=##X(y)##"
    )


def test_the_link_uses_the_campaigns_own_domain() -> None:
    own = Campaign(key="aB3xY9", name="Campaign", source_id=1, domain="t.example:8443")
    assert campaign_link("https://go.example.com", own, SOURCE).startswith("https://t.example:8443/c/aB3xY9?")


def test_external_id_is_in_the_link_even_without_a_placeholder() -> None:
    bare = TrafficSource(name="S", parameters=(SourceParameter(-1, "external_id"), SourceParameter(0, "cost")))
    assert campaign_link("http://127.0.0.1:8080", CAMPAIGN, bare) == "http://127.0.0.1:8080/c/aB3xY9?external_id="


def test_a_key_is_generated_letter_by_letter() -> None:
    key = new_key(random.Random(1).choice)
    assert len(key) == 6
    assert key.isalnum()
    assert campaign_faults(Campaign(key=key, name="C", source_id=1)) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"key": "abcde"}, "key"),
        ({"key": "abcdeé"}, "key"),
        ({"domain": "https://go.example.com"}, "domain"),
        ({"domain": "Go.example.com"}, "domain"),
        ({"domain": "go.example.com/x"}, "domain"),
        ({"redirect_domain": "go.example.com/x"}, "redirect_domain"),
        ({"fallback_url": "go.example.com"}, "fallback_url"),
        ({"cost_micros": -1}, "cost"),
        ({"cost_micros": 5}, "cost"),
        ({"cost_model": ClickCost.NONE, "cost_micros": 5}, "cost"),
        ({"cost_model": ClickCost.PER_THOUSAND}, "cost"),
    ],
)
def test_an_invalid_campaign_is_refused(change: dict[str, object], field: str) -> None:
    fields: dict[str, object] = {"key": "aB3xY9", "name": "C", "source_id": 1}
    campaign = Campaign(**fields | change)  # type: ignore[arg-type]
    assert [fault.field for fault in campaign_faults(campaign)] == [field]


@pytest.mark.parametrize(
    ("model", "cost_micros", "of_a_click"),
    [
        (ClickCost.LINK, None, None),
        (ClickCost.NONE, None, 0),
        (ClickCost.PER_CLICK, 20_000, 20_000),
        (ClickCost.PER_THOUSAND, 1_500_000, 1_500),
        (ClickCost.PER_THOUSAND, 1_499, 1),
        (ClickCost.PER_THOUSAND, 1_500, 2),
        (ClickCost.PER_THOUSAND, 499, 0),
        (ClickCost.PER_THOUSAND, 0, 0),
    ],
)
def test_a_click_costs_what_the_cost_model_says(
    model: ClickCost, cost_micros: int | None, of_a_click: int | None
) -> None:
    campaign = Campaign(key="aB3xY9", name="C", source_id=1, cost_model=model, cost_micros=cost_micros)
    assert campaign_faults(campaign) == []
    assert campaign.click_cost_micros == of_a_click


@pytest.mark.parametrize(
    "url",
    [
        "https://network.example",
        "http://network.example:8080/a/b?c={clickid}#d",
        "https://network.example/{campaign.name|default:a b}",
        "https://münchen.example/ü?x=%20",
        "https://[2001:db8::1]:8443/",
        "HTTPS://NETWORK.EXAMPLE/",
        "https://network_1.example./",
    ],
)
def test_a_url_with_macros_is_accepted(url: str) -> None:
    assert address_faults("url", url, required=True) == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "network.example",
        "//network.example",
        "ftp://network.example",
        "javascript:alert(1)",
        "https://",
        "https:///path",
        "https://{ip}/",
        "https://network.example:{ip}/",
        "https://user@network.example/",
        "https://network.example:0/",
        "https://network.example:65536/",
        "https://network.example:٣/",
        "https://network.example\\@evil.example/",
        "https://network.example/a b",
        "https://network.example/\r\nX: y",
        "https://network.example/\0",
        " https://network.example/",
        "https://network.example/" + "x" * 9000,
    ],
)
def test_an_invalid_url_is_refused(url: str) -> None:
    assert len(address_faults("url", url, required=True)) == 1


def test_an_offers_payout_is_neither_negative_nor_unlimited() -> None:
    for micros in (-1, 10**18):
        offer = Offer(name="O", url="https://network.example/", payout_micros=micros)
        assert [fault.field for fault in offer_faults(offer)] == ["payout"]


def test_the_postback_url_contains_the_networks_macros_unencoded() -> None:
    parameters = {"txid": "{transaction_id}", "payout": "{payout}", "param1": "#x#", "cid": "{sub1}"}
    network = Network(name="N", postback_parameters=parameters, token="a&b")
    assert postback_url("https://go.example.com", network) == (
        "https://go.example.com/postback?cid={sub1}&payout={payout}&txid={transaction_id}&param1=#x#&token=a%26b"
    )


def test_a_network_with_an_unknown_click_id_macro_gets_a_url_with_an_empty_cid() -> None:
    assert postback_url("https://go.example.com", Network(name="N")) == "https://go.example.com/postback?cid="


def test_the_pixel_code_is_safe_html_with_the_click_id_first() -> None:
    network = Network(name="N", postback_parameters={"payout": '"><script>', "txid": "{t}", "cid": "{sub1}"})
    assert pixel_code("https://go.example.com", network) == (
        '<img src="https://go.example.com/pixel.gif?cid={sub1}&amp;payout=&quot;&gt;&lt;script&gt;&amp;txid={t}" '
        'width="1" height="1" alt="" style="display:none">'
    )


def test_without_a_click_id_macro_the_pixel_code_relies_on_the_cookie() -> None:
    network = Network(name="N", postback_parameters={"cid": "", "payout": "{p}"})
    assert 'src="https://go.example.com/pixel.gif?payout={p}"' in pixel_code("https://go.example.com", network)


@pytest.mark.parametrize(
    ("base_url", "cid", "told"),
    [
        (
            "https://go.example.com",
            "{sub1}",
            "The click ID is read from cid, or from the visitor's cookie when cid is empty.",
        ),
        ("https://go.example.com", "{sub1}", "Safari, Firefox, Brave"),
        ("https://go.example.com", "", "The code has no macro for cid, so it needs the visitor's cookie."),
        ("http://go.example.com", "{sub1}", "Over plain http the cookie only works on pages of this site."),
    ],
)
def test_the_pixels_note_explains_its_cookie(base_url: str, cid: str, told: str) -> None:
    assert told in pixel_note(base_url, Network(name="N", postback_parameters={"cid": cid}))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"currency": "usd"}, "currency"),
        ({"addresses": ("203.0.113.0/24", "203.0.113.7/24")}, "addresses[1]"),
        ({"addresses": ("localhost",)}, "addresses[0]"),
        ({"click_lifetime_days": 0}, "click_lifetime_days"),
        ({"click_lifetime_days": 4000}, "click_lifetime_days"),
        ({"offer_url_template": "x"}, "offer_url_template"),
        ({"postback_parameters": {"": "{x}"}}, "postback_parameters."),
        ({"postback_parameters": {"cid": "a\nb"}}, "postback_parameters.cid"),
        ({"token": "x" * 201}, "token"),
    ],
)
def test_an_invalid_network_is_refused(change: dict[str, object], field: str) -> None:
    network = Network(**{"name": "N"} | change)  # type: ignore[arg-type]
    assert [fault.field for fault in network_faults(network)] == [field]


@pytest.mark.parametrize(
    ("template", "link", "url"),
    [
        ("{url}&s={clickid}", "https://n.example/c?o=1", "https://n.example/c?o=1&s={clickid}"),
        ("{url}&s={clickid}", "https://n.example/c", "https://n.example/c?s={clickid}"),
        ("{url}?s={clickid}", "https://n.example/c?o=1", "https://n.example/c?o=1&s={clickid}"),
        ("{url}&s={clickid}", "https://n.example/c?s=", "https://n.example/c?s={clickid}"),
        ("{url}&s={clickid}", "https://n.example/c?s=mine", "https://n.example/c?s=mine"),
        ("{url}&s={clickid}&t={v1}", "https://n.example/#top", "https://n.example/?s={clickid}&t={v1}#top"),
        ("{url}/{clickid}", "https://n.example/c", "https://n.example/c/{clickid}"),
        ("https://n.example/?s={clickid}", "https://n.example/c", "https://n.example/c"),
        ("https://n.example/?s={clickid}", "", "https://n.example/?s={clickid}"),
        ("{url}&s={clickid}", "", ""),
        ("", "https://n.example/c", "https://n.example/c"),
    ],
)
def test_a_networks_template_extends_an_offers_link(template: str, link: str, url: str) -> None:
    assert offer_url(template, link) == url


@pytest.mark.parametrize("template", ["https://n.example/?to={url}", "{url}{url}", "{url} x"])
def test_a_template_with_the_link_elsewhere_is_refused(template: str) -> None:
    faults = network_faults(Network(name="N", offer_url_template=template))
    assert [fault.field for fault in faults] == ["offer_url_template"]


def test_tags_are_stored_trimmed_and_once_ignoring_case() -> None:
    assert clean_tags([" US ", "us", "", "Mobile", "us "]) == ("US", "Mobile")
