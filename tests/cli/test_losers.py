"""``clickloop losers``: what loses money, and what is cut and still sends."""

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from tests.cli.test_cli import Core, core, run
from tests.cli.test_reporting import ANSWER

__all__ = ["core"]

LISTS = [
    {"id": 3, "kind": "black", "dimension": "zone"},
    {"id": 4, "kind": "watch", "dimension": "Zone"},
    {"id": 5, "kind": "black", "dimension": "country"},
]
ARRIVED = {
    "keys": [{"value": "a", "name": "a"}],
    "figures": ANSWER["totals"],
    "value": "a",
    "added_at": "2026-03-01T12:00:00.000Z",
    "clicks": 1200,
    "cost": {"amount": "4.5", "currency": "USD"},
}
"""A row of the report and of what arrives: the small server has one answer for all."""


def test_losing_rows_come_first_and_then_what_is_cut_and_still_sends(core: Core, tmp_path: Path) -> None:
    core.answer = {**ANSWER, "rows": [ARRIVED], "items": LISTS, "next_cursor": None, "name": "Bad zones"}
    status, out, _ = run(tmp_path, "losers", "Zone", "--filter", "source:PopAds", "--grace-hours", "2")
    assert status == 0
    lines = out.splitlines()
    assert lines[0] == "Losing money:"
    assert lines[-2:] == [
        "Cut, but still sending:",
        "a: 1,200 clicks for 4.5 USD since it was cut (Bad zones, 2026-03-01T12:00Z)",
    ]
    report, *others = [path for _, path, _, _ in core.requests]
    assert {("group_by", "Zone"), ("having", "profit < 0"), ("filter", "source:PopAds")} <= set(
        parse_qsl(urlsplit(report).query)
    )
    assert others == ["/api/v1/lists?limit=100&cursor=", "/api/v1/lists/3/arriving?grace_hours=2"]
