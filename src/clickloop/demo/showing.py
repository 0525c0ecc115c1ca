"""The demo's output: progress, tables, and the checks."""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from clickloop.conversion.notice import RefusalReason
from clickloop.demo.check import CheckGroup
from clickloop.demo.page_setup import PageSetup
from clickloop.demo.reported import PageData, TrackerData
from clickloop.demo.setup import DemoSetup
from clickloop.demo.tracker import Tracker
from clickloop.postback.due import SkipReason

PLAIN_WIDTH = 100


def open_console() -> Console:
    """Return a console on standard output, as wide as the terminal, or 100 columns if it is not one."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


class Bar:
    """The progress of one part of the demo."""

    def __init__(self, shown: "ProgressDisplay", name: str, total: int) -> None:
        self._shown = shown
        self._name = name
        self._total = total
        self._done = 0
        self._printed_thirds = 0
        self._task = shown.progress.add_task(name, total=total) if shown.is_live else None

    def step(self) -> None:
        self.reach(self._done + 1)

    def reach(self, done: int) -> None:
        """Set the number done. Without a terminal, print a line after each third."""
        self._done = done
        if self._task is not None:
            self._shown.progress.update(TaskID(self._task), completed=done)
        elif self._total and done * 3 // self._total > self._printed_thirds:
            self._printed_thirds = done * 3 // self._total
            self._shown.console.print(f"  {self._name}: {done:,} of {self._total:,}")


class ProgressDisplay:
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
        return Bar(self, name, total)


def show_setup(
    console: Console,
    tracker: Tracker,
    demo_setup: DemoSetup,
    page_setup: PageSetup,
    source_url: str,
    network_url: str,
) -> None:
    """Print what runs where, and the URLs given to the partners."""
    rows = (
        ("Tracker", tracker.visitors),
        ("Panel and API", tracker.api),
        ("Traffic source", source_url),
        ("Network", network_url),
        ("Campaign link", demo_setup.link),
        ("Landing link", page_setup.link.partition("?")[0]),
        ("Tracked page", page_setup.page_link.partition("?")[0]),
        ("Postback URL", demo_setup.notice_url),
    )
    for name, text in rows:
        console.print(f"  {name + ':':<18}{text}", markup=False, soft_wrap=True)


def show_tables(console: Console, reported: TrackerData, pages: PageData) -> None:
    """Print tables of clicks, landings and pages, conversions, Conversions - In and Conversions - Out."""
    for table in (_clicks(reported), _pages(pages), _conversions(reported), _notices(reported), _postbacks(reported)):
        console.print()
        console.print(table)


def show_checks(console: Console, groups: Sequence[CheckGroup], seconds: float) -> None:
    """Print a line for each check, and a summary."""
    checks = [check for group in groups for check in group.checks]
    for group in groups:
        console.print()
        console.print(f"[bold]{group.title}[/bold]")
        for check in group.checks:
            mark = "[green]✓[/green]" if check.passed else "[red]✗[/red]"
            console.print(f"  {mark} {check.name}: ", end="")
            console.print(check.detail, markup=False, style="none" if check.passed else "red")
    wrong = sum(not check.passed for check in checks)
    verdict = (
        f"[red]{wrong} of {len(checks)} checks failed[/red]"
        if wrong
        else f"[green]All {len(checks)} checks passed[/green]"
    )
    console.print(f"{verdict} in {seconds:.0f} s.")


def show_running(
    console: Console,
    tracker: Tracker,
    demo_setup: DemoSetup,
    page_setup: PageSetup,
    reported: TrackerData,
    of_landing: str,
    sign_in_link: str,
) -> None:
    """Print where the tracker runs, a token, and what to try. ``of_landing``: the click id of a visitor of the landing."""
    click_id = next((conversion.click_id for conversion in reported.conversions), "CLICK_ID")
    link = demo_setup.link.partition("?")[0]
    lines = (
        f"Links and postbacks: {tracker.visitors}",
        f"Panel and API: {tracker.api} (API reference: {tracker.api}/api/openapi.json)",
        f"Set a password for the panel: {sign_in_link}",
        f"  The rule by country: {tracker.api}/panel/campaigns/{page_setup.campaign_id}/flow",
        f"  A visitor's route: {tracker.api}/panel/trace?q={of_landing}",
        f"Data folder: {tracker.data}",
        f"API token: {tracker.token}",
        "Try:",
        f"  curl -i '{link}?external_id=mine-1&cost=0.05&widget_id=42'",
        f"  curl -i '{tracker.visitors}/postback?cid={click_id}&payout=12.50&txid=mine-1'",
        f"  curl -H 'Authorization: Bearer {tracker.token}' {tracker.api}/api/v1/clicks/{click_id}/trace",
        f"  clickloop trace {click_id} --data {tracker.data}",
        "Press Ctrl-C to stop it and delete its folder.",
    )
    console.print("\n[bold]The tracker is still running[/bold]")
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def _clicks(reported: TrackerData) -> Table:
    table = _table("Clicks of the sweepstakes campaign", "Device", "Counted", "Not counted", "Countries")
    for device, _ in Counter(click.device or "unknown" for click in reported.clicks).most_common():
        clicks = [click for click in reported.clicks if (click.device or "unknown") == device]
        countries = Counter(click.country or "–" for click in clicks).most_common(6)
        counted = sum(not click.screening for click in clicks)
        table.add_row(
            device, _count(counted), _count(len(clicks) - counted), "  ".join(f"{name} {n:,}" for name, n in countries)
        )
    return table


def _pages(pages: PageData) -> Table:
    table = _table(
        "Landings and pages",
        "Campaign",
        "Path",
        "Clicks",
        "Landing views",
        "Landing clicks",
        "Offer visits",
        "Conversions",
    )
    for row in sorted(pages.by_path, key=lambda row: [int(key.value) for key in row.keys]):
        figures = row.figures
        counts = (figures.clicks, figures.landing_views, figures.landing_clicks, figures.offer_visits)
        table.add_row(*(key.name for key in row.keys), *map(_count, (*counts, figures.conversions)))
    return table


def _conversions(reported: TrackerData) -> Table:
    table = _table("Conversions", "Status", "Counts as", "Conversions", "Clicks", "Payout")
    names = Counter((conversion.status.name, conversion.status.counts_as) for conversion in reported.conversions)
    for (name, counts_as), number in names.most_common():
        group = [conversion for conversion in reported.conversions if conversion.status.name == name]
        sums: Counter[str] = Counter()
        for conversion in group:
            sums[conversion.payout.currency] += conversion.payout.micros
        payout = "  ".join(f"{Decimal(micros).scaleb(-6):,.2f} {currency}" for currency, micros in sorted(sums.items()))
        table.add_row(
            name, counts_as, _count(number), _count(len({conversion.click_id for conversion in group})), payout
        )
    return table


def _notices(reported: TrackerData) -> Table:
    table = _table("Conversions - In", "Outcome", "Number", "Channels", "Reason")
    kinds = Counter((notice.outcome, notice.reason) for notice in reported.notices)
    for (outcome, reason), number in sorted(kinds.items(), key=lambda kind: (kind[0][1] or "", -kind[1])):
        channels = Counter(
            notice.channel for notice in reported.notices if (notice.outcome, notice.reason) == (outcome, reason)
        )
        meaning = RefusalReason(reason).sentence if reason else _OUTCOMES.get(outcome, "")
        table.add_row(
            outcome, _count(number), "  ".join(f"{channel} {n:,}" for channel, n in channels.most_common()), meaning
        )
    return table


_OUTCOMES = {
    "new": "A new conversion.",
    "changed": "An update of a conversion, such as an approved hold or a corrected payout.",
    "repeated": "A repeat, without any change.",
    "waiting": "The click ID is genuine, but its click is not recorded yet. Clickloop keeps looking for ten minutes.",
}


def _postbacks(reported: TrackerData) -> Table:
    table = _table("Conversions - Out", "Rule", "State", "Number", "Attempts", "Reason")
    kinds = Counter((row.rule_id, row.rule_name, row.state, row.reason) for row in reported.postbacks)
    for (rule_id, name, state, reason), number in sorted(kinds.items(), key=lambda kind: (kind[0][0], -kind[1])):
        attempts = sum(
            row.attempts
            for row in reported.postbacks
            if (row.rule_id, row.state, row.reason) == (rule_id, state, reason)
        )
        table.add_row(name, state, _count(number), _count(attempts), SkipReason(reason).sentence if reason else "")
    return table


_NUMBERS = frozenset(
    {"Counted", "Not counted", "Number", "Attempts", "Clicks", "Conversions", "Payout"}
    | {"Landing views", "Landing clicks", "Offer visits"}
)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for column in columns:
        right = column in _NUMBERS
        table.add_column(column, justify="right" if right else "left", header_style="dim", no_wrap=column != "Reason")
    return table


def _count(number: int) -> str:
    return f"{number:,}" if number else "–"
