"""Limits of what is stored of notices that anyone can flood us with: without a genuine click id, or repeated for one click."""

from clickloop.clock import MINUTE_MS
from clickloop.conversion.pairs import MAX_INPUT_BYTES

MAX_STORED_BYTES = MAX_INPUT_BYTES + 1
"""Bytes stored of query and body each: what is parsed, plus one that shows that there was more."""
MAX_STORED_BYTES_OVER_RATE = 1_024  # enough to recognise the sender
MAX_PER_ADDRESS = 60
"""Notices per address and minute that are stored in full, so that a network with a wrong macro can be diagnosed."""
MAX_PER_MINUTE = 1_000  # in full these take at most 30 MB a minute
MAX_ADDRESSES = 20_000
"""Maximum number of addresses counted per minute; notices from further ones count as over the rate."""
MAX_PAGE_REPORTS_PER_ADDRESS = 60
"""Reports of pages per address and minute that are stored whole. No reader of pages opens that many."""
MAX_PER_CLICK = 60
"""Notices per click and minute that are stored as they came. No network sends that many."""
MAX_LONG_PER_ADDRESS = 60
"""Notices per address and minute that are stored whole although they are longer than what is parsed."""
MAX_LONG_PER_MINUTE = 120  # a whole body has up to 256 KB
MAX_CLICKS = 50_000
"""Maximum number of clicks counted per minute. Further ones are not limited: that many come from many visitors."""


class NoticeRates:
    """Counters of notices by address and by click, per minute and process."""

    def __init__(self) -> None:
        self._minute = -1
        self._all = 0
        self._counts: dict[str, int] = {}
        self._clicks: dict[str, int] = {}
        self._pages: dict[str, int] = {}
        self._long = 0
        self._long_counts: dict[str, int] = {}

    def is_click_over_rate(self, click_id: str, now_ms: int) -> bool:
        """Count a notice of this click. Return whether it is over the rate up to which they are stored as they came."""
        self._start_minute(now_ms)
        count = self._clicks.get(click_id, 0)
        if count or len(self._clicks) < MAX_CLICKS:
            self._clicks[click_id] = count + 1
        return count >= MAX_PER_CLICK

    def is_long_over_rate(self, ip: str, now_ms: int) -> bool:
        """Count a long notice with a genuine click id. Return whether its address, or all, exceed the rate stored in full."""
        self._start_minute(now_ms)
        self._long += 1
        network = _network_of(ip)
        count = self._long_counts.get(network, 0)
        if self._long <= MAX_LONG_PER_MINUTE:
            self._long_counts[network] = count + 1
        return count >= MAX_LONG_PER_ADDRESS or self._long > MAX_LONG_PER_MINUTE

    def is_page_over_rate(self, ip: str, now_ms: int) -> bool:
        """Count a report of a page by this address. Return whether it is over the rate up to which they are stored whole."""
        self._start_minute(now_ms)
        network = _network_of(ip)
        count = self._pages.get(network, 0)
        if count or len(self._pages) < MAX_ADDRESSES:
            self._pages[network] = count + 1
        return count >= MAX_PAGE_REPORTS_PER_ADDRESS

    def is_over_rate(self, ip: str, now_ms: int) -> bool:
        """Count a notice from this address. Return whether the address, or all, exceed the rate stored in full."""
        self._start_minute(now_ms)
        self._all += 1
        network = _network_of(ip)
        count = self._counts.get(network, 0)
        if count == 0 and len(self._counts) >= MAX_ADDRESSES:
            return True
        self._counts[network] = count + 1
        return count >= MAX_PER_ADDRESS or self._all > MAX_PER_MINUTE

    def _start_minute(self, now_ms: int) -> None:
        """Reset the counters when a new minute begins."""
        minute = now_ms // MINUTE_MS
        if minute != self._minute:
            self._minute, self._all, self._long = minute, 0, 0
            self._counts.clear()
            self._clicks.clear()
            self._pages.clear()
            self._long_counts.clear()


def _network_of(ip: str) -> str:
    """Return an IPv4 address, or the /64 of an IPv6 address: its owner may use all of that."""
    if ":" not in ip:
        return ip
    head, gap, tail = ip.partition("::")
    groups = head.split(":") if head else []
    if gap:
        behind = tail.split(":") if tail else []
        groups += ["0"] * (8 - len(groups) - len(behind)) + behind
    return ":".join(groups[:4])
