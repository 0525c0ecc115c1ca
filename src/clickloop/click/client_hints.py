"""Client hints, with which a browser describes its device to a page where its User-Agent is frozen. Pure."""

import msgspec

from clickloop.click.page.page_report import Hints

MAX_HINT_CHARACTERS = 60
_FROZEN_ANDROID = "Android 10; K"
_WINDOWS_11 = 13  # Microsoft: the first platform version of Windows 11


class HintedDevice(msgspec.Struct, frozen=True, gc=False):
    """A User-Agent to parse in place of the frozen one, and the operating system's version; empty if unknown."""

    useragent: str
    os_version: str


def hinted(useragent: str, hints: Hints) -> HintedDevice:
    """Return a User-Agent with the model in place of Android's placeholder, and the system's version."""
    model = "".join(c for c in hints.model if c.isalnum() or c in " -_.+")[:MAX_HINT_CHARACTERS].strip()
    version = _version(hints.platform_version)
    if _FROZEN_ANDROID in useragent:
        # The parser finds a model only after a version.
        named = useragent.replace(_FROZEN_ANDROID, f"Android {version or 10}; {model}", 1) if model else useragent
        return HintedDevice(named, version)
    if "Windows NT 10.0" in useragent and version:
        major = int(version.partition(".")[0])
        return HintedDevice(useragent, "11" if major >= _WINDOWS_11 else "10" if major else "")
    return HintedDevice(useragent, version)


def _version(text: str) -> str:
    """Return the first two numbers of a version (``14.5.0`` → ``14.5``, ``14.0.0`` → ``14``); empty if it is not a version."""
    numbers = text[:MAX_HINT_CHARACTERS].split(".")[:2]
    if not all(number.isascii() and number.isdigit() and len(number) <= 5 for number in numbers):
        return ""
    return numbers[0] if len(numbers) < 2 or not int(numbers[1]) else ".".join(numbers)
