"""How many of a campaign's recent visitors had no value, by field."""

from pathlib import Path
from typing import Any

import pytest

from clickloop.click.click import Click
from clickloop.click_id import ClickIds
from tests.empty_stores import open_facts
from tests.store.facts.test_facts import Store

NOON = 1_760_000_000_000
CLICK_IDS = ClickIds(b"k" * 32)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, lambda folder: open_facts(folder / "facts.duckdb"))


def click(at: int = NOON, campaign_id: int = 1, **fields: Any) -> Click:
    return Click(click_id=CLICK_IDS.new(at), at=at, campaign_id=campaign_id, source_id=1, **fields)


def test_shares_are_of_the_campaigns_counted_clicks_since_then(store: Store) -> None:
    store.load(
        click(country="DE"),
        click(country="DE", v1="7"),
        click(),
        click(country="US", region="US-CA"),
        click(screening="test"),
        click(campaign_id=2),
        click(at=NOON - 1000),
    )
    shares = store.facts.unknown_shares([1], ["country", "region", "v1", "schedule", "unique", "nonsense"], NOON)
    assert shares == {"country": 0.25, "region": 0.75, "v1": 0.75}
    assert store.facts.unknown_shares([1, 2], ["country"], NOON) == {"country": 0.4}


def test_nothing_is_said_without_clicks_campaigns_or_fields(store: Store) -> None:
    store.load(click())
    assert store.facts.unknown_shares([7], ["country"], NOON) == {}
    assert store.facts.unknown_shares([], ["country"], NOON) == {}
    assert store.facts.unknown_shares([1], ["schedule"], NOON) == {}
