"""Bots are recognised by the patterns of a package, and people are not taken for bots."""

from collections.abc import Iterator
from importlib.metadata import files
from pathlib import Path
from re import findall

import crawleruseragents
import pytest

from clickloop.click.marks.bot_useragent import OF_APPS, OF_PEOPLE, BotUserAgents, package_version

HERE = Path(__file__).parent
BOTS = BotUserAgents()
ENTRIES = crawleruseragents.CRAWLER_USER_AGENTS_DATA


def visitors() -> list[tuple[int, str]]:
    lines = (HERE / "visitors.txt").read_text().splitlines()
    pairs = (line.split("\t", 1) for line in lines if not line.startswith("#"))
    return [(int(count), text) for count, text in pairs]


def people_of_the_table() -> list[str]:
    lines = (HERE.parent / "useragents.txt").read_text().splitlines()
    rows = [line.split(" | ", 4) for line in lines if not line.startswith("#")]
    return [row[4] for row in rows if not row[3].strip() and row[4].startswith("Mozilla/")]


def of_devices() -> Iterator[str]:
    """Yield the user agents of phones, tablets, televisions and computers in the tests of ``device-detector``."""
    for file in files("device-detector") or ():
        if "fixtures" in file.parts and file.stem.partition("-")[0] in {
            "smartphone",
            "tablet",
            "phablet",
            "tv",
            "desktop",
        }:
            for quoted, single, plain in findall(
                r"""user_agent: (?:"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S.*))""", file.read_text()
            ):
                yield quoted or single or plain


def test_what_is_marked_of_the_package_s_corpus_and_10_000_visitors_is_a_bot_in_99_of_100_cases() -> None:
    corpus = [text for entry in ENTRIES for text in entry.get("instances", [])]
    bots = sum(text in BOTS for text in corpus)
    people = sum(count for count, text in visitors() if text in BOTS) + sum(
        text in BOTS for text in people_of_the_table()
    )
    assert sum(count for count, _ in visitors()) == 10_000
    assert len(corpus) > 2_000
    assert bots / (bots + people) >= 0.99
    assert bots / len(corpus) >= 0.99  # and hardly any is missed


def test_no_more_than_1_of_1_000_visitors_is_taken_for_a_bot() -> None:
    wrong = sum(count for count, text in visitors() if text in BOTS)
    assert wrong <= 10


def test_no_more_than_1_of_1_000_devices_is_taken_for_a_bot() -> None:
    devices = list(of_devices())
    wrong = [text for text in devices if text in BOTS]
    assert len(devices) > 10_000
    assert len(wrong) <= len(devices) // 1_000, wrong


@pytest.mark.parametrize("useragent", people_of_the_table(), ids=lambda text: text[12:70])
def test_people_in_browsers_and_apps_are_not_bots(useragent: str) -> None:
    assert useragent not in BOTS


@pytest.mark.parametrize(
    "useragent",
    [
        "curl/8.5.0",
        "python-requests/2.32.3",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/141.0.0.0 Safari/537.36",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "WhatsApp/2.23.20.0",
    ],
)
def test_crawlers_and_scripts_are_bots(useragent: str) -> None:
    assert useragent in BOTS


@pytest.mark.parametrize(
    "useragent",
    [
        "",
        # A phone of OPPO on Android 15, in Instagram.
        (
            "Mozilla/5.0 (Linux; Android 15; CPH2557 Build/AP3A.240617.008; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
            "Chrome/142.0.7444.142 Mobile Safari/537.36 Instagram 406.0.0.58.159 Android (35/15; 480dpi; 1080x2400; OPPO; CPH2557)"
        ),
        # The browser in Facebook's app.
        (
            "Mozilla/5.0 (Linux; Android 16; Pixel 10 Pro XL Build/CP1A.260305.018; wv) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Version/4.0 Chrome/146.0.7680.174 Mobile Safari/537.36 MetaIAB Facebook"
        ),
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Viber/22.1.0",
    ],
)
def test_people_whose_user_agent_is_in_the_package_are_not_bots(useragent: str) -> None:
    assert useragent not in BOTS


def test_every_pattern_that_is_left_out_is_still_one_of_the_package() -> None:
    patterns = {entry["pattern"] for entry in ENTRIES}
    assert patterns >= OF_PEOPLE | OF_APPS


def test_the_version_of_the_patterns_is_known() -> None:
    assert package_version().count(".") == 2
