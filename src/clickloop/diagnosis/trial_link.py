"""Links whose clicks are marked as tests."""

import secrets
from collections.abc import Mapping
from urllib.parse import quote_from_bytes

from clickloop.click.trial_mark import TEST_PARAMETER, new_mark
from clickloop.click_id import ClickIds
from clickloop.setup.campaign import Campaign, base_of
from clickloop.setup.traffic_source import COST, EXTERNAL_ID, TrafficSource
from clickloop.text import unescape_bytes


def trial_link(
    campaign: Campaign, parameters: Mapping[str, str], base_url: str, click_ids: ClickIds, now_ms: int
) -> str:
    """Return a campaign's link with these query parameters and a mark that makes its clicks tests for a while."""
    marked = {**parameters, TEST_PARAMETER: new_mark(click_ids, campaign.key, now_ms)}
    pairs = [
        f"{quote_from_bytes(unescape_bytes(name), safe='')}={quote_from_bytes(unescape_bytes(value), safe='')}"
        for name, value in marked.items()
        if name and (value or name == EXTERNAL_ID)
    ]
    return f"{base_of(base_url, campaign.domain)}/c/{campaign.key}?{'&'.join(pairs)}"


def example_parameters(source: TrafficSource) -> dict[str, str]:
    """Return an example for each tracked parameter of a source, with an external id that no other test has."""
    usual = {EXTERNAL_ID: f"test-{secrets.token_hex(4)}", COST: "0.01"}
    return {
        row.parameter: usual.get(row.parameter, f"example-{row.parameter}")
        for row in source.parameters
        if row.tracked and (row.placeholder or row.parameter == EXTERNAL_ID)
    }
