"""Uploads: a file of conversions is taken line by line, each line one notice. Killed at any point, it goes on where it was.

A line's notice has the same id whenever it is made (``conversion.upload.line_notice``). So a batch that was registered, and of
which a crash kept the ledger from hearing that the file is so far, is found registered when it is taken again.
"""

from itertools import islice

import msgspec

from clickloop.clock import DAY_MS, MINUTE_MS, Clock
from clickloop.conversion.attribution import WAIT_MS
from clickloop.conversion.moment import DateOrder
from clickloop.conversion.notice import RefusalReason
from clickloop.conversion.notice_log import StoredNotice
from clickloop.conversion.upload import (
    BadLine,
    Layout,
    Line,
    Unusable,
    complete,
    detect,
    line_notice,
    lines_of,
    notice_id_of,
)
from clickloop.conversion.upload_dates import has_moments, proven_order
from clickloop.machine.log import log
from clickloop.money import Money
from clickloop.store.drafts import DiskDrafts
from clickloop.store.ledger.jobs.jobs import JobState
from clickloop.store.ledger.jobs.uploads import (
    UPLOADS,
    CountedOutcome,
    Upload,
    Verdict,
    outcomes_between,
    update_counts,
    uploads_finished_between,
)
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.upload_files import ArrivingFile, UploadFiles
from clickloop.tracking.notices import BATCH, Desk, NoticeResult, foresee_notices, take_notices

PARALLEL_UPLOADS = 4
"""Uploads that take turns, a batch each: a short one is done soon beside a long one."""
_SETTLED_MS = WAIT_MS + MINUTE_MS
"""Time after a file's arrival in which its waiting lines are counted again, until none waits."""
_AGAIN = "Upload it again: what is registered stays so, and comes to repeats."
_encode = msgspec.json.Encoder().encode


class Finding(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What became of a line, or would; a preview keeps these. ``reason``: of ``RefusalReason`` or ``LineFault``; empty: none.

    New fields go to the end, with a default: findings that were kept before have fewer.
    """

    number: int
    verdict: Verdict
    reason: str = ""
    flags: tuple[str, ...] = ()
    conversion_id: str = ""
    notice_id: str = ""
    payout: Money | None = None
    """In a preview: what the conversion would be worth after the line; None: there would be none."""
    status: str = ""
    """In a preview: the name of the conversion's status after the line."""


class UploadStep(msgspec.Struct, frozen=True):
    """What one step did. ``more``: go on at once. ``owed``: postbacks may be owed, wake delivery."""

    more: bool = False
    owed: bool = False


class UploadWish(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for with a file."""

    name: str = ""
    preview: bool = False
    """Only what each line would do is wanted: nothing is registered."""
    postbacks: bool = True
    """False: those that its conversions owe are held back."""
    incomplete: bool = False
    """Register a table too of which a column that may be the payout or the transaction id was not understood."""
    date_order: DateOrder | None = None
    """Of dates such as 05/06/2026; None: the order that other lines of the file prove."""


def enter_upload(
    ledger: Ledger, files: UploadFiles, arriving: ArrivingFile, wish: UploadWish, now_ms: int
) -> Upload | Unusable:
    """Puts a file that has arrived into its place and enters it, to be taken by ``UploadWork``; or says why it is not taken.

    Once it is entered nothing is lost: the file is synced before. Raises OSError when the disk fails.
    """
    octets = arriving.finish()
    layout = detect(arriving.head)
    if isinstance(layout, Layout) and not (wish.preview or wish.incomplete):
        layout = complete(layout)
    if isinstance(layout, Unusable):
        files.delete(arriving.upload_id)
        return layout
    if layout.columns and has_moments(layout):
        pieces = files.pieces(arriving.upload_id, layout.begins_at)
        order = wish.date_order or proven_order(layout, pieces, now_ms)
        pieces.close()
        files.keep_date_order(arriving.upload_id, order)
    else:
        files.keep_date_order(arriving.upload_id, wish.date_order)
    upload = Upload(
        upload_id=arriving.upload_id,
        name=wish.name,
        format=layout.format,
        preview=wish.preview,
        postbacks=wish.postbacks,
        octets=octets,
        next_line=layout.first_line,
        created_at=now_ms,
        encoding=arriving.encoding,
        unused_columns=layout.unused(),
        missing_values=layout.missing(),
    )
    with ledger.write() as tx:
        UPLOADS.insert(tx, upload)
    return upload


def enter_again(
    ledger: Ledger, files: UploadFiles, upload: Upload, upload_id: str, wish: UploadWish, now_ms: int
) -> Upload:
    """Enters the file of an upload as another one, which is taken from its beginning. Raises FileNotFoundError when it is gone."""
    layout = layout_of(files, upload)
    files.copy(upload.upload_id, upload_id)
    files.keep_date_order(upload_id, wish.date_order or layout.date_order)
    again = Upload(
        upload_id=upload_id,
        name=wish.name,
        format=layout.format,
        preview=wish.preview,
        postbacks=wish.postbacks,
        octets=upload.octets,
        next_line=layout.first_line,
        created_at=now_ms,
        encoding=upload.encoding,
        unused_columns=upload.unused_columns,
        missing_values=upload.missing_values,
    )
    with ledger.write() as tx:
        UPLOADS.insert(tx, again)
    return again


class _Reading:
    """A file that is being taken, and for a preview what it would have registered so far."""

    def __init__(self, files: UploadFiles, upload: Upload) -> None:
        layout = layout_of(files, upload)
        begins_at = upload.octets_read or layout.begins_at
        self._pieces = files.pieces(upload.upload_id, begins_at)
        self.lines = lines_of(layout, self._pieces, upload.next_line, begins_at)
        self.drafts = DiskDrafts(files.drafts_path(upload.upload_id)) if upload.preview else None

    def close(self) -> None:
        """Lets go of the files."""
        self._pieces.close()
        if self.drafts is not None:
            self.drafts.close()


class UploadWork:
    """Takes the uploads that are not at their end, in turns. For one thread, and the only one that does so on a ledger."""

    def __init__(self, desk: Desk, files: UploadFiles, clock: Clock) -> None:
        self.desk = desk
        """May be replaced between two steps."""
        self._files = files
        self._clock = clock
        self._readings: dict[str, _Reading] = {}
        self._last = ""

    def step(self) -> UploadStep:
        """Takes one batch of lines of the upload whose turn it is. A store that fails raises: call again later."""
        with self.desk.ledger.read() as tx:
            unfinished = UPLOADS.unfinished(tx, PARALLEL_UPLOADS)
        for upload_id in self._readings.keys() - {upload.upload_id for upload in unfinished}:
            self._close(upload_id)
        if not unfinished:
            return UploadStep()
        # In turns by id, so that a long file does not keep the short ones waiting.
        upload = next((upload for upload in unfinished if upload.upload_id > self._last), unfinished[0])
        self._last = upload.upload_id
        try:
            return self._take_batch(upload)
        # Deleted by somebody: nothing brings it back, so it is not tried again.
        except FileNotFoundError:
            self._fail(upload, f"Its file is gone. {_AGAIN}")
            return UploadStep(more=True)
        # Read from the ledger's state again next time: the reading has moved past lines that were not registered.
        except BaseException:
            self._close(upload.upload_id)
            raise

    def close(self) -> None:
        """Lets go of all files."""
        for upload_id in list(self._readings):
            self._close(upload_id)

    def _take_batch(self, upload: Upload) -> UploadStep:
        reading = self._readings.get(upload.upload_id)
        if reading is None:
            upload = self._from_the_beginning(upload) if upload.preview else upload
            reading = self._readings[upload.upload_id] = _Reading(self._files, upload)
        batch = list(islice(reading.lines, BATCH))
        findings = self._findings(upload, reading, batch)
        if upload.preview:
            self._files.add_verdicts(upload.upload_id, [_encode(finding) for finding in findings])
        after = self._counted(upload, batch, findings)
        if after.state.is_final and (found := self._files.size(upload.upload_id)) != upload.octets:
            self._fail(after, f"Its file has {found} bytes, {upload.octets} had arrived. {_AGAIN}")
            return UploadStep(more=True)
        with self.desk.ledger.write() as tx:
            # After the notices are registered: killed in between, their ids make the lines known.
            written = UPLOADS.keep(tx, after)
        if after.state.is_final or not written:
            self._close(upload.upload_id)
            log(
                "upload ended",
                upload_id=after.upload_id,
                lines=after.lines,
                cancelled=not written,
                preview=after.preview,
            )
        owed = any(finding.verdict in (Verdict.NEW, Verdict.CHANGED) for finding in findings)
        return UploadStep(more=True, owed=owed and not upload.preview)

    def _from_the_beginning(self, upload: Upload) -> Upload:
        """A preview that nobody has begun, or that another process began and whose drafts are gone."""
        self._files.begin_verdicts(upload.upload_id)
        layout = layout_of(self._files, upload)
        return msgspec.structs.replace(
            upload, octets_read=0, next_line=layout.first_line, lines=0, counts={}, reasons={}, flagged=0, flags={}
        )

    def _findings(self, upload: Upload, reading: _Reading, batch: list[Line | BadLine]) -> list[Finding]:
        """What becomes of each line of a batch, in their order."""
        raws = [
            line_notice(line, upload.upload_id, upload.created_at, postbacks=upload.postbacks)
            for line in batch
            if isinstance(line, Line)
        ]
        if reading.drafts is not None:
            results = iter(foresee_notices(self.desk, raws, self._clock(), reading.drafts))
        else:
            results = iter(take_notices(self.desk, raws, self._clock()) if raws else [])
        findings = []
        for line in batch:
            if isinstance(line, BadLine):
                findings.append(unreadable(line))
            else:
                result = next(results)
                findings.append(_foreseen(line, result) if upload.preview else finding_of(line, result.notice))
        return findings

    def _counted(self, upload: Upload, batch: list[Line | BadLine], findings: list[Finding]) -> Upload:
        """The upload with a batch counted in; finished when there was no whole one."""
        counts, reasons, flags = dict(upload.counts), dict(upload.reasons), dict(upload.flags)
        for finding in findings:
            counts[finding.verdict] = counts.get(finding.verdict, 0) + 1
            if finding.reason:
                reasons[finding.reason] = reasons.get(finding.reason, 0) + 1
            for flag in finding.flags:
                flags[flag] = flags.get(flag, 0) + 1
        is_finished = len(batch) < BATCH
        return msgspec.structs.replace(
            upload,
            state=JobState.FINISHED if is_finished else JobState.RUNNING,
            octets_read=upload.octets if is_finished else batch[-1].ends_at,
            next_line=batch[-1].next_number if batch else upload.next_line,
            lines=upload.lines + len(batch),
            counts=counts,
            reasons=reasons,
            flagged=upload.flagged + sum(bool(finding.flags) for finding in findings),
            flags=flags,
            finished_at=self._clock() if is_finished else None,
        )

    def _fail(self, upload: Upload, error: str) -> None:
        self._close(upload.upload_id)
        failed = msgspec.structs.replace(upload, state=JobState.FAILED, finished_at=self._clock(), error=error[:500])
        with self.desk.ledger.write() as tx:
            UPLOADS.keep(tx, failed)
        log("upload failed", upload_id=upload.upload_id, error=error)

    def _close(self, upload_id: str) -> None:
        reading = self._readings.pop(upload_id, None)
        if reading is not None:
            reading.close()


def tidy_uploads(ledger: Ledger, files: UploadFiles, now_ms: int, keep_ms: int) -> None:
    """Removes the files of uploads that ended ``keep_ms`` ago, and counts anew where lines had waited for their clicks."""
    kept = files.kept(now_ms)
    with ledger.read() as tx:
        known = {upload.upload_id: upload for upload in UPLOADS.of_ids(tx, list(kept))}
        recent = uploads_finished_between(tx, now_ms - DAY_MS, now_ms)
    for upload_id, is_old in kept.items():
        upload = known.get(upload_id)
        ended_at = upload.finished_at if upload else None
        if is_old if upload is None else ended_at is not None and ended_at < now_ms - keep_ms:
            files.delete(upload_id)
    for upload in recent:
        if upload.counts.get(Verdict.WAITING) and now_ms > upload.created_at + _SETTLED_MS:
            with ledger.write() as tx:
                first = notice_id_of(upload.upload_id, upload.created_at, 0)
                last = notice_id_of(upload.upload_id, upload.created_at, 2**32 - 1)
                update_counts(tx, _recounted(upload, [*outcomes_between(tx, first, last)]))


def _recounted(upload: Upload, outcomes: list[CountedOutcome]) -> Upload:
    """The upload with the counts of its notices as they stand; what made no notice stays."""
    refusals = {reason.value for reason in RefusalReason}
    counts = {Verdict.UNREADABLE: found} if (found := upload.counts.get(Verdict.UNREADABLE)) else {}
    reasons = {reason: count for reason, count in upload.reasons.items() if reason not in refusals}
    flags: dict[str, int] = {}
    for found_now in outcomes:
        verdict, count = Verdict(found_now.outcome), found_now.count
        counts[verdict] = counts.get(verdict, 0) + count
        if found_now.reason:
            reasons[found_now.reason] = reasons.get(found_now.reason, 0) + count
        for flag in found_now.flags:
            flags[flag] = flags.get(flag, 0) + count
    flagged = sum(found_now.count for found_now in outcomes if found_now.flags)
    return msgspec.structs.replace(upload, counts=counts, reasons=reasons, flagged=flagged, flags=flags)


def layout_of(files: UploadFiles, upload: Upload) -> Layout:
    """The form of a file, which was found good when it arrived. Raises FileNotFoundError when it is not that file any more."""
    layout = detect(files.head(upload.upload_id))
    if isinstance(layout, Unusable):
        raise FileNotFoundError(f"the file of upload {upload.upload_id} has changed: {layout.sentence}")
    return msgspec.structs.replace(layout, date_order=files.date_order(upload.upload_id))


def finding_of(line: Line, notice: StoredNotice) -> Finding:
    """What became of a line by its notice."""
    return Finding(
        line.number,
        Verdict(notice.outcome),
        notice.reason or "",
        notice.flags,
        notice.conversion_id or "",
        notice.raw.notice_id,
    )


def _foreseen(line: Line, result: NoticeResult) -> Finding:
    """Return what would become of a line. It has no ids, which are given out when it is registered."""
    notice, conversion = result.notice, result.conversion
    return Finding(
        line.number,
        Verdict(notice.outcome),
        notice.reason or "",
        notice.flags,
        payout=conversion.payout if conversion else None,
        status=conversion.status.name if conversion else "",
    )


def unreadable(line: BadLine) -> Finding:
    """What became of a line that makes no notice."""
    return Finding(line.number, Verdict.UNREADABLE, line.fault)
