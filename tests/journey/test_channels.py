"""Transactions reported fifty times at once through three channels, like ``bench.channels`` but fewer."""

from pathlib import Path

import pytest

from bench.channels import PARALLEL_CONNECTIONS, RULES, lines_of, run_channels

pytestmark = pytest.mark.journey
TXIDS = 60


def test_fifty_notices_at_once_over_three_channels_are_one_conversion_and_one_postback_per_rule(tmp_path: Path) -> None:
    results, counts = run_channels(TXIDS, tmp_path / "data")
    print("\n".join(lines_of(TXIDS, results, counts)))
    assert sum(PARALLEL_CONNECTIONS.values()) == 50
    assert counts.broken == ()
    assert (counts.conversions, counts.postbacks, counts.arrived) == (TXIDS, RULES * TXIDS, RULES * TXIDS)
