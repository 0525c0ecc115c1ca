"""The trace: the history of a click in one timeline, from the campaign link to each attempt to report its conversions. Pure."""

import enum
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from clickloop.click.click import Click
from clickloop.click.click_values import SetupNames
from clickloop.click.page.page_event import ClickSource, PageEvent, PageEventFlag, PageEventKind, returning_words
from clickloop.clock import iso_text
from clickloop.conversion.conversion import Conversion
from clickloop.conversion.conversion_log import RecordedChange
from clickloop.conversion.notice import Channel
from clickloop.conversion.notice_log import NoticeOutcome, StoredNotice
from clickloop.conversion.parameter_meaning import sent_tokens
from clickloop.diagnosis.omitted_records import OmittedRecords
from clickloop.money import amount_text
from clickloop.postback.due import ConditionResult
from clickloop.postback.masking import masked_request, masked_text
from clickloop.postback.postback_log import Postback, PostbackAttempt
from clickloop.postback.retry import Result
from clickloop.postback.rule import LOST_REQUEST
from clickloop.postback.state import PostbackState
from clickloop.setup.mark import explained_marks, marks_of
from clickloop.setup.source_rows import V_ROWS
from clickloop.text import readable

MAX_TEXT = 2_000
"""Maximum number of characters of a notice's query or body in its event; the notice's own page shows more."""


class EventKind(enum.StrEnum):
    """The kind of an event; events of the same millisecond are in this order."""

    CLICK = "click"
    REDIRECT = "redirect"
    LANDING_VIEW = "landing_view"
    LANDING_CLICK = "landing_click"
    PAGE_EVENT = "page_event"
    MARKS = "marks"
    COST = "cost"
    NOTICE = "notice"
    RERUN = "rerun"
    CONVERSION = "conversion"
    POSTBACK = "postback"
    ATTEMPT = "attempt"


class EventDetail(msgspec.Struct, frozen=True):
    """A detail of an event."""

    name: str
    value: str


class TraceEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a click's history. ``at`` is Unix milliseconds; ``id`` is that of the record it comes from."""

    at: int
    kind: EventKind
    id: str
    sentence: str
    details: tuple[EventDetail, ...] = ()
    findings: tuple[ConditionResult, ...] = ()
    """For a postback, the result of each condition of its rule."""


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """The history of a click id. ``click`` None: the id is genuine, but its click has not arrived."""

    click_id: str
    click: Click | None
    events: tuple[TraceEvent, ...]
    left_out: OmittedRecords = OmittedRecords()


class TracedPageEvent(msgspec.Struct, frozen=True):
    """A page event, and the name of the offer that it led to."""

    event: PageEvent
    offer_name: str = ""
    instead: str = ""
    """Why it was not the path's own offer."""


_CHANNELS = {
    Channel.S2S: "The network's postback",
    Channel.PIXEL: "The postback pixel",
    Channel.API: "An API request",
    Channel.HAND: "A manual entry",
    Channel.UPLOAD: "An uploaded line",
}
_OUTCOMES = {
    NoticeOutcome.NEW: "registered a conversion.",
    NoticeOutcome.CHANGED: "changed the conversion.",
    NoticeOutcome.REPEATED: "contained nothing new, so nothing was sent.",
    NoticeOutcome.WAITING: "waits for its click to arrive.",
}
_STATES = {
    PostbackState.WAITING: "is queued.",
    PostbackState.PAUSED: "is on hold.",
    PostbackState.SENDING: "is being sent.",
    PostbackState.DELIVERED: "was delivered.",
    PostbackState.FAILED: "failed: no attempt succeeded.",
    PostbackState.CANCELLED: "was cancelled.",
}
_RESULTS: dict[str | None, str] = {
    None: "is in progress.",
    Result.DELIVERED: "succeeded.",
    Result.AGAIN: "failed and will be retried.",
    Result.FAILED: "failed, and there are no more retries.",
    Result.UNKNOWN: "has no known outcome, because Clickloop stopped before it was recorded.",
}


def trace_click(
    click_id: str,
    click: Click | None,
    notices: Sequence[StoredNotice],
    changes: Sequence[RecordedChange],
    postbacks: Sequence[Postback],
    attempts: Mapping[str, Sequence[PostbackAttempt]],
    names: SetupNames = SetupNames(),  # noqa: B008 – it is frozen
    page_events: Sequence[TracedPageEvent] = (),
) -> Trace:
    """Return the timeline of a click. ``attempts`` are by postback id; ``names`` are those of its set-up."""
    events = _click_events(click, names, bool(page_events)) if click else []
    events += [_page_event(one) for one in page_events]
    for notice in notices:
        events.append(_notice_event(notice))
        if notice.run_at is not None:
            events.append(_rerun_event(notice, notice.run_at))
    events += [_change_event(change) for change in changes]
    first_unfinished = _first_unfinished(postbacks)
    for postback in postbacks:
        events.append(_postback_event(postback, _first_before(postback, first_unfinished)))
        events += [_attempt_event(postback, attempt) for attempt in attempts.get(postback.postback_id, ())]
    return Trace(click_id=click_id, click=click, events=in_order(events))


_ORDER = {kind: place for place, kind in enumerate(EventKind)}


def in_order(events: Iterable[TraceEvent]) -> tuple[TraceEvent, ...]:
    """Return events in the order of their times."""
    return tuple(sorted(events, key=lambda event: (event.at, _ORDER[event.kind])))


def _provider(click: Click) -> str:
    """Return the visitor's provider, as ``T-Mobile USA (AS21928), mobile``."""
    number = f"AS{click.asn}" if click.asn else ""
    name = f"{click.isp} ({number})" if click.isp and number else click.isp or number
    return ", ".join(part for part in (name, click.connection) if part)


def _click_events(click: Click, names: SetupNames, has_page: bool) -> list[TraceEvent]:
    is_direct = has_page and not click.target
    cost = f"{amount_text(click.cost_micros)} {click.cost_currency}" if click.cost_currency else ""
    place = " ".join(part for part in (click.country, click.device, click.os, click.browser) if part)
    rows = [f"V{number} {value}" for number in V_ROWS if (value := getattr(click, f"v{number}"))]
    click_details = _details(
        campaign=_named(click.campaign_id, names.campaign_name),
        traffic_source=_named(click.source_id, names.source_name),
        external_id=click.external_id or "none, because the source sent no click ID",
        parameters=", ".join(rows),
        cost=cost,
        visitor=f"{click.ip} {place}".strip(),
        place=", ".join(part for part in (click.city, click.region) if part),
        provider=_provider(click),
        screening=click.screening,
        flags=click.flags,
        marks=explained_marks(marks_of(click.marks)),
    )
    sentence = f"A visitor {'opened a page with the script' if is_direct else 'followed the campaign link'}"
    sentence += f"; not counted: {click.screening}." if click.screening else "."
    redirect_details = _details(
        rule=_named(click.rule_id, names.rule_name),
        path=_named(click.path_id, names.path_name),
        landing=_named(click.landing_id, names.landing_name),
        offer=_named(click.offer_id, names.offer_name),
        network=_named(click.network_id, names.network_name),
        target=masked_text(click.target),
    )
    redirected = "The visitor stayed on the page." if is_direct else _redirect_sentence(click)
    return [
        TraceEvent(at=click.at, kind=EventKind.CLICK, id=click.click_id, sentence=sentence, details=click_details),
        TraceEvent(
            at=click.at, kind=EventKind.REDIRECT, id=click.click_id, sentence=redirected, details=redirect_details
        ),
    ]


def with_cap(trace: Trace, sentence: str) -> Trace:
    """Return a trace whose redirect says why the visitor did not go to the path's own offer."""
    detail = EventDetail("cap", sentence)
    events = (
        msgspec.structs.replace(event, details=(*event.details, detail)) if event.kind is EventKind.REDIRECT else event
        for event in trace.events
    )
    return msgspec.structs.replace(trace, events=tuple(events))


def _redirect_sentence(click: Click) -> str:
    if not click.target:
        if click.path_id:
            return "The visitor was not redirected."
        return "There was nowhere to send the visitor: no offer and no fallback URL."
    if click.landing_id:
        return "The visitor was redirected to the landing."
    if click.offer_id:
        return "The visitor was redirected to the offer."
    if click.path_id:
        return "The visitor was redirected to the path's URL."
    return "The visitor was redirected to the fallback URL."


_PAGE_EVENTS = {
    PageEventKind.LANDING_VIEW: EventKind.LANDING_VIEW,
    PageEventKind.LANDING_CLICK: EventKind.LANDING_CLICK,
    PageEventKind.EVENT: EventKind.PAGE_EVENT,
}
_FOUND_BY: dict[str, str] = {
    ClickSource.CID: "the parameter cid",
    ClickSource.REFERRER: "cid in the referrer",
    ClickSource.COOKIE: "the cookie",
}


_UNCOUNTED = frozenset({PageEventFlag.REPEATED, PageEventFlag.UNKNOWN_CLICK})


def _page_event(traced: TracedPageEvent) -> TraceEvent:
    event = traced.event
    flags = event.flags.split(",") if event.flags else []
    match event.kind:
        case PageEventKind.LANDING_VIEW:
            sentence = "The visitor viewed the landing"
        case PageEventKind.LANDING_CLICK:
            button = f"button {event.button}" if event.button else "a button"
            led = "was redirected to the offer" if event.offer_id else "was redirected to the fallback URL"
            sentence = (
                f"The visitor pressed {button} of the landing and {led if event.target else 'was not redirected'}"
            )
        case PageEventKind.EVENT:
            sentence = "The page reported an event"
    why = event.screening or next((flag for flag in flags if flag in _UNCOUNTED), "")
    details = _details(
        offer=_named(event.offer_id, traced.offer_name) if event.kind is PageEventKind.LANDING_CLICK else "",
        cap=traced.instead,
        target=masked_text(event.target),
        click_id_from=_FOUND_BY.get(event.found_by, event.found_by),
        loaded_in=f"{event.loaded_ms} ms" if event.loaded_ms else "",
        events=", ".join(f"event{number} {amount_text(micros)}" for number, micros in event.events.items()),
        flags=", ".join(flags),
        why=returning_words(flags),
    )
    return TraceEvent(
        at=event.at,
        kind=_PAGE_EVENTS[event.kind],
        id=event.event_id,
        sentence=f"{sentence}; not counted: {why}." if why else f"{sentence}.",
        details=details,
    )


def _notice_event(notice: StoredNotice) -> TraceEvent:
    raw = notice.raw
    tokens = sent_tokens(raw)
    details = _details(
        reason=notice.reason or "",
        query=masked_text(raw.query, tokens, MAX_TEXT),
        body=masked_text(raw.body, tokens, MAX_TEXT),
        ip=raw.ip,
        flags=", ".join(notice.flags),
        conversion=notice.conversion_id or "",
    )
    sentence = f"{_CHANNELS[raw.channel]} {_outcome(notice)}"
    return TraceEvent(at=raw.at, kind=EventKind.NOTICE, id=raw.notice_id, sentence=sentence, details=details)


def _rerun_event(notice: StoredNotice, run_at: int) -> TraceEvent:
    times = "" if notice.runs == 2 else f" {notice.runs - 1} times, the last time now,"
    sentence = f"It was reprocessed{times} with the settings of that time. It {_outcome(notice)}"
    return TraceEvent(at=run_at, kind=EventKind.RERUN, id=notice.raw.notice_id, sentence=sentence)


def _outcome(notice: StoredNotice) -> str:
    if notice.reason is not None:
        return f"was refused. {notice.reason.sentence}"
    if notice.outcome is NoticeOutcome.WAITING and notice.campaign_id is not None:  # its click is known
        return "waits for earlier landing clicks to arrive."
    return _OUTCOMES[notice.outcome]


def _change_event(change: RecordedChange) -> TraceEvent:
    after, before = change.after, change.before
    payout = _payout(after)
    if before is None:
        sentence = f"A conversion was registered: {after.status.name}, {payout}."
    else:
        was, now = f"{before.status.name}, {_payout(before)}", f"{after.status.name}, {payout}"
        sentence = (
            f"The conversion changed from {was} to {now}." if was != now else "Details of the conversion changed."
        )
    details = _details(
        txid=after.txid,
        status_word=after.status_word,
        flags=", ".join(after.flags),
        version=after.version,
        notice=change.notice_id,
    )
    return TraceEvent(
        at=change.at, kind=EventKind.CONVERSION, id=after.conversion_id, sentence=sentence, details=details
    )


def _first_unfinished(postbacks: Sequence[Postback]) -> dict[tuple[str, int], Postback]:
    """Return the first unfinished postback by conversion and rule. Computed once per click, which may have tens of thousands."""
    first: dict[tuple[str, int], Postback] = {}
    for postback in postbacks:
        if not postback.state.is_final:
            known = first.setdefault((postback.conversion_id, postback.rule_id), postback)
            if (postback.version, postback.resend) < (known.version, known.resend):
                first[postback.conversion_id, postback.rule_id] = postback
    return first


def _first_before(postback: Postback, first_unfinished: Mapping[tuple[str, int], Postback]) -> Postback | None:
    """Return the unfinished postback of the same conversion and rule that must be sent before this one; None: there is none."""
    if not postback.state.is_queued:
        return None
    first = first_unfinished[postback.conversion_id, postback.rule_id]  # at the latest this one itself
    return first if (first.version, first.resend) < (postback.version, postback.resend) else None


def _postback_event(postback: Postback, first: Postback | None) -> TraceEvent:
    again = f" (resend {postback.resend})" if postback.resend else ""
    if postback.reason is not None:
        sentence = f"{postback.rule_name!r}{again} was skipped. {postback.reason.sentence}"
    else:
        held = f" {postback.hold.sentence}" if postback.hold else ""
        behind = f" Postback {first.postback_id} for an earlier change must be sent first." if first else ""
        sentence = f"{postback.rule_name!r}{again} {_STATES[postback.state]}{held}{behind}"
    request = masked_request(postback.request) if postback.request else None
    if request is None and postback.reason is None:
        sentence += f" {LOST_REQUEST}"
    details = _details(
        postback=postback.postback_id,
        trigger=postback.trigger,
        conversion=postback.conversion_id,
        request=f"{request.method} {request.url}" if request else "",
        body=request.body if request else "",
        next_attempt=iso_text(postback.next_attempt_at) if postback.next_attempt_at is not None else "",
    )
    return TraceEvent(
        at=postback.created_at,
        kind=EventKind.POSTBACK,
        id=postback.postback_id,
        sentence=sentence,
        details=details,
        findings=postback.findings,
    )


def _attempt_event(postback: Postback, attempt: PostbackAttempt) -> TraceEvent:
    secrets = postback.request.secrets if postback.request else ()
    before = postback.request.earlier_attempts if postback.request else 0
    counted = f"{attempt.number} (for the receiver {attempt.number + before})" if before else f"{attempt.number}"
    sentence = f"Attempt {counted} of {postback.rule_name!r} {_RESULTS[attempt.result]}"
    details = _details(
        status=attempt.status_code or "",
        duration="" if attempt.duration_ms is None else f"{attempt.duration_ms} ms",
        error=masked_text(attempt.error or "", secrets),
        answer=masked_text((attempt.answer or b"").decode("utf-8", "replace"), secrets),
    )
    return TraceEvent(
        at=attempt.started_at, kind=EventKind.ATTEMPT, id=postback.postback_id, sentence=sentence, details=details
    )


def _named(number: int, name: str) -> str:
    """Return a record's name and number; empty for none."""
    if not number:
        return ""
    return f"{name} ({number})" if name else str(number)


def _payout(conversion: Conversion) -> str:
    return f"{amount_text(conversion.payout.micros)} {conversion.payout.currency}".strip()


def _details(**facts: object) -> tuple[EventDetail, ...]:
    """Return the details that are known, with unprintable characters escaped."""
    return tuple(
        EventDetail(name.replace("_", " "), readable(str(value))) for name, value in facts.items() if str(value) != ""
    )
