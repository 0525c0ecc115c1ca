"""A few backups like those of ``bench.backup``: under load, with kills, each restored, started and audited."""

import random
from pathlib import Path

import pytest

from bench.backup import Plan, Soak, lines_of, run
from bench.backup_audit import Acknowledged, audit, compare
from clickloop.backup.restoring import restore
from clickloop.backup.taking import take_backup
from clickloop.clock import wall_clock
from tests.backup.folders import SILENT

pytestmark = pytest.mark.crash
PLAN = Plan(
    rounds=3,
    seed=random.randrange(10_000),
    pause_seconds=0.2,
    first_conversions=100,
    sends_between_backups=False,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("soak")


@pytest.fixture(scope="module")
def soak(folder: Path) -> Soak:
    """Run the rounds and return their results. The tracker is stopped."""
    return run(PLAN, folder)


def test_backups_under_load_with_kills_lose_duplicate_and_send_nothing(soak: Soak) -> None:
    print("\n".join(lines_of(soak)))
    assert soak.broken == (), f"seed {PLAN.seed}"
    assert [one.killed for one in soak.rounds] == ["core", "backup", "edge"]
    assert soak.notices > PLAN.first_conversions
    assert all(one.audit.conversions >= PLAN.first_conversions for one in soak.rounds)


def test_the_audit_reports_what_a_backup_lacks(soak: Soak, folder: Path, tmp_path: Path) -> None:
    assert soak.rounds
    take_backup(folder / "data", tmp_path / "b.tar", SILENT)
    restore(tmp_path / "b.tar", tmp_path / "restored", SILENT, wall_clock(), hold=True)
    assert audit(tmp_path / "restored", Acknowledged(), 120).broken == ()
    faulty = compare(tmp_path / "restored", Acknowledged(["c" * 26], [("c" * 26, "T-lost")]), 1)
    assert faulty.lost == 2
    assert len(faulty.broken) == 3
