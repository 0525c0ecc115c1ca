"""Identification of visitors by User-Agent, address and language."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickloop.click.click import Click
from clickloop.click.click_json import click_json
from clickloop.click.geo.geo_base import FixedPlace
from clickloop.click.place import NOWHERE, Place
from clickloop.click.useragent import Device
from clickloop.click.visitor import Visitors
from clickloop.setup.instance import IpStorage

MUNICH = Place("DE", "EU", "DE-BY", "München", "M-net", "8767", "broadband")
ANDROID = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0"
BROWSERS = {
    f"{ANDROID} Mobile Safari/537.36": ("mobile", "Android", "Chrome Mobile"),
    "Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 Chrome/124.0.0.0 Safari/537.36": (
        "tablet",
        "Android",
        "Chrome",
    ),
    "Mozilla/5.0 (iPad; CPU OS 17_4 like Mac OS X) AppleWebKit/605.1.15 Version/17.4 Mobile/15E148 Safari/604.1": (
        "tablet",
        "iOS",
        "Mobile Safari",
    ),
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/124.0.0.0 Safari/537.36 Edg/124.0.0.0": (
        "desktop",
        "Windows",
        "Edge",
    ),
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/17.4 Safari/605.1.15": (
        "desktop",
        "Mac OS X",
        "Safari",
    ),
    "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0": ("desktop", "Linux", "Firefox"),
    "Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.0) AppleWebKit/537.36 Version/6.0 TV Safari/537.36": (
        "tv",
        "Tizen",
        "Samsung Internet",
    ),
}


class OnePlace:
    """A base with one place for every address, which counts the look-ups."""

    def __init__(self) -> None:
        self.look_ups = 0

    def place(self, ip: str) -> Place:
        self.look_ups += 1
        return MUNICH


@pytest.fixture(scope="module")
def visitors() -> Visitors:
    return Visitors(OnePlace())


VISITORS = Visitors(OnePlace())


def fields(piece: bytes) -> dict[str, Any]:
    """Decode a fragment of a click's JSON."""
    values: dict[str, Any] = msgspec.json.decode(b"{" + piece[1:] + b"}")
    return values


@pytest.mark.parametrize(("useragent", "expected"), BROWSERS.items())
def test_browsers_in_use_are_recognised(visitors: Visitors, useragent: str, expected: tuple[str, str, str]) -> None:
    device = visitors.device_of(useragent.encode()).device
    assert (device.kind, device.os) == expected[:2]
    assert device.browser.startswith(expected[2]) or expected[0] == "tv"


@pytest.mark.parametrize(
    "bot",
    ["Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "AhrefsBot/7.0", "my-crawler 1"],
)
def test_bots_are_bots(visitors: Visitors, bot: str) -> None:
    assert visitors.device_of(bot.encode()).device.kind == "bot"


def test_an_empty_user_agent_gives_nothing(visitors: Visitors) -> None:
    encoded = visitors.device_of(b"")
    assert (encoded.device, encoded.json) == (Device(), b"")


@given(st.one_of(st.binary(max_size=2_000), st.text(max_size=500).map(lambda text: text.encode("utf-8", "replace"))))
@settings(max_examples=50)
def test_any_user_agent_becomes_fields_of_a_click(useragent: bytes) -> None:
    values = fields(VISITORS.device_of(useragent).json)
    click = msgspec.convert({"click_id": "", "at": 0, "campaign_id": 0, "source_id": 0} | values, Click)
    assert len(click.useragent) <= 1_000
    assert "\0" not in click.useragent


def test_a_long_user_agent_is_truncated_before_it_is_parsed(visitors: Visitors) -> None:
    encoded = visitors.device_of(b"x" * 2_000 + b" facebookexternalhit")
    assert (len(fields(encoded.json)["useragent"]), encoded.device.screening) == (1_000, None)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (b"pt-BR,pt;q=0.9,en;q=0.8", "pt-br"),
        (b"en", "en"),
        (b" de-DE ; q=1 , en", "de-de"),
        (b"*", None),
        (b"", None),
        (b"<script>", None),
        (b"\xff\xfe", None),
        (b"x" * 36, None),
    ],
)
def test_the_first_language_is_used_if_it_is_valid(visitors: Visitors, header: bytes, language: str | None) -> None:
    encoded = visitors.language_of(header)
    assert encoded.tag == (language or "")
    assert fields(encoded.json) == ({"language": language} if language else {})


def test_a_place_is_looked_up_once_and_has_all_but_the_continent_in_the_clicks_json() -> None:
    base = OnePlace()
    visitors = Visitors(base)
    encoded = visitors.place_of("81.2.69.142")
    assert encoded.place == MUNICH
    assert fields(encoded.json) == {
        "ip": "81.2.69.142",
        "country": "DE",
        "region": "DE-BY",
        "city": "München",
        "isp": "M-net",
        "asn": "8767",
        "connection": "broadband",
    }
    visitors.place_of("81.2.69.142")
    assert base.look_ups == 1


def test_what_is_unknown_of_a_place_is_not_in_the_clicks_json() -> None:
    assert fields(Visitors(FixedPlace()).place_of("81.2.69.142").json) == {"ip": "81.2.69.142"}


@pytest.mark.parametrize(("storage", "ip"), [(IpStorage.SHORTENED, "81.2.69.0"), (IpStorage.NONE, None)])
def test_an_address_is_looked_up_before_any_of_it_is_cut_off(storage: IpStorage, ip: str | None) -> None:
    class OneAddress:
        def place(self, ip: str) -> Place:
            return MUNICH if ip == "81.2.69.142" else NOWHERE

    visitors = Visitors(OneAddress())
    visitors.set_ip_storage(storage)
    values = fields(visitors.place_of("81.2.69.142").json)
    assert (values.get("ip"), values["city"]) == (ip, "München")


def test_from_another_base_on_places_are_looked_up_again() -> None:
    visitors = Visitors(FixedPlace(MUNICH))
    visitors.place_of("81.2.69.142")
    visitors.use_geo_base(FixedPlace(Place("GB")))
    assert visitors.place_of("81.2.69.142").place == Place("GB")


def test_the_cache_of_addresses_is_bounded() -> None:
    base = OnePlace()
    visitors = Visitors(base)
    for number in range(20_001):
        visitors.place_of(str(number))
    assert len(visitors._places) <= 20_000


def test_empty_texts_are_omitted_from_a_clicks_json() -> None:
    assert (click_json(os="", browser=""), click_json(os="", model='a"b', at=0)) == (b"", b',"model":"a\\"b","at":0')
