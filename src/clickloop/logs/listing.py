"""A page of each log, newest first. Reading one raises InvalidInputError for a filter or a cursor that cannot be taken."""

import msgspec

from clickloop.click.click_log import ClickFilter
from clickloop.conversion.conversion_log import ConversionFilter
from clickloop.conversion.notice_log import NoticeFilter
from clickloop.logs.click_view import ClickView, click_view
from clickloop.logs.context import LogContext
from clickloop.logs.conversion_view import ConversionView, conversion_view
from clickloop.logs.filter_checks import check_status
from clickloop.logs.notice_view import NoticeView, notice_view
from clickloop.logs.page import MAX_LIMIT, Page, page_of, read_cursor
from clickloop.logs.postback_view import PostbackView, postback_view
from clickloop.postback.masking import MAX_SHOWN
from clickloop.postback.postback_log import PostbackFilter
from clickloop.store.ledger.logs.conversions import conversions_before
from clickloop.store.ledger.logs.notices import notices_before
from clickloop.store.ledger.logs.postbacks import postbacks_before
from clickloop.text import escape_bytes

CLICKS, CONVERSIONS, NOTICES, POSTBACKS = "clicks", "conversions", "notices", "postbacks"
MAX_LISTED = 2_000
"""Characters of a query or body in a list."""


def list_clicks(context: LogContext, wanted: ClickFilter, limit: int, cursor: str = "") -> Page[ClickView]:
    """Return a page of clicks."""
    if wanted.external_id is not None:
        # Visitors' texts are kept byte for byte, in the form of escape_bytes.
        stored = escape_bytes(wanted.external_id.encode("utf-8", "surrogateescape"))
        wanted = msgspec.structs.replace(wanted, external_id=stored)
    found = context.facts.clicks_page(wanted, limit + 1, read_cursor(CLICKS, cursor))
    return page_of(found, limit, CLICKS, lambda click: click.click_id, click_view)


def list_conversions(
    context: LogContext, wanted: ConversionFilter, limit: int, cursor: str = ""
) -> Page[ConversionView]:
    """Return a page of conversions."""
    before = read_cursor(CONVERSIONS, cursor) or None
    with context.ledger.read() as tx:
        check_status(tx, wanted.status)
        found = conversions_before(tx, wanted, before, limit + 1)
    return page_of(found, limit, CONVERSIONS, lambda conversion: conversion.conversion_id, conversion_view)


def list_notices(context: LogContext, wanted: NoticeFilter, limit: int, cursor: str = "") -> Page[NoticeView]:
    """Return a page of notices, of a long query or body only the beginning."""
    before = read_cursor(NOTICES, cursor) or None
    with context.ledger.read() as tx:
        found = notices_before(tx, wanted, before, limit + 1)
    # Exports, whose pages are longer than a list's may be, have all that is ever shown.
    characters = MAX_LISTED if limit <= MAX_LIMIT else MAX_SHOWN
    return page_of(
        found, limit, NOTICES, lambda notice: notice.raw.notice_id, lambda notice: notice_view(notice, characters)
    )


def list_postbacks(context: LogContext, wanted: PostbackFilter, limit: int, cursor: str = "") -> Page[PostbackView]:
    """Return a page of postbacks."""
    before = read_cursor(POSTBACKS, cursor) or None
    with context.ledger.read() as tx:
        found = postbacks_before(tx, wanted, before, limit + 1)
    return page_of(found, limit, POSTBACKS, lambda postback: postback.postback_id, postback_view)
