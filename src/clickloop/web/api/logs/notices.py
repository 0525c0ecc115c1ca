"""/notices: Conversions - In, everything that told us of conversions, also what was refused and why."""

from functools import partial
from typing import Annotated

import msgspec
from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from litestar.response import Stream
from msgspec import Meta

from clickloop.conversion.notice import Door, RefusalReason
from clickloop.conversion.notice_log import NoticeFilter, Outcome, StoredNotice
from clickloop.conversion.understanding import Meaning, Understood, sent_tokens, understood
from clickloop.postback.masking import MASK, MAX_SHOWN, masked_text, masked_value
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.ledger.logs.notices import find_notice, notices_before
from clickloop.tracking.notices import rerun
from clickloop.web.api.context import Context
from clickloop.web.api.logs.columns import NOTICE_COLUMNS, chosen_columns
from clickloop.web.api.logs.log_csv import ChosenColumns, exported
from clickloop.web.api.noting import note_change
from clickloop.web.api.paging import MAX_LIMIT, Cursor, Limit, Page, RecordIdPath, page_of, read_cursor
from clickloop.web.api.problem import not_found
from clickloop.web.api.query import from_query
from clickloop.web.api.wire import Moment, moment_text, optional_moment_text, shown

NOUN = "notices"
MAX_LISTED = 2_000
"""Characters of a query or body in a list."""


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


Wanted = NamedDependency[SkipValidation[NoticeFilter]]


def list_notices(context: Context, wanted: Wanted, limit: Limit = 50, cursor: Cursor = "") -> Page[NoticeView]:
    """Notices, the newest first. Of a long query or body the beginning is listed; the notice itself has more."""
    before = read_cursor(NOUN, cursor) or None
    with context.ledger.read() as tx:
        found = notices_before(tx, wanted, before, limit + 1)
    # Exports, whose pages are longer than a list's may be, have all that is ever shown.
    characters = MAX_LISTED if limit <= MAX_LIMIT else MAX_SHOWN
    return page_of(
        found, limit, NOUN, lambda notice: notice.raw.notice_id, lambda notice: notice_view(notice, characters)
    )


def export_notices(context: Context, wanted: Wanted, columns: ChosenColumns = "") -> Stream:
    """Notices as CSV, the newest first."""
    return exported(context, NOUN, chosen_columns(NOTICE_COLUMNS, columns), partial(list_notices, context, wanted))


def read_notice(context: Context, notice_id: RecordIdPath) -> NoticeStoryView:
    """One notice, and how each of its parameters was understood."""
    with context.ledger.read() as tx:
        notice = find_notice(tx, notice_id.lower())
    if notice is None:
        raise not_found("notice of that id")
    parameters = [_parameter_view(one) for one in understood(notice.raw)]
    view = notice_view(notice)
    return NoticeStoryView(**{name: getattr(view, name) for name in view.__struct_fields__}, parameters=parameters)


def rerun_notice(context: Context, notice_id: RecordIdPath) -> NoticeView:
    """Reads a stored notice again by today's settings: after mapping a status word, or when its click has arrived late."""
    results = rerun(context.desk(), [notice_id.lower()], context.clock())
    if not results:
        raise not_found("notice of that id")
    context.on_postbacks_owed()
    view = notice_view(results[0].notice)
    with context.ledger.write() as tx:
        note_change(tx, context, NOUN, view.notice_id, after=view, action=Action.RERUN)
    return view


def notice_view(notice: StoredNotice, limit: int = MAX_SHOWN) -> NoticeView:
    """A notice for JSON. ``limit``: characters of its query and of its body."""
    raw = notice.raw
    tokens = sent_tokens(raw)
    return NoticeView(
        notice_id=raw.notice_id,
        at=moment_text(raw.at),
        door=raw.door,
        outcome=notice.outcome,
        reason=notice.reason,
        reason_text=notice.reason.sentence if notice.reason else "",
        click_id=notice.click_id,
        network_id=notice.network_id,
        campaign_id=notice.campaign_id,
        conversion_id=notice.conversion_id,
        version=notice.version,
        status_word=shown(notice.status_word),
        flags=list(notice.flags),
        method=raw.method,
        query=shown(masked_text(raw.query, tokens, limit)),
        body=shown(masked_text(raw.body, tokens, limit)),
        content_type=shown(raw.content_type),
        ip=raw.ip,
        useragent=shown(raw.useragent),
        domain=shown(raw.domain),
        look_again_at=optional_moment_text(notice.look_again_at),
        runs=notice.runs,
        run_at=optional_moment_text(notice.run_at),
    )


def _parameter_view(one: Understood) -> NoticeParameterView:
    """A parameter with its value masked where its name says that it is a secret."""
    value = MASK if one.meaning is Meaning.TOKEN else masked_value(one.name, one.value)
    return NoticeParameterView(
        name=shown(one.name), value=shown(value), meaning=one.meaning, meaning_text=one.meaning.sentence
    )


router = Router(
    f"/{NOUN}",
    route_handlers=[
        get("/", sync_to_thread=True, summary="List notices")(list_notices),
        get("/export", sync_to_thread=True, media_type="text/csv", summary="Export notices as CSV")(export_notices),
        get("/{notice_id:str}", sync_to_thread=True, summary="Read a notice")(read_notice),
        post("/{notice_id:str}/rerun", status_code=200, sync_to_thread=True, summary="Run a notice again")(
            rerun_notice
        ),
    ],
    dependencies={"wanted": from_query(NoticeFilter)},
    tags=["Notices"],
)
