"""What the demo shows: progress, tables, the checks."""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from clickloop.conversion.notice import RefusalReason
from clickloop.demo.figures import Check, Told
from clickloop.demo.setup import SetUp
from clickloop.demo.tracker import Tracker
from clickloop.postback.due import SkipReason

PLAIN_WIDTH = 100


def open_console() -> Console:
    """Standard output; as wide as the terminal, or 100 columns where there is none."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


class Bar:
    """The progress of one part of the demo."""

    def __init__(self, shown: "Progressing", name: str, total: int) -> None:
        self._shown = shown
        self._name = name
        self._total = total
        self._done = 0
        self._told = 0
        self._task = shown.progress.add_task(name, total=total) if shown.is_live else None

    def step(self) -> None:
        """One more is done."""
        self.reach(self._done + 1)

    def reach(self, done: int) -> None:
        """Show how many are done. Without a terminal, each third is one line."""
        self._done = done
        if self._task is not None:
            self._shown.progress.update(TaskID(self._task), completed=done)
        elif self._total and done * 3 // self._total > self._told:
            self._told = done * 3 // self._total
            self._shown.console.print(f"  {self._name}: {done:,} of {self._total:,}")


class Progressing:
    """Progress bars on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.is_live = console.is_terminal
        self.progress = Progress(
            TextColumn("  {task.description:<22}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )

    def __enter__(self) -> Self:
        if self.is_live:
            self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.is_live:
            self.progress.stop()

    def bar(self, name: str, total: int) -> Bar:
        """A new bar."""
        return Bar(self, name, total)


def show_setup(console: Console, tracker: Tracker, made: SetUp, source_url: str, network_url: str) -> None:
    """What runs where, and the two addresses that the partners are given."""
    rows = (
        ("Tracker", f"{tracker.visitors}, API {tracker.api}"),
        ("Stand-in source", source_url),
        ("Stand-in network", network_url),
        ("Campaign link", made.link),
        ("For the network", made.notice_url),
    )
    for name, text in rows:
        console.print(f"  {name + ':':<18}{text}", markup=False, soft_wrap=True)


def show_tables(console: Console, told: Told) -> None:
    """Clicks, conversions, Conversions - In and Conversions - Out, each by what was made of them."""
    for table in (_clicks(told), _conversions(told), _notices(told), _postbacks(told)):
        console.print()
        console.print(table)


def show_checks(console: Console, checks: Sequence[Check], seconds: float) -> None:
    """Each check on a line of its own, and a last one for all."""
    console.print()
    console.print("[bold]The tracker's figures against what the stand-ins saw[/bold]")
    for check in checks:
        mark = "[green]✓[/green]" if check.holds else "[red]✗[/red]"
        console.print(f"  {mark} {check.name}: ", end="")
        console.print(check.found, markup=False, style="none" if check.holds else "red")
    wrong = sum(not check.holds for check in checks)
    verdict = (
        f"[red]{wrong} of {len(checks)} checks do not hold[/red]"
        if wrong
        else f"[green]All {len(checks)} checks hold[/green]"
    )
    console.print(f"{verdict}, after {seconds:.0f} s.")


def show_kept(console: Console, tracker: Tracker, made: SetUp, told: Told) -> None:
    """Where everything is, a token, and what to try."""
    click_id = next((found.click_id for found in told.conversions), "CLICK_ID")
    link = made.link.partition("?")[0]
    lines = (
        f"Visitors and networks: {tracker.visitors}    API: {tracker.api}/api/v1    described in {tracker.api}/api/openapi.json",
        f"Data folder: {tracker.data}",
        f"Token: {tracker.token}",
        "Try:",
        f"  curl -i '{link}?external_id=mine-1&cost=0.05&widget_id=42'",
        f"  curl -i '{tracker.visitors}/postback?cid={click_id}&payout=12.50&txid=mine-1'",
        f"  curl -H 'Authorization: Bearer {tracker.token}' {tracker.api}/api/v1/clicks/{click_id}/trace",
        f"  clickloop trace {click_id} --data {tracker.data}",
        "It runs until Ctrl-C; then its folder is deleted.",
    )
    console.print("\n[bold]Left running[/bold]")
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def _clicks(told: Told) -> Table:
    table = _table("Clicks", "Device", "Counted", "Not counted", "Countries")
    for device, _ in Counter(click.device or "unknown" for click in told.clicks).most_common():
        clicks = [click for click in told.clicks if (click.device or "unknown") == device]
        countries = Counter(click.country or "–" for click in clicks).most_common(6)
        counted = sum(not click.screening for click in clicks)
        table.add_row(
            device, _count(counted), _count(len(clicks) - counted), "  ".join(f"{name} {n:,}" for name, n in countries)
        )
    return table


def _conversions(told: Told) -> Table:
    table = _table("Conversions", "Status", "Counts as", "Conversions", "Clicks", "Payout")
    names = Counter((found.status.name, found.status.counts_as) for found in told.conversions)
    for (name, counts_as), number in names.most_common():
        those = [found for found in told.conversions if found.status.name == name]
        sums: Counter[str] = Counter()
        for found in those:
            sums[found.payout.currency] += found.payout.micros
        payout = "  ".join(f"{Decimal(micros).scaleb(-6):,.2f} {currency}" for currency, micros in sorted(sums.items()))
        table.add_row(name, counts_as, _count(number), _count(len({found.click_id for found in those})), payout)
    return table


def _notices(told: Told) -> Table:
    table = _table("Conversions - In", "Outcome", "Number", "Doors", "Why")
    kinds = Counter((notice.outcome, notice.reason) for notice in told.notices)
    for (outcome, reason), number in sorted(kinds.items(), key=lambda kind: (kind[0][1] or "", -kind[1])):
        doors = Counter(notice.door for notice in told.notices if (notice.outcome, notice.reason) == (outcome, reason))
        why = RefusalReason(reason).sentence if reason else _OUTCOMES.get(outcome, "")
        table.add_row(outcome, _count(number), "  ".join(f"{door} {n:,}" for door, n in doors.most_common()), why)
    return table


_OUTCOMES = {
    "new": "It registered a conversion.",
    "changed": "It changed one: a hold was decided, a payout corrected.",
    "repeated": "It said nothing new.",
    "waiting": "The click id is genuine, but its click is not recorded yet. Clickloop keeps looking for ten minutes.",
}


def _postbacks(told: Told) -> Table:
    table = _table("Conversions - Out", "Rule", "State", "Number", "Attempts", "Why")
    kinds = Counter((row.rule_id, row.rule_name, row.state, row.reason) for row in told.postbacks)
    for (rule_id, name, state, reason), number in sorted(kinds.items(), key=lambda kind: (kind[0][0], -kind[1])):
        attempts = sum(
            row.attempts for row in told.postbacks if (row.rule_id, row.state, row.reason) == (rule_id, state, reason)
        )
        table.add_row(name, state, _count(number), _count(attempts), SkipReason(reason).sentence if reason else "")
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for column in columns:
        right = column in ("Counted", "Not counted", "Number", "Attempts", "Clicks", "Conversions", "Payout")
        table.add_column(column, justify="right" if right else "left", header_style="dim", no_wrap=column != "Why")
    return table


def _count(number: int) -> str:
    return f"{number:,}" if number else "–"
