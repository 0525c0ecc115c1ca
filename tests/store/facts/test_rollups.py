"""Roll-ups follow the facts whatever is written; where they do not, that is found and cured."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from clickloop.clock import DAY_MS, HOUR_MS
from clickloop.diagnosis.rollup_audit import RollupAudit
from clickloop.report.query import Dimension
from clickloop.store.facts.duckdb.rollups.rolling_up import MERGE_ROWS
from tests.store.counting import differing_days
from tests.store.facts.test_reports import NOON, OPENERS, Counted

DAMAGE = "UPDATE rollups_merged SET clicks = clicks + 1 WHERE part = 1"
"""Of merged rows: those are what an engine's fault would leave."""


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[Counted]:
    made = Counted(tmp_path, OPENERS["duckdb"])
    yield made
    made.facts.close()


def filled(counted: Counted) -> None:
    """Load clicks of three days, with conversions, one of which is taken back, and page events."""
    for day in range(3):
        click = counted.visit(
            3, NOON - day * DAY_MS, offer_id=1 + day, landing_id=1, cost_micros=100, cost_currency="USD"
        )
        counted.visit(1, NOON - day * DAY_MS, screening="test")
        counted.convert(click, 5_000_000, at=NOON + HOUR_MS)
        counted.convert(click, -5_000_000, at=NOON + HOUR_MS, conversions=-1)
        counted.convert(click, 7_000_000, "hold", at=NOON + DAY_MS)
        counted.press(click)


def reopened(counted: Counted, statement: str) -> None:
    """Close the facts, run a statement on the file and open them again."""
    counted.facts.close()
    with duckdb.connect(str(counted.folder / "facts.duckdb")) as database:
        database.execute(statement)
    counted.facts = OPENERS["duckdb"](counted.folder)


def test_deleting_old_clicks_takes_them_out(counted: Counted) -> None:
    filled(counted)
    while counted.facts.delete_clicks(NOON - DAY_MS + 7):
        assert differing_days(counted.facts) == []
    assert counted.report().totals.clicks == 3
    assert counted.report().totals.confirmed == 0
    assert counted.report().totals.pending == 3


def test_forgetting_conversions_takes_them_out(counted: Counted) -> None:
    filled(counted)
    counted.facts.forget_conversions(1000)
    assert differing_days(counted.facts) == []
    assert (counted.report().totals.pending, counted.report().totals.clicks) == (0, 9)


def test_many_loads_are_merged_and_stay_equal(counted: Counted) -> None:
    """The number of campaigns makes as many rows as trigger a merge."""
    for number in range(3):
        campaigns = range(number * MERGE_ROWS // 2, (number + 1) * MERGE_ROWS // 2)
        counted.load(*(counted.click(campaign_id=1 + campaign, at=NOON + number * HOUR_MS) for campaign in campaigns))
    assert differing_days(counted.facts) == []
    counted.facts.close()
    with duckdb.connect(str(counted.folder / "facts.duckdb")) as database:
        merged = database.execute("SELECT count(*) FROM rollups_merged").fetchone()
    counted.facts = OPENERS["duckdb"](counted.folder)
    assert merged is not None
    assert merged[0] >= MERGE_ROWS // 2
    assert counted.report(Dimension.CAMPAIGN).group_count == 3 * MERGE_ROWS // 2


def test_facts_that_an_older_version_added_are_rolled_up_when_the_file_is_opened(counted: Counted) -> None:
    filled(counted)
    reopened(counted, "INSERT INTO facts BY NAME SELECT * FROM facts")
    assert differing_days(counted.facts) == []
    assert counted.report().totals.clicks == 18


def test_after_opening_a_checkpoint_puts_everything_into_the_file(counted: Counted) -> None:
    filled(counted)
    counted.facts.checkpoint()
    log = counted.folder / "facts.duckdb.wal"
    assert not log.exists() or log.stat().st_size == 0


def test_roll_ups_of_another_version_are_made_anew(counted: Counted) -> None:
    filled(counted)
    reopened(counted, "ALTER TABLE rollups_merged DROP COLUMN rows; ALTER TABLE rollups_recent DROP COLUMN rows")
    assert differing_days(counted.facts) == []
    assert counted.report().totals.clicks == 9


def test_a_kill_while_they_are_made_for_the_first_time_leaves_a_file_that_makes_them_again(counted: Counted) -> None:
    filled(counted)
    reopened(
        counted, "DELETE FROM rollups_complete; DELETE FROM rollups_merged; DELETE FROM rollups_recent WHERE part = 1"
    )
    assert differing_days(counted.facts) == []


def test_the_audit_finds_what_differs_says_so_for_a_day_and_cures_it(counted: Counted) -> None:
    filled(counted)
    reopened(counted, "DELETE FROM rollups_complete")
    reopened(counted, DAMAGE)
    assert counted.report().totals.clicks > 9
    now = [NOON]
    audit = RollupAudit(counted.facts.rollups, lambda: now[0], steps_per_day=1)
    for _ in range(4):
        told = audit.step()
    assert [sentence.split(":")[1].split(" ")[3] for sentence in told] == ["2026-02-27", "2026-02-28", "2026-03-01"]
    assert differing_days(counted.facts) == []
    assert counted.report().totals.clicks == 9
    now[0] += DAY_MS
    assert audit.step() == ()
