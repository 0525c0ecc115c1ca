"""Leaving pages and second hops."""

import html
import json
import re

import pytest

from clickloop.click.redirect_mode import SecondHops, leaving_page
from clickloop.setup.redirect import RedirectMode

_KEY = bytes(range(32))
_NOW = 1_772_712_000_000
_ADDRESSES = [
    "https://offer.example/?a=1&b=2",
    'https://offer.example/?q="><script>alert(1)</script>',
    "https://offer.example/?q=</script><script>alert(1)//",
    "https://offer.example/?q='-alert(1)-'",
    "https://offer.example/?q=\u2028x;url=https://evil.example/",
    "https://offer.example/ä?q=Straße",
]


@pytest.mark.parametrize("address", _ADDRESSES)
@pytest.mark.parametrize("by_script", [True, False])
def test_a_page_leads_to_its_address_and_to_nothing_else(address: str, by_script: bool) -> None:
    page = leaving_page(address, by_script=by_script).decode("ascii")
    refresh = re.findall(r'<meta http-equiv="refresh" content="0;url=([^"]*)">', page)
    assert [html.unescape(found) for found in refresh] == [address]
    scripts = re.findall(r"<script>location\.replace\((.*?)\)</script>", page)
    assert [json.loads(found) for found in scripts] == ([address] if by_script else [])
    assert page.count("<script") == len(scripts)
    assert '<meta name="referrer" content="no-referrer">' in page


def test_a_second_hop_leads_to_its_address_for_a_minute() -> None:
    hops = SecondHops(_KEY)
    token = hops.token(_ADDRESSES[0], _NOW)
    assert token is not None
    assert hops.location(token, _NOW) == _ADDRESSES[0]
    assert hops.location(token, _NOW + 59_000) == _ADDRESSES[0]
    assert hops.location(token, _NOW + 60_000) is None


@pytest.mark.parametrize(
    "token",
    ["", "x", "ä", "A" * 100, "A" * 300_000, SecondHops(bytes(32)).token(_ADDRESSES[0], _NOW) or "", "=" * 5, "\0"],
)
def test_a_token_that_is_not_ours_leads_nowhere(token: str) -> None:
    assert SecondHops(_KEY).location(token, _NOW) is None


def test_a_changed_token_leads_nowhere() -> None:
    hops = SecondHops(_KEY)
    token = hops.token(_ADDRESSES[0], _NOW)
    assert token is not None
    for place in range(len(token) - 1):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert hops.location(changed, _NOW) is None


def test_modes_that_google_ads_forbids_are_the_pages() -> None:
    assert {mode.value for mode in RedirectMode if mode.is_page} == {"meta", "double_meta", "js"}


def test_each_address_has_a_token_that_can_be_read_or_none() -> None:
    hops = SecondHops(_KEY)
    for size in (100, 5_000, 5_700, 20_000):
        address = "https://offer.example/?" + "a" * size
        token = hops.token(address, _NOW)
        assert (token is None) == (size > 5_650)
        assert token is None or hops.location(token, _NOW) == address
