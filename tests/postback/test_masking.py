"""Secrets are masked, and nothing else is."""

import msgspec
import pytest

from clickloop.postback.masking import (
    MASK,
    MAX_SHOWN,
    masked_fields,
    masked_header,
    masked_request,
    masked_text,
    masked_value,
    unmasked_template,
)
from clickloop.postback.rule import BodyKind, Header, Method, RequestTemplate
from tests.steps import executed_lines


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
        ("https://a.example/?key=w9Xk2&id=5", "https://a.example/?key=•••&id=5"),
        ("https://a.example/?hash=w9Xk2;uid=5", "https://a.example/?hash=•••"),
        ("a=1&apiKey=b&authkey=c&pwd=d&X-Auth=e", "a=1&apiKey=•••&authkey=•••&pwd=•••&X-Auth=•••"),
        ("api%5Bkey%5D=b&to%6ben=c", "api%5Bkey%5D=•••&to%6ben=•••"),
        (
            "https://a.example/?go=https%3A%2F%2Fb.example%2F%3Ftoken%3Dabc%26x%3D1",
            "https://a.example/?go=https%3A%2F%2Fb.example%2F%3Ftoken%3D•••%26x%3D1",
        ),
        ("d=%7B%22key%22%3A%22abc%22%7D&x=1", "d=%7B%22key%22%3A%22•••%22%7D&x=1"),
        ('{"url": "https://a.example/?key=abc", "sum": 5}', '{"url": "https://a.example/?key=•••", "sum": 5}'),
        ('{"keys": ["a", "b", 3], "sum": 5}', '{"keys": ["•••", "•••", "•••"], "sum": 5}'),
        ('{"a": 1, "token": "abc', '{"a": 1, "token": "•••"'),
        ('"token": "abc\\', '"token": "•••"'),
        ("https://me:abc@a.example/p", "https://me:•••@a.example/p"),
        (
            "Host: a.example\r\nAuthorization: Bearer abc\r\nX-Note: b",
            "Host: a.example\r\nAuthorization: •••\r\nX-Note: b",
        ),
        ("cannot reach a.example (token=abc)", "cannot reach a.example (token=•••"),
    ],
)
def test_a_secret_is_masked(text: str, shown: str) -> None:
    assert masked_text(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        *("https://a.example/?keyword=w9Xk2&monkey=5", "author=a&passage=b&design=c&accessory=d&uids=e", "a&b=&=c"),
        *("https://a.example/bot/1", "cid=01kaqj&payout=12.5", "", "token=&a=1", "token={v1}&hash={externalid}"),
        *(
            "key=01m8n2w0ywcmkyef1xwqnkh44n&uid=01M8N2W0YWCMKYEF1XWQNKH44N",
            "cid=x&subid=y&click_id=z",
            "say: token",
            "key=ACCOUNT_KEY&a=1",
        ),
        *('{"name": "key", "keyword": "x"}', '{"said": "token", "x": "a"}', "a=%25&b=%3D&c=%22", "Authorization"),
    ],
)
def test_values_that_are_not_secret_stay(text: str) -> None:
    assert masked_text(text) == text


def test_a_header_is_masked_by_its_name() -> None:
    assert masked_header("Authorization", "Bearer x") == "•••"
    assert masked_header("X-Api-Key", "x") == "•••"
    assert masked_header("Cookie", "x") == "•••"
    assert masked_header("Content-Type", "application/json") == "application/json"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("key", "abc", "•••"),
        ("a&token", "abc", "•••"),
        ("note", "token=abc", "token=•••"),
        ("keyword", "abc", "abc"),
        ("hash", "{hash}", "{hash}"),
    ],
)
def test_a_parameters_value_is_masked_by_its_name_or_its_content(name: str, value: str, shown: str) -> None:
    assert masked_value(name, value) == shown


def test_a_long_text_is_cut_and_says_so() -> None:
    assert masked_text("a" * (MAX_SHOWN + 5)) == "a" * MAX_SHOWN + "… (5 more characters)"


@pytest.mark.parametrize("secret", ["s3cret:key", "abcabc"])
@pytest.mark.parametrize("kept", range(1, 6))
def test_the_cut_shows_no_start_of_a_secret(secret: str, kept: int) -> None:
    shown = masked_text("-" * (MAX_SHOWN - kept) + secret * 9, (secret,))
    assert not set(shown.partition("…")[0]) - {"-"}


@pytest.mark.parametrize("text", ["&token=", '{"token": "', "/bot123456:", "/services/T1/", "&a=1&key="])
def test_a_cut_inside_a_value_does_not_show_its_beginning(text: str) -> None:
    for kept in range(1, 12):
        shown = masked_text("-" * (MAX_SHOWN - len(text) - kept) + text + "abcdefghijklmno")
        assert "a" not in shown.replace("&a=1", "").partition("…")[0].replace("services", "")
        assert MASK in shown


@pytest.mark.parametrize(
    "word",
    [
        "token",
        "&token=",
        "token=a&",
        "a=b?",
        '"',
        '\\"',
        '"token":',
        '"a',
        "auth.",
        "passw-",
        "[secret]",
        "a=%3D",
        "é=",
        " ",
        ":",
    ],
)
def test_masking_256_kb_of_any_repeated_word_takes_as_many_steps_as_the_part_that_is_shown(word: str) -> None:
    def steps(size: int) -> int:
        return executed_lines(lambda: masked_text(word * (size // len(word))))

    assert steps(262_144) <= steps(MAX_SHOWN) + 100


TEMPLATE = RequestTemplate(
    method=Method.POST,
    url="https://api.example/bot/s3cret:key/send?to={externalid}&token={v1}",
    headers=(Header("Authorization", "Bearer abc"), Header("X-Note", "by s3cret:key")),
    body_kind=BodyKind.JSON,
    body='{"auth": "s3cret:key", "token": "{v2}"}',
    secrets=("s3cret:key",),
)


def test_a_rules_secrets_are_masked_in_every_part_and_every_encoding() -> None:
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


def test_parts_saved_as_shown_stay_unchanged() -> None:
    assert unmasked_template(masked_request(TEMPLATE), TEMPLATE) == TEMPLATE
    assert masked_fields(TEMPLATE) == ()


def test_a_part_changed_around_a_mask_is_reported() -> None:
    given = msgspec.structs.replace(
        masked_request(TEMPLATE), url="https://api.example/other/•••", secrets=("•••", "•••")
    )
    assert masked_fields(unmasked_template(given, TEMPLATE)) == ("request.url", "request.secrets")


def test_secrets_are_not_sent_to_a_host_set_by_a_user_who_does_not_see_them() -> None:
    given = msgspec.structs.replace(masked_request(TEMPLATE), url="https://other.example/send?to={externalid}")
    assert "request.body" in masked_fields(unmasked_template(given, TEMPLATE))
    assert any(field.startswith("request.headers[") for field in masked_fields(unmasked_template(given, TEMPLATE)))
