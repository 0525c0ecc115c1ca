"""A table of User-Agents in use, and how each is classified."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickloop.click.useragent import Device, UserAgentParser

PARSE = UserAgentParser()


def _rows() -> list[tuple[str, ...]]:
    lines = (Path(__file__).parent / "useragents.txt").read_text().splitlines()
    return [tuple(cell.strip() for cell in line.split(" | ", 4)) for line in lines if not line.startswith("#")]


ROWS = _rows()


@pytest.mark.parametrize(
    ("kind", "system", "browser", "screening", "useragent"), ROWS, ids=[row[4][:60] for row in ROWS]
)
def test_a_user_agent_gives_device_system_browser_and_screening(
    kind: str, system: str, browser: str, screening: str, useragent: str
) -> None:
    device = PARSE(useragent)
    found = (device.kind, f"{device.os} {device.os_version}".strip(), device.browser, device.screening or "")
    assert found == (kind, system, browser, screening)


def test_the_table_is_large_and_has_no_duplicates() -> None:
    assert len(ROWS) >= 170
    assert len({row[4] for row in ROWS}) == len(ROWS)


def test_exactly_the_bots_do_not_count() -> None:
    assert all((row[0] == "bot") is bool(row[3]) for row in ROWS)


def test_the_model_of_a_reduced_user_agent_is_unknown() -> None:
    device = PARSE("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/143.0.0.0 Mobile Safari/537.36")
    assert (device.brand, device.model, device.os_version) == ("", "", "")


@pytest.mark.parametrize("case", [str.upper, str.lower])
@pytest.mark.parametrize("useragent", ["WhatsApp/2.23.20.0", "ViberUrlDownloader", "TelegramBot (like TwitterBot)"])
def test_the_case_of_letters_does_not_matter(useragent: str, case: Callable[[str], str]) -> None:
    assert PARSE(case(useragent)).screening == "preview_bot"


@pytest.mark.parametrize(
    "word",
    [
        "aftershock",
        "craftbook",
        "shiroku",
        "headphones",
        "tvrage",
        "netcaster",
        "ipadding",
        "xboxer",
        "silky",
        "botany",
    ],
)
def test_substrings_of_words_are_ignored(word: str) -> None:
    useragent = (
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0.0.0 Safari/537.36 {word}/1.0"
    )
    assert (PARSE(useragent).kind, PARSE(useragent).screening) == ("desktop", None)


@given(st.text(max_size=1_000))
@settings(max_examples=50)
def test_any_text_is_parsed(text: str) -> None:
    assert isinstance(PARSE(text), Device)


@pytest.mark.parametrize(
    "piece", ["(", ")", "[", "bot ", "Android ", "compatible;", "AFT", "://", "tv/", "\ufffd", "ß"]
)
def test_a_user_agent_of_one_repeated_piece_is_parsed_in_milliseconds(piece: str) -> None:
    text = ("Android " + piece * 1_000)[:1_000]
    PARSE(text)
    began = time.thread_time()
    PARSE(text)
    assert time.thread_time() - began < 0.1
