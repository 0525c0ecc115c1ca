"""Reports of ``track.js``: a visit to a page, or events on it. Lenient where pages err, and in bounded time."""

from typing import Annotated
from urllib.parse import quote, unquote_plus

import msgspec
from msgspec import Meta

MAX_REPORT_BYTES = 4 * 1024
MAX_IMAGE_PAIRS = 100  # as of a campaign link
_ESCAPED = "!#$%&'()*+,/:;=?@[]~-._{}|"

Short = Annotated[str, Meta(max_length=100)]
Long = Annotated[str, Meta(max_length=MAX_REPORT_BYTES)]


class Brand(msgspec.Struct, frozen=True):
    """A browser's name and version, as a client hint gives them."""

    brand: Short = ""
    version: Short = ""


class Hints(msgspec.Struct, frozen=True, rename="camel"):
    """Client hints: ``NavigatorUAData.getHighEntropyValues``."""

    model: Short = ""
    platform: Short = ""
    platform_version: Short = ""
    mobile: bool = False
    full_version_list: tuple[Brand, ...] = ()


class PageReport(msgspec.Struct, frozen=True):
    """The body of ``POST /track``. With ``events`` it reports events, otherwise a visit."""

    campaign: Short | None = ""
    """The campaign's key."""
    url: Long = ""
    """The page's URL with its query."""
    referrer: Long = ""
    language: Short | None = ""
    screen: Short = ""
    timezone: Short | None = ""
    hints: Hints | None = None
    cid: Short = ""
    """The click id in the page's URL, or else of an earlier visit."""
    loaded: Annotated[float, Meta(ge=0, le=86_400_000)] = 0
    """Milliseconds from navigation to the report."""
    events: dict[Short, Short] = {}
    """Amounts by the event's number."""

    @property
    def query(self) -> bytes:
        """Return the query of the page's URL, with every byte percent-encoded that is invalid in a link."""
        query = self.url.partition("#")[0].partition("?")[2]
        return quote(query, safe=_ESCAPED, errors="replace").encode("ascii")


class UnreadableReportError(Exception):
    """The report cannot be read. The message says why."""


_decode = msgspec.json.Decoder(PageReport).decode


def read_report(body: bytes) -> PageReport:
    """Decode a report. Raise UnreadableReportError."""
    if len(body) > MAX_REPORT_BYTES:
        raise UnreadableReportError(f"The report has {len(body)} bytes. The maximum is {MAX_REPORT_BYTES}.")
    try:
        return _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise UnreadableReportError(f"The report is not the JSON that track.js sends: {fault}.") from None


def image_report(query: bytes, referrer: bytes, cookie: str) -> PageReport:
    """Return the report of ``track.gif``. ``query``: the image's; ``referrer``: the page; ``cookie``: the click id in the cookie."""
    pairs = query[:MAX_REPORT_BYTES].split(b"&")[:MAX_IMAGE_PAIRS]
    values: dict[str, str] = {}
    for pair in pairs:
        name, _, value = pair.partition(b"=")
        values.setdefault(unquote_plus(name[:100].decode("ascii", "replace")).lower(), _plain(value))
    events = {name[5:]: values[name] for name in values if name[:5] == "event" and name[5:].isdigit()}
    page = referrer[:MAX_REPORT_BYTES].decode("utf-8", "replace").partition("#")[0]
    joint = "&" if "?" in page else "?"
    return PageReport(
        campaign=values.get("campaign", ""),
        url=f"{page}{joint}{query[:MAX_REPORT_BYTES].decode('ascii', 'replace')}",
        cid=values.get("cid") or cookie,
        events=events,
    )


def _plain(value: bytes) -> str:
    return unquote_plus(value[:100].decode("ascii", "replace"))
