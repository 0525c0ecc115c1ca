"""The postback rule: what to send, for which conversions, what counts as delivered, and how often to retry."""

import enum
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.text import unescape_bytes


class Method(enum.StrEnum):
    """HTTP method of a postback."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"


class BodyKind(enum.StrEnum):
    """The kind of a request body. It decides how macros are encoded and which Content-Type is sent."""

    NONE = "none"
    FORM = "form"
    JSON = "json"
    TEXT = "text"
    MULTIPART = "multipart"
    """Written like a form; a field that begins with @ is sent as a file (see ``multipart``)."""


class Header(msgspec.Struct, frozen=True):
    """A header. Its value may contain macros."""

    name: Annotated[str, Meta(examples=["Authorization"])]
    value: Annotated[str, Meta(examples=["Bearer secret"])]


class RequestTemplate(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A request with macros in its URL, header values and body."""

    method: Method = Method.GET
    url: str
    headers: tuple[Header, ...] = ()
    body_kind: BodyKind = BodyKind.NONE
    body: str = ""
    secrets: tuple[str, ...] = ()
    """Texts to mask wherever the request is shown, such as a bot's token in the URL."""


LOST_REQUEST = "The stored request is damaged, or encrypted with a lost key. Rebuild and resend the postback."
"""Shown for a postback whose stored request cannot be read."""


class PostbackRequest(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A request to send: macros filled in when the postback was created, the same for every attempt.

    ``url`` is ASCII; ``body`` is text as ``text.escape_bytes`` returns it. Content-Type is one of the headers.
    """

    method: Method = Method.GET
    url: str
    headers: tuple[Header, ...] = ()
    body_kind: BodyKind = BodyKind.NONE
    body: str = ""
    secrets: tuple[str, ...] = ()
    """Texts to mask wherever the request is shown. Not sent."""
    earlier_attempts: int = 0
    """Attempts made before a resend: the attempt header continues their numbering."""

    def body_bytes(self) -> bytes:
        return unescape_bytes(self.body)


class Trigger(enum.StrEnum):
    """The changes of a conversion that trigger a rule."""

    NEW = "new"
    """Once per conversion: when it is new, or when a change first makes it meet the rule's statuses and minimum."""
    STATUS = "status"
    """When the conversion is new, and at every change of its status."""
    ALARM = "alarm"
    """Not for conversions: when an alarm of the tracker itself begins, and when it ends."""
    VIEW = "view"
    """Not for conversions: when a scheduled view of a report is due."""


class Conditions(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The conditions under which a rule is sent."""

    statuses: tuple[str, ...] = ()
    """Status keys; empty: all that do not count as rejected."""
    trigger: Trigger = Trigger.NEW
    only_first: bool = False
    """Only for the first conversion of a click ("send only for unique")."""
    minimum_payout_micros: int | None = None
    """In the conversion's own currency; None for no minimum."""
    every_nth: int = 1
    """1: every conversion; n: the first of every n, by count, not by chance."""
    delay_seconds: int = 0
    payout_percent: int = 100
    """Share of the payout that ``{payout}`` reports."""


class Success(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The conditions under which a 2xx response means delivered. All must hold for the first 16 KB of the body; empty ones are ignored."""

    must_contain: str = ""
    """Literal text."""
    must_not_contain: str = ""
    must_match: str = ""
    """A regular expression (``pattern.pattern_of``), matched anywhere in the body."""
    must_not_match: str = ""

    @property
    def reads_answer(self) -> bool:
        """Return whether the decision needs the response body."""
        return bool(self.must_contain or self.must_not_contain or self.must_match or self.must_not_match)


class Schedule(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Seconds to wait before each attempt after the first, each ±20%. Empty: a single attempt."""

    waits_seconds: tuple[int, ...] = (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 86400)

    @property
    def attempts(self) -> int:
        return len(self.waits_seconds) + 1


class PostbackRule(msgspec.Struct, frozen=True, kw_only=True):
    """A postback rule of a traffic source (``source_id``), of a campaign (``campaign_id``), or, with neither, of the instance."""

    rule_id: int
    name: str
    source_id: int | None = None
    campaign_id: int | None = None
    active: bool = True
    request: RequestTemplate
    conditions: Conditions = Conditions()
    success: Success = Success()
    schedule: Schedule = Schedule()


def rule_of_row(row: Mapping[str, object]) -> PostbackRule:
    """Return the rule in a row of ``postback_rules``. Raise msgspec.ValidationError if the row is malformed."""
    return PostbackRule(
        rule_id=msgspec.convert(row["id"], int),
        name=msgspec.convert(row["name"], str),
        source_id=msgspec.convert(row["source_id"], int | None),
        campaign_id=msgspec.convert(row["campaign_id"], int | None),
        active=bool(row["active"]),
        request=msgspec.convert(row["request"], RequestTemplate),
        conditions=msgspec.convert(row["conditions"], Conditions),
        success=msgspec.convert(row["success"], Success),
        schedule=schedule_of(row["schedule"]),
    )


def schedule_of(waits: object) -> Schedule:
    """Return the schedule in its column; None: the default one. Raise msgspec.ValidationError if the value is malformed."""
    return Schedule() if waits is None else Schedule(waits_seconds=msgspec.convert(waits, tuple[int, ...]))
