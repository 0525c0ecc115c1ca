"""Measures the panel's pages and the API's lists with ten million clicks, 100,000 conversions and 300,000 postbacks.

Each page is fetched over one keep-alive connection, so that only the server's time counts. The data is made by ``bench.big_data``
and kept for a day in the temporary folder. To use other data, name its folder in ``BENCH_BIG_DATA``.
"""

import contextlib
import http.client
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import msgspec

from bench.big_clicks import ClickPlan
from bench.big_data import Plan, make
from bench.machine import percentile
from bench.product import ServeProcess
from clickloop.clock import DAY_MS, wall_clock
from clickloop.machine.core_client import call_core, read_core_address
from clickloop.machine.secret_box import secret_box_of
from clickloop.people.user import Role, User
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.people.sessions import insert_session
from clickloop.store.ledger.people.users import save_user
from clickloop.web.panel.frame.session_cookie import COOKIE

ROUNDS = 30
WARM_UP = 2
MAX_DATA_AGE_SECONDS = 24 * 3600
AIM_MS = 50.0
SEE_OTHER = 303
FOLDER_VARIABLE = "BENCH_BIG_DATA"

PANEL = (
    *("", "?period=7d", "?period=30d&measure=profit"),
    *(
        "reports",
        "reports?period=today&group_by=hour",
        "reports?group_by=country",
        "reports?group_by=day&group_by=campaign",
    ),
    *("reports?group_by=os_version", "reports?group_by=v1&filter=campaign:1", "reports?period=90d"),
    *(
        "campaigns",
        "campaigns/1",
        "offers",
        "offers/1",
        "networks",
        "networks/1",
        "traffic-sources",
        "traffic-sources/1",
    ),
    *("postback-rules", "postback-rules/1", "clicks", "clicks?campaign_id=80", "clicks/{click}"),
    *("conversions", "conversions?status=other", "conversions?campaign_id=80", "conversions/{conversion}"),
    *("notices", "notices?outcome=refused", "notices?reason=wrong_token", "notices/{notice}"),
    *(
        "postbacks",
        "postbacks?state=failed",
        "postbacks?state=paused",
        "postbacks?campaign_id=80",
        "postbacks/{postback}",
    ),
    *("trace?q={click}", "trace?q={external}", "try", "try/test", "check", "uploads", "health"),
    *("statuses", "settings", "users", "tokens", "changes", "rates", "profile"),
)
API = (
    *(
        "reports",
        "reports?group_by=campaign",
        "reports?group_by=country&period=30d",
        "reports?group_by=campaign&period=90d",
    ),
    *("clicks", "clicks?campaign_id=80", "clicks/{click}", "clicks/{click}/trace", "clicks?external_id={external}"),
    *(
        "conversions",
        "conversions?status=other",
        "conversions?network_id=8",
        "conversions?flagged=true",
        "conversions/{conversion}",
    ),
    *(
        "notices",
        "notices?outcome=waiting",
        "notices?reason=test_only",
        "notices?network_id=8",
        "notices/{notice}",
    ),
    *(
        "postbacks",
        "postbacks?state=failed",
        "postbacks?state=sending",
        "postbacks?reason=not_sampled",
        "postbacks/{postback}",
    ),
    *("campaigns", "offers", "networks", "traffic-sources", "postback-rules", "statuses", "receivers", "rates"),
    *("check", "check?campaign_id=1", "health"),
)


class PageTimes(msgspec.Struct, frozen=True):
    """A page's response times in milliseconds, status and size."""

    path: str
    status: int
    p50_ms: float
    p95_ms: float
    kilobytes: float


def main() -> list[str]:
    """Return the results as lines of Markdown."""
    folder = big_data_folder()
    secret = _session(folder)
    serving = ServeProcess(folder, edges=1)
    try:
        ids = _ids(folder)
        panel = [measure(folder, f"/panel{_path(path)}", ids, secret) for path in PANEL]
        api = [measure(folder, f"/api/v1/{path}", ids, "") for path in API]
    finally:
        serving.stop()
    return [*table("page", panel), "", *table("API", api), "", _summary([*panel, *api])]


def _path(path: str) -> str:
    return path if path.startswith("?") or not path else f"/{path}"


def big_data_folder() -> Path:
    """Return the data folder. Create it unless there is one less than a day old, whose last days are recent."""
    named = os.environ.get(FOLDER_VARIABLE)
    folder = Path(named) if named else Path(tempfile.gettempdir()) / "clickloop-big-data"
    ledger = folder / "ledger.sqlite"
    if named or (ledger.exists() and time.time() - ledger.stat().st_mtime < MAX_DATA_AGE_SECONDS):
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    make(folder, Plan(ClickPlan(10_000_000, 90, wall_clock(), 1), 100_000))
    return folder


def _session(folder: Path) -> str:
    """Create an owner and a session. Return the secret of the session cookie."""
    now_ms, secret = wall_clock(), secrets.token_urlsafe(32)
    ledger = Ledger.open(folder / "ledger.sqlite", secret_box_of(folder))
    with contextlib.closing(ledger), ledger.write() as tx:
        user = save_user(tx, User(name=f"bench {now_ms}", role=Role.OWNER, password_hash="none"), now_ms)
        insert_session(tx, secret, user.id, now_ms, now_ms + DAY_MS, "127.0.0.1", "bench")
    return secret


def _ids(folder: Path) -> dict[str, str]:
    """Return the id of a record of each log, for the pages that show one."""
    postback = _first(folder, "postbacks?state=delivered&limit=1")
    click = msgspec.json.decode(call_core(folder, "GET", f"/api/v1/clicks/{postback['click_id']}").body)
    return {
        "click": str(postback["click_id"]),
        "external": quote(str(click["external_id"]), safe=""),
        "conversion": str(postback["conversion_id"]),
        "postback": str(postback["postback_id"]),
        "notice": str(_first(folder, "notices?limit=1")["notice_id"]),
    }


def _first(folder: Path, path: str) -> dict[str, object]:
    found: dict[str, object] = msgspec.json.decode(call_core(folder, "GET", f"/api/v1/{path}").body)["items"][0]
    return found


def measure(folder: Path, path: str, ids: dict[str, str], session: str, rounds: int = ROUNDS) -> PageTimes:
    """Fetch a path of the panel, with a session, or of the API, and return its response times."""
    core = read_core_address(folder)
    headers = {"Cookie": f"{COOKIE}={session}"} if session else {"Authorization": f"Bearer {core.token}"}
    address = path.format(**ids)
    spent: list[float] = []
    status = size = 0
    with _connected(urlsplit(core.url).netloc) as connection:
        for round_ in range(rounds + WARM_UP):
            began = time.perf_counter()
            connection.request("GET", address, headers=headers)
            answer = connection.getresponse()
            size, status = len(answer.read()), answer.status
            if status == SEE_OTHER:  # a filter redirects to its permanent URL
                address = answer.headers["location"]
            if round_ >= WARM_UP:
                spent.append((time.perf_counter() - began) * 1000)
    return PageTimes(path, status, percentile(spent, 50), percentile(spent, 95), size / 1000)


@contextlib.contextmanager
def _connected(netloc: str) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(netloc, timeout=60)
    try:
        yield connection
    finally:
        connection.close()


def table(head: str, measured: list[PageTimes], aim_ms: float = AIM_MS) -> list[str]:
    """Return a table of response times, with those beyond the aim in bold."""
    lines = [f"| {head} | p50 ms | p95 ms | kB |", "| --- | --- | --- | --- |"]
    for one in measured:
        if one.status == 200:
            path = one.path.replace("|", "\\|")
            lines.append(f"| `{path}` | {one.p50_ms:.1f} | {marked(one.p95_ms, aim_ms)} | {one.kilobytes:.0f} |")
    return lines


def marked(p95_ms: float, aim_ms: float) -> str:
    """Return a time, in bold if it is beyond the aim."""
    return f"{p95_ms:.1f}" if p95_ms <= aim_ms else f"**{p95_ms:.1f}**"


def _summary(measured: list[PageTimes]) -> str:
    good = [one for one in measured if one.status == 200]
    within = sum(one.p95_ms <= AIM_MS for one in good)
    summary = f"{within} of {len(good)} answer within {AIM_MS:.0f} ms in 95 of 100 requests."
    others = [f"`{one.path}` answered {one.status}" for one in measured if one.status != 200]
    return summary + (f" Not measured: {', '.join(others)}." if others else "")


if __name__ == "__main__":
    sys.stdout.write("\n".join(main()) + "\n")
