"""Big data: ``python -m bench.big_data DIR`` creates a data folder like after months of use, for ``clickloop serve --data DIR``.

10 million clicks over 90 days up to now, 100,000 conversions with their history, 120,000 notices, 300,000 postbacks in all final
states, waiting or paused. Deterministic for ``--seed`` and ``--until``. Hosts end in .example, and no postback is due within twelve
hours, so that a server on this folder sends nothing.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import msgspec

from bench.big_clicks import ClickPlan, browser_rows, id_files, insert_part, key_of, prepare
from bench.big_setup import BigSetup, set_up
from bench.big_story import KnownClicks, Story, StoryClock, finish_postbacks
from clickloop.click_id import KEY_FILE, ClickIds
from clickloop.clock import DAY_MS, wall_clock
from clickloop.machine.secret_box import secret_box_of
from clickloop.record_id import RecordIds
from clickloop.saving.access import Access
from clickloop.setup.instance import InstanceSettings
from clickloop.store.export_files import ExportFiles
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.upload_files import UploadFiles
from clickloop.tracking.notices import Intake
from clickloop.tracking.settle import settle_facts
from clickloop.web.api.context import ApiContext

CONVERSIONS_PER_CLICK = 1.04
"""A few clicks convert twice."""
LOCAL_TOKEN = "big-data"


class Plan(msgspec.Struct, frozen=True):
    """The size of the data."""

    clicks: ClickPlan
    conversions: int
    campaigns: int = 80
    offers: int = 60


def make(folder: Path, plan: Plan) -> None:
    """Create the data folder, which must be new or empty."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty: choose a new folder")
    clicks = plan.clicks
    (folder / KEY_FILE).touch(mode=0o600)
    (folder / KEY_FILE).write_bytes(key_of(clicks.seed))
    clock = StoryClock()
    clock.now_ms = clicks.from_at - DAY_MS
    with _stores(folder) as (ledger, facts), tempfile.TemporaryDirectory(dir=folder) as scratch:
        setup = _set_up(folder, ledger, facts, clock, plan)
        known = KnownClicks()
        entropy = random.Random(clicks.seed + 3).randbytes
        click_ids = ClickIds(key_of(clicks.seed))
        intake = Intake(ledger, known, click_ids, RecordIds(clock, entropy), "USD")
        story = Story(intake, known, clock, clicks, setup)
        _make_facts(facts, ledger, story, plan, setup, Path(scratch))
        finish_postbacks(ledger, clicks)


def _make_facts(facts: DuckDbFacts, ledger: Ledger, story: Story, plan: Plan, setup: BigSetup, scratch: Path) -> None:
    """Create part by part the clicks, the notices of the same time, and their facts."""
    clicks = plan.clicks
    converting = _converting(plan)
    database = facts._writer  # noqa: SLF001 – the engine generates the rows, which the product never does
    prepare(database, setup, clicks.seed)
    browsers = browser_rows()
    for part, path in enumerate(id_files(clicks, scratch)):
        numbers = clicks.part_range(part)
        insert_part(database, path, browsers, len(setup.campaigns))
        wanted = _chosen(path, numbers, converting)
        for _, click in sorted(facts.find_clicks(wanted).items()):
            story.add_click(click)
        path.unlink()
        story.send_until(clicks.moment(numbers.stop))
        while settle_facts(ledger, facts):
            pass


def _converting(plan: Plan) -> list[int]:
    """Return the numbers of the clicks that convert, ascending."""
    wanted = min(plan.clicks.count, round(plan.conversions / CONVERSIONS_PER_CLICK))
    return sorted(random.Random(plan.clicks.seed).sample(range(plan.clicks.count), wanted))


def _chosen(path: Path, numbers: range, converting: list[int]) -> list[str]:
    """Return the ids of a part's clicks that convert."""
    chosen = {number for number in converting if number in numbers}
    with path.open() as lines:
        return [
            line.split(",")[1] for number, line in zip(count(numbers.start), lines, strict=False) if number in chosen
        ]


def _set_up(folder: Path, ledger: Ledger, facts: DuckDbFacts, clock: StoryClock, plan: Plan) -> BigSetup:
    context = ApiContext(
        ledger=ledger,
        access=Access(ledger=ledger),
        facts=facts,
        click_ids=ClickIds(key_of(plan.clicks.seed)),
        started=InstanceSettings(public_url="https://trk.example"),
        clock=clock,
        uploads=UploadFiles(folder / "uploads"),
        exports=ExportFiles(folder / "exports"),
        local_token=LOCAL_TOKEN,
    )
    first_day = plan.clicks.from_at // DAY_MS - 1
    days = range(first_day, first_day + plan.clicks.days + 2)
    return set_up(context, random.Random(plan.clicks.seed), days, plan.campaigns, plan.offers)


@contextmanager
def _stores(folder: Path) -> Iterator[tuple[Ledger, DuckDbFacts]]:
    ledger = Ledger.open(folder / "ledger.sqlite", secret_box_of(folder))
    facts = DuckDbFacts.open(folder / "facts.duckdb", memory_limit_mb=4_096, threads=len(os.sched_getaffinity(0)))
    try:
        yield ledger, facts
    finally:
        facts.close()
        ledger.close()


def main(arguments: list[str]) -> int:
    """Create the folder and print how long it took."""
    parser = argparse.ArgumentParser(prog="python -m bench.big_data", description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clicks", type=int, default=10_000_000)
    parser.add_argument("--conversions", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--until", type=int, default=None, help="Unix milliseconds, by default now")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    clicks = ClickPlan(options.clicks, options.days, options.until or wall_clock(), options.seed)
    make(options.folder, Plan(clicks, options.conversions))
    size = sum(path.stat().st_size for path in options.folder.rglob("*") if path.is_file())
    free = shutil.disk_usage(options.folder).free
    print(
        f"{options.folder}: {size / 2**20:,.0f} MiB in {time.monotonic() - began:.0f} s; {free / 2**30:.0f} GiB free."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
