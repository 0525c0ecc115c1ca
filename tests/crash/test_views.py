"""The worker of scheduled views killed after each of its statements: a run has one postback, no more and no less."""

import random
import sys
from pathlib import Path

import pytest

from clickloop.postback.postback_log import PostbackFilter
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.postbacks import postbacks_before
from clickloop.store.ledger.setup.views import runs_of
from tests.crash.killing import killed_after
from tests.tracking.views.test_sending import DAY_MS, ViewInstance

pytestmark = pytest.mark.crash

CHILD = Path(__file__).with_name("view_child.py")


def test_a_run_has_one_postback_wherever_the_worker_is_killed(tmp_path: Path) -> None:
    sending = ViewInstance(tmp_path)
    now_ms = sending.now
    sending.facts.close()
    sending.ledger.close()
    chance = random.Random(0)
    for day, lines in enumerate((1, 2, 3, 5, 7, 8, 9, 10), 1):
        command = [sys.executable, str(CHILD), str(tmp_path), str(now_ms + day * DAY_MS)]
        killed_after(command, lines, chance)
        killed_after(command, sys.maxsize, chance)
        ledger = Ledger.open(tmp_path / "ledger.sqlite")
        with ledger.read() as tx:
            sent = postbacks_before(tx, PostbackFilter(), None, 100)
            runs = runs_of(tx, [1])[1]
        ledger.close()
        assert [one.version for one in sent] == list(range(day, 0, -1))
        assert (runs.runs, runs.last_postback_id) == (day, sent[0].postback_id)
        assert (runs.next_run_at or 0) > now_ms + day * DAY_MS
