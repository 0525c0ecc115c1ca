"""Recognise the user agents of crawlers and scripts, by the patterns of the package ``crawler-user-agents`` (MIT)."""

from functools import cache
from importlib.metadata import version
from typing import Any

import crawleruseragents
import re2

PACKAGE = "crawler-user-agents"

OF_PEOPLE = frozenset(
    {
        r"AP3A\.240617\.008",  # a build of Android 15 on phones of OPPO, OnePlus and realme
        "MetaIAB Facebook",  # the browser in Facebook's app
        r"Code\/1\.",  # pages opened in an editor
        r"Trae\/",
        "Fluid",  # a browser on the Mac
        "Sogou",  # also a browser; its spiders end in a word for a bot
        "Sonic",  # ViewSonic, a maker of tablets
        "Butterfly",  # phones of HTC
        "Expanse",  # a phone
        "Fever",  # a phone
        "Chirp|gotosocial",  # a media player
        r"008\/",  # ends the names of several phones
    }
)
"""Patterns of the package that also match the user agents of people. All were found among user agents of real devices."""
OF_APPS = frozenset({"WhatsApp", "Viber", r"Tumblr\/"})
"""Patterns of apps that fetch previews under their plain name. After ``Mozilla/5.0`` the name means a person in the app."""

_MAX_AUTOMATON_BYTES = 64 << 20  # with less, RE2 falls back to a search that is 100 times slower


class BotUserAgents:
    """Finds crawlers and scripts. Takes time linear in the length of the text, some 50 µs: look each user agent up once."""

    def __init__(self) -> None:
        patterns = [str(entry["pattern"]) for entry in crawleruseragents.CRAWLER_USER_AGENTS_DATA]
        self._anywhere = _search_of([one for one in patterns if one not in OF_PEOPLE and one not in OF_APPS])
        self._plain = _search_of([one for one in patterns if one in OF_APPS])

    def __contains__(self, useragent: object) -> bool:
        """Return whether a user agent is a bot's. Upper and lower case differ, as in the package."""
        if not isinstance(useragent, str):
            return False
        if self._anywhere(useragent) is not None:
            return True
        return not useragent.startswith("Mozilla/") and self._plain(useragent) is not None


@cache
def bot_useragents() -> BotUserAgents:
    """Return the finder, compiled once per process."""
    return BotUserAgents()


def package_version() -> str:
    """Return the version of the package that the patterns are from."""
    return version(PACKAGE)


def _search_of(patterns: list[str]) -> Any:
    options = re2.Options()
    options.max_mem = _MAX_AUTOMATON_BYTES
    options.never_capture = True
    return re2.compile("|".join(f"(?:{pattern})" for pattern in patterns), options).search
