"""The big data of the benches, made small."""

from pathlib import Path

import duckdb

from bench.big_clicks import ClickPlan
from bench.big_data import Plan, make
from clickloop.click.click_log import ClickFilter
from clickloop.click_id import KEY_FILE, ClickId, ClickIds
from clickloop.clock import DAY_MS
from clickloop.diagnosis.doctor import examine
from clickloop.diagnosis.doctor_finding import DoctorVerdict
from clickloop.store.facts.duckdb.facts import DuckDbFacts

UNTIL = 1_790_000_000_000
PLAN = Plan(ClickPlan(3_000, 10, UNTIL, 7), conversions=300, campaigns=12, offers=8)


def _told(folder: Path) -> list[tuple[object, ...]]:
    with duckdb.connect(str(folder / "facts.duckdb"), read_only=True) as database:
        rows: list[tuple[object, ...]] = database.execute("SELECT * FROM facts ORDER BY ALL").fetchall()
    return rows


def test_big_data_is_complete_genuine_and_the_same_for_the_same_seed(tmp_path: Path) -> None:
    make(tmp_path / "a", PLAN)
    findings = [
        found for found in examine(tmp_path / "a", UNTIL) if found.place in ("ledger", "audit", "postbacks", "facts")
    ]
    told = [
        (found.verdict, found.sentence.partition(" is paused")[0])
        for found in findings
        if found.verdict is not DoctorVerdict.WELL
    ]
    assert told == [
        (DoctorVerdict.WARNING, "The receiver postback.kadam.example:443")
    ]  # one of them is paused, as in a real instance
    facts = DuckDbFacts.open(tmp_path / "a" / "facts.duckdb")
    clicks = facts.clicks_page(ClickFilter(), 5_000)
    facts.close()
    ids = ClickIds((tmp_path / "a" / KEY_FILE).read_bytes())
    assert len(clicks) == 3_000
    assert all(isinstance(ids.read(click.click_id), ClickId) for click in clicks[::100])
    assert UNTIL - 10 * DAY_MS <= clicks[-1].at <= clicks[0].at < UNTIL
    make(tmp_path / "b", PLAN)
    assert _told(tmp_path / "a") == _told(tmp_path / "b")
