"""A notice as the API, the panel and exports show it: secrets masked."""

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from clickloop.clock import Moment
from clickloop.conversion.notice import Channel, RefusalReason
from clickloop.conversion.notice_log import NoticeOutcome, StoredNotice
from clickloop.conversion.parameter_meaning import (
    InterpretedParameter,
    ParameterMeaning,
    interpreted_parameters,
    sent_tokens,
)
from clickloop.logs.view import view_of
from clickloop.postback.masking import MASK, MAX_SHOWN, masked_text, masked_value
from clickloop.text import readable


class NoticeView(msgspec.Struct, kw_only=True):
    """A notice as received, and its outcome. Secrets are masked."""

    notice_id: str
    at: Moment
    channel: Annotated[Channel, Meta(description="How it came in.")]
    outcome: NoticeOutcome
    reason: Annotated[RefusalReason | None, Meta(description="Why it was refused.")]
    reason_text: Annotated[str, Meta(description="The reason as a sentence. Empty unless it was refused.")]
    click_id: Annotated[str | None, Meta(description="The valid click ID that it contains.")]
    network_id: int | None
    campaign_id: int | None
    conversion_id: str | None
    version: Annotated[int | None, Meta(description="The conversion's version after this notice.")]
    status_word: str
    flags: Annotated[list[str], Meta(description="What is unusual about it.")]
    method: str
    query: Annotated[str, Meta(description="As received.", examples=["cid=01kaqj6z8m4x2c9v7b5n3t1w0y&payout=12.5"])]
    body: str
    content_type: str
    ip: str
    useragent: str
    domain: str
    look_again_at: Annotated[
        Moment | None, Meta(description="When its click is looked up again. null unless it waits for its click.")
    ]
    runs: Annotated[int, Meta(description="How often it was processed.")]
    run_at: Annotated[Moment | None, Meta(description="When it was last reprocessed.")]


class NoticeParameterView(msgspec.Struct, kw_only=True):
    """A parameter of a notice, and its meaning."""

    name: str
    value: str
    meaning: ParameterMeaning
    meaning_text: Annotated[str, Meta(description="The meaning as a sentence.")]


class NoticeStoryView(NoticeView, kw_only=True):
    """A notice with each of its parameters."""

    parameters: Annotated[list[NoticeParameterView], Meta(description="Of query and body, in the order received.")]


N = TypeVar("N", bound=NoticeView)


def notice_view(notice: StoredNotice, max_characters: int = MAX_SHOWN) -> NoticeView:
    """Return the view of a notice, at most ``max_characters`` each of its query and body."""
    return _view(NoticeView, notice, max_characters)


def notice_story(notice: StoredNotice) -> NoticeStoryView:
    """Return the view of a notice with each of its parameters."""
    return _view(
        NoticeStoryView, notice, parameters=[_parameter_view(one) for one in interpreted_parameters(notice.raw)]
    )


def _view(kind: type[N], notice: StoredNotice, max_characters: int = MAX_SHOWN, **own: object) -> N:
    raw = notice.raw
    tokens = sent_tokens(raw)
    return view_of(
        kind,
        notice,
        raw,
        reason_text=notice.reason.sentence if notice.reason else "",
        query=readable(masked_text(raw.query, tokens, max_characters)),
        body=readable(masked_text(raw.body, tokens, max_characters)),
        **own,
    )


def _parameter_view(one: InterpretedParameter) -> NoticeParameterView:
    """Return the view of a parameter, its value masked where its name says that it is a secret."""
    value = MASK if one.meaning is ParameterMeaning.TOKEN else masked_value(one.name, one.value)
    return view_of(NoticeParameterView, one, value=readable(value), meaning_text=one.meaning.sentence)
