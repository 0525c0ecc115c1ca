"""``clickloop resend``, ``cancel`` and ``rerun``: their requests to the running server, and their output."""

import time
from collections.abc import Callable, Iterator, Mapping

import msgspec

from clickloop.plural import counted

Ask = Callable[[str, str, bytes | None], bytes]
"""Takes method, path and body and returns the body of a successful response; ends the command otherwise."""
LOOK_SECONDS = 0.3  # often enough for a person who watches, seldom enough for the API


class Progress(msgspec.Struct, frozen=True, kw_only=True):
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
        """Return the job's id, or None for a preview."""
        return self.resend_id or self.rerun_id or self.cancel_id


class _Repeat(msgspec.Struct, frozen=True):
    postback_id: str
    original_id: str
    receiver: str


class _Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of job: its endpoint and its messages."""

    path: str
    """Jobs are at the same path with an s appended."""
    one_matches: str
    many_match: str
    progress: str
    nothing: str


RESEND = _Kind(
    path="/api/v1/postbacks/resend",
    one_matches="postback matches",
    many_match="postbacks match",
    progress="{done} of {matched} processed, {made} resent.",
    nothing="No postbacks match. Nothing was resent.",
)
CANCEL = _Kind(
    path="/api/v1/postbacks/cancel",
    one_matches="waiting postback matches",
    many_match="waiting postbacks match",
    progress="{done} of {matched} processed, {made} cancelled.",
    nothing="No waiting postbacks match. Nothing was cancelled.",
)
RERUN = _Kind(
    path="/api/v1/notices/rerun",
    one_matches="incoming postback matches",
    many_match="incoming postbacks match",
    progress="{done} of {matched} reprocessed, {made} with a different result.",
    nothing="No incoming postbacks match. Nothing was reprocessed.",
)


def resend_one(ask: Ask, postback_id: str, *, anew: bool, force: bool = False) -> str:
    """Resend one postback and return the message. ``force`` resends it even if a newer change has been sent."""
    body = msgspec.json.encode({"request": _mode(anew)} | ({"force": True} if force else {}))
    made = msgspec.json.decode(ask("POST", f"/api/v1/postbacks/{postback_id}/resend", body), type=_Repeat)
    return f"Resending {made.original_id} to {made.receiver} as {made.postback_id}."


def resend_many(ask: Ask, wanted: Mapping[str, object], *, anew: bool, preview: bool) -> Iterator[str]:
    """Resend all that match and yield the messages."""
    return _many(ask, RESEND, {**wanted, "request": _mode(anew), "preview": preview})


def resend_as_json(
    ask: Ask, postback_id: str, wanted: Mapping[str, object], *, anew: bool, preview: bool, force: bool = False
) -> str:
    """Resend one postback, or all that match, wait for the end and return the API's last response."""
    if postback_id:
        body = msgspec.json.encode({"request": _mode(anew)} | ({"force": True} if force else {}))
        return ask("POST", f"/api/v1/postbacks/{postback_id}/resend", body).decode()
    request = {**wanted, "request": _mode(anew), "preview": preview}
    response = ask("POST", RESEND.path, msgspec.json.encode(request))
    job = _progress(response)
    while job.job_id is not None and not job.finished:
        time.sleep(LOOK_SECONDS)
        response = ask("GET", f"{RESEND.path}s/{job.job_id}", None)
        job = _progress(response)
    return response.decode()


def cancel_one(ask: Ask, postback_id: str) -> str:
    """Cancel one waiting postback and return the message."""
    postback = msgspec.json.decode(ask("POST", f"/api/v1/postbacks/{postback_id}/cancel", None))
    return f"Postback {postback['postback_id']} is {postback['state']}."


def cancel_many(ask: Ask, wanted: Mapping[str, object], *, preview: bool) -> Iterator[str]:
    """Cancel all waiting postbacks that match and yield the messages."""
    return _many(ask, CANCEL, {**wanted, "preview": preview})


def rerun_one(ask: Ask, notice_id: str) -> str:
    """Reprocess one notice and return the message."""
    notice = msgspec.json.decode(ask("POST", f"/api/v1/notices/{notice_id}/rerun", None))
    why = f", {notice['reason']}" if notice["reason"] else ""
    return f"{notice['notice_id']}: {notice['outcome']}{why}."


def rerun_many(ask: Ask, wanted: Mapping[str, object], *, preview: bool) -> Iterator[str]:
    """Reprocess all notices that match and yield the messages."""
    return _many(ask, RERUN, {**wanted, "preview": preview})


def _many(ask: Ask, kind: _Kind, request: Mapping[str, object]) -> Iterator[str]:
    """Start a job and follow it to its end, or preview it. Yield the messages."""
    response = ask("POST", kind.path, msgspec.json.encode(request))
    started = _progress(response)
    if started.job_id is None:
        yield from _preview(kind, started, response)
        return
    job = started
    for job in _followed(ask, f"{kind.path}s/{started.job_id}", started):
        if job.matched:
            yield kind.progress.format(done=job.done, matched=job.matched, made=job.made)
    if not job.matched:
        yield kind.nothing
    yield from _left_out(job)
    if job.stopped:
        yield "Stopped. The rest is unchanged."


def _preview(kind: _Kind, preview: Progress, response: bytes) -> Iterator[str]:
    matched = counted(preview.matched, kind.one_matches, kind.many_match)
    if kind is RERUN:
        yield f"{matched}. {preview.done} tried, {preview.made} with a different result."
        for change in msgspec.json.decode(response)["conversions"]:
            yield f"{change['notice_id']}: {_summary(change['before'])} -> {_summary(change['after'])}"
        yield f"{counted(preview.owed, 'postback')} would be created."
        return
    states = ", ".join(f"{count} {state}" for state, count in sorted(preview.matched_by_state.items()))
    yield f"{matched}{f': {states}' if states else ''}."
    yield from _left_out(preview)


def _followed(ask: Ask, path: str, job: Progress) -> Iterator[Progress]:
    """Yield the job whenever it has made progress, and when it is finished."""
    if job.finished or job.done:
        yield job
    while not job.finished:
        time.sleep(LOOK_SECONDS)
        fresh = _progress(ask("GET", path, None))
        if fresh.finished or fresh.done != job.done:
            yield fresh
        job = fresh


def _left_out(job: Progress) -> Iterator[str]:
    for why, count in sorted(job.left_out.items()):
        yield f"{count} left out: {why}."


def _summary(conversion: dict[str, dict[str, str]] | None) -> str:
    if conversion is None:
        return "none"
    return f"{conversion['status']['name']}, {conversion['payout']['amount']} {conversion['payout']['currency']}"


def _mode(anew: bool) -> str:
    return "anew" if anew else "as_it_was"


def _progress(response: bytes) -> Progress:
    return msgspec.json.decode(response, type=Progress)
