"""What is masked in what is shown, and what is not."""

import pytest

from clickloop.report.masking import masked_header, masked_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://a.example/?token=abc&id=5", "https://a.example/?token=•••&id=5"),
        ("cid=1&Token=abc", "cid=1&Token=•••"),
        ("https://a.example/?access_token=a%20b#x", "https://a.example/?access_token=•••#x"),
        ("https://a.example/?skey=1&api_key=2&sig=3", "https://a.example/?skey=•••&api_key=•••&sig=•••"),
        ("https://api.telegram.org/bot123456:AAbbCCddEE-_ff/send", "https://api.telegram.org/bot123456:•••/send"),
        ("https://hooks.slack.com/services/T1/B2/abcdefghijkl", "https://hooks.slack.com/services/T1/B2/•••"),
        ("https://discord.com/api/webhooks/123/abcdefghijkl", "https://discord.com/api/webhooks/123/•••"),
        ('{"api_token": "a\\"b", "payout": 5}', '{"api_token": "•••", "payout": 5}'),
    ],
)
def test_a_secret_is_masked(text: str, shown: str) -> None:
    assert masked_text(text) == shown


@pytest.mark.parametrize(
    "text", ["https://a.example/?key=w9Xk2&id=5", "https://a.example/bot/1", "cid=01kaqj&payout=12.5", ""]
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert masked_text(text) == text


def test_a_header_is_masked_by_its_name() -> None:
    assert masked_header("Authorization", "Bearer x") == "•••"
    assert masked_header("X-Api-Key", "x") == "•••"
    assert masked_header("Cookie", "x") == "•••"
    assert masked_header("Content-Type", "application/json") == "application/json"
