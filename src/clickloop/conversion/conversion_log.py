"""The log of conversions: entries of a conversion's history, and the log's filters."""

from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.conversion.conversion import Change, Conversion
from clickloop.conversion.notice import MAX_TXID, read_notice
from clickloop.conversion.notice_log import StoredNotice
from clickloop.log_filter import LABEL, ClickIdFilter, Flagged, LogFilter, RecordNumber


class RecordedChange(msgspec.Struct, frozen=True):
    """An entry of a conversion's history. ``before`` is None for the first."""

    version: int
    at: int
    notice_id: str
    before: Conversion | None
    after: Conversion

    def as_change(self, notice: StoredNotice | None) -> Change:
        """Return it as the change from which postbacks are decided; ``notice`` made it, None: it was deleted."""
        return Change(
            before=self.before,
            after=self.after,
            at=self.at,
            notice_id=self.notice_id,
            disable_postback=notice is not None and read_notice(notice.raw).disable_postback,
        )


class ConversionFilter(LogFilter, frozen=True, omit_defaults=True, kw_only=True):
    """Filters of the log of conversions; the period applies to the time of registration."""

    status: Annotated[str, Meta(max_length=32, description="Only with this status key.")] | None = None
    campaign_id: RecordNumber = None
    source_id: RecordNumber = None
    offer_id: RecordNumber = None
    network_id: RecordNumber = None
    flagged: Flagged = None
    txid: (
        Annotated[
            str,
            Meta(max_length=MAX_TXID, description="Only with this transaction ID.", extra={LABEL: "Transaction ID"}),
        ]
        | None
    ) = None
    click_id: ClickIdFilter = None
