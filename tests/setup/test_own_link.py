"""Our own links in every form that a browser understands, and URLs that are not ours."""

import pytest

from clickloop.setup.own_link import OwnLinks

OWN = OwnLinks(["go.example", "127.0.0.1:8080"])


@pytest.mark.parametrize(
    "url",
    [
        "http://go.example/c/aB3xY9",
        "https://GO.example./c/aB3xY9?x=1",
        "//go.example:443/c/aB3xY9",
        "http://%67o.example/c/aB3xY9",
        "http://x@localhost:8080/c/aB3xY9/tail",
        "http://0x7f000001:8080/./c//aB3xY9",
    ],
)
def test_a_link_that_leads_back_is_recognized_by_its_key(url: str) -> None:
    assert OWN.key_in(url) == "aB3xY9"


@pytest.mark.parametrize(
    "host",
    [
        "%ff",
        "go.example%ff",
        "%c3%28",
        "%",
        "%zz",
        "\ud800",
        "xn--\u00e9",
        "[",
        "[::1",
        "[]",
        "a:b",
        "²",
        "1.²",
        "a" * 5_000,
        "",
    ],
)
def test_a_host_that_browsers_reject_is_not_ours(host: str) -> None:
    assert OWN.key_in(f"http://{host}/c/aB3xY9") is None
