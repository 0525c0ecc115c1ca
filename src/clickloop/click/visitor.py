"""Who the visitor is: country, language, device, operating system, browser, each looked up through a bounded cache."""

from typing import TypeVar

import msgspec

from clickloop.click.click_json import click_json
from clickloop.click.geo import GeoBase
from clickloop.click.useragent import Device, UserAgentParser
from clickloop.setup.instance import IpStorage, kept_address

USERAGENT_CHARACTERS = 1000
"""A User-Agent is cut here before anything reads it."""
_CACHE_ENTRIES = 20_000  # strangers choose these values: the memory of them is bounded
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class EncodedDevice(msgspec.Struct, frozen=True, gc=False):
    """What is known of a visitor from one of his headers, and the same as a piece of his click's JSON: ``,"device":"tv"…``."""

    device: Device
    json: bytes


class Visitors:
    """Answers who stands behind an address and a User-Agent, ready for the journal. One per process; not thread-safe."""

    def __init__(self, geo_base: GeoBase) -> None:
        self._geo_base = geo_base
        self._parse = UserAgentParser()
        self._devices: dict[bytes, EncodedDevice] = {}
        self._places: dict[str, bytes] = {}
        self._languages: dict[bytes, bytes] = {}
        self._ip_storage = IpStorage.FULL

    def set_ip_storage(self, storage: IpStorage) -> None:
        """Sets how much of an address ``place`` tells from now on."""
        if storage is not self._ip_storage:
            self._ip_storage = storage
            self._places.clear()

    def use_geo_base(self, geo_base: GeoBase) -> None:
        """Look countries up in this base from now on."""
        self._geo_base = geo_base
        self._places.clear()

    def kept_address(self, ip: str) -> str:
        """What is kept of a visitor's address."""
        return kept_address(ip, self._ip_storage)

    def known(self, useragent: bytes) -> EncodedDevice:
        """What a User-Agent tells; its text, cut, is in the JSON."""
        found = self._devices.get(useragent)
        if found is None:
            text = useragent[: USERAGENT_CHARACTERS * 4].decode("utf-8", "replace").replace("\0", "�")
            text = text[:USERAGENT_CHARACTERS]
            device = self._parse(text)
            found = EncodedDevice(
                device,
                click_json(
                    useragent=text,
                    device=device.kind,
                    brand=device.brand,
                    model=device.model,
                    os=device.os,
                    os_version=device.os_version,
                    browser=device.browser,
                    browser_version=device.browser_version,
                ),
            )
            if len(useragent) <= USERAGENT_CHARACTERS:
                _remember(self._devices, useragent, found)
        return found

    def place(self, ip: str) -> bytes:
        """What is kept of the visitor's address, and the country that it is in, as a piece of the click's JSON."""
        found = self._places.get(ip)
        if found is None:
            found = click_json(ip=kept_address(ip, self._ip_storage), country=self._geo_base.country(ip))
            _remember(self._places, ip, found)
        return found

    def language(self, accept_language: bytes) -> bytes:
        """The first tag of an Accept-Language header, lower case (``pt-br``), as a piece of the click's JSON."""
        found = self._languages.get(accept_language)
        if found is None:
            tag = accept_language[:100].split(b",", 1)[0].split(b";", 1)[0].strip().lower()
            is_tag = len(tag) <= 35 and tag.replace(b"-", b"").isalnum() and tag.isascii()
            found = click_json(language=tag.decode("ascii")) if is_tag else b""
            if len(accept_language) <= 200:
                _remember(self._languages, accept_language, found)
        return found


def _remember(cache: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    """Keeps the cache bounded by starting anew when it is full: a miss costs microseconds, bookkeeping would cost every hit."""
    if len(cache) >= _CACHE_ENTRIES:
        cache.clear()
    cache[key] = value
