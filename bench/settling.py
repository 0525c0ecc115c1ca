"""Measures settling clicks from real journal segments into the facts: rows/s, CPU per row, bytes on disk, and a look-up."""

import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import msgspec

from clickloop.click.click import Click
from clickloop.click.marks.campaign_marks import CampaignMarks
from clickloop.click_id import ClickIds
from clickloop.setup.instance import InstanceSettings
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.journal.reader import JournalReader
from clickloop.store.journal.segment import CLICKS_STREAM
from clickloop.store.journal.writer import JournalWriter
from clickloop.tracking.judging import ClickJudge
from clickloop.tracking.marks.settling import SettlingMarks
from clickloop.tracking.settle import settle_clicks

SMALL_BATCH = 5_000
SEGMENT = 2_500
BATCHES = 40
BULK_ROWS = 300_000
_START = 1_760_000_000_000
_USERAGENTS = (
    "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.6478.122 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 13; 2201117TG) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1 (KHTML, like Gecko) Version/17.5 Mobile Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4.1 Safari/605.1.15",
)
_COUNTRIES = ("US", "DE", "IN", "BR", "ID", "NG", "FR", "TR")


def clicks(count: int, start_ms: int) -> Iterator[Click]:
    """Yield clicks of twenty campaigns, five per millisecond, with external id, cost and four more parameters."""
    chance = random.Random(start_ms)
    ids = ClickIds(b"k" * 32)
    for number in range(count):
        at = start_ms + number // 5
        campaign_id = chance.randrange(1, 21)
        click_id = ids.new(at)
        yield Click(
            click_id=click_id,
            at=at,
            campaign_id=campaign_id,
            source_id=campaign_id % 5 + 1,
            offer_id=campaign_id * 2,
            network_id=campaign_id % 3 + 1,
            external_id=chance.randbytes(16).hex(),
            cost_micros=chance.randrange(1_000, 90_000),
            cost_currency="USD",
            target=f"https://offers.example/land?sub={click_id}",
            domain="trk.example",
            ip=f"{chance.randrange(1, 223)}.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(256)}",
            country=chance.choice(_COUNTRIES),
            language="en",
            useragent=chance.choice(_USERAGENTS),
            device="mobile",
            os="Android",
            os_version="14",
            browser="Chrome Mobile",
            browser_version="126",
            unique=chance.random() < 0.8,
            v1=str(chance.randrange(5_000)),
            v2=str(chance.randrange(100_000)),
            v3="mainstream",
            v4=f"creative-{chance.randrange(40)}",
        )


def write_segments(root: Path, count: int, start_ms: int) -> tuple[float, str]:
    """Write clicks to the journal as an edge does. Return the CPU seconds of appending, and the last click's id."""
    writer = JournalWriter.open(root, CLICKS_STREAM, "bench")
    chance = random.Random(start_ms)
    spent = 0.0
    click_id = ""
    records = []
    for number, click in enumerate(clicks(count, start_ms), 1):
        # As the edge writes it for a visitor without a cookie: with their hashes of today and yesterday.
        hashes = b',"visitor":"%015x","visitor_before":"%015x"}' % (chance.getrandbits(60), chance.getrandbits(60))
        records.append(msgspec.json.encode(click)[:-1] + hashes)
        click_id = click.click_id
        if number % SEGMENT == 0 or number == count:
            began = time.process_time()
            for record in records:
                writer.append(record)
            writer.close_segment()
            spent += time.process_time() - began
            records = []
    writer.close()
    return spent, click_id


class FactsWithoutRollups(DuckDbFacts):
    """The reference for what roll-ups cost."""

    def _roll_up(self, writer: duckdb.DuckDBPyConnection) -> None:
        pass


def rollup_ratio(folder: Path) -> str:
    """Settle the same batches with roll-ups and without, by turns. Return the line that compares their CPU."""
    marks = CampaignMarks(InstanceSettings(public_url=""))
    spent = {DuckDbFacts: 0.0, FactsWithoutRollups: 0.0}
    opened = {}
    for kind in spent:
        root = folder / kind.__name__
        root.mkdir()
        facts = kind.open(root / "facts.duckdb")
        opened[kind] = root, facts, ClickJudge(facts, SettlingMarks(facts, lambda: marks))
    for batch in range(BATCHES):
        for kind, (root, facts, judge) in opened.items():
            write_segments(root / "journal", SMALL_BATCH, _START + batch * SMALL_BATCH)
            reader = JournalReader(root / "journal", root / "settled")
            cpu, _ = _settle_all(reader, facts, judge, SMALL_BATCH)
            spent[kind] += cpu
    for _, facts, _ in opened.values():
        facts.close()
    ratio = spent[DuckDbFacts] / spent[FactsWithoutRollups]
    return f"Settling with roll-ups ÷ without, CPU, batches of {SMALL_BATCH:,} by turns: {ratio:.2f}."


def main() -> list[str]:
    """Settle in batches of 5,000 as under load, then a large backlog. Return the results as lines of Markdown."""
    with tempfile.TemporaryDirectory(prefix="clickloop-bench-") as folder:
        root = Path(folder)
        facts = DuckDbFacts.open(root / "facts.duckdb")
        reader = JournalReader(root / "journal", root / "settled")
        marks = CampaignMarks(InstanceSettings(public_url=""))
        judge = ClickJudge(facts, SettlingMarks(facts, lambda: marks))
        append_seconds = cpu = 0.0
        wall = 0.0
        for batch in range(BATCHES):
            spent, _ = write_segments(root / "journal", SMALL_BATCH, _START + batch * SMALL_BATCH)
            append_seconds += spent
            cpu_batch, wall_batch = _settle_all(reader, facts, judge, SMALL_BATCH)
            cpu += cpu_batch
            wall += wall_batch
        rows = SMALL_BATCH * BATCHES
        lines = ["| step | CPU µs per click | rows/s |", "| --- | --- | --- |"]
        lines.append(f"| journal append, `write` included | {append_seconds / rows * 1e6:.1f} | |")
        lines.append(f"| settling, {SMALL_BATCH:,} clicks a batch | {cpu / rows * 1e6:.1f} | {rows / wall:,.0f} |")
        journal_bytes, click_id = 0, ""
        _, click_id = write_segments(root / "journal", BULK_ROWS, _START + 10**9)
        journal_bytes = sum(path.stat().st_size for path in (root / "journal").rglob("*.ndjson"))
        cpu, wall = _settle_all(reader, facts, judge, BULK_ROWS)
        lines.append(
            f"| settling, a backlog of {BULK_ROWS:,} | {cpu / BULK_ROWS * 1e6:.1f} | {BULK_ROWS / wall:,.0f} |"
        )
        began = time.perf_counter()
        if click_id not in facts.find_clicks([click_id]):
            raise LookupError(f"{click_id} was settled and is not found")
        look_up_ms = (time.perf_counter() - began) * 1000
        facts.close()
        on_disk = (root / "facts.duckdb").stat().st_size / (rows + BULK_ROWS)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return [
            *lines,
            "",
            f"A click takes {on_disk:.0f} bytes in the facts, {journal_bytes / BULK_ROWS:.0f} in the journal.",
            f"One is found in {look_up_ms:.1f} ms among {rows + BULK_ROWS:,}. Resident memory of the bench: {peak:.0f} MiB at most.",
            rollup_ratio(root),
        ]


def _settle_all(reader: JournalReader, facts: DuckDbFacts, judge: ClickJudge, expected: int) -> tuple[float, float]:
    """Settle until nothing is left. Return the CPU and wall-clock seconds, including checkpoints."""
    settled = 0
    cpu, wall = time.process_time(), time.perf_counter()
    while (batch := settle_clicks(reader, facts, judge=judge)).segments:
        settled += batch.clicks
    if settled != expected:
        raise ArithmeticError(f"{settled} clicks were settled, {expected} were written")
    return time.process_time() - cpu, time.perf_counter() - wall


if __name__ == "__main__":
    sys.stdout.write("\n".join(main()) + "\n")
