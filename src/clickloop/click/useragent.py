"""Parse a User-Agent into device, operating system and browser, and tell people from bots.

Whole words are compared, not substrings: ``CUBOT`` is a phone, ``Twitterbot`` a bot. Parsing takes time linear in the
length of the text, once per distinct text (see ``visitor.Visitors``).
"""

from functools import cache

import msgspec
import ua_parser
from ua_parser import loaders, regex

from clickloop.click.click import Screening
from clickloop.click.useragent_words import (
    APP_FETCHERS,
    BOT_ENDINGS,
    CRAWLERS,
    HANDHELD_CONSOLES,
    NOT_BOTS,
    PHONES,
    PREVIEWS,
    TABLETS,
    TELEVISION_STARTS,
    TELEVISIONS,
)

_FROZEN_IOS = ("18_6", "18_7")
"""OS versions that Safari 26 and web views on iOS 26 send regardless of the real version."""


class Device(msgspec.Struct, frozen=True, gc=False):
    """The contents of a User-Agent. ``kind``: mobile, tablet, desktop, tv or bot; empty if unknown.

    A version that browsers have frozen, such as Android 10 with the model K, is unknown and therefore empty.
    """

    kind: str = ""
    brand: str = ""
    model: str = ""
    os: str = ""
    os_version: str = ""
    browser: str = ""
    browser_version: str = ""
    screening: Screening | None = None
    """Why the sender is not a visitor; None if it may be one."""


@cache
def _patterns() -> ua_parser.Parser:
    """Return the patterns. Compiling them takes a tenth of a second and 26 MB: a process does it once, and its threads share them."""
    return ua_parser.Parser(regex.Resolver(loaders.load_lazy_builtins()))


class UserAgentParser:
    """A parser of User-Agents. Not thread-safe. The caller must truncate the text."""

    def __init__(self) -> None:
        self._parser = _patterns()

    def __call__(self, text: str) -> Device:
        """Return the device, system and browser that a User-Agent names."""
        if not text:
            return Device()
        parsed = self._parser.parse(text)
        system, browser, device = parsed.os, parsed.user_agent, parsed.device
        words = _words(text)
        screening = _screening(text, words, device.family if device else "")
        os = system.family if system else ""
        is_model = device is not None and device.model != "K" and (device.brand != "Spider" or screening is not None)
        return Device(
            kind="bot" if screening else _kind(text, words, os),
            brand=(device.brand or "") if device and is_model else "",
            model=(device.model or "") if device and is_model else "",
            os=os,
            os_version="" if system is None or _is_frozen(text, os) else _version(system.major, system.minor),
            browser=browser.family if browser else "",
            browser_version=_version(browser.major, browser.minor) if browser else "",
            screening=screening,
        )


def _words(text: str) -> str:
    """Return the text's words in lower case, each surrounded by single spaces, without other characters."""
    return f" {' '.join(''.join(c if c.isalnum() else ' ' for c in text.lower()).split())} "


def _screening(text: str, words: str, family: str) -> Screening | None:
    """Return why the sender is not a visitor, or None. ``family``: ua-parser's device family."""
    if any(f" {phrase} " in words for phrase in PREVIEWS) or words.startswith(APP_FETCHERS):
        return Screening.PREVIEW_BOT
    if (family == "Spider" and not _looks_like_browser(text)) or _contains_contact(text):
        return Screening.CRAWLER
    if any(f" {phrase} " in words for phrase in CRAWLERS):
        return Screening.CRAWLER
    if any(_is_bot(word) for word in _words(_without_phone_details(text)).split()):
        return Screening.CRAWLER
    return None


def _looks_like_browser(text: str) -> bool:
    """Return whether the text is structured like a browser's User-Agent.

    In these, ua-parser mistakes substrings for spiders, such as the desktop mode of Silk, which people use.
    """
    return any(engine in text for engine in ("Safari/", "Gecko/", "Presto/", "Trident/", "MSIE "))


def _contains_contact(text: str) -> bool:
    """Return whether the text contains a URL or an email address. Bots add one; browsers don't."""
    return "://" in text or "+http" in text or "mailto:" in text


def _is_bot(word: str) -> bool:
    return word.endswith(BOT_ENDINGS) and not word.startswith(NOT_BOTS)


def _without_phone_details(text: str) -> str:
    """Return the text without the parentheses that describe an Android phone, whose brand may be CUBOT or its model M BOT.

    Parentheses with ``compatible`` or a website do not describe a phone and are kept.
    """
    if "android" not in text.lower():
        return text
    parts: list[str] = []
    for piece in text.replace("[", "(").replace("]", ")").split("("):
        inside, closed, outside = piece.partition(")")
        if not parts:
            parts.append(piece)
            continue
        lowered = inside.lower()
        if "compatible" in lowered or "http" in lowered:
            parts.append(inside)
        parts.append(outside if closed else "")
    return " ".join(parts)


def _kind(text: str, words: str, system: str) -> str:
    """Return the kind of device, assuming that a person uses it."""
    if _is_television(text, words):
        return "tv"
    if any(f" {phrase} " in words for phrase in HANDHELD_CONSOLES):
        return "mobile"
    if system != "Windows" and (any(f" {phrase} " in words for phrase in TABLETS) or _is_fire_tablet(text)):
        return "tablet"
    if " opera mini " in words or " opera mobi " in words:
        return "mobile"  # Presto never sends Mobile
    is_mobile = " mobile " in words.replace(" t mobile ", " ")  # T-Mobile sells tablets, too
    if system == "Android":
        if is_mobile:
            return "mobile"
        # In browsers a missing Mobile means a tablet, as Google advises manufacturers; in other apps it means nothing.
        return "tablet" if " safari " in words or " gecko " in words else ""
    if system == "iOS" or is_mobile or any(f" {start}" in words for start in PHONES):
        return "mobile"
    if system in {"Windows", "Mac OS X", "Linux", "Ubuntu", "Chrome OS", "Fedora", "Debian", "FreeBSD", "OpenBSD"}:
        return "desktop"
    return ""


def _is_television(text: str, words: str) -> bool:
    if any(f" {phrase} " in words for phrase in TELEVISIONS) or any(
        f" {start}" in words for start in TELEVISION_STARTS
    ):
        return not any(f" {phrase} " in words for phrase in HANDHELD_CONSOLES)
    return any(word.startswith("AFT") and len(word) > 3 for word in _capital_words(text))  # Fire TV: AFTMM, AFTKA …


def _is_fire_tablet(text: str) -> bool:
    return any(word.startswith("KF") and word.isalpha() and 4 <= len(word) <= 8 for word in _capital_words(text))


def _capital_words(text: str) -> list[str]:
    return [word for word in "".join(c if c.isalnum() else " " for c in text).split() if word.isupper()]


def _is_frozen(text: str, system: str) -> bool:
    """Return whether the OS version is a placeholder that browsers send regardless of the real version."""
    match system:
        case "Android":
            return "Android 10; K)" in text or "Android 10; K;" in text
        case "Windows":
            return "Windows NT 10.0" in text  # Windows 11 sends this, too
        case "Mac OS X":
            return "Mac OS X 10_15_7" in text or "Mac OS X 10.15;" in text or "Mac OS X 10.15)" in text
        case "Chrome OS":
            return "14541.0.0" in text
        case "iOS":
            frozen = any(f" OS {version} like" in text for version in _FROZEN_IOS)
            return frozen and not any(token in text for token in ("Version/18", "CriOS/", "FxiOS/", "EdgiOS/"))
    return False


def _version(major: str | None, minor: str | None) -> str:
    if not major:
        return ""
    return f"{major}.{minor}" if minor else major
