"""The postback rule: what is sent, for which conversions, when it counts as delivered, and how often it is tried."""

import enum
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.text import octets_of


class Method(enum.StrEnum):
    """The method of a request."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"


class BodyKind(enum.StrEnum):
    """What a body is: it decides how macros are encoded and which Content-Type is sent."""

    NONE = "none"
    FORM = "form"
    JSON = "json"
    TEXT = "text"


class Header(msgspec.Struct, frozen=True):
    """A header line; its value may hold macros."""

    name: Annotated[str, Meta(examples=["Authorization"])]
    value: Annotated[str, Meta(examples=["Bearer secret"])]


class RequestTemplate(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A request with macros in URL, header values and body."""

    method: Method = Method.GET
    url: str
    headers: tuple[Header, ...] = ()
    body_kind: BodyKind = BodyKind.NONE
    body: str = ""
    secrets: tuple[str, ...] = ()
    """Texts in it that are never shown, such as a bot's token in the URL."""


LOST_REQUEST = "Its request cannot be read any more: it is damaged, or encrypted under a lost key. It can be sent again, built anew."
"""What is said of a postback that was owed, and whose request is lost."""


class Request(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A request as it is sent: macros filled in, fixed when it is owed, the same for every attempt.

    ``url`` is ASCII; ``body`` is in the form of ``text.text_of``. Content-Type stands among the headers.
    """

    method: Method = Method.GET
    url: str
    headers: tuple[Header, ...] = ()
    body_kind: BodyKind = BodyKind.NONE
    body: str = ""
    secrets: tuple[str, ...] = ()
    """Texts in it that are never shown; they are no part of what is sent."""
    earlier_attempts: int = 0
    """How many attempts were made before it was asked for again: the attempt header counts on from there."""

    def body_octets(self) -> bytes:
        """The body's bytes."""
        return octets_of(self.body)


class Trigger(enum.StrEnum):
    """Which changes of a conversion a rule is sent for."""

    NEW = "new"
    """Once per conversion: when it is new, or when a change brings it into the rule's statuses and minimum for the first time."""
    STATUS = "status"
    """When it is new and at every change of its status."""
    ALARM = "alarm"
    """For no conversion: when an alarm of the tracker itself begins and when it ends."""


class Conditions(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """When a rule is sent."""

    statuses: tuple[str, ...] = ()
    """Keys of statuses; empty: all that do not count as rejected."""
    trigger: Trigger = Trigger.NEW
    only_first: bool = False
    """Send only for unique: only for the first conversion of a click."""
    minimum_payout_micros: int | None = None
    """In the conversion's own currency; None: no minimum."""
    every_nth: int = 1
    """1: every conversion; n: the first of every n, counted."""
    delay_seconds: int = 0
    payout_percent: int = 100
    """The share of the payout that ``{payout}`` reports."""


class Success(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """When a 2xx answer means delivered: all that is given must hold for the first 16 KB of the answer; empty: not asked for."""

    must_contain: str = ""
    """A text, as written."""
    must_not_contain: str = ""
    must_match: str = ""
    """A regular expression (``pattern.pattern_of``) that matches anywhere in the answer."""
    must_not_match: str = ""

    @property
    def reads_answer(self) -> bool:
        """Whether it takes the answer's body to tell."""
        return bool(self.must_contain or self.must_not_contain or self.must_match or self.must_not_match)


class Schedule(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Seconds to wait before each attempt after the first, each ±20 %; none: there is one attempt."""

    waits_seconds: tuple[int, ...] = (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 86400)

    @property
    def attempts(self) -> int:
        """How many attempts are made in all."""
        return len(self.waits_seconds) + 1


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A postback rule. ``source_id`` or ``campaign_id`` names whom it belongs to; neither: the whole instance."""

    rule_id: int
    name: str
    source_id: int | None = None
    campaign_id: int | None = None
    active: bool = True
    request: RequestTemplate
    conditions: Conditions = Conditions()
    success: Success = Success()
    schedule: Schedule = Schedule()


def rule_of_row(row: Mapping[str, object]) -> Rule:
    """A rule from its row in ``postback_rules``. Raises msgspec.ValidationError for a row that no Clickloop wrote."""
    return Rule(
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
    """A schedule from its column; None: the usual one. Raises msgspec.ValidationError for what no Clickloop wrote."""
    return Schedule() if waits is None else Schedule(waits_seconds=msgspec.convert(waits, tuple[int, ...]))
