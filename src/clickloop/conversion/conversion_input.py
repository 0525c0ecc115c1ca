"""A conversion entered by hand or over the API, and the notice that a network would have sent for it."""

from urllib.parse import quote_from_bytes

import msgspec

from clickloop.conversion.notice import Channel, RawNotice
from clickloop.text import unescape_bytes


class ConversionInput(msgspec.Struct, frozen=True, kw_only=True):
    """A conversion as entered. Texts are as a network would send them; empty ones are left out."""

    click_id: str
    payout: str = ""
    status: str = ""
    txid: str = ""
    currency: str = ""
    at: str = ""
    """When it happened: ISO 8601 or Unix seconds."""
    conversion_id: str = ""
    params: dict[int, str] = {}
    events: dict[int, str] = {}
    disable_postback: bool = False


def raw_notice_of(data: ConversionInput, channel: Channel, notice_id: str, now_ms: int, ip: str = "") -> RawNotice:
    """Return the notice that a network would have sent to report the same; it is stored and parsed like one."""
    pairs = {
        "cid": data.click_id,
        "payout": data.payout,
        "status": data.status,
        "txid": data.txid,
        "currency": data.currency,
        "at": data.at,
        "conversion_id": data.conversion_id,
        "disable_postback": "1" if data.disable_postback else "",
        **{f"param{number}": value for number, value in data.params.items()},
        **{f"event{number}": value for number, value in data.events.items()},
    }
    query = "&".join(
        f"{name}={quote_from_bytes(unescape_bytes(value), safe='')}" for name, value in pairs.items() if value
    )
    return RawNotice(notice_id=notice_id, at=now_ms, channel=channel, method="", query=query, ip=ip)
