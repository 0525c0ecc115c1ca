"""Filters of the click log."""

import enum
from typing import Annotated

from msgspec import Meta

from clickloop.log_filter import LABEL, LogFilter, RecordNumber


class ScreeningFilter(enum.StrEnum):
    """Counted clicks, or those not counted for one reason."""

    COUNTED = "counted"
    HEAD_REQUEST = "head_request"
    PREFETCH = "prefetch"
    PREVIEW_BOT = "preview_bot"
    CRAWLER = "crawler"
    TEST = "test"


class ClickFilter(LogFilter, frozen=True, omit_defaults=True, kw_only=True):
    """Filter of clicks. An empty text selects clicks without one."""

    campaign_id: RecordNumber = None
    source_id: RecordNumber = None
    screening: (
        Annotated[
            ScreeningFilter,
            Meta(
                description="Only counted clicks, or only those not counted for this reason.", extra={LABEL: "Counted"}
            ),
        ]
        | None
    ) = None
    mark: (
        Annotated[
            str,
            Meta(max_length=30, description="Only clicks with this mark; empty for clean ones.", examples=["no_view"]),
        ]
        | None
    ) = None
    external_id: (
        Annotated[str, Meta(max_length=1024, description="Only clicks with exactly this click ID from the source.")]
        | None
    ) = None
    country: (
        Annotated[str, Meta(max_length=2, description="Only clicks from this country.", examples=["US"])] | None
    ) = None
    region: (
        Annotated[str, Meta(max_length=6, description="Only clicks from this region.", examples=["US-CA"])] | None
    ) = None
    isp: (
        Annotated[
            str, Meta(max_length=100, description="Only clicks through exactly this provider.", extra={LABEL: "ISP"})
        ]
        | None
    ) = None
    connection: (
        Annotated[str, Meta(max_length=20, description="Only clicks with this connection.", examples=["mobile"])] | None
    ) = None
