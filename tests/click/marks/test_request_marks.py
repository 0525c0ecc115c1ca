"""The marks of a request: by user agent, address, referrer and language."""

import pytest

from clickloop.click.marks.datacenters import HOSTING, RELAYS, is_datacenter
from clickloop.click.marks.request_marks import (
    REQUEST_MARKS,
    MarkFinder,
    MarkLists,
    bits_of,
    bits_text,
    marks_of_request,
)
from clickloop.click.marks.spoken_languages import is_unusual
from clickloop.click.useragent import Device, UserAgentParser
from clickloop.setup.mark import DEFAULT_MARKS, Mark, MarkSetting, marks_in_force

PARSE = UserAgentParser()
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36"
)
ALL = bits_of(MarkSetting(mark) for mark in Mark)
DEFAULT = bits_of(DEFAULT_MARKS)


def marks_of_useragent(useragent: str, lists: MarkLists = MarkLists()) -> str:  # noqa: B008 – it is frozen
    return bits_text(MarkFinder(lists).of_useragent(useragent, PARSE(useragent)))


def test_a_browser_has_no_marks() -> None:
    assert marks_of_useragent(CHROME) == ""


@pytest.mark.parametrize(
    ("useragent", "marks"),
    [
        ("curl/8.5.0", "bot_useragent"),
        ("Googlebot/2.1 (+http://www.google.com/bot.html)", "bot_useragent"),
        ("", "unknown_device"),
        ("strange", "unknown_device"),
    ],
)
def test_a_user_agent_has_marks(useragent: str, marks: str) -> None:
    assert marks_of_useragent(useragent) == marks


def test_whoever_is_screened_as_a_crawler_is_a_bot() -> None:
    assert marks_of_useragent("mattermost-bot/1.1").startswith("bot_useragent")


def test_a_user_agent_that_contains_an_entry_is_listed_in_any_case() -> None:
    assert marks_of_useragent(CHROME, MarkLists(useragents=("firefox", "chrome/143."))) == "listed_useragent"


@pytest.mark.parametrize("ip", ["192.0.2.7", "198.51.100.200", "2001:db8::1", "::ffff:192.0.2.7"])
def test_an_address_in_a_list_is_listed(ip: str) -> None:
    finder = MarkFinder(MarkLists(ips=("192.0.2.7", "198.51.100.0/24", "2001:db8::/32", "not an address")))
    assert bits_text(finder.of_address(ip, "")) == "listed_ip"
    assert finder.of_address("203.0.113.1", "") == 0


def test_a_hosting_company_s_network_is_a_datacenter() -> None:
    assert bits_text(MarkFinder().of_address("192.0.2.1", "16509")) == "datacenter"


@pytest.mark.parametrize("asn", ["36183", "13335", "54113"])
def test_icloud_private_relay_is_no_datacenter(asn: str) -> None:
    assert int(asn) in RELAYS
    assert not is_datacenter(asn)


def test_an_unknown_network_is_no_datacenter() -> None:
    assert not is_datacenter("")


def test_the_table_of_hosting_companies_is_large_and_has_no_relay() -> None:
    assert len(HOSTING) > 150
    assert not HOSTING.keys() & RELAYS.keys()


def test_marks_that_hit_honest_visitors_are_off_by_default() -> None:
    assert bits_text(ALL & ~DEFAULT) == "no_referrer,language_country"


def test_a_request_has_the_marks_of_its_parts_that_the_campaign_has_on() -> None:
    finder = MarkFinder()
    useragent = finder.of_useragent("curl/8.5.0", Device())
    address = finder.of_address("192.0.2.1", "16509")
    on = bits_of(marks_in_force([], [MarkSetting(Mark.BOT_USERAGENT, False), MarkSetting(Mark.NO_REFERRER)]))
    marks = marks_of_request(on, useragent, address, False, "de", "DE")
    assert bits_text(marks) == "datacenter,no_referrer,unknown_device"


@pytest.mark.parametrize(
    ("language", "country", "is_marked"),
    [
        ("de", "DE", False),
        ("pt-br", "BR", False),
        ("ru", "BR", True),
        ("en-us", "BR", False),
        ("no", "NO", False),
        ("iw", "IL", False),
        ("zh-cn", "TW", False),
        ("", "BR", False),
        ("ru", "", False),
        ("ru", "XX", False),
    ],
)
def test_a_language_is_compared_with_those_of_the_country(language: str, country: str, is_marked: bool) -> None:
    assert is_unusual(language, country) is is_marked
    assert bool(marks_of_request(ALL, 0, 0, True, language, country)) is is_marked


def test_a_campaign_without_marks_gives_none() -> None:
    assert marks_of_request(0, ALL, ALL, False, "ru", "BR") == 0


def test_marks_are_written_in_the_order_of_the_closed_list() -> None:
    assert bits_text(ALL) == ",".join(REQUEST_MARKS)
