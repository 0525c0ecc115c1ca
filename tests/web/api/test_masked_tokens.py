"""A network's token is never shown, in whatever form it was sent."""

import pytest

from clickloop.conversion.notice import Channel, RawNotice
from clickloop.conversion.parameter_meaning import sent_tokens
from clickloop.postback.masking import masked_text
from clickloop.text import escape_bytes

SECRET = "hush-hush"
JSON = "application/json"
MULTIPART = "multipart/form-data; boundary=xx"
PART = b"--xx\r\nContent-Disposition: form-data; %b\r\n\r\nhush-hush\r\n--xx--\r\n"


@pytest.mark.parametrize(
    ("query", "body", "content_type"),
    [
        (b"cid=1&token=hush-hush", b"", ""),
        (b"cid=1&amp;token=hush-hush", b"", ""),
        (b"cid=1&amp%3Btoken=hush-hush", b"", ""),
        (b"cid=1&%74oken=hush-hush", b"", ""),
        (b"??token=hush-hush", b"", ""),
        (b"", PART % b"name=token", MULTIPART),
        (b"", PART % b"name*=UTF-8''token", MULTIPART),
        (b"", b'"{\\"token\\":\\"hush-hush\\"}"', JSON),
        (b"", b'[{"\\u0074oken":"hush-hush"}]', JSON),
        (b"", '{"token":"hush-hush"}'.encode("utf-16"), JSON),
        (b"", '{"token":"hush-hush"}'.encode("utf-16-be"), JSON),
    ],
)
def test_a_token_is_masked_in_whatever_form_it_was_sent(query: bytes, body: bytes, content_type: str) -> None:
    raw = RawNotice(
        notice_id="n",
        at=0,
        channel=Channel.S2S,
        query=escape_bytes(query),
        body=escape_bytes(body),
        content_type=content_type,
    )
    shown = masked_text(raw.query, sent_tokens(raw)) + masked_text(raw.body, sent_tokens(raw))
    plain = "".join(character for character in shown if character.isascii() and character.isprintable())
    assert SECRET not in plain
    assert "•••" in shown


def test_a_token_too_short_to_be_a_secret_masks_nothing_else() -> None:
    raw = RawNotice(notice_id="n", at=0, channel=Channel.S2S, query="token=1&payout=11")
    assert masked_text(raw.query, sent_tokens(raw)) == "token=•••&payout=11"
