"""Compares every figure of a driven year with the plain model: in the API, the CSV and the pages of the panel."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, NamedTuple

from clickloop.people.user import Role, User
from clickloop.report.measure import Measure
from clickloop.store.ledger.people.sessions import insert_session
from clickloop.store.ledger.people.users import save_user
from clickloop.web.panel.frame.session_cookie import COOKIE
from tests.web.panel.page import Page
from tests.year.driven_costs import FIRST_DAY, LAST_DAY, ZONE
from tests.year.driven_year import DrivenYear
from tests.year.plain_figures import (
    ALL,
    change_in_api,
    figure,
    figures_in_api,
    on_screen,
    plain,
)
from tests.year.plain_year import Question, Sums

ZONES = (ZONE, "Asia/Kathmandu", "Australia/Lord_Howe", "UTC")
GROUPINGS: tuple[tuple[str, ...], ...] = (
    *(
        (),
        ("day",),
        ("campaign",),
        ("source",),
        ("offer",),
        ("network",),
        ("landing",),
        ("country",),
        ("v1",),
        ("Zone",),
    ),
    *(("mark",), ("status",), ("counts_as",), ("delay",), ("weekday",), ("hour_of_day",), ("unique",), ("screening",)),
    *(("campaign", "day"), ("Site", "country", "offer"), ("source", "campaign", "mark", "weekday", "v2")),
    *(("status", "campaign"), ("offer", "delay")),
)
CHANGES = (  # days around clock changes, by the hour
    (ZONE, date(2025, 3, 29), date(2025, 3, 31)),
    (ZONE, date(2025, 10, 25), date(2025, 10, 27)),
    ("Australia/Lord_Howe", date(2025, 4, 5), date(2025, 4, 7)),
    ("Australia/Lord_Howe", date(2025, 10, 4), date(2025, 10, 6)),
    ("Asia/Kathmandu", date(2025, 6, 1), date(2025, 6, 3)),
)


Parameters = list[tuple[str, str | int | float | bool | None]]


class Difference(NamedTuple):
    """A cell that is not as the model says."""

    where: str
    cell: str
    found: object
    wanted: object


class ComparedYear:
    """The comparison. ``differences``: the first thousand of all that differ."""

    def __init__(self, driven: DrivenYear) -> None:
        self.driven = driven
        self.plain = driven.plain
        self.statuses: tuple[str, ...] = ()
        """In the user's order, as the API tells them."""
        self.cells: Counter[str] = Counter()
        """Compared cells by where they are: api, csv, or the path of a page."""
        self.differing = 0
        self.differences: list[Difference] = []

    def run(self, share: int = 1) -> None:
        """Compare everything, or of all questions one in ``share``."""
        instance = self.driven.instance
        for place, question in enumerate(questions()):
            if (
                place + place // 2
            ) % share == 0:  # of each pair, by turns the one by conversion and the one by click time
                self._compare_answers(question)
        instance.api.cookies.set(COOKIE, signed_in_owner(self.driven))
        self._compare_pages()

    def _cell(self, where: str, cell: str, found: object, wanted: object) -> None:
        self.cells[
            "csv" if " csv" in where else "api" if "/api/" in where else where.partition("?")[0].partition(" ")[0]
        ] += 1
        if found != wanted:
            self.differing += 1
            if len(self.differences) < 1_000:
                self.differences.append(Difference(where, cell, found, wanted))

    def _compare_answers(self, question: Question) -> None:
        wanted = self.plain.answer(question)
        names = ALL
        parameters = parameters_of(question, names)
        address = "/api/v1/reports"
        answer = self.driven.instance.api.get(address, params=parameters)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        self.statuses = tuple(body["totals"]["by_status"])
        where = str(answer.url)
        keys = [tuple(key["value"] for key in row["keys"]) for row in body["rows"]]
        groups = {key for key in wanted if key} if question.group_by else set()
        self._cell(where, "groups", set(keys), groups)
        self._cell(where, "row_count", body["row_count"], len(groups))
        for key, row in zip(keys, body["rows"], strict=True):
            if key in wanted:
                self._compare_row(f"{where} {key}", row, "", wanted[key], question)
        totals = {"figures": body["totals"]}
        if question.before:
            totals |= {"before": body["totals_before"], "changes": body["totals_changes"]}
        self._compare_row(f"{where} totals", totals, "", wanted[()], question)
        file = self.driven.instance.api.get(address, params=[*parameters, ("format", "csv")])
        self._compare_csv(f"{where} csv", file.text, [*keys, ()], wanted, question)

    def _compare_row(
        self, where: str, row: dict[str, Any], prefix: str, sums: tuple[Sums, Sums], question: Question
    ) -> None:
        sides = [("figures", sums[0])] + ([("before", sums[1])] if question.before else [])
        for side, of in sides:
            found, wanted = row[side], figures_in_api(of, ALL)
            for name, value in wanted.items():
                self._cell(where, f"{side} {name}", found.get(name), value)
        if question.before:
            for name in ALL:
                change = change_in_api(name, figure(name, sums[0]), figure(name, sums[1]))
                self._cell(where, f"change of {name}", row["changes"][name], change)

    def _compare_csv(
        self,
        where: str,
        text: str,
        keys: list[tuple[str, ...]],
        wanted: dict[tuple[str, ...], tuple[Sums, Sums]],
        question: Question,
    ) -> None:
        _, *lines = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
        lines = [line for line in lines if line[:1] != ["Unattributed cost"]]
        self._cell(where, "lines", len(lines), len(keys))
        for key, line in zip(keys, lines, strict=False):
            if key not in wanted:
                continue
            cells = line[len(question.group_by) :]
            for name, cell in zip(_csv_cells(wanted[key], question, self.statuses), cells, strict=False):
                self._cell(f"{where} {key}", name[0], cell, name[1])

    def _compare_pages(self) -> None:
        for group_by in (("campaign",), ("offer",), ("day",), ("mark",), ("status",), ("Zone",), ("country", "source")):
            self._compare_page(group_by)
        self._compare_dashboard()
        self._compare_lists()

    def _page(self, path: str) -> Page:
        answer = self.driven.instance.api.get(path, headers={"authorization": ""})
        assert answer.status_code == 200, answer.text
        return Page(answer.text)

    def _compare_page(self, group_by: tuple[str, ...]) -> None:
        first, last = LAST_DAY - timedelta(89), LAST_DAY
        question = Question(first=first, last=last, zone=ZONE, group_by=group_by)
        wanted = self.plain.answer(question)
        columns = tuple(name for name in ALL if name != "delay_p50")
        parameters = [("period", "90d"), *(("group_by", word) for word in group_by)]
        parameters += [("column", name) for name in columns]
        path = "/panel/reports?" + "&".join(f"{name}={value}" for name, value in parameters)
        answer = self.driven.instance.api.get(
            "/api/v1/reports", params=[*parameters_of(question, columns), ("limit", "100")]
        ).json()
        keys = [tuple(key["value"] for key in row["keys"]) for row in answer["rows"]]
        order = [one["name"] for one in answer["columns"] if one["name"] in ALL]
        rows = self._page(path).table.rows
        measures = [name for name in _panel_order() if name in order]
        self._cell(path, "rows", len([row for row in rows if row[0] != "Total"]), len(keys))
        for key, row in zip(keys, [row for row in rows if row[0] != "Total"], strict=False):
            cells = row[len(group_by) : len(group_by) + len(measures)]
            for name, cell in zip(measures, cells, strict=True):
                self._cell(f"{path} {key}", name, cell, on_screen(name, figure(name, wanted[key][0])))

    def _compare_dashboard(self) -> None:
        wanted = self.plain.answer(Question(first=LAST_DAY, last=LAST_DAY, zone=ZONE))[()][0]
        page = self._page("/panel?period=today")
        found = {
            tile.all("span", class_="name")[0].text.partition(",")[0]: tile.all("span", class_="figure")[0].text
            for tile in page.main.all("a", class_="tile")
        }
        for title in ("Clicks", "Conversions", "Revenue", "Cost", "Profit", "ROI"):
            name = title.lower()
            self._cell("/panel", title, found.get(title), on_screen(name, figure(name, wanted)))

    def _compare_lists(self) -> None:
        for path, word in (("/panel/campaigns", "campaign"), ("/panel/traffic-sources", "source")):
            wanted = self.plain.answer(Question(first=LAST_DAY, last=LAST_DAY, zone=ZONE, group_by=(word,)))
            table = self._page(path).table
            titles = {title.partition(" ")[0].lower(): place for place, title in enumerate(table.columns)}
            for row in table.rows:
                number = _number(row)
                sums = wanted.get((number,), ({}, {}))[0]
                for name in ("clicks", "conversions", "revenue", "cost", "profit"):
                    if name in titles:
                        self._cell(path, f"{row[0]} {name}", row[titles[name]], on_screen(name, figure(name, sums)))


def _number(row: list[str]) -> str:
    """Return the number of a list's record, by its name."""
    text = " ".join(row)
    known = {f"Campaign {number}": str(number) for number in range(1, 5)} | {"Source zone": "1", "Source site": "2"}
    return next((number for name, number in known.items() if name in text), "")


def _panel_order() -> tuple[str, ...]:
    # The order of columns alone is the product's.
    return tuple(one.key for one in Measure)


def _csv_cells(sums: tuple[Sums, Sums], question: Question, statuses: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Return the name and text of each cell of a line, in order. ``statuses``: in the user's order."""
    now, before = sums
    pairs: list[tuple[str, int | None, int | None]] = [(name, figure(name, now), figure(name, before)) for name in ALL]
    pairs += [(f"event{number}", now.get(f"event{number}", 0), before.get(f"event{number}", 0)) for number in (1, 7)]
    for key in statuses:
        pairs += [(f"by_{key}", now.get(f"by_{key}", 0), before.get(f"by_{key}", 0))]
        pairs += [(f"revenue_{key}", now.get(f"revenue_{key}", 0), before.get(f"revenue_{key}", 0))]
    for name, value, earlier in pairs:
        shown = "clicks" if name.startswith("by_") else name
        yield name, plain(shown, value)
        if question.before:
            change = change_in_api(shown, value, earlier)
            yield f"{name} before", plain(shown, earlier)
            yield f"{name} change", change["change"] or ""
            yield f"{name} percent", change["percent"] or ""


def parameters_of(question: Question, names: tuple[str, ...]) -> Parameters:
    """Return the query of a question."""
    parameters: Parameters = [
        ("from", question.first.isoformat()),
        ("to", question.last.isoformat()),
        ("zone", question.zone),
    ]
    parameters += [("by", question.by), ("limit", "10000")]
    parameters += [("group_by", word) for word in question.group_by]
    parameters += [("column", name) for name in (*names, "event1", "event7")]
    parameters += [("filter", f"{word}:{value}") for word, value in question.filters]
    if question.before:
        parameters.append(("compare", "..".join(day.isoformat() for day in question.before)))
    return parameters


def questions() -> Iterator[Question]:
    """Yield all questions."""
    for place, group_by in enumerate(GROUPINGS):
        for by in ("conversion", "click"):
            yield Question(first=FIRST_DAY, last=LAST_DAY, zone=ZONES[place % 4], group_by=group_by, by=by)
    for zone, first, last in CHANGES:
        for by in ("conversion", "click"):
            yield Question(first=first, last=last, zone=zone, group_by=("hour",), by=by)
    quarter = {"first": date(2025, 12, 1), "last": LAST_DAY, "before": (date(2025, 9, 2), date(2025, 11, 30))}
    for place, group_by in enumerate(((), ("day",), ("campaign",), ("offer",), ("weekday",), ("status",), ("mark",))):
        yield Question(**quarter, zone=ZONES[place % 4], group_by=group_by, by=("conversion", "click")[place % 2])  # type: ignore[arg-type]
    year = {"first": FIRST_DAY, "last": LAST_DAY, "zone": ZONE}
    for filters in (
        (("country", "DE"), ("country", "")),
        (("status", "sale"), ("campaign", "1")),
        (("mark", "datacenter"),),
        (("offer", "3"),),
        (("Zone", "a"),),
        (("delay", "86400"), ("unique", "unique")),
    ):
        yield Question(**year, group_by=("campaign",), filters=filters)  # type: ignore[arg-type]
        yield Question(**year, by="click", filters=filters)  # type: ignore[arg-type]


def signed_in_owner(driven: DrivenYear) -> str:
    """Sign an owner in whose time zone is the year's, and return their session."""
    instance, secret = driven.instance, "session of the year"
    with instance.ledger.write() as tx:
        user = save_user(tx, User(name="Owner", role=Role.OWNER, password_hash="unused", time_zone=ZONE), instance.now)
        insert_session(tx, secret, user.id, instance.now, instance.now + 86_400_000, "127.0.0.1", "tests")
    return secret
