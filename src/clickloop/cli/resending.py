"""``clickloop resend``, ``cancel`` and ``rerun``: what they ask of the running server, and what they say of its answers."""

import time
from collections.abc import Callable, Iterator, Mapping

import msgspec

from clickloop.plural import counted

Ask = Callable[[str, str, bytes | None], bytes]
"""Method, path and body to the body of a good answer; ends the command otherwise."""
LOOK_SECONDS = 0.3


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """A job as the API tells it."""

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
        """Its id; None: it was a preview."""
        return self.resend_id or self.rerun_id or self.cancel_id


class _Repeat(msgspec.Struct, frozen=True):
    postback_id: str
    original_id: str
    receiver: str


class _Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of job: where it is asked for, and how it is told of."""

    path: str
    """Its jobs are at the same path with an s behind."""
    one_matches: str
    many_match: str
    progress: str
    nothing: str


RESEND = _Kind(
    path="/api/v1/postbacks/resend",
    one_matches="postback matches",
    many_match="postbacks match",
    progress="{done} of {matched} looked at, {made} sent again.",
    nothing="Nothing matches: nothing is sent again.",
)
CANCEL = _Kind(
    path="/api/v1/postbacks/cancel",
    one_matches="waiting postback matches",
    many_match="waiting postbacks match",
    progress="{done} of {matched} looked at, {made} cancelled.",
    nothing="Nothing that waits matches: nothing is cancelled.",
)
RERUN = _Kind(
    path="/api/v1/notices/rerun",
    one_matches="notice matches",
    many_match="notices match",
    progress="{done} of {matched} run again, {made} came to something else.",
    nothing="Nothing matches: nothing is run again.",
)


def resend_one(ask: Ask, postback_id: str, *, anew: bool, force: bool = False) -> str:
    """Sends one postback again; what to say of it. ``force``: also when a newer change was sent since."""
    body = msgspec.json.encode({"request": _mode(anew)} | ({"force": True} if force else {}))
    made = msgspec.json.decode(ask("POST", f"/api/v1/postbacks/{postback_id}/resend", body), type=_Repeat)
    return f"{made.original_id} is sent again to {made.receiver}, as {made.postback_id}."


def resend_many(ask: Ask, wanted: Mapping[str, object], *, anew: bool, preview: bool) -> Iterator[str]:
    """Sends again all that match; what to say meanwhile."""
    return _many(ask, RESEND, {**wanted, "request": _mode(anew), "preview": preview})


def resend_as_json(
    ask: Ask, postback_id: str, wanted: Mapping[str, object], *, anew: bool, preview: bool, force: bool = False
) -> str:
    """Sends one postback again, or all that match, and waits for the end; the API's last answer."""
    if postback_id:
        body = msgspec.json.encode({"request": _mode(anew)} | ({"force": True} if force else {}))
        return ask("POST", f"/api/v1/postbacks/{postback_id}/resend", body).decode()
    asked = {**wanted, "request": _mode(anew), "preview": preview}
    answer = ask("POST", RESEND.path, msgspec.json.encode(asked))
    told = _progress(answer)
    while told.job_id is not None and not told.finished:
        time.sleep(LOOK_SECONDS)
        answer = ask("GET", f"{RESEND.path}s/{told.job_id}", None)
        told = _progress(answer)
    return answer.decode()


def cancel_one(ask: Ask, postback_id: str) -> str:
    """Cancels one postback that waits; what to say of it."""
    postback = msgspec.json.decode(ask("POST", f"/api/v1/postbacks/{postback_id}/cancel", None))
    return f"{postback['postback_id']} is {postback['state']}."


def cancel_many(ask: Ask, wanted: Mapping[str, object], *, preview: bool) -> Iterator[str]:
    """Cancels all that wait and match; what to say meanwhile."""
    return _many(ask, CANCEL, {**wanted, "preview": preview})


def rerun_one(ask: Ask, notice_id: str) -> str:
    """Runs one notice again; what to say of it."""
    notice = msgspec.json.decode(ask("POST", f"/api/v1/notices/{notice_id}/rerun", None))
    why = f", {notice['reason']}" if notice["reason"] else ""
    return f"{notice['notice_id']}: {notice['outcome']}{why}."


def rerun_many(ask: Ask, wanted: Mapping[str, object], *, preview: bool) -> Iterator[str]:
    """Runs all notices again that match; what to say meanwhile."""
    return _many(ask, RERUN, {**wanted, "preview": preview})


def _many(ask: Ask, kind: _Kind, asked: Mapping[str, object]) -> Iterator[str]:
    """Starts a job and follows it to its end, or asks what it would do; what to say meanwhile."""
    octets = ask("POST", kind.path, msgspec.json.encode(asked))
    told = _progress(octets)
    if told.job_id is None:
        yield from _foreseen(kind, told, octets)
        return
    now = told
    for now in _followed(ask, f"{kind.path}s/{told.job_id}", told):
        if now.matched:
            yield kind.progress.format(done=now.done, matched=now.matched, made=now.made)
    if not now.matched:
        yield kind.nothing
    yield from _left_out(now)
    if now.stopped:
        yield "It was stopped: the rest is left as it is."


def _foreseen(kind: _Kind, told: Progress, octets: bytes) -> Iterator[str]:
    matched = counted(told.matched, kind.one_matches, kind.many_match)
    if kind is RERUN:
        were = "was" if told.done == 1 else "were"
        yield f"{matched}; {told.done} {were} tried, {told.made} would come to something else."
        for change in msgspec.json.decode(octets)["conversions"]:
            yield f"{change['notice_id']}: {_standing(change['before'])} -> {_standing(change['after'])}"
        yield f"{counted(told.owed, 'postback')} would be owed."
        return
    states = ", ".join(f"{count} {state}" for state, count in sorted(told.matched_by_state.items()))
    yield f"{matched}{f': {states}' if states else ''}."
    yield from _left_out(told)


def _followed(ask: Ask, path: str, told: Progress) -> Iterator[Progress]:
    """The job each time that it is further, and when it is finished."""
    if told.finished or told.done:
        yield told
    while not told.finished:
        time.sleep(LOOK_SECONDS)
        fresh = _progress(ask("GET", path, None))
        if fresh.finished or fresh.done != told.done:
            yield fresh
        told = fresh


def _left_out(told: Progress) -> Iterator[str]:
    for why, count in sorted(told.left_out.items()):
        yield f"{count} left out: {why}."


def _standing(conversion: dict[str, dict[str, str]] | None) -> str:
    if conversion is None:
        return "none"
    return f"{conversion['status']['name']}, {conversion['payout']['amount']} {conversion['payout']['currency']}"


def _mode(anew: bool) -> str:
    return "anew" if anew else "as_it_was"


def _progress(octets: bytes) -> Progress:
    return msgspec.json.decode(octets, type=Progress)
