"""Reports as rows of CSV, with the origins of cost and verdicts where they are wanted."""

from collections.abc import Iterable, Iterator

import msgspec

from clickloop.money import amount_text
from clickloop.report.export import CsvReport, CsvRow, percent_text
from clickloop.report.measure import USUAL
from clickloop.report.verdict import Verdict
from clickloop.tracking.costs.mix import MIX_TITLES, CostMix, CostMixes
from clickloop.tracking.reports.reporting import NamedReport
from clickloop.tracking.reports.verdicts import RowVerdicts


class ReportExtras(msgspec.Struct, frozen=True):
    """Optional parts of a report's rows: origins of cost and verdicts."""

    mixes: CostMixes | None = None
    verdicts: RowVerdicts | None = None

    def titles(self, currency: str) -> tuple[str, ...]:
        """Return the headings of their columns."""
        origins = [f"Cost {title}, {currency}" for title in MIX_TITLES.values()] if self.mixes else []
        verdicts = ["Misses the target, %", "Clicks needed to know", f"At stake, {currency}"] if self.verdicts else []
        return (*origins, *verdicts)

    def cells(self, mix: CostMix | None, verdict: Verdict | None) -> tuple[str, ...]:
        """Return a row's cells beneath these headings."""
        origins = [amount_text(micros) for _, micros in (mix or CostMix()).parts] if self.mixes else []
        verdicts = _verdict_cells(verdict) if self.verdicts else ()
        return (*origins, *verdicts)


NO_EXTRAS = ReportExtras()


def misses_text(verdict: Verdict) -> str:
    """Return the probability that a row misses its target in percent, with one decimal."""
    return percent_text(round(verdict.misses * 1000) * 1000)


def _verdict_cells(verdict: Verdict | None) -> tuple[str, ...]:
    if verdict is None:
        return ("", "", "")
    needed = "" if verdict.clicks_needed is None else str(verdict.clicks_needed)
    return (misses_text(verdict), needed, amount_text(verdict.at_stake_micros))


def csv_shape(made: NamedReport, extras: ReportExtras = NO_EXTRAS) -> CsvReport:
    """Return the shape of a report as CSV."""
    currency = made.query.currency
    return CsvReport(
        group_by=made.query.group_by,
        columns=made.query.columns or USUAL,
        statuses=made.statuses,
        currency=currency,
        is_compared=made.query.compared is not None,
        extra_titles=extras.titles(currency),
    )


def csv_rows(pages: Iterable[NamedReport], extras: ReportExtras = NO_EXTRAS) -> Iterator[CsvRow]:
    """Yield the rows, the cost that no click bears if there is any, and the totals as of the last page."""
    mixes, verdicts = extras.mixes, extras.verdicts
    page = None
    for page in pages:
        for row in page.rows:
            keys = [heading.key for heading in row.headings]
            mix, verdict = mixes.of(keys) if mixes else None, verdicts.of(keys) if verdicts else None
            yield CsvRow(
                tuple(heading.name for heading in row.headings), row.sums, row.before, extras.cells(mix, verdict)
            )
    if page is None:
        return
    rest = ("",) * (len(page.query.group_by) - 1)
    if page.unattributed is not None and page.query.group_by:
        yield CsvRow(("Unattributed cost", *rest), page.unattributed.sums)
    names = ("Total", *rest) if page.query.group_by else ()
    total = extras.cells(mixes.total if mixes else None, verdicts.total if verdicts else None)
    yield CsvRow(names, page.totals.sums, page.totals.before, total)
