"""``clickloop report``: the question it asks the server, and the table it prints."""

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from tests.cli.test_cli import Core, core, run

__all__ = ["core"]


def _column(name: str, title: str, unit: str) -> dict[str, str]:
    return {"name": name, "title": title, "unit": unit, "formula": "", "note": ""}


def _figures(clicks: int, profit: str, roi: str | None, margin: str | None = None) -> dict[str, object]:
    money = {"amount": profit, "currency": "USD"}
    return {"clicks": clicks, "profit": money, "roi": roi, "columns": {"Margin": margin}, "not_converted": []}


ANSWER = {
    "since": "2026-03-01T00:00:00.000Z",
    "until": "2026-03-02T00:00:00.000Z",
    "zone": "UTC",
    "currency": "USD",
    "group_by": ["Zone"],
    "columns": [
        _column("clicks", "Clicks", "count"),
        _column("profit", "Profit", "money"),
        _column("roi", "ROI", "percent"),
        _column("Margin", "Margin", "number"),
    ],
    "rows": [
        {"keys": [{"value": "a", "name": "a"}], "figures": _figures(1200, "-4.5", "-90")},
        {"keys": [{"value": "x" * 50, "name": "x" * 50}], "figures": _figures(3, "-0.25", None, "1.5")},
    ],
    "row_count": 3,
    "totals": _figures(1203, "-4.75", "-89.5", "0.2"),
}


def test_a_report_is_a_table_with_totals_that_says_what_it_leaves_out(core: Core, tmp_path: Path) -> None:
    core.answer = ANSWER
    status, out, _ = run(
        tmp_path, "report", "Zone", "--having", "profit < 0", "--sort", "profit", "--filter", "country:DE"
    )
    assert status == 0
    assert out.splitlines() == [
        f"{'Zone':<40}  Clicks  Profit, USD  ROI, %  Margin",
        f"{'a':<40}    1200         -4.5     -90       –",
        f"{'x' * 39}…       3        -0.25       –     1.5",
        "-" * 77,
        f"{'Total':<40}    1203        -4.75   -89.5     0.2",
        "2 of 3 rows. Use --limit for more, or --csv for all.",
    ]
    asked = parse_qsl(urlsplit(core.requests[0][1]).query)
    usual = [("column", name) for name in ("clicks", "conversions", "cost", "revenue", "profit", "roi")]
    assert asked == [
        *[("group_by", "Zone"), ("filter", "country:DE"), *usual],
        *[("having", "profit < 0"), ("sort", "profit"), ("limit", "100")],
    ]


def test_a_comparison_shows_both_figures_and_the_change(core: Core, tmp_path: Path) -> None:
    row = {"keys": [], "figures": _figures(6, "1", "5"), "before": _figures(4, "2", None)}
    changes = {"clicks": {"change": "2", "percent": "50"}, "roi": {"change": None, "percent": None}}
    totals = {"totals": row["figures"], "totals_before": row["before"], "totals_changes": changes}
    core.answer = ANSWER | {"group_by": [], "rows": [], "row_count": 0} | totals
    _, out, _ = run(tmp_path, "report", "--compare", "previous")
    assert "4 → 6 (50%)" in out
    assert "– → 5" in out


def test_csv_asks_for_all_figures_and_rows(core: Core, tmp_path: Path) -> None:
    core.answer = "Zone,Clicks\r\na,5\r\n"
    _, out, _ = run(tmp_path, "report", "Zone", "--csv")
    assert out.splitlines() == ["Zone,Clicks", "a,5"]
    assert parse_qsl(urlsplit(core.requests[0][1]).query) == [("group_by", "Zone"), ("format", "csv")]


def _listed(*views: dict[str, object]) -> dict[str, object]:
    return {"items": list(views), "next_cursor": None}


def test_a_view_is_found_by_its_name_in_any_case_and_options_replace_its_own(core: Core, tmp_path: Path) -> None:
    core.answer = (
        _listed({"id": 7, "name": "Zones", "owner": "anna", "address": "period=7d&group_by=Zone&limit=5"}) | ANSWER
    )
    status, _, _ = run(tmp_path, "report", "--view", "zONES", "--from", "2026-03-01")
    assert status == 0
    asked = parse_qsl(urlsplit(core.requests[1][1]).query)
    assert asked[:2] == [("group_by", "Zone"), ("limit", "5")]
    assert ("from", "2026-03-01") in asked
    assert "period" not in dict(asked)


def test_a_view_that_is_not_there_or_not_alone_is_an_error(core: Core, tmp_path: Path) -> None:
    core.answer = _listed()
    status, _, err = run(tmp_path, "report", "--view", "Nothing")
    assert (status, err.strip()) == (1, "There is no view “Nothing”.")
    one = {"name": "Zones", "owner": "anna", "address": ""}
    core.answer = _listed(one | {"id": 1}, one | {"id": 2, "owner": "ben"})
    status, _, err = run(tmp_path, "report", "--view", "Zones")
    assert status == 1
    assert "1 (anna), 2 (ben)" in err


def test_a_target_adds_a_verdict_to_each_row(core: Core, tmp_path: Path) -> None:
    judged = {"misses": "97.3", "clicks_needed": 0, "at_stake": {"amount": "4.5", "currency": "USD"}}
    unsure = {"misses": "51", "clicks_needed": None, "at_stake": {"amount": "0.25", "currency": "USD"}}
    rows: list[dict[str, object]] = [
        {"keys": [], "figures": _figures(6, "-4.5", "5"), "verdict": verdict} for verdict in (judged, unsure)
    ]
    core.answer = ANSWER | {
        "group_by": [],
        "rows": rows,
        "totals_verdict": None,
        "judged_until": "2026-03-01T12:00:00.000Z",
    }
    _, out, _ = run(tmp_path, "report", "--target", "roi:0")
    assert ("target", "roi:0") in parse_qsl(urlsplit(core.requests[0][1]).query)
    lines = out.splitlines()
    assert [line.split()[-3:] for line in lines[1:3]] == [["97.3", "0", "4.5"], ["over", "10,000,000", "0.25"]]
    assert lines[-1] == "Judged by clicks before 2026-03-01T12:00:00.000Z, which are old enough to have converted."
