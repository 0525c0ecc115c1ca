"""A rerun of marks killed with SIGKILL while it applies and undoes: the same reports as without the kills, in every grouping."""

import random
import sys
from pathlib import Path

import pytest

from clickloop.setup.mark import Mark
from clickloop.store.ledger.jobs.jobs import JobState
from clickloop.tracking.marks.reruns import apply_mark_rerun, find_mark_rerun, undo_mark_rerun
from tests.crash.killing import killed_after
from tests.empty_stores import open_facts
from tests.store.facts.test_reports import NOON
from tests.tracking.test_mark_reruns import Office

pytestmark = pytest.mark.crash

CHILD = Path(__file__).with_name("mark_rerun_child.py")
CLICKS = 40
KILLS = 4


def test_a_rerun_killed_while_it_applies_and_undoes_gives_the_same_reports(tmp_path: Path) -> None:
    office = Office(tmp_path)
    chance = random.Random(11)
    for place in range(CLICKS):
        marked = "datacenter" if place % 7 == 0 else ""
        click = office.visit(NOON + place, asn=chance.choice(["24940", "1"]), marks=marked, campaign_id=1 + place % 3)
        if place % 5 == 0:
            office.counted.convert(click, place)
            office.counted.press(click)
    before = office.reports()
    plain = office.preview(Mark.DATACENTER, Mark.REPEAT)
    office.apply(plain)
    applied = office.reports()
    assert applied != before
    office.undo(plain)
    killed = office.preview(Mark.DATACENTER, Mark.REPEAT)
    for command, expected in ((apply_mark_rerun, applied), (undo_mark_rerun, before)):
        command(office.context, killed)
        office.counted.facts.close()  # only one process may have it open
        for _ in range(KILLS):
            killed_after([sys.executable, str(CHILD), str(tmp_path)], 2, chance)
        killed_after([sys.executable, str(CHILD), str(tmp_path)], 10 * CLICKS, chance)
        office.counted.facts = open_facts(tmp_path / "facts.duckdb")
        view = find_mark_rerun(office.context, killed)
        assert view is not None
        assert view.state is JobState.FINISHED
        assert office.reports() == expected
    office.counted.facts.close()
    office.ledger.close()
