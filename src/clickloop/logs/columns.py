"""The columns of the four logs; rows are views."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from clickloop.conversion.notice import MAX_EVENTS, MAX_PARAMS
from clickloop.logs.column import ColumnKind, LogColumn
from clickloop.setup.source_rows import V_ROWS


def _column(key: str, title: str, kind: ColumnKind, path: str = "", *, shown: bool = False) -> LogColumn:
    return LogColumn(key, title, kind, attrgetter(path or key), shown)


def _part(of: str, key: str) -> Callable[[Any], str]:
    """Return a function that returns the value of a key in a dict of the row."""
    return lambda row: getattr(row, of).get(key, "")


def _why(row: Any) -> str:
    """Return why a postback was not sent, or is on hold."""
    return row.reason_text or row.paused_text or ""


CLICK_COLUMNS = (
    _column("at", "Time", ColumnKind.MOMENT, shown=True),
    _column("click_id", "Click", ColumnKind.CLICK, shown=True),
    _column("campaign", "Campaign", ColumnKind.CAMPAIGN, "campaign_id", shown=True),
    _column("source", "Source", ColumnKind.SOURCE, "source_id", shown=True),
    _column("external_id", "External ID", ColumnKind.CODE, shown=True),
    _column("screening", "Not counted", ColumnKind.STATE, shown=True),
    _column("flags", "Flags", ColumnKind.FLAGS, shown=True),
    LogColumn("marks", "Marks", ColumnKind.TEXT, lambda row: ", ".join(row.marks), True),
    _column("offer", "Offer", ColumnKind.OFFER, "offer_id", shown=True),
    _column("instead_of", "Instead of", ColumnKind.OFFER),
    _column("network", "Network", ColumnKind.NETWORK, "network_id"),
    _column("landing", "Landing", ColumnKind.LANDING, "landing_id"),
    _column("path", "Path", ColumnKind.PATH, "path_id"),
    _column("cost", "Cost", ColumnKind.MONEY, shown=True),
    _column("country", "Country", ColumnKind.TEXT, shown=True),
    _column("region", "Region", ColumnKind.TEXT),
    _column("city", "City", ColumnKind.TEXT),
    _column("isp", "ISP", ColumnKind.TEXT),
    _column("asn", "AS number", ColumnKind.CODE),
    _column("connection", "Connection", ColumnKind.TEXT),
    _column("device", "Device", ColumnKind.TEXT, shown=True),
    _column("os", "OS", ColumnKind.TEXT, shown=True),
    _column("browser", "Browser", ColumnKind.TEXT, shown=True),
    _column("unique", "Unique", ColumnKind.YES),
    _column("seen", "Remembered", ColumnKind.CODE),
    _column("ip", "IP address", ColumnKind.CODE),
    _column("language", "Language", ColumnKind.TEXT),
    _column("referrer", "Referrer", ColumnKind.CODE),
    _column("useragent", "User-Agent", ColumnKind.CODE),
    _column("brand", "Brand", ColumnKind.TEXT),
    _column("model", "Model", ColumnKind.TEXT),
    _column("os_version", "OS version", ColumnKind.TEXT),
    _column("browser_version", "Browser version", ColumnKind.TEXT),
    _column("domain", "Domain", ColumnKind.CODE),
    _column("target", "Sent to", ColumnKind.CODE),
    *(LogColumn(f"v{number}", f"V{number}", ColumnKind.CODE, _part("parameters", f"v{number}")) for number in V_ROWS),
)

CONVERSION_COLUMNS = (
    _column("created_at", "Registered", ColumnKind.MOMENT, shown=True),
    _column("conversion_id", "Conversion", ColumnKind.CONVERSION, shown=True),
    LogColumn("status", "Status", ColumnKind.STATE, attrgetter("status.name"), True, attrgetter("status.counts_as")),
    _column("payout", "Payout", ColumnKind.MONEY, shown=True),
    _column("txid", "Transaction ID", ColumnKind.CODE, shown=True),
    _column("click_id", "Click", ColumnKind.CLICK),
    _column("campaign", "Campaign", ColumnKind.CAMPAIGN, "campaign_id", shown=True),
    _column("source", "Source", ColumnKind.SOURCE, "source_id", shown=True),
    _column("offer", "Offer", ColumnKind.OFFER, "offer_id", shown=True),
    _column("network", "Network", ColumnKind.NETWORK, "network_id"),
    LogColumn("flags", "Flags", ColumnKind.FLAGS, lambda row: (*row.flags, *(("test",) if row.test else ())), True),
    _column("external_id", "External ID", ColumnKind.CODE, shown=True),
    _column("converted_at", "Converted", ColumnKind.MOMENT),
    _column("updated_at", "Changed", ColumnKind.MOMENT),
    _column("version", "Changes", ColumnKind.COUNT),
    _column("status_word", "Status word", ColumnKind.CODE),
    _column("payout_text", "Payout as sent", ColumnKind.CODE),
    _column("first_of_click", "First for click", ColumnKind.YES),
    _column("test", "Test", ColumnKind.YES),
    *(
        LogColumn(f"param{number}", f"param{number}", ColumnKind.CODE, _part("params", f"param{number}"))
        for number in range(1, MAX_PARAMS + 1)
    ),
    *(
        LogColumn(f"event{number}", f"event{number}", ColumnKind.CODE, _part("events", f"event{number}"))
        for number in range(1, MAX_EVENTS + 1)
    ),
)

NOTICE_COLUMNS = (
    _column("at", "Time", ColumnKind.MOMENT, shown=True),
    _column("notice_id", "Incoming postback", ColumnKind.NOTICE, shown=True),
    _column("outcome", "Outcome", ColumnKind.STATE, shown=True),
    _column("reason_text", "Reason", ColumnKind.TEXT, shown=True),
    _column("flags", "Flags", ColumnKind.FLAGS, shown=True),
    _column("channel", "Channel", ColumnKind.TEXT, shown=True),
    _column("query", "Raw query", ColumnKind.CODE, shown=True),
    _column("status_word", "Status word", ColumnKind.CODE),
    _column("conversion_id", "Conversion", ColumnKind.CONVERSION, shown=True),
    _column("click_id", "Click", ColumnKind.CLICK),
    _column("network", "Network", ColumnKind.NETWORK, "network_id", shown=True),
    _column("campaign", "Campaign", ColumnKind.CAMPAIGN, "campaign_id"),
    _column("ip", "IP address", ColumnKind.CODE, shown=True),
    _column("reason", "Reason code", ColumnKind.CODE),
    _column("method", "Method", ColumnKind.TEXT),
    _column("body", "Raw body", ColumnKind.CODE),
    _column("content_type", "Content type", ColumnKind.CODE),
    _column("useragent", "User-Agent", ColumnKind.CODE),
    _column("domain", "Domain", ColumnKind.CODE),
    _column("runs", "Times processed", ColumnKind.COUNT),
    _column("run_at", "Reprocessed", ColumnKind.MOMENT),
    _column("look_again_at", "Next check", ColumnKind.MOMENT),
)

POSTBACK_COLUMNS = (
    _column("created_at", "Time", ColumnKind.MOMENT, shown=True),
    _column("postback_id", "Postback", ColumnKind.POSTBACK, shown=True),
    LogColumn("state", "State", ColumnKind.STATE, attrgetter("state"), True),
    _column("last_status_code", "HTTP status", ColumnKind.COUNT, shown=True),
    _column("attempts", "Attempts", ColumnKind.COUNT, shown=True),
    LogColumn(
        "why", "Reason / response", ColumnKind.TEXT, lambda row: _why(row) or row.last_error or row.last_answer, True
    ),
    _column("rule", "Rule", ColumnKind.RULE, "rule_id", shown=True),
    _column("source", "Source", ColumnKind.SOURCE, "source_id", shown=True),
    _column("conversion_id", "Conversion", ColumnKind.CONVERSION, shown=True),
    LogColumn(
        "request",
        "Request",
        ColumnKind.CODE,
        lambda row: f"{row.request.method} {row.request.url}" if row.request else "",
        True,
    ),
    _column("next_attempt_at", "Next attempt", ColumnKind.MOMENT, shown=True),
    _column("campaign", "Campaign", ColumnKind.CAMPAIGN, "campaign_id", shown=True),
    _column("click_id", "Click", ColumnKind.CLICK),
    _column("trigger", "Trigger", ColumnKind.TEXT),
    LogColumn("reason_text", "Reason", ColumnKind.TEXT, _why),
    LogColumn("last_answer", "Response", ColumnKind.CODE, lambda row: row.last_error or row.last_answer),
    _column("last_duration_ms", "Took, ms", ColumnKind.COUNT),
    _column("receiver", "Receiver", ColumnKind.CODE),
    _column("reason", "Reason code", ColumnKind.CODE),
    _column("resend", "Resend", ColumnKind.COUNT),
    _column("original_id", "Original", ColumnKind.POSTBACK),
    _column("version", "Change", ColumnKind.COUNT),
    _column("finished_at", "Ended", ColumnKind.MOMENT),
)
