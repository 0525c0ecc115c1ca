"""``clickloop losers``: what loses money, and what is cut and still sends."""

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.cli.test_cli import Core, core, run
from tests.cli.test_reporting import ANSWER

__all__ = ["core"]

LISTS = [
    {"id": 3, "kind": "black", "dimension": "Zone", "source_id": 1},
    {"id": 4, "kind": "watch", "dimension": "Zone", "source_id": 1},
    {"id": 5, "kind": "black", "dimension": "country", "source_id": 1},
    {"id": 6, "kind": "black", "dimension": "Zone", "source_id": 2},
]
SOURCES = [{"id": 1, "name": "PopAds"}, {"id": 2, "name": "Other"}]


def _page(items: list[dict[str, object]]) -> dict[str, object]:
    return {"items": items, "next_cursor": None}


def _arriving(name: str, *values: str) -> dict[str, object]:
    cost = {"amount": "4.5", "currency": "USD"}
    rows = [{"value": one, "added_at": "2026-03-01T12:00:00.000Z", "clicks": 1200, "cost": cost} for one in values]
    return {"name": name, "rows": rows}


@pytest.fixture
def asked(core: Core) -> Core:
    core.answers = {
        "/api/v1/reports": ANSWER,
        "/api/v1/lists": _page(LISTS),
        "/api/v1/traffic-sources": _page(SOURCES),
        "/api/v1/lists/3/arriving": _arriving("Bad zones", "a"),
        "/api/v1/lists/6/arriving": _arriving("Others", "z"),
    }
    return core


def test_losing_rows_come_first_and_then_what_is_cut_and_still_sends(asked: Core, tmp_path: Path) -> None:
    status, out, _ = run(tmp_path, "losers", "zone", "--filter", "country:DE")
    assert status == 0
    lines = out.splitlines()
    assert lines[0] == "Losing money:"
    assert lines[-3:] == [
        "Cut, but still sending:",
        "a: 1,200 clicks for 4.5 USD since it was cut (Bad zones, 2026-03-01T12:00Z)",
        "z: 1,200 clicks for 4.5 USD since it was cut (Others, 2026-03-01T12:00Z)",
    ]
    report = set(parse_qsl(urlsplit(asked.requests[0][1]).query))
    assert {("group_by", "zone"), ("having", "profit < 0"), ("target", "roi:0"), ("filter", "country:DE")} <= report


@pytest.mark.parametrize(("source", "value"), [("popads", "a"), ("1", "a"), ("Other", "z"), ("Nobody", None)])
def test_a_source_narrows_both_parts(asked: Core, tmp_path: Path, source: str, value: str | None) -> None:
    _, out, _ = run(tmp_path, "losers", "Zone", "--source", source, "--grace-hours", "2")
    assert ("filter", f"source:{source}") in parse_qsl(urlsplit(asked.requests[0][1]).query)
    cut = out.split("still sending:\n")[1].splitlines()
    assert [line.partition(":")[0] for line in cut] == [value or "Nothing."]
    arriving = [path for _, path, _, _ in asked.requests if "arriving" in path]
    assert all(path.endswith("?grace_hours=2") for path in arriving)
