"""Measures landing clicks: CPU of an edge per ``/click`` with the visitor's cookie, compared with a campaign click, in turns."""

import os
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import msgspec

from bench.machine import Load, cores_awake, cpu_seconds, free_port, run_wrk, two_cores, wait_for
from clickloop.click_id import KEY_FILE
from clickloop.config import Settings
from clickloop.setup.catalog import (
    Catalog,
    CatalogCampaign,
    CatalogFlow,
    CatalogLanding,
    CatalogOffer,
    CatalogRow,
    write_catalog,
)
from clickloop.setup.flow import FlowParts, LandingShare, OfferShare, PathTarget
from clickloop.setup.flow import Path as FlowPath

SECONDS = 4
ROUNDS = 9
CONNECTIONS = 32
DIRECT, LANDING = "Ab12Cd", "Zz98Yx"
_OFFER = "https://offers.example.net/land?sub={clickid}&zone={zone}&src={trafficsource.name}&x={externalid}"


def a_catalog() -> Catalog:
    """Return a campaign that leads to one of two offers, and one that leads to a landing with the same two."""
    names = ("external_id", "cost", "zone", "campaign", "creative", "country")
    direct = CatalogCampaign(
        id=1,
        key=DIRECT,
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
    offers = (OfferShare(1, 70), OfferShare(2, 30))
    to_offer = FlowPath(id=1, offers=offers)
    to_landing = FlowPath(id=2, target=PathTarget.LANDING_AND_OFFER, landings=(LandingShare(1),), offers=offers)
    return Catalog(
        campaigns=(direct, msgspec.structs.replace(direct, id=2, key=LANDING, flow_id=2)),
        offers=tuple(CatalogOffer(number, f"Offer {number}", _OFFER, 1, "Network") for number in (1, 2)),
        landings=(CatalogLanding(1, "Quiz", "https://landing.example.net/quiz"),),
        flows=tuple(
            CatalogFlow(number, 1, FlowParts(default_paths=(path,)))
            for number, path in enumerate((to_offer, to_landing), start=1)
        ),
    )


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
        command = ["taskset", "-c", str(core), sys.executable, "-m", "clickloop.edge.process", settings, "1", number]
        self._process = subprocess.Popen(command, pass_fds=(listening.fileno(),), stderr=subprocess.DEVNULL)
        listening.close()
        wait_for(self.port)
        self.pid = self._process.pid

    def landed_cookie(self) -> str:
        """Follow the landing's campaign link; return the visitor's cookies as a header's value."""

        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_: object) -> None:
                return None

        try:
            urllib.request.build_opener(Stay()).open(
                f"http://127.0.0.1:{self.port}/c/{LANDING}?external_id=w9Xk2-7fA&zone=4711"
            )
        except urllib.error.HTTPError as answer:
            lines = answer.headers.get_all("set-cookie") or []
            return "; ".join(line.partition(";")[0] for line in lines)
        raise RuntimeError("the landing's link did not redirect")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)


def _measure(edge: EdgeProcess, path: str, cookie: str) -> tuple[Load, float]:
    """Return wrk's report and the edge's CPU microseconds per request."""
    _, load_core = two_cores()
    os.environ["BENCH_COOKIE"] = cookie
    before = cpu_seconds(edge.pid)
    load = run_wrk(edge.port, path, SECONDS, CONNECTIONS, load_core, script="landing_clicks.lua")
    spent = (cpu_seconds(edge.pid) - before) / load.requests * 1e6
    if load.errors:
        raise RuntimeError(f"the edge answered {load.errors} of {load.requests} requests to {path} with errors")
    return load, spent


def main() -> list[str]:
    """Return the results as lines of Markdown."""
    server_core, _ = two_cores()
    spent: dict[str, list[float]] = {}
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as temporary, cores_awake():
        edge = EdgeProcess(Path(temporary) / "edge", server_core)
        cookie = edge.landed_cookie()
        kinds = {
            "campaign click": (f"/c/{DIRECT}", ""),
            "landing click, first press": ("/click/1?cid=" + cookie.partition("clickloop=")[2][:26], cookie),
            "landing click, by the cookie alone": ("/click", cookie),
            "campaign click to a landing": (f"/c/{LANDING}", ""),
        }
        for _ in range(ROUNDS):
            for kind, (path, sent) in kinds.items():
                load, cpu = _measure(edge, path, sent)
                spent.setdefault(kind, []).append(cpu)
                rates.setdefault(kind, []).append(load.per_second)
        edge.stop()
    base = spent["campaign click"]
    lines = ["| request | requests/s | CPU µs | ÷ campaign click |", "| --- | --- | --- | --- |"]
    for kind, cpus in spent.items():
        ratios = sorted(one / other for one, other in zip(cpus, base, strict=True))
        lines.append(
            f"| {kind} | {_median(rates[kind]):,.0f} | {_median(cpus):.1f} | {_median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f}) |"
        )
    return lines


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


if __name__ == "__main__":
    print("\n".join(main()))
