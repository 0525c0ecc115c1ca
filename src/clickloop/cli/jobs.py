"""Jobs of ``clickloop resend``, ``cancel`` and ``rerun``: requests to the running server, and their output."""

import time
from collections.abc import Callable, Iterator, Mapping

import msgspec

from clickloop.plural import pluralize

SendRequest = Callable[[str, str, bytes | None], bytes]
"""Takes method, path and body and returns the body of a successful response; ends the command otherwise."""
POLL_SECONDS = 0.3  # often enough for a person watching, rare enough for the API


class JobProgress(msgspec.Struct, frozen=True, kw_only=True):
    """A job in the API's responses."""

    resend_id: str | None = None
    rerun_id: str | None = None
    cancel_id: str | None = None
    matched: int
    matched_by_state: dict[str, int] = {}
    done: int
    made: int
    owed: int = 0
    left_out: dict[str, int] = {}
    finished: bool
    stopped: bool = False

    @property
    def job_id(self) -> str | None:
        """Return the job's ID, or None for a preview."""
        return self.resend_id or self.rerun_id or self.cancel_id


class _Resent(msgspec.Struct, frozen=True):
    postback_id: str
    original_id: str
    receiver: str


class _JobKind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of job: its endpoint and its messages."""

    path: str
    """Jobs are at the same path with an s appended."""
    one_matches: str
    many_match: str
    progress: str
    nothing: str


RESEND = _JobKind(
    path="/api/v1/postbacks/resend",
    one_matches="postback matches",
    many_match="postbacks match",
    progress="{done} of {matched} processed, {made} resent.",
    nothing="No postbacks match. Nothing was resent.",
)
CANCEL = _JobKind(
    path="/api/v1/postbacks/cancel",
    one_matches="waiting postback matches",
    many_match="waiting postbacks match",
    progress="{done} of {matched} processed, {made} cancelled.",
    nothing="No waiting postbacks match. Nothing was cancelled.",
)
RERUN = _JobKind(
    path="/api/v1/notices/rerun",
    one_matches="incoming postback matches",
    many_match="incoming postbacks match",
    progress="{done} of {matched} reprocessed, {made} with a different result.",
    nothing="No incoming postbacks match. Nothing was reprocessed.",
)


def resend_one(send: SendRequest, postback_id: str, *, anew: bool, force: bool = False) -> str:
    """Resend one postback and return the message. ``force`` resends it even if a newer change has been sent."""
    body = msgspec.json.encode({"request": _mode(anew)} | ({"force": True} if force else {}))
    made = msgspec.json.decode(send("POST", f"/api/v1/postbacks/{postback_id}/resend", body), type=_Resent)
    return f"Resending {made.original_id} to {made.receiver} as {made.postback_id}."


def resend_many(send: SendRequest, filters: Mapping[str, object], *, anew: bool, preview: bool) -> Iterator[str]:
    """Resend all that match and yield the messages."""
    return _run_job(send, RESEND, {**filters, "request": _mode(anew), "preview": preview})


def resend_as_json(
    send: SendRequest,
    postback_id: str,
    filters: Mapping[str, object],
    *,
    anew: bool,
    preview: bool,
    force: bool = False,
) -> str:
    """Resend one postback, or all that match, wait for the end and return the API's last response."""
    if postback_id:
        body = msgspec.json.encode({"request": _mode(anew)} | ({"force": True} if force else {}))
        return send("POST", f"/api/v1/postbacks/{postback_id}/resend", body).decode()
    request = {**filters, "request": _mode(anew), "preview": preview}
    response = send("POST", RESEND.path, msgspec.json.encode(request))
    job = _progress(response)
    while job.job_id is not None and not job.finished:
        time.sleep(POLL_SECONDS)
        response = send("GET", f"{RESEND.path}s/{job.job_id}", None)
        job = _progress(response)
    return response.decode()


def cancel_one(send: SendRequest, postback_id: str) -> str:
    """Cancel one waiting postback and return the message."""
    postback = msgspec.json.decode(send("POST", f"/api/v1/postbacks/{postback_id}/cancel", None))
    return f"Postback {postback['postback_id']} is {postback['state']}."


def cancel_many(send: SendRequest, filters: Mapping[str, object], *, preview: bool) -> Iterator[str]:
    """Cancel all waiting postbacks that match and yield the messages."""
    return _run_job(send, CANCEL, {**filters, "preview": preview})


def rerun_one(send: SendRequest, notice_id: str) -> str:
    """Reprocess one notice and return the message."""
    notice = msgspec.json.decode(send("POST", f"/api/v1/notices/{notice_id}/rerun", None))
    reason = f", {notice['reason']}" if notice["reason"] else ""
    return f"{notice['notice_id']}: {notice['outcome']}{reason}."


def rerun_many(send: SendRequest, filters: Mapping[str, object], *, preview: bool) -> Iterator[str]:
    """Reprocess all notices that match and yield the messages."""
    return _run_job(send, RERUN, {**filters, "preview": preview})


def _run_job(send: SendRequest, kind: _JobKind, request: Mapping[str, object]) -> Iterator[str]:
    """Start a job and follow it to its end, or preview it. Yield the messages."""
    response = send("POST", kind.path, msgspec.json.encode(request))
    started = _progress(response)
    if started.job_id is None:
        yield from _preview(kind, started, response)
        return
    job = started
    for job in _follow(send, f"{kind.path}s/{started.job_id}", started):
        if job.matched:
            yield kind.progress.format(done=job.done, matched=job.matched, made=job.made)
    if not job.matched:
        yield kind.nothing
    yield from _left_out_lines(job)
    if job.stopped:
        yield "Stopped. The rest is unchanged."


def _preview(kind: _JobKind, preview: JobProgress, response: bytes) -> Iterator[str]:
    matched = pluralize(preview.matched, kind.one_matches, kind.many_match)
    if kind is RERUN:
        yield f"{matched}. {preview.done} tried, {preview.made} with a different result."
        for change in msgspec.json.decode(response)["conversions"]:
            yield f"{change['notice_id']}: {_summary(change['before'])} -> {_summary(change['after'])}"
        yield f"{pluralize(preview.owed, 'postback')} would be created."
        return
    states = ", ".join(f"{count} {state}" for state, count in sorted(preview.matched_by_state.items()))
    yield f"{matched}{f': {states}' if states else ''}."
    yield from _left_out_lines(preview)


def _follow(send: SendRequest, path: str, job: JobProgress) -> Iterator[JobProgress]:
    """Yield the job whenever it has made progress, and when it is finished."""
    if job.finished or job.done:
        yield job
    while not job.finished:
        time.sleep(POLL_SECONDS)
        fresh = _progress(send("GET", path, None))
        if fresh.finished or fresh.done != job.done:
            yield fresh
        job = fresh


def _left_out_lines(job: JobProgress) -> Iterator[str]:
    for reason, count in sorted(job.left_out.items()):
        yield f"{count} left out: {reason}."


def _summary(conversion: dict[str, dict[str, str]] | None) -> str:
    if conversion is None:
        return "none"
    return f"{conversion['status']['name']}, {conversion['payout']['amount']} {conversion['payout']['currency']}"


def _mode(anew: bool) -> str:
    return "anew" if anew else "as_it_was"


def _progress(response: bytes) -> JobProgress:
    return msgspec.json.decode(response, type=JobProgress)
