"""Detect a visitor's place, language, device, operating system and browser, each through a bounded cache."""

from typing import TypeVar

import msgspec
from msgspec.structs import replace

from clickloop.click.click_json import click_json
from clickloop.click.client_hints import hinted
from clickloop.click.geo.geo_base import GeoBase
from clickloop.click.marks.request_marks import MarkFinder, MarkLists
from clickloop.click.page.page_report import Hints
from clickloop.click.place import Place
from clickloop.click.useragent import Device, UserAgentParser
from clickloop.setup.instance import IpStorage, stored_address

USERAGENT_CHARACTERS = 1000
"""Maximum length of a User-Agent, which is truncated before it is parsed."""
_CACHE_ENTRIES = 20_000  # bounds memory, because anyone can send new values
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class EncodedDevice(msgspec.Struct, frozen=True, gc=False):
    """A device with its User-Agent, truncated, and the fragment of the click's JSON: ``,"device":"tv"…``."""

    device: Device
    useragent: str
    json: bytes
    marks: int = 0
    """Marks of the User-Agent, for all campaigns: ``MarkFinder.of_useragent``."""


class EncodedPlace(msgspec.Struct, frozen=True, gc=False):
    """A place, and the fragment of the click's JSON, which includes the part of the address that may be stored."""

    place: Place
    json: bytes
    marks: int = 0
    """Marks of the address, for all campaigns: ``MarkFinder.of_address``."""


class EncodedLanguage(msgspec.Struct, frozen=True, gc=False):
    """A language tag in lower case (``pt-br``), empty if unknown, and its fragment of the click's JSON."""

    tag: str
    json: bytes


class Visitors:
    """Looks up visitors by address and headers, as JSON fragments for the journal. One per process; not thread-safe."""

    def __init__(self, geo_base: GeoBase) -> None:
        self._geo_base = geo_base
        self._parse = UserAgentParser()
        self._devices: dict[bytes, EncodedDevice] = {}
        self._places: dict[str, EncodedPlace] = {}
        self._languages: dict[bytes, EncodedLanguage] = {}
        self._ip_storage = IpStorage.FULL
        self._marks = MarkFinder()

    def use_mark_lists(self, lists: MarkLists) -> None:
        """Compare user agents and addresses with these lists from now on."""
        if lists != self._marks.lists:
            self._marks = MarkFinder(lists)
            self._devices.clear()
            self._places.clear()

    def set_ip_storage(self, storage: IpStorage) -> None:
        """Set how much of an address ``place_of`` returns from now on."""
        if storage is not self._ip_storage:
            self._ip_storage = storage
            self._places.clear()

    def use_geo_base(self, geo_base: GeoBase) -> None:
        """Look up places in this base from now on."""
        self._geo_base = geo_base
        self._places.clear()

    def stored_address(self, ip: str) -> str:
        """Return the part of an address that may be stored."""
        return stored_address(ip, self._ip_storage)

    def device_of(self, useragent: bytes) -> EncodedDevice:
        """Return the device of a User-Agent. The JSON includes the truncated text."""
        found = self._devices.get(useragent)
        if found is None:
            text = useragent[: USERAGENT_CHARACTERS * 4].decode("utf-8", "replace").replace("\0", "�")
            text = text[:USERAGENT_CHARACTERS]
            device = self._parse(text)
            found = _encoded(device, text, self._marks.of_useragent(text, device))
            if len(useragent) <= USERAGENT_CHARACTERS:
                _remember(self._devices, useragent, found)
        return found

    def hinted_device_of(self, useragent: bytes, hints: Hints | None) -> EncodedDevice:
        """Return the device of a User-Agent, with what client hints say where it is frozen. The JSON includes the text as it came."""
        plain = self.device_of(useragent)
        if hints is None or plain.device.screening is not None:
            return plain
        better = hinted(plain.useragent, hints)
        device = plain.device
        if better.useragent != plain.useragent:
            device = replace(self.device_of(better.useragent.encode()).device, os_version=better.os_version)
        elif not device.os_version:
            device = replace(device, os_version=better.os_version)
        return plain if device == plain.device else _encoded(device, plain.useragent, plain.marks)

    def place_of(self, ip: str) -> EncodedPlace:
        """Return the place of an address, which is looked up before any of it is cut off."""
        found = self._places.get(ip)
        if found is None:
            place = self._geo_base.place(ip)
            found = EncodedPlace(
                place,
                click_json(
                    ip=stored_address(ip, self._ip_storage),
                    country=place.country,
                    region=place.region,
                    city=place.city,
                    isp=place.isp,
                    asn=place.asn,
                    connection=place.connection,
                ),
                self._marks.of_address(ip, place.asn),
            )
            _remember(self._places, ip, found)
        return found

    def language_of(self, accept_language: bytes) -> EncodedLanguage:
        """Return the first tag of an Accept-Language header."""
        found = self._languages.get(accept_language)
        if found is None:
            tag = accept_language[:100].split(b",", 1)[0].split(b";", 1)[0].strip().lower()
            is_tag = len(tag) <= 35 and tag.replace(b"-", b"").isalnum() and tag.isascii()
            text = tag.decode("ascii") if is_tag else ""
            found = EncodedLanguage(text, click_json(language=text))
            if len(accept_language) <= 200:
                _remember(self._languages, accept_language, found)
        return found


def _encoded(device: Device, useragent: str, marks: int) -> EncodedDevice:
    return EncodedDevice(
        device,
        useragent,
        click_json(
            useragent=useragent,
            device=device.kind,
            brand=device.brand,
            model=device.model,
            os=device.os,
            os_version=device.os_version,
            browser=device.browser,
            browser_version=device.browser_version,
        ),
        marks,
    )


def _remember(cache: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    """Add to a cache, clearing it first if it is full: a miss costs microseconds, while LRU bookkeeping would cost every hit."""
    if len(cache) >= _CACHE_ENTRIES:
        cache.clear()
    cache[key] = value
