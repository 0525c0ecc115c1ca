"""``clickloop cost``: the requests that it sends, and what it prints."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.cli.test_cli import Core, core, run

__all__ = ["core"]

USD = {"amount": "41.27", "currency": "USD"}
ENTRY: dict[str, Any] = {
    "cost_id": 12,
    "kind": "api",
    "state": "applied",
    "campaign_id": 7,
    "source_id": None,
    "filters": {"v1": ["a", "b"]},
    "since": "2026-03-01T00:00:00.000Z",
    "until": "2026-03-02T00:00:00.000Z",
    "amount": USD,
    "clicks_bearing": 3,
    "unattributed": None,
}
LINE = "12: 41.27 USD, campaign 7 v1:a,b, 2026-03-01T00:00:00.000Z to 2026-03-02T00:00:00.000Z, api, applied, 3 clicks"
UPLOAD: dict[str, Any] = {
    "upload_id": "u1",
    "counts": {"matched": 2, "without_clicks": 0, "unknown_campaign": 1, "unreadable": 0},
    "overlapping": 1,
    "entries": 2,
    "repeated": 1,
    "replaced": 1,
    "amounts": [USD, {"amount": "3", "currency": "EUR"}],
    "unused_columns": ["CPM"],
    "zones": [{"zone": "Europe/Berlin", "offset": "UTC+1", "likeness": "0.99"}],
    "lines": [{"line": 4, "verdict": "unknown_campaign", "message": "There is no campaign 'x'."}],
}


def test_an_amount_is_entered_for_a_segment(core: Core, tmp_path: Path) -> None:
    core.answer = ENTRY
    status, out, _ = run(
        tmp_path,
        *("cost", "add", "41.27", "--campaign", "7", "--from", "2026-03-01", "--filter", "zone:a"),
        *("--filter", "zone:b", "--key", "k"),
    )
    assert (status, out) == (0, f"Entered as {LINE}\n")
    method, path, _, body = core.requests[0]
    assert (method, path) == ("POST", "/api/v1/costs")
    assert body == {
        "campaign_id": 7,
        "from": "2026-03-01",
        "filters": {"zone": ["a", "b"]},
        "amount": {"amount": "41.27", "currency": ""},
        "spread": "clicks",
        "key": "k",
    }


def test_a_preview_says_how_many_clicks_would_bear_it_and_what_it_overlaps(core: Core, tmp_path: Path) -> None:
    core.answer = {"clicks": 5, "clicks_bearing": 3, "is_repeat": False, "overlaps": [ENTRY]}
    status, out, _ = run(tmp_path, "cost", "add", "1", "--source", "2", "--from", "2026-03-01", "--preview")
    assert (status, out.splitlines()) == (0, ["3 of 5 clicks would bear it.", f"Overlaps with {LINE}"])
    assert core.requests[0][1] == "/api/v1/costs/preview"


def test_entries_are_listed_and_unattributed_ones_say_so(core: Core, tmp_path: Path) -> None:
    core.answer = {"items": [ENTRY | {"unattributed": USD, "clicks_bearing": 0}], "next_cursor": None}
    status, out, _ = run(tmp_path, "cost", "list", "--campaign", "7", "--unattributed")
    assert (status, "api, unattributed, 0 clicks" in out) == (0, True)
    asked = parse_qsl(urlsplit(core.requests[0][1]).query)
    assert asked == [("campaign_id", "7"), ("limit", "50"), ("unattributed", "true")]


def test_an_entry_or_a_whole_upload_is_undone(core: Core, tmp_path: Path) -> None:
    core.answer = ENTRY | {"state": "undoing"}
    assert run(tmp_path, "cost", "undo", "12")[0] == 0
    core.answer = [ENTRY | {"state": "undoing"}, ENTRY | {"state": "replaced"}]
    assert run(tmp_path, "cost", "undo", "--upload", "u1")[1] == "1 entry of the upload undone.\n"
    paths = [request[1] for request in core.requests]
    assert paths == ["/api/v1/costs/12/undo", "/api/v1/costs/uploads/u1/undo"]
    assert run(tmp_path, "cost", "undo")[0] == 2


def test_a_table_is_sent_as_it_is_and_the_result_says_what_it_changed(core: Core, tmp_path: Path) -> None:
    core.answer = UPLOAD
    file = tmp_path / "spend.csv"
    file.write_text("date,campaign,cost\n2026-03-01,7,4\n")
    status, out, _ = run(tmp_path, "cost", "upload", str(file), "--zone", "Europe/Berlin", "--partial")
    assert status == 0
    assert out.splitlines() == [
        "Lines: 2 matched, 1 unknown campaign.",
        "Entries: 2, together 41.27 USD + 3 EUR.",
        "1 of them are in effect already, so nothing changes for them.",
        "1 of them replace an earlier amount.",
        "1 lines overlap with other entries in effect.",
        "Unused columns: CPM.",
        "The clicks fit best in Europe/Berlin (UTC+1).",
        "Line 4: There is no campaign 'x'.",
        "To undo it: clickloop cost undo --upload u1",
    ]
    asked = dict(parse_qsl(urlsplit(core.requests[0][1]).query))
    assert asked == {"zone": "Europe/Berlin", "spread": "clicks", "partial": "1", "name": "spend.csv"}
    assert core.headers["content-type"] == "text/csv"
    assert core.requests[0][3] == file.read_text()
    assert run(tmp_path, "cost", "upload", str(tmp_path / "none.csv"))[0] == 2
