"""Processes all uploads of a folder, to be killed at any moment."""

import sys
from collections.abc import Collection
from pathlib import Path

from clickloop.click.click import Click
from clickloop.click_id import ClickIds
from clickloop.record_id import RecordIds
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.upload_files import UploadFiles
from clickloop.tracking.jobs.upload_work import UploadWorker
from clickloop.tracking.notices import Intake

NOW = 1_772_366_400_000


class Clicks:
    """Facts in which every click is found."""

    def find_clicks(self, click_ids: Collection[str]) -> dict[str, Click]:
        return {click_id: Click(click_id=click_id, at=NOW, campaign_id=3, source_id=5) for click_id in click_ids}


def main(folder: Path) -> None:
    """Take step after step until nothing is left; say so after each one."""
    intake = Intake(Ledger.open(folder / "ledger.sqlite"), Clicks(), ClickIds(b"k" * 32), RecordIds(), "USD")
    work = UploadWorker(intake, UploadFiles(folder / "uploads", min_free_bytes=0), lambda: NOW)
    while work.step().more:
        print("step", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
