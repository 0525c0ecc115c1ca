"""Measures the redirect: one edge process on one core, compared with nginx logging a 302 on the same core, wrk on the other."""

import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from bench.machine import Load, Nginx, cores_awake, cpu_seconds, free_port, resident_mb, run_wrk, two_cores, wait_for
from clickloop.click_id import KEY_FILE
from clickloop.config import Settings
from clickloop.setup import flow as flows
from clickloop.setup.catalog import Catalog, CatalogCampaign, CatalogFlow, CatalogOffer, CatalogRow, write_catalog

SECONDS = 4
ROUNDS = 3
CONNECTIONS = 32
_OFFER = "https://offers.example.net/land?sub={clickid}&zone={zone}&src={trafficsource.name}&cost={cost}"


def a_catalog() -> Catalog:
    """Return a catalog of one campaign with six parameters and two weighted offers."""
    names = ("external_id", "cost", "zone", "campaign", "creative", "country")
    campaign = CatalogCampaign(
        id=1,
        key="Ab12Cd",
        name="Bench",
        source_id=1,
        source_name="Bench source",
        active=True,
        domain="track.example.com",
        fallback_url="",
        cost_micros=None,
        cost_currency="USD",
        rows=tuple(CatalogRow(number, name) for number, name in enumerate(names, start=-1)),
        flow_id=1,
    )
    offers = tuple(CatalogOffer(number, f"Offer {number}", _OFFER, 1, "Network") for number in (1, 2))
    path = flows.Path(id=1, offers=(flows.OfferShare(1, 70), flows.OfferShare(2, 30)))
    flow = CatalogFlow(1, 1, flows.FlowParts(default_paths=(path,)))
    return Catalog(campaigns=(campaign,), offers=offers, flows=(flow,))


class EdgeProcess:
    """A real edge process on one core, with its own data folder and without a core process."""

    def __init__(self, folder: Path, core: int) -> None:
        folder.mkdir(parents=True)
        (folder / KEY_FILE).write_bytes(b"k" * 32)
        write_catalog(folder, a_catalog())
        self.port = free_port()
        listening = socket.create_server(("127.0.0.1", self.port), backlog=1024)
        settings = msgspec.json.encode(Settings(data=str(folder))).decode()
        number = str(listening.fileno())
        command = [
            "taskset",
            "-c",
            str(core),
            sys.executable,
            "-m",
            "clickloop.edge.process",
            settings,
            "1",
            number,
        ]
        self._process = subprocess.Popen(command, pass_fds=(listening.fileno(),), stderr=subprocess.DEVNULL)
        listening.close()
        wait_for(self.port)
        self.pid = self._process.pid

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)


def _measure(name: str, pid: int, port: int, path: str) -> tuple[Load, float]:
    """Return wrk's report and the server's CPU microseconds per request."""
    _, load_core = two_cores()
    run_wrk(port, path, 1, CONNECTIONS, load_core)
    before = cpu_seconds(pid)
    load = run_wrk(port, path, SECONDS, CONNECTIONS, load_core)
    spent = (cpu_seconds(pid) - before) / load.requests * 1e6
    if load.errors:
        raise RuntimeError(f"{name} answered {load.errors} of {load.requests} requests with errors")
    return load, spent


def main() -> list[str]:
    """Return the results as lines of Markdown."""
    server_core, _ = two_cores()
    lines = [
        "| server | requests/s | p50 ms | p99 ms | CPU µs per request | ratio |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    ratios = []
    with tempfile.TemporaryDirectory() as temporary, cores_awake() as awake:
        folder = Path(temporary)
        for number in range(ROUNDS):
            nginx = Nginx(
                folder / f"nginx{number}", server_core, "location / { return 302 https://offers.example.net/land; }"
            )
            reference, nginx_spent = _measure("nginx", nginx.pid, nginx.port, "/c/Ab12Cd")
            nginx.stop()
            edge = EdgeProcess(folder / f"edge{number}", server_core)
            load, spent = _measure("edge", edge.pid, edge.port, "/c/Ab12Cd")
            resident = resident_mb(edge.pid)
            edge.stop()
            ratios.append(spent / nginx_spent)
            for name, report, cpu in (
                ("nginx, logged 302", reference, nginx_spent),
                ("edge, recorded click", load, spent),
            ):
                lines.append(
                    f"| {name} | {report.per_second:,.0f} | {report.p50_ms:.2f} | {report.p99_ms:.2f} | {cpu:.1f} "
                    f"| {cpu / nginx_spent:.2f} |"
                )
    ratios.sort()
    lines.append("")
    lines.append(
        f"Edge CPU per recorded click ÷ nginx's logged 302: median {ratios[len(ratios) // 2]:.2f} of {ROUNDS} rounds "
        f"({ratios[0]:.2f}–{ratios[-1]:.2f}). Edge resident {resident:.0f} MiB after the run. "
        + (
            "Idle cores were kept awake."
            if awake
            else "Idle cores could sleep, which is charged to the slower server: run as root."
        )
    )
    return lines


if __name__ == "__main__":
    print("\n".join(main()))
