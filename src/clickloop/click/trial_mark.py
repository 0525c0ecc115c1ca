"""The test mark: a sealed, short-lived link parameter by which the edge recognises a test click without a database."""

import hmac
import re

from clickloop.click_id import ClickIds
from clickloop.clock import SECOND_MS

TEST_PARAMETER = "clickloop_test"
TEST_MARK_MS = 3_600_000
"""Lifetime of a mark: long enough to try a link on another device, short enough to be harmless if left in a source."""

TEST_BYTES = f"{TEST_PARAMETER}=".encode()
"""For a quick test: a query without these bytes has no mark."""
_MARK = re.compile(rb"(?:^|&|;)" + TEST_BYTES + rb"([0-9]{1,12})-([0-9a-f]{32})(?:&|$)")


def new_mark(click_ids: ClickIds, campaign_key: str, now_ms: int) -> str:
    """Return the parameter's value for a link of this campaign."""
    ends = (now_ms + TEST_MARK_MS) // SECOND_MS
    return f"{ends}-{_seal(click_ids, campaign_key.encode(), ends)}"


def is_test(click_ids: ClickIds, campaign_key: bytes, query: bytes, now_ms: int) -> bool:
    """Return whether a link's query has a valid mark of this campaign."""
    found = _MARK.search(query)
    if found is None:
        return False
    ends = int(found[1])
    seal = _seal(click_ids, campaign_key, ends)
    return hmac.compare_digest(seal.encode(), found[2]) and now_ms < ends * SECOND_MS


def _seal(click_ids: ClickIds, campaign_key: bytes, ends: int) -> str:
    return click_ids.seal(b"test click\0%b\0%d" % (campaign_key, ends))
