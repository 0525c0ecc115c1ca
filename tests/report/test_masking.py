"""What is masked in what is shown, and what is not."""

import msgspec
import pytest

from clickloop.postback.rule import BodyKind, Header, Method, RequestTemplate
from clickloop.report.masking import masked_header, masked_request, masked_text, masks_in, unmasked_template


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
        ("https://a.example/p?pass=x1&tok=9", "https://a.example/p?pass=•••&tok=•••"),
        ("https://a.example/p?security_code=abc123", "https://a.example/p?security_code=•••"),
        ('{"token": 12345, "sum": 5}', '{"token": "•••", "sum": 5}'),
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


TEMPLATE = RequestTemplate(
    method=Method.POST,
    url="https://api.example/bot/s3cret:key/send?to={externalid}&token={v1}",
    headers=(Header("Authorization", "Bearer abc"), Header("X-Note", "by s3cret:key")),
    body_kind=BodyKind.JSON,
    body='{"auth": "s3cret:key", "token": "{v2}"}',
    secrets=("s3cret:key",),
)


def test_what_a_rule_marks_as_secret_is_masked_in_every_part_and_every_encoding() -> None:
    request = msgspec.structs.replace(TEMPLATE, url="https://api.example/s3cret%3Akey/s3cret:key")
    shown = masked_request(request)
    assert shown.url == "https://api.example/•••/•••"
    assert shown.headers == (Header("Authorization", "•••"), Header("X-Note", "by •••"))
    assert shown.secrets == ("•••",)
    assert masked_text('{"said": "a\\"b"}', ('a"b',)) == '{"said": "•••"}'


def test_a_macro_is_no_secret_whatever_its_parameter_is_called() -> None:
    shown = masked_request(TEMPLATE)
    assert shown.url == "https://api.example/bot/•••/send?to={externalid}&token={v1}"
    assert shown.body == '{"auth": "•••", "token": "{v2}"}'


def test_what_is_saved_as_it_was_shown_stays_as_it_was() -> None:
    assert unmasked_template(masked_request(TEMPLATE), TEMPLATE) == TEMPLATE
    assert masks_in(TEMPLATE) == ()


def test_a_part_that_was_changed_around_a_mask_is_found() -> None:
    given = msgspec.structs.replace(
        masked_request(TEMPLATE), url="https://api.example/other/•••", secrets=("•••", "•••")
    )
    assert masks_in(unmasked_template(given, TEMPLATE)) == ("request.url", "request.secrets")


def test_secrets_are_not_sent_to_a_host_that_was_put_in_by_somebody_who_does_not_see_them() -> None:
    given = msgspec.structs.replace(masked_request(TEMPLATE), url="https://other.example/send?to={externalid}")
    assert "request.body" in masks_in(unmasked_template(given, TEMPLATE))
    assert any(field.startswith("request.headers[") for field in masks_in(unmasked_template(given, TEMPLATE)))
