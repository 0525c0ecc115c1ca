"""Measures delivery: postbacks per second and their CPU time, through ledger, client and log, to an nginx on this machine.

The reference is the same number of requests by aiohttp alone, in the same run. Run with ``python -m bench.delivery``.
"""

import asyncio
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from sqlalchemy import text

from bench.machine import wait_for
from clickloop.clock import wall_clock
from clickloop.config import networks_of
from clickloop.machine.secret_box import secret_box_of
from clickloop.postback.delivery.limits import DeliveryLimits
from clickloop.postback.delivery.worker import Delivery
from clickloop.postback.due import ConditionResult, DuePostback, SkipReason
from clickloop.postback.postback_log import NewPostback
from clickloop.postback.rule import PostbackRequest, PostbackRule, RequestTemplate
from clickloop.postback.sending.address_guard import AddressGuard, Policy
from clickloop.postback.sending.client import Sender
from clickloop.record_id import RecordIds
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.postbacks import insert_postbacks
from clickloop.store.ledger.queue.postback_work import LedgerPostbacks
from clickloop.store.ledger.setup.postback_rules import insert_rule

POSTBACKS = 20_000
CONNECTIONS = 64
QUERY = "/postback?visitor_id=w9Xk2-7fA-{number}&payout=12.5&currency=USD&status=sale&campaign=17&zone=4711"


def main() -> list[str]:
    """Return the results as lines of Markdown."""
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="clickloop-bench-") as folder, receiver(Path(folder), cores[-1]) as port:
        os.sched_setaffinity(0, {cores[0]})
        try:
            alone_seconds, alone_cpu = _run(_aiohttp_alone(port))
            seconds, cpu, attempts = _measure_delivery(Path(folder), port)
        finally:
            os.sched_setaffinity(0, cores)
    if attempts != POSTBACKS:
        raise ArithmeticError(f"{POSTBACKS} postbacks were created, {attempts} attempts are logged as delivered")
    return [
        "| one core, to an nginx on the other | postbacks/s | CPU µs each | ratio |",
        "| --- | --- | --- | --- |",
        f"| delivery, log written | {POSTBACKS / seconds:,.0f} | {cpu / POSTBACKS * 1e6:.0f} | {cpu / alone_cpu:.2f} |",
        f"| aiohttp alone, same requests | {POSTBACKS / alone_seconds:,.0f} | {alone_cpu / POSTBACKS * 1e6:.0f} | 1.00 |",
        "",
        f"All {attempts:,} postbacks are logged as delivered.",
    ]


@contextmanager
def receiver(folder: Path, core: int) -> Iterator[int]:
    """Run an nginx that answers 200 to everything, on one core. Yield its loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"""daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
        events {{ worker_connections 4096; }}
        http {{
            access_log off; keepalive_requests 100000000;
            client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
            uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
            server {{ listen 127.0.0.1:{port}; return 200 "OK"; }}
        }}"""
    )
    server = subprocess.Popen(
        ["taskset", "-c", str(core), "nginx", "-p", str(folder), "-e", f"{folder}/error.log", "-c", str(configuration)]
    )
    try:
        wait_for(port)
        yield port
    finally:
        server.terminate()
        server.wait(10)


def _run(work: Coroutine[Any, Any, None]) -> tuple[float, float]:
    """Run a coroutine in a new loop. Return the seconds and the CPU seconds of this process."""
    began, began_cpu = time.perf_counter(), time.process_time()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)
    return time.perf_counter() - began, time.process_time() - began_cpu


async def _aiohttp_alone(port: int) -> None:
    numbers = iter(range(POSTBACKS))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask() -> None:
            for number in numbers:
                async with session.get(f"http://127.0.0.1:{port}{QUERY.format(number=number)}") as answer:
                    await answer.read()

        await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))


def _measure_delivery(folder: Path, port: int) -> tuple[float, float, int]:
    """Return seconds, CPU seconds, and the number of delivered attempts in the log."""
    ledger = Ledger.open(folder / "ledger.sqlite", secret_box_of(folder))
    _create_postbacks(ledger, port)
    sender = Sender(guard=AddressGuard(Policy(allowed_networks=networks_of("127.0.0.0/8", "the receiver"))))
    limits = DeliveryLimits(connections=CONNECTIONS, poll_seconds=0.05)
    delivery = Delivery(LedgerPostbacks(ledger), sender.send, alone=True, limits=limits)  # a ledger of its own
    seconds, cpu = _run(_deliver_all(ledger, sender, delivery))
    with ledger.read() as tx:
        logged = int(
            tx.scalar(text("SELECT count(*) FROM attempts WHERE result = 'delivered' AND status_code = 200")) or 0
        )
    ledger.close()
    return seconds, cpu, logged


async def _deliver_all(ledger: Ledger, sender: Sender, delivery: Delivery) -> None:
    async with sender:
        running = asyncio.create_task(delivery.run())
        while await asyncio.to_thread(_unfinished, ledger):  # noqa: ASYNC110 – the ledger has no event to wait for
            await asyncio.sleep(0.05)
        delivery.stop()
        await running


def _unfinished(ledger: Ledger) -> bool:
    with ledger.read() as tx:
        return tx.scalar(text("SELECT 1 FROM postbacks WHERE finished_at IS NULL LIMIT 1")) is not None


def _create_postbacks(ledger: Ledger, port: int) -> None:
    """Create the postbacks, as a burst of conversions would."""
    now_ms, ids = wall_clock(), RecordIds()
    findings = tuple(ConditionResult(reason, True) for reason in SkipReason)
    with ledger.write() as tx:
        rule_id = insert_rule(
            tx, PostbackRule(rule_id=0, name="bench", request=RequestTemplate(url="http://127.0.0.1/")), now_ms
        )
        new = [
            NewPostback(
                postback_id=ids(),
                conversion_id=ids(),
                version=1,
                rule_id=rule_id,
                click_id=ids(),
                campaign_id=1,
                source_id=1,
                trigger="new",
                decision=DuePostback(
                    PostbackRequest(url=f"http://127.0.0.1:{port}{QUERY.format(number=number)}"), now_ms, findings
                ),
                receiver=f"127.0.0.1:{port}",
            )
            for number in range(POSTBACKS)
        ]
        insert_postbacks(tx, new, now_ms)


if __name__ == "__main__":
    print("\n".join(main()))
