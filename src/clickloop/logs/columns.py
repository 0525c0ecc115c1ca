"""The columns of the four logs; rows are views."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from clickloop.conversion.notice import EVENTS, PARAMS
from clickloop.logs.column import Column, Kind
from clickloop.setup.source_rows import V_ROWS


def _column(key: str, title: str, kind: Kind, path: str = "", *, shown: bool = False) -> Column:
    return Column(key, title, kind, attrgetter(path or key), shown)


def _part(of: str, key: str) -> Callable[[Any], str]:
    """Return a function that returns the value of a key in a dict of the row."""
    return lambda row: getattr(row, of).get(key, "")


def _why(row: Any) -> str:
    """Return why a postback was not sent, or is on hold."""
    return row.reason_text or row.paused_text or ""


CLICK_COLUMNS = (
    _column("at", "Time", Kind.MOMENT, shown=True),
    _column("click_id", "Click", Kind.CLICK, shown=True),
    _column("campaign", "Campaign", Kind.CAMPAIGN, "campaign_id", shown=True),
    _column("source", "Source", Kind.SOURCE, "source_id", shown=True),
    _column("external_id", "External id", Kind.CODE, shown=True),
    _column("screening", "Not counted", Kind.STATE, shown=True),
    _column("flags", "Flags", Kind.FLAGS, shown=True),
    _column("offer", "Offer", Kind.OFFER, "offer_id", shown=True),
    _column("network", "Network", Kind.NETWORK, "network_id"),
    _column("cost", "Cost", Kind.MONEY, shown=True),
    _column("country", "Country", Kind.TEXT, shown=True),
    _column("device", "Device", Kind.TEXT, shown=True),
    _column("os", "OS", Kind.TEXT, shown=True),
    _column("browser", "Browser", Kind.TEXT, shown=True),
    _column("unique", "Unique", Kind.YES),
    _column("ip", "IP address", Kind.CODE),
    _column("language", "Language", Kind.TEXT),
    _column("referrer", "Referrer", Kind.CODE),
    _column("useragent", "User-Agent", Kind.CODE),
    _column("brand", "Brand", Kind.TEXT),
    _column("model", "Model", Kind.TEXT),
    _column("os_version", "OS version", Kind.TEXT),
    _column("browser_version", "Browser version", Kind.TEXT),
    _column("domain", "Domain", Kind.CODE),
    _column("target", "Sent to", Kind.CODE),
    *(Column(f"v{number}", f"V{number}", Kind.CODE, _part("parameters", f"v{number}")) for number in V_ROWS),
)

CONVERSION_COLUMNS = (
    _column("created_at", "Registered", Kind.MOMENT, shown=True),
    _column("conversion_id", "Conversion", Kind.CONVERSION, shown=True),
    Column("status", "Status", Kind.STATE, attrgetter("status.name"), True, attrgetter("status.counts_as")),
    _column("payout", "Payout", Kind.MONEY, shown=True),
    _column("txid", "Transaction id", Kind.CODE, shown=True),
    _column("click_id", "Click", Kind.CLICK),
    _column("campaign", "Campaign", Kind.CAMPAIGN, "campaign_id", shown=True),
    _column("source", "Source", Kind.SOURCE, "source_id", shown=True),
    _column("offer", "Offer", Kind.OFFER, "offer_id", shown=True),
    _column("network", "Network", Kind.NETWORK, "network_id"),
    Column("flags", "Flags", Kind.FLAGS, lambda row: (*row.flags, *(("test",) if row.test else ())), True),
    _column("external_id", "External id", Kind.CODE, shown=True),
    _column("converted_at", "Converted", Kind.MOMENT),
    _column("updated_at", "Changed", Kind.MOMENT),
    _column("version", "Changes", Kind.COUNT),
    _column("status_word", "Status word", Kind.CODE),
    _column("payout_text", "Payout as sent", Kind.CODE),
    _column("first_of_click", "First of click", Kind.YES),
    _column("test", "Test", Kind.YES),
    *(
        Column(f"param{number}", f"param{number}", Kind.CODE, _part("params", f"param{number}"))
        for number in range(1, PARAMS + 1)
    ),
    *(
        Column(f"event{number}", f"event{number}", Kind.CODE, _part("events", f"event{number}"))
        for number in range(1, EVENTS + 1)
    ),
)

NOTICE_COLUMNS = (
    _column("at", "Time", Kind.MOMENT, shown=True),
    _column("notice_id", "Incoming postback", Kind.NOTICE, shown=True),
    _column("outcome", "Outcome", Kind.STATE, shown=True),
    _column("reason_text", "Reason", Kind.TEXT, shown=True),
    _column("flags", "Flags", Kind.FLAGS, shown=True),
    _column("door", "Channel", Kind.TEXT, shown=True),
    _column("query", "Raw query", Kind.CODE, shown=True),
    _column("status_word", "Status word", Kind.CODE),
    _column("conversion_id", "Conversion", Kind.CONVERSION, shown=True),
    _column("click_id", "Click", Kind.CLICK),
    _column("network", "Network", Kind.NETWORK, "network_id", shown=True),
    _column("campaign", "Campaign", Kind.CAMPAIGN, "campaign_id"),
    _column("ip", "IP address", Kind.CODE, shown=True),
    _column("reason", "Reason code", Kind.CODE),
    _column("method", "Method", Kind.TEXT),
    _column("body", "Raw body", Kind.CODE),
    _column("content_type", "Content type", Kind.CODE),
    _column("useragent", "User-Agent", Kind.CODE),
    _column("domain", "Domain", Kind.CODE),
    _column("runs", "Times processed", Kind.COUNT),
    _column("run_at", "Reprocessed", Kind.MOMENT),
    _column("look_again_at", "Next check", Kind.MOMENT),
)

POSTBACK_COLUMNS = (
    _column("created_at", "Time", Kind.MOMENT, shown=True),
    _column("postback_id", "Postback", Kind.POSTBACK, shown=True),
    Column("state", "State", Kind.STATE, attrgetter("state"), True),
    _column("last_status_code", "Answer", Kind.COUNT, shown=True),
    _column("attempts", "Attempts", Kind.COUNT, shown=True),
    Column("why", "Reason / response", Kind.TEXT, lambda row: _why(row) or row.last_error or row.last_answer, True),
    _column("rule", "Rule", Kind.RULE, "rule_id", shown=True),
    _column("source", "Source", Kind.SOURCE, "source_id", shown=True),
    _column("conversion_id", "Conversion", Kind.CONVERSION, shown=True),
    Column(
        "request",
        "Request",
        Kind.CODE,
        lambda row: f"{row.request.method} {row.request.url}" if row.request else "",
        True,
    ),
    _column("next_attempt_at", "Next attempt", Kind.MOMENT, shown=True),
    _column("campaign", "Campaign", Kind.CAMPAIGN, "campaign_id", shown=True),
    _column("click_id", "Click", Kind.CLICK),
    _column("trigger", "Trigger", Kind.TEXT),
    Column("reason_text", "Reason", Kind.TEXT, _why),
    Column("last_answer", "Response", Kind.CODE, lambda row: row.last_error or row.last_answer),
    _column("last_duration_ms", "Took, ms", Kind.COUNT),
    _column("receiver", "Receiver", Kind.CODE),
    _column("reason", "Reason code", Kind.CODE),
    _column("resend", "Resend", Kind.COUNT),
    _column("original_id", "Original", Kind.POSTBACK),
    _column("version", "Change", Kind.COUNT),
    _column("finished_at", "Ended", Kind.MOMENT),
)
