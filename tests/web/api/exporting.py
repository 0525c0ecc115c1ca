"""The core's work on exports, for tests without a core."""

from typing import TYPE_CHECKING

from clickloop.tracking.jobs.export_work import ExportWorker
from clickloop.tracking.jobs.exports import ROWS_A_STEP, page_reader

if TYPE_CHECKING:
    from tests.web.conftest import Instance


def export_work(instance: "Instance", rows: int = ROWS_A_STEP) -> ExportWorker:
    """A fresh worker over the instance's stores, with pages of so many rows."""
    context = instance.context
    return ExportWorker(context.ledger, context.exports, page_reader(context, rows), lambda: instance.now)


def work_off(instance: "Instance", rows: int = ROWS_A_STEP) -> None:
    """Writes every export to its end."""
    work = export_work(instance, rows)
    while work.step():
        pass
