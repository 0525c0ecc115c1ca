"""Who the visitor is: country, language, device, operating system, browser, each looked up through a bounded cache."""

from typing import TypeVar

import msgspec
import ua_parser
from ua_parser import loaders, regex

from clickloop.campaign.instance import IpStorage, kept_address
from clickloop.click.click_json import click_json
from clickloop.click.geo import GeoBase

USERAGENT_CHARACTERS = 1000
"""A User-Agent is cut here before anything reads it."""
_CACHE_ENTRIES = 20_000
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

_PREVIEW_BOTS = (
    "facebookexternalhit",
    "facebot",
    "twitterbot",
    "slackbot",
    "slack-imgproxy",
    "telegrambot",
    "whatsapp/",
    "discordbot",
    "linkedinbot",
    "skypeuripreview",
    "vkshare",
    "viber",
    "pinterestbot",
    "redditbot",
    "embedly",
    "applebot",
    "googlebot",
    "bingbot",
    "bingpreview",
    "yandexbot",
    "mail.ru_bot",
    "iframely",
    "snapchat ads",
)
_TABLETS = ("ipad", "tablet", "kindle", "silk/", "playbook")
_TVS = (
    "smart-tv",
    "smarttv",
    "googletv",
    "appletv",
    "hbbtv",
    "netcast",
    "tizen tv",
    "bravia",
    "roku",
    "crkey",
    "aftb",
    "aftt",
)


class Device(msgspec.Struct, frozen=True, gc=False):
    """What a User-Agent tells. ``kind``: mobile, tablet, desktop, tv or bot; empty when it tells nothing."""

    kind: str = ""
    brand: str = ""
    model: str = ""
    os: str = ""
    os_version: str = ""
    browser: str = ""
    browser_version: str = ""
    preview_bot: bool = False


class Known(msgspec.Struct, frozen=True, gc=False):
    """What is known of a visitor from one of his headers, and the same as a piece of his click's JSON: ``,"device":"tv"…``."""

    device: Device
    json: bytes


class Visitors:
    """Answers who stands behind an address and a User-Agent, ready for the journal. One per process; not thread-safe."""

    def __init__(self, geo_base: GeoBase) -> None:
        self._geo_base = geo_base
        self._parser = ua_parser.Parser(regex.Resolver(loaders.load_lazy_builtins()))
        self._devices: dict[bytes, Known] = {}
        self._places: dict[str, bytes] = {}
        self._languages: dict[bytes, bytes] = {}
        self._ip_storage = IpStorage.FULL

    def keep_of_addresses(self, storage: IpStorage) -> None:
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

    def known(self, useragent: bytes) -> Known:
        """What a User-Agent tells; its text, cut, is in the JSON."""
        found = self._devices.get(useragent)
        if found is None:
            text = useragent[: USERAGENT_CHARACTERS * 4].decode("utf-8", "replace").replace("\0", "�")
            text = text[:USERAGENT_CHARACTERS]
            device = self._parse(text)
            found = Known(
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

    def _parse(self, text: str) -> Device:
        if not text:
            return Device()
        parsed = self._parser.parse(text)
        system, browser, device = parsed.os, parsed.user_agent, parsed.device
        lowered = text.lower()
        return Device(
            kind=_kind(lowered, system.family if system else "", device.family if device else ""),
            brand=(device.brand or "") if device else "",
            model=(device.model or "") if device else "",
            os=system.family if system else "",
            os_version=_version(system.major, system.minor) if system else "",
            browser=browser.family if browser else "",
            browser_version=_version(browser.major, browser.minor) if browser else "",
            preview_bot=any(bot in lowered for bot in _PREVIEW_BOTS),
        )


def _kind(lowered: str, system: str, device: str) -> str:
    """What kind of device a User-Agent speaks of. ``Mobile`` tells Android phones from tablets, as Google advises makers."""
    if device == "Spider" or "bot/" in lowered or "crawler" in lowered or "spider" in lowered:
        return "bot"
    if any(word in lowered for word in _TVS):
        return "tv"
    if any(word in lowered for word in _TABLETS):
        return "tablet"
    if system == "Android":
        return "mobile" if "mobile" in lowered else "tablet"
    if system == "iOS" or "mobile" in lowered or "phone" in lowered:
        return "mobile"
    if system in {"Windows", "Mac OS X", "Linux", "Ubuntu", "Chrome OS", "Fedora", "Debian", "FreeBSD"}:
        return "desktop"
    return ""


def _version(major: str | None, minor: str | None) -> str:
    if not major:
        return ""
    return f"{major}.{minor}" if minor else major


def _remember(cache: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    """Keeps the cache bounded by starting anew when it is full: a miss costs microseconds, bookkeeping would cost every hit."""
    if len(cache) >= _CACHE_ENTRIES:
        cache.clear()
    cache[key] = value
