"""The log of clicks: what it is narrowed by."""

import enum
from typing import Annotated

from msgspec import Meta

from clickloop.log_filter import LABEL, LogFilter, RecordNumber


class ScreeningFilter(enum.StrEnum):
    """Whether a click counts, or why not."""

    COUNTED = "counted"
    HEAD_REQUEST = "head_request"
    PREFETCH = "prefetch"
    PREVIEW_BOT = "preview_bot"
    CRAWLER = "crawler"
    TEST = "test"


class ClickFilter(LogFilter, frozen=True, omit_defaults=True, kw_only=True):
    """Which clicks. An empty external id: those that came without one."""

    campaign_id: RecordNumber = None
    source_id: RecordNumber = None
    screening: (
        Annotated[
            ScreeningFilter,
            Meta(description="Only clicks that count, or that do not for this reason.", extra={LABEL: "Counted"}),
        ]
        | None
    ) = None
    external_id: (
        Annotated[str, Meta(max_length=1024, description="Only clicks with exactly this click id from the source.")]
        | None
    ) = None
