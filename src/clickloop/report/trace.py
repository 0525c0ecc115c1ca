"""The trace: the whole story of one click in one time line, from the campaign link to each attempt to report it. Pure."""

import enum
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from clickloop.click.click import Click
from clickloop.clock import iso_text
from clickloop.conversion.conversion import Conversion
from clickloop.conversion.notice import RawNotice, RefusalReason
from clickloop.money import amount_text
from clickloop.octets import readable
from clickloop.postback.owing import Finding, SkipReason
from clickloop.postback.rule import Request
from clickloop.report.masking import masked_text


class EventKind(enum.StrEnum):
    """What happened; at the same millisecond in this order."""

    CLICK = "click"
    REDIRECT = "redirect"
    NOTICE = "notice"
    CONVERSION = "conversion"
    POSTBACK = "postback"
    ATTEMPT = "attempt"


class Detail(msgspec.Struct, frozen=True):
    """One fact about an event."""

    name: str
    value: str


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened. ``at`` is Unix milliseconds; ``id`` names the record that it is from."""

    at: int
    kind: EventKind
    id: str
    sentence: str
    details: tuple[Detail, ...] = ()


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a click id. ``click`` None: the id is genuine, but its click has not arrived."""

    click_id: str
    click: Click | None
    events: tuple[Event, ...]


class ToldEvent(msgspec.Struct, frozen=True):
    """An event as the API tells it. ``at`` is ISO 8601."""

    at: str
    kind: EventKind
    sentence: str
    details: tuple[Detail, ...]


class Told(msgspec.Struct, frozen=True):
    """A trace as the API tells it, the oldest event first."""

    click_id: str
    events: tuple[ToldEvent, ...]


class TracedNotice(Protocol):
    """A notice in the log."""

    @property
    def raw(self) -> RawNotice: ...
    @property
    def outcome(self) -> enum.StrEnum: ...
    @property
    def reason(self) -> RefusalReason | None: ...
    @property
    def flags(self) -> tuple[str, ...]: ...
    @property
    def conversion_id(self) -> str | None: ...
    @property
    def runs(self) -> int: ...


class TracedChange(Protocol):
    """An entry of a conversion's history."""

    @property
    def at(self) -> int: ...
    @property
    def notice_id(self) -> str: ...
    @property
    def before(self) -> Conversion | None: ...
    @property
    def after(self) -> Conversion: ...


class TracedPostback(Protocol):
    """A row of Conversions - Out."""

    @property
    def postback_id(self) -> str: ...
    @property
    def conversion_id(self) -> str: ...
    @property
    def rule_name(self) -> str: ...
    @property
    def trigger(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def reason(self) -> SkipReason | None: ...
    @property
    def findings(self) -> tuple[Finding, ...]: ...
    @property
    def request(self) -> Request | None: ...
    @property
    def next_attempt_at(self) -> int | None: ...
    @property
    def created_at(self) -> int: ...


class TracedAttempt(Protocol):
    """An attempt to send a postback."""

    @property
    def number(self) -> int: ...
    @property
    def started_at(self) -> int: ...
    @property
    def result(self) -> str | None: ...
    @property
    def status_code(self) -> int | None: ...
    @property
    def answer(self) -> bytes | None: ...
    @property
    def error(self) -> str | None: ...
    @property
    def duration_ms(self) -> int | None: ...


def trace_click(
    click_id: str,
    click: Click | None,
    notices: Sequence[TracedNotice],
    changes: Sequence[TracedChange],
    postbacks: Sequence[TracedPostback],
    attempts: Mapping[str, Sequence[TracedAttempt]],
) -> Trace:
    """Puts everything known of a click into one time line. ``attempts`` are by postback id."""
    events = _click_events(click) if click else []
    events += [_notice_event(notice) for notice in notices]
    events += [_change_event(change) for change in changes]
    for postback in postbacks:
        events.append(_postback_event(postback))
        events += [_attempt_event(postback, attempt) for attempt in attempts.get(postback.postback_id, ())]
    order = list(EventKind)
    return Trace(
        click_id=click_id,
        click=click,
        events=tuple(sorted(events, key=lambda event: (event.at, order.index(event.kind)))),
    )


def trace_text(told: Told) -> str:
    """The trace for a terminal: a line for each event, its details indented below it."""
    lines = [f"Click {told.click_id}"]
    if not told.events or told.events[0].kind != EventKind.CLICK:
        lines.append("The id is genuine, but its click has not arrived.")
    for event in told.events:
        lines.append(f"{event.at}  {event.kind:<10}  {_one_line(event.sentence)}")
        lines += [f"{'':26}{detail.name}: {_one_line(detail.value)}" for detail in event.details]
    return "\n".join(lines)


def _click_events(click: Click) -> list[Event]:
    cost = f"{amount_text(click.cost_micros)} {click.cost_currency}" if click.cost_currency else ""
    place = " ".join(part for part in (click.country, click.device, click.os, click.browser) if part)
    came = _details(
        campaign=click.campaign_id,
        traffic_source=click.source_id,
        external_id=click.external_id,
        cost=cost,
        visitor=f"{click.ip} {place}".strip(),
        screening=click.screening,
        flags=click.flags,
    )
    sentence = "A visitor followed the campaign link"
    sentence += f"; not counted: {click.screening}." if click.screening else "."
    went = _details(offer=click.offer_id or "", network=click.network_id or "", target=masked_text(click.target))
    sent_on = "He was redirected to the offer." if click.offer_id else "He was redirected to the fallback address."
    if not click.target:
        sent_on = "There was nowhere to send him: no offer and no fallback address."
    return [
        Event(at=click.at, kind=EventKind.CLICK, id=click.click_id, sentence=sentence, details=came),
        Event(at=click.at, kind=EventKind.REDIRECT, id=click.click_id, sentence=sent_on, details=went),
    ]


def _notice_event(notice: TracedNotice) -> Event:
    raw = notice.raw
    sentence = f"A notice came in by {raw.door}: {notice.outcome}."
    if notice.reason is not None:
        sentence = f"A notice came in by {raw.door} and was refused. {notice.reason.sentence}"
    details = _details(
        reason=notice.reason or "",
        query=masked_text(raw.query),
        body=masked_text(raw.body[:1000]),
        ip=raw.ip,
        flags=", ".join(notice.flags),
        conversion=notice.conversion_id or "",
        runs=notice.runs if notice.runs > 1 else "",
    )
    return Event(at=raw.at, kind=EventKind.NOTICE, id=raw.notice_id, sentence=sentence, details=details)


def _change_event(change: TracedChange) -> Event:
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
    return Event(at=change.at, kind=EventKind.CONVERSION, id=after.conversion_id, sentence=sentence, details=details)


def _postback_event(postback: TracedPostback) -> Event:
    if postback.reason is not None:
        sentence = f"{postback.rule_name!r} was skipped. {postback.reason.sentence}"
    else:
        sentence = f"{postback.rule_name!r} was owed; now {postback.state}."
    unmet = "; ".join(
        f"{finding.condition}: {finding.detail}" if finding.detail else finding.condition
        for finding in postback.findings
        if not finding.met
    )
    request = postback.request
    details = _details(
        trigger=postback.trigger,
        conversion=postback.conversion_id,
        not_met=unmet,
        request=f"{request.method} {masked_text(request.url)}" if request else "",
        next_attempt=iso_text(postback.next_attempt_at) if postback.next_attempt_at is not None else "",
    )
    return Event(
        at=postback.created_at, kind=EventKind.POSTBACK, id=postback.postback_id, sentence=sentence, details=details
    )


def _attempt_event(postback: TracedPostback, attempt: TracedAttempt) -> Event:
    sentence = f"Attempt {attempt.number} of {postback.rule_name!r}: {attempt.result or 'under way'}."
    details = _details(
        status=attempt.status_code or "",
        duration_ms="" if attempt.duration_ms is None else attempt.duration_ms,
        error=attempt.error or "",
        answer=(attempt.answer or b"").decode("utf-8", "replace"),
    )
    return Event(
        at=attempt.started_at, kind=EventKind.ATTEMPT, id=postback.postback_id, sentence=sentence, details=details
    )


def _payout(conversion: Conversion) -> str:
    return f"{amount_text(conversion.payout.micros)} {conversion.payout.currency}".strip()


def _details(**facts: object) -> tuple[Detail, ...]:
    """The facts that are known, their texts readable."""
    return tuple(
        Detail(name.replace("_", " "), readable(str(value))) for name, value in facts.items() if str(value) != ""
    )


def _one_line(text: str) -> str:
    """The text without anything that could move a terminal's cursor or change its colours."""
    return "".join(character if character.isprintable() else "�" for character in text)
