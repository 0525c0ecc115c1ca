"""Uploads: nothing is lost or repeated wherever work stops, a preview writes nothing, and memory stays constant."""

import errno
import os
import random
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Collection
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from clickloop.click.click import Click
from clickloop.click_id import ClickIds
from clickloop.clock import MINUTE_MS
from clickloop.conversion.conversion_input import ConversionInput, raw_notice_of
from clickloop.conversion.notice import Channel
from clickloop.conversion.upload.lines import RejectedFile
from clickloop.record_id import RecordIds
from clickloop.store.drafts import DiskDrafts
from clickloop.store.ledger.jobs.jobs import JobState
from clickloop.store.ledger.jobs.uploads import UPLOADS, LineVerdict, Upload
from clickloop.store.ledger.logs.conversions import conversions_of_click
from clickloop.store.ledger.schema.tables import conversions, notices
from clickloop.store.upload_files import UploadFiles
from clickloop.tracking.jobs.upload_results import line_results, result_table
from clickloop.tracking.jobs.upload_work import (
    UploadOptions,
    UploadWorker,
    create_upload,
    create_upload_again,
    tidy_uploads,
)
from clickloop.tracking.notices import BATCH, Intake, preview_notices, take_notices
from tests.crash.killing import killed_after
from tests.empty_stores import open_ledger

NOW = 1_772_366_400_000  # 2026-03-01T12:00:00Z
CHILD = Path(__file__).parents[1] / "crash" / "upload_child.py"


class Clicks:
    """Facts for uploads: every genuine click id has a click unless it is away."""

    def __init__(self) -> None:
        self.away: set[str] = set()

    def find_clicks(self, click_ids: Collection[str]) -> dict[str, Click]:
        return {
            click_id: Click(click_id=click_id, at=NOW - MINUTE_MS, campaign_id=3, source_id=5, network_id=9)
            for click_id in click_ids
            if click_id not in self.away
        }


class InTheMiddle:
    """Clicks that are looked up by a function, which does something else first."""

    def __init__(self, find_clicks: Callable[[Collection[str]], dict[str, Click]]) -> None:
        self.find_clicks = find_clicks


class Owner:
    """A driver of uploads."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.click_ids = ClickIds(b"k" * 32)
        self.clicks = Clicks()
        self.new_id = RecordIds(lambda: self.now)
        self.intake = Intake(open_ledger(folder / "ledger.sqlite"), self.clicks, self.click_ids, self.new_id, "USD")
        self.files = UploadFiles(folder / "uploads", min_free_bytes=0)

    def click(self) -> str:
        return self.click_ids.new(NOW - MINUTE_MS)

    def enter(self, content: bytes, *, preview: bool = False) -> Upload:
        arriving = self.files.receive(self.new_id())
        arriving.write(content)
        entered = create_upload(self.intake.ledger, self.files, arriving, UploadOptions(preview=preview), self.now)
        assert not isinstance(entered, RejectedFile)
        return entered

    def work(self) -> UploadWorker:
        return UploadWorker(self.intake, self.files, lambda: self.now)

    def finish(self, work: UploadWorker | None = None) -> None:
        work = work or self.work()
        while work.step().more:
            pass

    def upload(self, upload_id: str) -> Upload:
        with self.intake.ledger.read() as tx:
            found = UPLOADS.find(tx, upload_id)
        assert found is not None
        return found

    def rows(self) -> tuple[int, int]:
        """Return the numbers of notices and conversions in the ledger."""
        with self.intake.ledger.read() as tx:
            tables = (notices, conversions)
            first, second = (tx.scalar(select(func.count()).select_from(table)) for table in tables)
        return first or 0, second or 0


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    return Owner(tmp_path)


def file_of(owner: Owner, count: int) -> bytes:
    return b"cid,payout\n" + b"".join(b"%b,1.5\n" % owner.click().encode() for _ in range(count))


def test_every_line_becomes_one_notice_in_batches(owner: Owner) -> None:
    upload = owner.enter(file_of(owner, BATCH + 7))
    work = owner.work()
    assert work.step().owed
    running = owner.upload(upload.upload_id)
    assert (running.state, running.lines, running.finished_at) == (JobState.RUNNING, BATCH, None)
    owner.finish(work)
    done = owner.upload(upload.upload_id)
    assert (done.state, done.lines, done.counts) == (JobState.FINISHED, BATCH + 7, {LineVerdict.NEW: BATCH + 7})
    assert done.octets_read == done.octets
    assert owner.rows() == (BATCH + 7, BATCH + 7)


def test_an_upload_whose_progress_was_lost_in_a_crash_resumes_without_duplicates(owner: Owner) -> None:
    upload = owner.enter(file_of(owner, BATCH * 2))
    work = owner.work()
    work.step()
    before = owner.upload(upload.upload_id)
    # The batch is registered, and the process dies before the ledger hears that the file is so far.
    work.step()
    with owner.intake.ledger.write() as tx:
        UPLOADS.keep(tx, before)
    assert owner.rows() == (BATCH * 2, BATCH * 2)
    owner.finish()
    done = owner.upload(upload.upload_id)
    assert (done.lines, done.counts) == (BATCH * 2, {LineVerdict.NEW: BATCH * 2})
    assert owner.rows() == (BATCH * 2, BATCH * 2)


def test_lines_that_are_registered_while_the_upload_is_stopped_are_counted_and_in_its_result(owner: Owner) -> None:
    upload = owner.enter(file_of(owner, BATCH * 3))
    work = owner.work()
    work.step()
    find_clicks = owner.clicks.find_clicks

    def stop_and_find(click_ids: Collection[str]) -> dict[str, Click]:
        with owner.intake.ledger.write() as tx:
            UPLOADS.stop(tx, upload.upload_id, NOW)
        return find_clicks(click_ids)

    work.intake = msgspec.structs.replace(owner.intake, clicks=InTheMiddle(stop_and_find))
    owner.finish(work)

    stopped = owner.upload(upload.upload_id)
    assert owner.rows() == (BATCH * 2, BATCH * 2)
    assert (stopped.state, stopped.lines, stopped.counts) == (
        JobState.STOPPED,
        BATCH * 2,
        {LineVerdict.NEW: BATCH * 2},
    )
    assert stopped.finished_at == NOW
    assert len(list(line_results(owner.intake.ledger, owner.files, stopped))) == BATCH * 2


def test_another_worker_resumes_where_the_last_one_stopped(owner: Owner) -> None:
    lines = [f'{owner.click()},1,"a\nb"' for _ in range(BATCH * 3)]
    upload = owner.enter(("\n\ncid,payout,param1\n" + "\r\n\r\n".join(lines)).encode())
    while owner.work().step().more:
        pass
    done = owner.upload(upload.upload_id)
    assert (done.lines, done.counts) == (BATCH * 3, {LineVerdict.NEW: BATCH * 3})


def test_lines_of_a_file_count_in_their_order_over_batches(owner: Owner) -> None:
    click_id = owner.click()
    statuses = ["lead"] * BATCH + ["approved"] * BATCH + ["rejected"]
    upload = owner.enter(("cid,status\n" + "".join(f"{click_id},{status}\n" for status in statuses)).encode())
    owner.finish()
    done = owner.upload(upload.upload_id)
    assert done.counts == {LineVerdict.NEW: 1, LineVerdict.REPEATED: 2 * BATCH - 2, LineVerdict.CHANGED: 2}
    with owner.intake.ledger.read() as tx:
        (conversion,) = conversions_of_click(tx, click_id)
    assert conversion.status.key == "rejected"


def test_a_short_upload_does_not_wait_for_a_long_one(owner: Owner) -> None:
    long = owner.enter(file_of(owner, BATCH * 6))
    short = owner.enter(file_of(owner, 3))
    work = owner.work()
    work.step()
    work.step()
    assert owner.upload(short.upload_id).state is JobState.FINISHED
    assert owner.upload(long.upload_id).state is JobState.RUNNING


def test_an_interrupted_preview_restarts(owner: Owner) -> None:
    click_id = owner.click().encode()
    upload = owner.enter(b"cid\n" + (click_id + b"\n") * (BATCH + 20), preview=True)
    owner.work().step()
    owner.finish()
    done = owner.upload(upload.upload_id)
    assert (done.lines, done.counts) == (BATCH + 20, {LineVerdict.NEW: 1, LineVerdict.REPEATED: BATCH + 19})
    assert len(list(line_results(owner.intake.ledger, owner.files, done))) == BATCH + 20
    assert owner.rows() == (0, 0)
    assert not owner.files.drafts_path(upload.upload_id).exists()


def test_a_preview_changes_no_octet_of_the_ledger(owner: Owner, tmp_path: Path) -> None:
    with owner.intake.ledger.write():
        pass
    drafts = DiskDrafts(tmp_path / "drafts")
    raws = [
        raw_notice_of(ConversionInput(click_id=owner.click()), Channel.UPLOAD, owner.new_id(), NOW) for _ in range(3)
    ]
    before = {path.name: path.read_bytes() for path in tmp_path.glob("ledger.sqlite*") if "shm" not in path.name}
    foreseen = [result.outcome for result in preview_notices(owner.intake, raws, NOW, drafts)]
    after = {path.name: path.read_bytes() for path in tmp_path.glob("ledger.sqlite*") if "shm" not in path.name}
    assert before == after
    assert foreseen == [result.outcome for result in take_notices(owner.intake, raws, NOW)]
    drafts.close()


def test_a_preview_and_the_upload_have_the_same_result_for_any_lines(owner: Owner) -> None:
    clicks = [owner.click() for _ in range(40)]
    owner.clicks.away = set(clicks[:5])
    lines = [
        f"{clicks[n * 7 % 40]}:{n % 3}:{('sale', 'lead', 'rejected')[n % 5 % 3]}:txid=t{n % 2}" for n in range(1700)
    ]
    content = "\n".join([*lines, "{clickid}", "0123456789abcdefghjkmnpqrs", "a:b:c:d"]).encode()
    foreseen = owner.enter(content, preview=True)
    owner.finish()
    done = owner.enter(content)
    owner.finish()
    assert owner.upload(foreseen.upload_id).counts == owner.upload(done.upload_id).counts
    verdicts = [
        [(result.finding.number, result.finding.verdict, result.finding.reason) for result in results]
        for results in (
            line_results(owner.intake.ledger, owner.files, owner.upload(upload.upload_id))
            for upload in (foreseen, done)
        )
    ]
    assert verdicts[0] == verdicts[1]


def test_an_upload_whose_file_is_lost_fails_and_does_not_delay_others(owner: Owner) -> None:
    lost, other = owner.enter(file_of(owner, 3)), owner.enter(file_of(owner, 3))
    owner.files.delete(lost.upload_id)
    owner.finish()
    failed = owner.upload(lost.upload_id)
    assert (failed.state, failed.finished_at) == (JobState.FAILED, NOW)
    assert "Upload it again" in (failed.error or "")
    assert owner.upload(other.upload_id).state is JobState.FINISHED


def test_an_upload_whose_file_lost_its_end_fails(owner: Owner, tmp_path: Path) -> None:
    upload = owner.enter(file_of(owner, 20))
    path = tmp_path / "uploads" / f"{upload.upload_id}.text"
    os.truncate(path, path.stat().st_size - 50)
    owner.finish()
    failed = owner.upload(upload.upload_id)
    assert failed.state is JobState.FAILED
    assert f"{upload.octets - 50} bytes" in (failed.error or "")


def test_files_that_never_became_an_upload_are_deleted(owner: Owner, tmp_path: Path) -> None:
    arriving = owner.files.receive(owner.new_id())
    arriving.write(b"half a file")
    owner.files.delete_unfinished()
    orphan = tmp_path / "uploads" / f"{owner.new_id()}.text"
    orphan.write_bytes(b"entered by nobody")
    tidy_uploads(owner.intake.ledger, owner.files, int(time.time() * 1000), 1)
    assert orphan.exists()
    os.utime(orphan, (0, 0))
    tidy_uploads(owner.intake.ledger, owner.files, int(time.time() * 1000), 1)
    assert list((tmp_path / "uploads").iterdir()) == []


def test_a_file_that_cannot_be_entered_takes_no_room(owner: Owner, tmp_path: Path) -> None:
    finished = owner.enter(b"abc\n", preview=True)
    with owner.intake.ledger.write() as tx:
        tx.execute(text("CREATE TRIGGER full BEFORE INSERT ON uploads BEGIN SELECT RAISE(ABORT, 'full'); END"))
    with pytest.raises(IntegrityError):
        owner.enter(b"abc\n")
    with pytest.raises(IntegrityError):
        create_upload_again(owner.intake.ledger, owner.files, finished, owner.new_id(), UploadOptions(), NOW)
    assert [path.name for path in (tmp_path / "uploads").iterdir()] == [f"{finished.upload_id}.text"]


def test_an_upload_that_waits_is_never_cleared_away(owner: Owner, tmp_path: Path) -> None:
    upload = owner.enter(b"abc\n")
    os.utime(tmp_path / "uploads" / f"{upload.upload_id}.text", (0, 0))
    tidy_uploads(owner.intake.ledger, owner.files, NOW * 2, 1)
    assert owner.files.exists(upload.upload_id)


TOO_FULL = """
import resource, signal, sys
from pathlib import Path
from clickloop.store.upload_files import UploadFiles

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder = Path(sys.argv[1])
arriving = UploadFiles(folder, min_free_bytes=0).receive("0" * 26)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    for _ in range(100):
        arriving.write(b"cid,note\\n" * 300)
except OSError as error:
    print(error.errno)
finally:
    arriving.abandon()
    print([path.name for path in folder.iterdir()])
"""


def test_a_file_that_a_full_disk_cut_short_takes_no_room_any_more(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", TOO_FULL, str(tmp_path / "uploads")], capture_output=True, text=True)
    assert (ran.stdout.splitlines(), ran.stderr) == ([str(errno.EFBIG), "[]"], "")


READING = """
import resource, sys
from pathlib import Path
from clickloop.conversion.upload.lines import detect, lines_of
from clickloop.store.upload_files import UploadFiles

files = UploadFiles(Path(sys.argv[1]), min_free_bytes=0)
bad = b'a,"open\\n' + b"x" * 300_000 + b"\\nb," + b'"",' * 4000 + b"\\n"


def resident():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def read(upload_id, octets):
    arriving = files.receive(upload_id)
    arriving.write(b"cid,note\\n")
    given = 0
    while given < octets:
        piece = b"0123456789abcdefghjkmnpqrs,note\\n" * 8000 + bad
        given += len(piece)
        arriving.write(piece)
    arriving.finish()
    layout = detect(files.head(upload_id))
    return sum(1 for _ in lines_of(layout, files.pieces(upload_id, layout.begins_at)))


read("short", 1 << 20)
before = resident()
lines = read("long", 50 << 20)
print(lines, resident() - before)
"""


def test_reading_fifty_mebibytes_takes_no_more_memory_than_one(tmp_path: Path) -> None:
    command = [sys.executable, "-c", READING, str(tmp_path)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    lines, more_kib = map(int, output)
    assert lines > 700_000
    assert more_kib < 2 * 1024


def test_taking_a_long_upload_and_its_result_needs_little_memory(owner: Owner) -> None:
    lines = 8 * BATCH
    for preview in (False, True):
        upload = owner.enter(file_of(owner, lines), preview=preview)
        work = owner.work()
        work.step()
        tracemalloc.start()
        try:
            owner.finish(work)
            done = owner.upload(upload.upload_id)
            size = sum(len(piece) for piece in result_table(owner.intake.ledger, owner.files, done))
            left, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert size > lines * 40
        assert most < 12 * 1024 * 1024
        assert left < 3 * 1024 * 1024


@pytest.mark.crash
def test_an_upload_that_is_killed_again_and_again_is_registered_once(owner: Owner, tmp_path: Path) -> None:
    upload = owner.enter(file_of(owner, BATCH * 8 + 3))
    chance = random.Random(6)
    command = [sys.executable, str(CHILD), str(tmp_path)]
    kills = 0
    while not owner.upload(upload.upload_id).state.is_final:
        killed_after(command, 1 + kills // 2, chance)
        kills += 1
        assert kills < 20, "no step was ever written down"
    done = owner.upload(upload.upload_id)
    assert kills >= 3
    assert (done.state, done.lines) == (JobState.FINISHED, BATCH * 8 + 3)
    assert done.counts == {LineVerdict.NEW: BATCH * 8 + 3}
    assert owner.rows() == (BATCH * 8 + 3, BATCH * 8 + 3)
