"""The order in which notices are settled: floods of invalid ones do not delay others, and are settled too."""

from pathlib import Path

import msgspec
import pytest

from clickloop.conversion.notice import RawNotice
from clickloop.conversion.notice_log import NoticeOutcome
from clickloop.store.journal.reader import JournalReader
from clickloop.store.journal.segment import DEFERRED_WRITER, NOTICES_STREAM
from clickloop.store.journal.writer import JournalWriter
from clickloop.tracking.settle import MAX_DEFERRED_BYTES, MAX_NOTICE_SEGMENTS, settle_notices
from tests.partner import NOW, Partner


class Journal:
    """A journal with any number of writers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reader = JournalReader(folder / "journal", folder / "settled")
        self._writers: dict[str, JournalWriter] = {}
        self._made = 0

    def write(self, writer: str, *raws: RawNotice) -> None:
        """Write a segment of these notices and close it."""
        if writer not in self._writers:
            self._made += 1
            made = self._made
            self._writers[writer] = JournalWriter.open(
                self.folder / "journal", NOTICES_STREAM, writer, lambda: NOW + made
            )
        for raw in raws:
            self._writers[writer].append(msgspec.json.encode(raw))
        self._writers[writer].close_segment()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


@pytest.fixture
def partner(tmp_path: Path) -> Partner:
    return Partner(tmp_path)


def test_a_genuine_notice_is_settled_in_the_first_round_however_many_of_strangers_wait(
    partner: Partner, journal: Journal
) -> None:
    junk = [partner.notice("12345", filler="x" * 1_000) for _ in range(50)]
    for start in range(200):
        journal.write(
            f"{DEFERRED_WRITER}1",
            *[msgspec.structs.replace(raw, notice_id=partner.new_id()) for raw in junk[: 1 + start % 50]],
        )
    journal.write("edge1", partner.notice(partner.click(), payout="5"))
    batch = settle_notices(journal.reader, partner.intake, NOW)
    assert [result.outcome for result in batch.results].count(NoticeOutcome.NEW) == 1
    assert batch.more
    refused = len(batch.results) - 1
    assert 0 < refused * 1_000 < 2 * MAX_DEFERRED_BYTES


def test_notices_of_strangers_are_settled_however_many_genuine_ones_come(partner: Partner, journal: Journal) -> None:
    for _ in range(MAX_NOTICE_SEGMENTS + 10):
        journal.write("edge1", partner.notice(partner.click()))
    journal.write(f"{DEFERRED_WRITER}1", partner.notice("12345"))
    first = settle_notices(journal.reader, partner.intake, NOW)
    assert [result.outcome for result in first.results].count(NoticeOutcome.REFUSED) == 1
    second = settle_notices(journal.reader, partner.intake, NOW)
    assert (len(first.results) + len(second.results), second.more) == (MAX_NOTICE_SEGMENTS + 11, False)


def test_no_process_waits_for_another_one(partner: Partner, journal: Journal) -> None:
    for _ in range(MAX_NOTICE_SEGMENTS * 2):
        journal.write("edge1", partner.notice(partner.click()))
    late = [partner.notice(partner.click(), txid=str(number)) for number in range(3)]
    for raw in late:
        journal.write("edge2", raw)
    batch = settle_notices(journal.reader, partner.intake, NOW)
    settled = {result.notice.raw.notice_id for result in batch.results}
    assert {raw.notice_id for raw in late} <= settled


def test_deferred_and_other_notices_of_a_click_have_the_same_result_in_any_order(
    partner: Partner, journal: Journal
) -> None:
    click_id = partner.click()
    first, second = partner.notice(click_id, payout="5"), partner.notice(click_id, payout="7", at=NOW + 1)
    journal.write("edge1", second)
    settle_notices(journal.reader, partner.intake, NOW)
    journal.write(f"{DEFERRED_WRITER}1", first)
    settle_notices(journal.reader, partner.intake, NOW)
    (conversion,) = partner.conversions(click_id)
    assert conversion.payout.micros == 7_000_000
