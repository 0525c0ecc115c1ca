"""Reports each transaction fifty times at once, by postback, pixel and by hand. Run with ``python -m bench.channels [TXIDS]``.

However often and through whichever channel it is reported, it must become one conversion, and one postback per rule. Otherwise
the exit status is 1.
"""

import asyncio
import itertools
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
import uvloop
from sqlalchemy import Connection, text

from bench.flaky import ReceivedRequest, flaky_receivers
from bench.killable import KillableTracker
from bench.machine import percentile, wait_until
from clickloop.diagnosis.self_audit import audit_everything
from clickloop.machine.core_client import CoreAddress, read_core_address
from clickloop.machine.secret_box import secret_box_of
from clickloop.store.ledger.ledger import Ledger

TXIDS = 10_000
TXIDS_PER_CLICK = 5
PARALLEL_CONNECTIONS = {"postback": 22, "pixel": 22, "by hand": 6}
"""Number of connections per channel that report a transaction at the same time."""
PARALLEL_TXIDS = 2
"""Number of transactions reported at the same time."""
RULES = 2
SETTLE_SECONDS = 900.0
_OFFER_CLICK_ID = re.compile(rb"[?&]sub=([0-9a-z]{26})")
_RECEIVERS = 8


class ChannelResults(msgspec.Struct, frozen=True):
    """The responses of all channels, and how long it took."""

    statuses: dict[str, dict[int, int]]
    """Number of responses by status code, by channel."""
    answers_ms: dict[str, list[float]]
    seconds: float
    settled_seconds: float


class LedgerCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of rows in the ledger and of requests at the receivers. ``broken``: a sentence for each broken promise."""

    notices: dict[str, int]
    conversions: int
    postbacks: int
    arrived: int
    broken: tuple[str, ...]


def main(txids: int) -> list[str]:
    """Return the results as lines of Markdown. Raise ArithmeticError if a promise is broken."""
    with tempfile.TemporaryDirectory(prefix="clickloop-bench-") as folder:
        results, counts = run_channels(txids, Path(folder) / "data")
    if counts.broken:
        raise ArithmeticError(" ".join(counts.broken))
    return lines_of(txids, results, counts)


def run_channels(txids: int, folder: Path) -> tuple[ChannelResults, LedgerCounts]:
    """Report transactions to a tracker in a folder, and count the results."""
    tracker = KillableTracker(folder, edges=1)
    arrivals: list[ReceivedRequest] = []
    try:
        with flaky_receivers(seed=1, faulty_percent=0, arrivals=arrivals) as port:
            tracker.start()
            tracker.wait_until_ready()
            keys = set_up(tracker, port)
            core = read_core_address(folder)
            ledger = Ledger.open(folder / "ledger.sqlite", secret_box_of(folder))
            results = uvloop.run(_report_all(tracker, core, keys, txids, ledger))
            tracker.stop()
    finally:
        tracker.abandon()
    counts = _count(ledger, txids, results, arrivals)
    ledger.close()
    return results, counts


def lines_of(txids: int, results: ChannelResults, counts: LedgerCounts) -> list[str]:
    """Return the results as lines of Markdown."""
    total = txids * sum(PARALLEL_CONNECTIONS.values())
    lines = [
        (
            f"{txids:,} txids, each reported {sum(PARALLEL_CONNECTIONS.values())} times at once, {PARALLEL_TXIDS} txids at a time: "
            f"{total:,} notices in {results.seconds:.0f} s, {total / results.seconds:,.0f}/s; settled and delivered "
            f"{results.settled_seconds:.0f} s later."
        ),
        "",
        "| channel | at once | answers | p50 ms | p99 ms |",
        "| --- | --- | --- | --- | --- |",
    ]
    for channel, times in PARALLEL_CONNECTIONS.items():
        statuses = ", ".join(f"{status}: {number:,}" for status, number in sorted(results.statuses[channel].items()))
        spent = results.answers_ms[channel]
        lines.append(
            f"| {channel} | {times} | {statuses} | {percentile(spent, 50):.1f} | {percentile(spent, 99):.1f} |"
        )
    outcomes = ", ".join(f"{outcome} {number:,}" for outcome, number in sorted(counts.notices.items()))
    return [
        *lines,
        "",
        (
            f"They made {counts.conversions:,} conversions ({outcomes}) and {counts.postbacks:,} postbacks for {RULES} rules; "
            f"{counts.arrived:,} requests arrived, each postback's once."
        ),
    ]


def set_up(tracker: KillableTracker, port: int) -> list[str]:
    """Create sources with a rule each, and a global rule. Return the campaigns' keys."""
    network = tracker.create("networks", {"name": "Network"})
    url = "https://offers.example.net/?sub={clickid}"
    offer = tracker.create("offers", {"name": "Offer", "network_id": network["id"], "url": url})
    keys = []
    for number in range(_RECEIVERS):
        row = {"parameter": "external_id", "placeholder": "{id}"}
        target = f"http://127.0.3.{number + 1}:{port}/pb?id={{externalid}}&txid={{txid}}&pid={{postback_id}}"
        source = tracker.create(
            "traffic-sources", {"name": f"Source {number}", "parameters": [row], "postback_url": target}
        )
        shares = [{"offer_id": offer["id"]}]
        body: dict[str, object] = {"name": f"Campaign {number}", "source_id": source["id"], "offers": shares}
        keys.append(str(tracker.create("campaigns", body)["key"]))
    everywhere = f"http://127.0.4.1:{port}/own?pid={{postback_id}}"
    tracker.create("postback-rules", {"name": "Own system", "request": {"url": everywhere}})
    return keys


class _Connection:
    """A keep-alive connection for sequential requests."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, address: str) -> "_Connection":
        host, _, port = address.rpartition(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    async def request(self, head: str, body: bytes = b"") -> tuple[int, bytes]:
        """Send a request line with further header lines, and a body. Return status and head once the whole response is read."""
        framing = f"content-length: {len(body)}\r\n" if body else ""
        self._writer.write(f"{head}\r\nhost: track.example.com\r\n{framing}\r\n".encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        lines = answer.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        await self._reader.readexactly(length)
        return int(answer[9:12]), answer

    def close(self) -> None:
        self._writer.close()


async def _report_all(
    tracker: KillableTracker, core: CoreAddress, keys: list[str], txids: int, ledger: Ledger
) -> ChannelResults:
    public = f"127.0.0.1:{tracker.port}"
    line = await _Connection.open(public)
    clicks = []
    for number in range(-(-txids // TXIDS_PER_CLICK)):
        _, head = await line.request(f"GET /c/{keys[number % len(keys)]}?external_id=v{number} HTTP/1.1")
        found = _OFFER_CLICK_ID.search(head)
        assert found is not None, head
        clicks.append(found[1].decode())
    line.close()
    await _until_settled(core, clicks[-1])
    statuses: dict[str, Counter[int]] = {channel: Counter() for channel in PARALLEL_CONNECTIONS}
    answers_ms: dict[str, list[float]] = {channel: [] for channel in PARALLEL_CONNECTIONS}
    numbers = itertools.islice(itertools.count(), txids)
    began = time.monotonic()
    groups = (_report_txids(public, core, clicks, numbers, statuses, answers_ms) for _ in range(PARALLEL_TXIDS))
    await asyncio.gather(*groups)
    ended = time.monotonic()
    notices = txids * sum(PARALLEL_CONNECTIONS.values())
    message = "The notices are not settled, or the postbacks not final."
    await asyncio.to_thread(wait_until, partial(_is_settled, ledger, notices), SETTLE_SECONDS, message)
    plain = {channel: dict(found) for channel, found in statuses.items()}
    return ChannelResults(plain, answers_ms, ended - began, time.monotonic() - ended)


async def _until_settled(core: CoreAddress, click_id: str) -> None:
    """Wait until the last click is settled, so that no notice is answered 202 because it waits for its click."""
    line = await _Connection.open(core.url.partition("//")[2])
    question = f"GET /api/v1/clicks/{click_id} HTTP/1.1\r\nauthorization: Bearer {core.token}"
    async with asyncio.timeout(30):
        while (await line.request(question))[0] != 200:  # noqa: ASYNC110 – another process does it
            await asyncio.sleep(0.05)
    line.close()


async def _report_txids(
    public: str,
    core: CoreAddress,
    clicks: list[str],
    numbers: Iterator[int],
    statuses: dict[str, Counter[int]],
    answers_ms: dict[str, list[float]],
) -> None:
    """Report one transaction after another, each over all connections at once."""
    panel = core.url.partition("//")[2]
    lines = [
        (channel, await _Connection.open(panel if channel == "by hand" else public))
        for channel, times in PARALLEL_CONNECTIONS.items()
        for _ in range(times)
    ]

    async def report(channel: str, line: _Connection, click_id: str, txid: str) -> None:
        began = time.perf_counter()
        if channel == "by hand":
            body = msgspec.json.encode({"click_id": click_id, "payout": "2.5", "txid": txid, "by_hand": True})
            head = f"POST /api/v1/conversions HTTP/1.1\r\nauthorization: Bearer {core.token}\r\ncontent-type: application/json"
            status, _ = await line.request(head, body)
        else:
            path = "/pixel.gif" if channel == "pixel" else "/postback"
            status, _ = await line.request(f"GET {path}?cid={click_id}&payout=2.5&txid={txid} HTTP/1.1")
        statuses[channel][status] += 1
        answers_ms[channel].append((time.perf_counter() - began) * 1000)

    for number in numbers:
        click_id = clicks[number // TXIDS_PER_CLICK]
        await asyncio.gather(*(report(channel, line, click_id, f"T{number}") for channel, line in lines))
    for _, line in lines:
        line.close()


def _is_settled(ledger: Ledger, notices: int) -> bool:
    time.sleep(0.2)  # polling takes some milliseconds from the tracker
    with ledger.read() as tx:
        taken = tx.scalar(text("SELECT count(*) FROM notices WHERE outcome <> 'waiting'")) or 0
        return taken >= notices and not tx.scalar(text("SELECT count(*) FROM postbacks WHERE finished_at IS NULL"))


def _count(ledger: Ledger, txids: int, results: ChannelResults, arrivals: list[ReceivedRequest]) -> LedgerCounts:
    with ledger.read() as tx:
        outcomes = {
            row[0]: row[1] for row in tx.execute(text("SELECT outcome, count(*) FROM notices GROUP BY outcome"))
        }
        conversions = _number(tx, "SELECT count(*) FROM conversions WHERE version = 1")
        distinct = _number(tx, "SELECT count(DISTINCT txid) FROM conversions")
        postbacks = _number(tx, "SELECT count(*) FROM postbacks WHERE state = 'delivered'")
        rows = _number(tx, "SELECT count(*) FROM postbacks")
        pairs = _number(tx, "SELECT count(*) FROM (SELECT DISTINCT conversion_id, rule_id FROM postbacks)")
    total = txids * sum(PARALLEL_CONNECTIONS.values())
    arrived = Counter(arrival.postback_id for arrival in arrivals)
    doubled = sum(times > 1 for times in arrived.values())
    unexpected = {
        channel: found
        for channel, found in results.statuses.items()
        if not found.keys() <= ({200, 201} if channel == "by hand" else {200})
    }
    mismatches = audit_everything(ledger).mismatches
    promises = (
        (not unexpected, f"Some were answered otherwise than 200: {unexpected}."),
        (outcomes == {"new": txids, "repeated": total - txids}, f"{total} notices came to {outcomes}."),
        (
            conversions == distinct == txids,
            f"{conversions} conversions that never changed, {distinct} txids of {txids}.",
        ),
        (
            rows == pairs == postbacks == RULES * txids,
            f"{rows} postbacks for {pairs} pairs, of which {postbacks} are delivered.",
        ),
        (
            len(arrived) == postbacks and not doubled,
            f"{len(arrived)} postbacks arrived, {doubled} of them twice or more.",
        ),
        (not mismatches, f"The self-audit finds {len(mismatches)} mismatches."),
    )
    return LedgerCounts(
        notices=outcomes,
        conversions=conversions,
        postbacks=postbacks,
        arrived=len(arrivals),
        broken=tuple(sentence for holds, sentence in promises if not holds),
    )


def _number(tx: Connection, query: str) -> int:
    return int(tx.scalar(text(query)) or 0)


if __name__ == "__main__":
    print("\n".join(main(int(sys.argv[1]) if len(sys.argv) > 1 else TXIDS)))
