"""A notice as the API, the panel and exports show it: secrets masked."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from clickloop.clock import Moment, iso_text
from clickloop.conversion.notice import Door, RefusalReason
from clickloop.conversion.notice_log import Outcome, StoredNotice
from clickloop.conversion.understanding import Meaning, Understood, sent_tokens, understood
from clickloop.logs.view import view_of
from clickloop.postback.masking import MASK, MAX_SHOWN, masked_text, masked_value
from clickloop.text import readable


class NoticeView(msgspec.Struct, kw_only=True):
    """A notice as it came and what became of it. Secrets in it are masked."""

    notice_id: str
    at: Moment
    door: Annotated[Door, Meta(description="The way it came in.")]
    outcome: Annotated[Outcome, Meta(description="What became of it.")]
    reason: Annotated[RefusalReason | None, Meta(description="Why it was refused.")]
    reason_text: Annotated[str, Meta(description="The reason for people; empty: it was not refused.")]
    click_id: Annotated[str | None, Meta(description="The genuine click id that it carried.")]
    network_id: int | None
    campaign_id: int | None
    conversion_id: str | None
    version: Annotated[int | None, Meta(description="Of the conversion, after this notice.")]
    status_word: str
    flags: Annotated[list[str], Meta(description="What was odd about it.")]
    method: str
    query: Annotated[str, Meta(description="As it came.", examples=["cid=01kaqj6z8m4x2c9v7b5n3t1w0y&payout=12.5"])]
    body: str
    content_type: str
    ip: str
    useragent: str
    domain: str
    look_again_at: Annotated[Moment | None, Meta(description="While it waits for its click.")]
    runs: Annotated[int, Meta(description="How often it was read.")]
    run_at: Annotated[Moment | None, Meta(description="When it was run again the last time.")]


class NoticeParameterView(msgspec.Struct, kw_only=True):
    """A parameter of a notice and what it was taken for."""

    name: str
    value: str
    meaning: Meaning
    meaning_text: Annotated[str, Meta(description="The same for people.")]


class NoticeStoryView(NoticeView, kw_only=True):
    """A notice with each of its parameters."""

    parameters: Annotated[
        list[NoticeParameterView], Meta(description="Of query and body, in the order in which they came.")
    ]


def notice_view(notice: StoredNotice, max_characters: int = MAX_SHOWN) -> NoticeView:
    """Return the view of a notice, at most ``max_characters`` each of its query and body."""
    return view_of(NoticeView, notice, **_own_fields(notice, max_characters))


def notice_story(notice: StoredNotice) -> NoticeStoryView:
    """Return the view of a notice with each of its parameters."""
    parameters = [_parameter_view(one) for one in understood(notice.raw)]
    return view_of(NoticeStoryView, notice, parameters=parameters, **_own_fields(notice, MAX_SHOWN))


def _own_fields(notice: StoredNotice, max_characters: int) -> dict[str, Any]:
    raw = notice.raw
    tokens = sent_tokens(raw)
    return {
        "notice_id": raw.notice_id,
        "at": iso_text(raw.at),
        "door": raw.door,
        "reason_text": notice.reason.sentence if notice.reason else "",
        "method": raw.method,
        "query": readable(masked_text(raw.query, tokens, max_characters)),
        "body": readable(masked_text(raw.body, tokens, max_characters)),
        "content_type": readable(raw.content_type),
        "ip": raw.ip,
        "useragent": readable(raw.useragent),
        "domain": readable(raw.domain),
    }


def _parameter_view(one: Understood) -> NoticeParameterView:
    """Return the view of a parameter, its value masked where its name says that it is a secret."""
    value = MASK if one.meaning is Meaning.TOKEN else masked_value(one.name, one.value)
    return view_of(NoticeParameterView, one, value=readable(value), meaning_text=one.meaning.sentence)
