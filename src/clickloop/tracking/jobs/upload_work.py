"""Process uploaded files of conversions line by line, each line one notice. An upload resumes after a crash at any point.

A line's notice always has the same id (``conversion.upload.line_notice``). So if a crash comes between registering a batch and
recording the file's progress, the batch is recognised when it is processed again.
"""

from itertools import islice

import msgspec

from clickloop.clock import DAY_MS, MINUTE_MS, Clock
from clickloop.conversion.attribution import WAIT_MS
from clickloop.conversion.moment import DateOrder
from clickloop.conversion.notice import RefusalReason
from clickloop.conversion.notice_log import StoredNotice
from clickloop.conversion.upload.dates import has_moments, proven_order
from clickloop.conversion.upload.lines import (
    RejectedFile,
    UnreadableLine,
    UploadLayout,
    UploadLine,
    detect,
    line_notice,
    lines_of,
    notice_id_of,
    reject_incomplete,
)
from clickloop.machine.log import log
from clickloop.money import Money
from clickloop.store.drafts import DiskDrafts
from clickloop.store.ledger.jobs.jobs import JobState
from clickloop.store.ledger.jobs.uploads import (
    UPLOADS,
    CountedOutcome,
    LineVerdict,
    Upload,
    note_last_batch,
    outcomes_between,
    update_counts,
    uploads_finished_between,
)
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.upload_files import ArrivingFile, UploadFiles
from clickloop.tracking.notices import BATCH, Intake, NoticeResult, preview_notices, take_notices

MAX_PARALLEL_UPLOADS = 4
"""Maximum number of uploads processed in turns, a batch each: a short one need not wait for a long one."""
_SETTLED_MS = WAIT_MS + MINUTE_MS
"""Time after a file's arrival from which its waiting lines are recounted, until none waits."""
_AGAIN = "Upload it again: lines that are already registered count as repeats."
_encode = msgspec.json.Encoder().encode


class LineFinding(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The result of a line, or what it would be in a preview. ``reason``: a RefusalReason or LineFault; empty if none.

    Previews store these as arrays: add new fields at the end, with a default, because older arrays are shorter.
    """

    number: int
    verdict: LineVerdict
    reason: str = ""
    flags: tuple[str, ...] = ()
    conversion_id: str = ""
    notice_id: str = ""
    payout: Money | None = None
    """In a preview, the conversion's payout after the line; None: there would be no conversion."""
    status: str = ""
    """In a preview, the name of the conversion's status after the line."""


class UploadStep(msgspec.Struct, frozen=True):
    """The result of one step. ``more``: call again at once. ``owed``: postbacks may have been created, wake delivery."""

    more: bool = False
    owed: bool = False


class UploadOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of an upload."""

    name: str = ""
    preview: bool = False
    """Only report what each line would do; register nothing."""
    postbacks: bool = True
    """False: send no postbacks for its conversions."""
    incomplete: bool = False
    """Accept a table with an unrecognised column that may be the payout or the transaction id."""
    date_order: DateOrder | None = None
    """The order of dates such as 05/06/2026; None: the order proven by other lines of the file."""


def create_upload(
    ledger: Ledger, files: UploadFiles, arriving: ArrivingFile, options: UploadOptions, now_ms: int
) -> Upload | RejectedFile:
    """Create an upload of a file that has arrived, to be processed by ``UploadWorker``, or return why it is rejected.

    The file is synced first, so nothing is lost once the upload exists. Raise OSError when the disk fails.
    """
    size = arriving.finish()
    try:
        return _create(ledger, files, arriving, size, options, now_ms)
    # The sender is told that it failed and sends the file again; this copy would take up disk space for a day.
    except BaseException:
        files.delete(arriving.upload_id)
        raise


def _create(
    ledger: Ledger, files: UploadFiles, arriving: ArrivingFile, size: int, options: UploadOptions, now_ms: int
) -> Upload | RejectedFile:
    layout = detect(arriving.head)
    if isinstance(layout, UploadLayout) and not (options.preview or options.incomplete):
        layout = reject_incomplete(layout)
    if isinstance(layout, RejectedFile):
        files.delete(arriving.upload_id)
        return layout
    order = options.date_order
    if order is None and layout.columns and has_moments(layout):
        pieces = files.pieces(arriving.upload_id, layout.begins_at)
        order = proven_order(layout, pieces, now_ms)
        pieces.close()
    files.keep_date_order(arriving.upload_id, order)
    return _insert(ledger, arriving.upload_id, options, layout, size, arriving.encoding, now_ms)


def create_upload_again(
    ledger: Ledger, files: UploadFiles, upload: Upload, upload_id: str, options: UploadOptions, now_ms: int
) -> Upload:
    """Create another upload from an upload's file, processed from the beginning. Raise FileNotFoundError if the file is gone."""
    layout = layout_of(files, upload)
    try:
        files.copy(upload.upload_id, upload_id)
        files.keep_date_order(upload_id, options.date_order or layout.date_order)
        return _insert(ledger, upload_id, options, layout, upload.octets, upload.encoding, now_ms)
    except BaseException:
        files.delete(upload_id)
        raise


def _insert(
    ledger: Ledger, upload_id: str, options: UploadOptions, layout: UploadLayout, size: int, encoding: str, now_ms: int
) -> Upload:
    upload = Upload(
        upload_id=upload_id,
        name=options.name,
        format=layout.format,
        preview=options.preview,
        postbacks=options.postbacks,
        octets=size,
        next_line=layout.first_line,
        created_at=now_ms,
        encoding=encoding,
        unused_columns=layout.unused(),
        missing_values=layout.missing(),
    )
    with ledger.write() as tx:
        UPLOADS.insert(tx, upload)
    return upload


class _OpenFile:
    """An open file, and for a preview the conversions that it would have registered so far."""

    def __init__(self, files: UploadFiles, upload: Upload) -> None:
        layout = layout_of(files, upload)
        begins_at = upload.octets_read or layout.begins_at
        self._pieces = files.pieces(upload.upload_id, begins_at)
        self.lines = lines_of(layout, self._pieces, upload.next_line, begins_at)
        self.drafts = DiskDrafts(files.drafts_path(upload.upload_id)) if upload.preview else None

    def close(self) -> None:
        self._pieces.close()
        if self.drafts is not None:
            self.drafts.close()


class UploadWorker:
    """A worker that processes unfinished uploads in turns. One per ledger, in one thread: two would count lines twice."""

    def __init__(self, intake: Intake, files: UploadFiles, clock: Clock) -> None:
        self.intake = intake
        """May be replaced between two steps."""
        self._files = files
        self._clock = clock
        self._open_files: dict[str, _OpenFile] = {}
        self._last = ""

    def step(self) -> UploadStep:
        """Process one batch of lines of the next upload. Errors of a store propagate: call again later."""
        with self.intake.ledger.read() as tx:
            unfinished = UPLOADS.unfinished(tx, MAX_PARALLEL_UPLOADS)
        for upload_id in self._open_files.keys() - {upload.upload_id for upload in unfinished}:
            self._close(upload_id)
        if not unfinished:
            return UploadStep()
        # Round-robin by id, so that short files do not wait for a long one.
        upload = next((upload for upload in unfinished if upload.upload_id > self._last), unfinished[0])
        self._last = upload.upload_id
        try:
            return self._process_batch(upload)
        # Someone deleted the file: retrying will not bring it back.
        except FileNotFoundError:
            self._fail(upload, f"The file no longer exists. {_AGAIN}")
            return UploadStep(more=True)
        # Reopen at the recorded position next time: the open file has moved past lines that were not registered.
        except BaseException:
            self._close(upload.upload_id)
            raise

    def close(self) -> None:
        for upload_id in list(self._open_files):
            self._close(upload_id)

    def _process_batch(self, upload: Upload) -> UploadStep:
        open_file = self._open_files.get(upload.upload_id)
        if open_file is None:
            upload = self._restarted(upload) if upload.preview else upload
            open_file = self._open_files[upload.upload_id] = _OpenFile(self._files, upload)
        batch = list(islice(open_file.lines, BATCH))
        findings = self._findings(upload, open_file, batch)
        if upload.preview:
            self._files.add_verdicts(upload.upload_id, [_encode(finding) for finding in findings])
        after = self._counted(upload, batch, findings)
        if after.state.is_final and (found := self._files.size(upload.upload_id)) != upload.octets:
            self._fail(after, f"The file has {found} bytes, but {upload.octets} were uploaded. {_AGAIN}")
            return UploadStep(more=True)
        with self.intake.ledger.write() as tx:
            # After the notices are registered: after a crash in between, the lines are recognised by their notices' ids.
            written = UPLOADS.keep(tx, after)
            if not written:
                note_last_batch(tx, after)
        if after.state.is_final or not written:
            self._close(upload.upload_id)
            log(
                "upload ended",
                upload_id=after.upload_id,
                lines=after.lines,
                cancelled=not written,
                preview=after.preview,
            )
        owed = any(finding.verdict in (LineVerdict.NEW, LineVerdict.CHANGED) for finding in findings)
        return UploadStep(more=True, owed=owed and not upload.preview)

    def _restarted(self, upload: Upload) -> Upload:
        """Return a preview reset to its beginning: it is new, or another process began it and its drafts are gone."""
        self._files.begin_verdicts(upload.upload_id)
        layout = layout_of(self._files, upload)
        return msgspec.structs.replace(
            upload, octets_read=0, next_line=layout.first_line, lines=0, counts={}, reasons={}, flagged=0, flags={}
        )

    def _findings(
        self, upload: Upload, open_file: _OpenFile, batch: list[UploadLine | UnreadableLine]
    ) -> list[LineFinding]:
        """Process a batch of lines and return their results in order."""
        raws = [
            line_notice(line, upload.upload_id, upload.created_at, postbacks=upload.postbacks)
            for line in batch
            if isinstance(line, UploadLine)
        ]
        if open_file.drafts is not None:
            results = iter(preview_notices(self.intake, raws, self._clock(), open_file.drafts))
        else:
            results = iter(take_notices(self.intake, raws, self._clock()) if raws else [])
        findings = []
        for line in batch:
            if isinstance(line, UnreadableLine):
                findings.append(unreadable_line(line))
            else:
                result = next(results)
                findings.append(_preview_finding(line, result) if upload.preview else line_finding(line, result.notice))
        return findings

    def _counted(self, upload: Upload, batch: list[UploadLine | UnreadableLine], findings: list[LineFinding]) -> Upload:
        """Return the upload with a batch added to its counts; finished if the batch was not full."""
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
        with self.intake.ledger.write() as tx:
            UPLOADS.keep(tx, failed)
        log("upload failed", upload_id=upload.upload_id, error=error)

    def _close(self, upload_id: str) -> None:
        open_file = self._open_files.pop(upload_id, None)
        if open_file is not None:
            open_file.close()


def tidy_uploads(ledger: Ledger, files: UploadFiles, now_ms: int, keep_ms: int) -> None:
    """Delete the files of uploads that ended over ``keep_ms`` ago, and recount uploads whose lines were waiting for clicks."""
    stored = files.ids_on_disk(now_ms)
    with ledger.read() as tx:
        known = {upload.upload_id: upload for upload in UPLOADS.of_ids(tx, list(stored))}
        recent = uploads_finished_between(tx, now_ms - DAY_MS, now_ms)
    for upload_id, is_old in stored.items():
        upload = known.get(upload_id)
        ended_at = upload.finished_at if upload else None
        if is_old if upload is None else ended_at is not None and ended_at < now_ms - keep_ms:
            files.delete(upload_id)
    for upload in recent:
        if upload.counts.get(LineVerdict.WAITING) and now_ms > upload.created_at + _SETTLED_MS:
            with ledger.write() as tx:
                first = notice_id_of(upload.upload_id, upload.created_at, 0)
                last = notice_id_of(upload.upload_id, upload.created_at, 2**32 - 1)
                update_counts(tx, _recounted(upload, [*outcomes_between(tx, first, last)]))


def _recounted(upload: Upload, outcomes: list[CountedOutcome]) -> Upload:
    """Return the upload with the current counts of its notices; the counts of unreadable lines stay."""
    refusals = {reason.value for reason in RefusalReason}
    counts = {LineVerdict.UNREADABLE: found} if (found := upload.counts.get(LineVerdict.UNREADABLE)) else {}
    reasons = {reason: count for reason, count in upload.reasons.items() if reason not in refusals}
    flags: dict[str, int] = {}
    for counted in outcomes:
        verdict, count = LineVerdict(counted.outcome), counted.count
        counts[verdict] = counts.get(verdict, 0) + count
        if counted.reason:
            reasons[counted.reason] = reasons.get(counted.reason, 0) + count
        for flag in counted.flags:
            flags[flag] = flags.get(flag, 0) + count
    flagged = sum(counted.count for counted in outcomes if counted.flags)
    return msgspec.structs.replace(upload, counts=counts, reasons=reasons, flagged=flagged, flags=flags)


def layout_of(files: UploadFiles, upload: Upload) -> UploadLayout:
    """Return the layout of a file, which was valid on arrival. Raise FileNotFoundError if it has been replaced or deleted."""
    layout = detect(files.head(upload.upload_id))
    if isinstance(layout, RejectedFile):
        raise FileNotFoundError(f"the file of upload {upload.upload_id} has changed: {layout.sentence}")
    return msgspec.structs.replace(layout, date_order=files.date_order(upload.upload_id))


def line_finding(line: UploadLine, notice: StoredNotice) -> LineFinding:
    """Return the result of a line from its notice."""
    return LineFinding(
        line.number,
        LineVerdict(notice.outcome),
        notice.reason or "",
        notice.flags,
        notice.conversion_id or "",
        notice.raw.notice_id,
    )


def _preview_finding(line: UploadLine, result: NoticeResult) -> LineFinding:
    """Return the result that a line would have. It has no ids, which are assigned when it is registered."""
    notice, conversion = result.notice, result.conversion
    return LineFinding(
        line.number,
        LineVerdict(notice.outcome),
        notice.reason or "",
        notice.flags,
        payout=conversion.payout if conversion else None,
        status=conversion.status.name if conversion else "",
    )


def unreadable_line(line: UnreadableLine) -> LineFinding:
    """Return the result of an unreadable line, which makes no notice."""
    return LineFinding(line.number, LineVerdict.UNREADABLE, line.fault)
