"""Big data: ``python -m bench.big_data DIR`` makes a data folder as months of work would, for ``clickloop serve --data DIR``.

10 million clicks over 90 days up to now, 100,000 conversions with their history, 120,000 notices, 300,000 postbacks in all final
states, waiting or paused. Deterministic by ``--seed`` and ``--until``. Hosts end in .example, and nothing is due within twelve
hours, so that a server that opens it sends nothing.
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

from bench.big_clicks import Clicks, browser_rows, id_files, insert_part, key_of, prepare
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
from clickloop.tracking.notices import Desk
from clickloop.tracking.settle import settle_facts
from clickloop.web.api.context import ApiContext

CONVERSIONS_PER_CLICK = 1.04
"""A few clicks convert twice."""
LOCAL_TOKEN = "big-data"


class Plan(msgspec.Struct, frozen=True):
    """How much is made."""

    clicks: Clicks
    conversions: int
    campaigns: int = 80
    offers: int = 60


def make(folder: Path, plan: Plan) -> None:
    """Makes the data folder, which must not be there or be empty."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty: name a folder that is new")
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
        desk = Desk(ledger, known, click_ids, RecordIds(clock, entropy), "USD")
        story = Story(desk, known, clock, clicks, setup)
        _tell(facts, ledger, story, plan, setup, Path(scratch))
        finish_postbacks(ledger, clicks)


def _tell(facts: DuckDbFacts, ledger: Ledger, story: Story, plan: Plan, setup: BigSetup, scratch: Path) -> None:
    """Part by part: the clicks, the notices that come meanwhile, and what they tell the facts."""
    clicks = plan.clicks
    converting = _converting(plan)
    database = facts._writer  # noqa: SLF001 – rows are made by the engine itself, which no door of the product does
    prepare(database, setup, clicks.seed)
    browsers = browser_rows()
    for part, path in enumerate(id_files(clicks, scratch)):
        numbers = clicks.of_part(part)
        insert_part(database, path, browsers, len(setup.campaigns))
        wanted = _chosen(path, numbers, converting)
        for _, click in sorted(facts.find_clicks(wanted).items()):
            story.foresee(click)
        path.unlink()
        story.tell(clicks.moment(numbers.stop))
        while settle_facts(ledger, facts):
            pass


def _converting(plan: Plan) -> list[int]:
    """The numbers of the clicks that convert, ascending."""
    wanted = min(plan.clicks.count, round(plan.conversions / CONVERSIONS_PER_CLICK))
    return sorted(random.Random(plan.clicks.seed).sample(range(plan.clicks.count), wanted))


def _chosen(path: Path, numbers: range, converting: list[int]) -> list[str]:
    """The ids of those clicks of the part that convert."""
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
    """Makes the folder; says how long it took."""
    parser = argparse.ArgumentParser(prog="python -m bench.big_data", description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clicks", type=int, default=10_000_000)
    parser.add_argument("--conversions", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--until", type=int, default=None, help="Unix milliseconds; left out: now")
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    clicks = Clicks(asked.clicks, asked.days, asked.until or wall_clock(), asked.seed)
    make(asked.folder, Plan(clicks, asked.conversions))
    size = sum(path.stat().st_size for path in asked.folder.rglob("*") if path.is_file())
    free = shutil.disk_usage(asked.folder).free
    print(f"{asked.folder}: {size / 2**20:,.0f} MiB in {time.monotonic() - began:.0f} s; {free / 2**30:.0f} GiB free.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
