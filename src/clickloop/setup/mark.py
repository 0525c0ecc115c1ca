"""Marks of suspicious traffic: the closed list, its switches and thresholds. A mark changes no figure but clean clicks."""

import enum
from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from clickloop.setup.fault import FaultCode, FieldFault


class MarkMoment(enum.StrEnum):
    """When a mark is given."""

    REQUEST = "request"
    """Before the redirect, so that rules can use it."""
    SETTLING = "settling"
    """When the click is counted, within a second."""
    LATER = "later"
    """By what the visitor does, or fails to do, on the landing."""


class Mark(enum.StrEnum):
    """A mark, with the sentence shown for it, its moment, whether it is on by default, and its default threshold."""

    sentence: str
    moment: MarkMoment
    is_default: bool
    threshold: int
    """0: it has none."""

    # The defaults satisfy the type checker, to which looking up a member by value looks like creating one.
    def __new__(
        cls,
        value: str,
        sentence: str = "",
        moment: MarkMoment = MarkMoment.REQUEST,
        threshold: int = 0,
        is_default: bool = True,
    ) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence, member.moment, member.threshold, member.is_default = sentence, moment, threshold, is_default
        return member

    BOT_USERAGENT = "bot_useragent", "The user agent is that of a known crawler or script."
    DATACENTER = "datacenter", "The address belongs to a hosting company."
    LISTED_IP = "listed_ip", "The address is in one of your lists."
    LISTED_USERAGENT = "listed_useragent", "The user agent contains an entry of one of your lists."
    NO_REFERRER = "no_referrer", "The visitor sent no referrer.", MarkMoment.REQUEST, 0, False
    UNKNOWN_DEVICE = "unknown_device", "Neither device nor browser is known."
    LANGUAGE_COUNTRY = (
        "language_country",
        "The browser's language is not spoken in the visitor's country.",
        MarkMoment.REQUEST,
        0,
        False,
    )
    FREQUENT_IP = "frequent_ip", "Too many clicks came from the address within a minute.", MarkMoment.SETTLING, 60
    FREQUENT_CAMPAIGN = (
        "frequent_campaign",
        "Too many clicks on this campaign came from the address within a minute.",
        MarkMoment.SETTLING,
        60,
    )
    REPEAT = (
        "repeat",
        "The same visitor clicked on this campaign just before.",
        MarkMoment.SETTLING,
        2_000,
    )
    REUSED_EXTERNAL_ID = (
        "reused_external_id",
        "The external ID came too often within a day.",
        MarkMoment.SETTLING,
        2,
    )
    FAST_CLICK = "fast_click", "The landing's button was pressed too soon after the view.", MarkMoment.LATER, 800
    NO_VIEW = "no_view", "The landing's script reported no view in time.", MarkMoment.LATER, 60


_NAMES = {
    "bot_useragent": "bot user agent",
    "datacenter": "data center",
    "listed_useragent": "listed user agent",
    "language_country": "foreign language",
    "frequent_campaign": "frequent on campaign",
}


def mark_name(mark: str) -> str:
    """Return a mark as people read it: ``listed IP``."""
    return _NAMES.get(mark) or " ".join(word.upper() if word in ("ip", "id") else word for word in mark.split("_"))


def named_marks(marks: Collection[Mark]) -> str:
    """Return marks as people read them, in the order of the list: ``listed IP, repeat``."""
    return ", ".join(mark_name(mark) for mark in Mark if mark in marks)


def mark_sentences(marks: Collection[Mark]) -> list[str]:
    """Return marks with what they mean, in the order of the list: ``data center: The address belongs to a hosting company.``"""
    return [f"{mark_name(mark)}: {mark.sentence}" for mark in Mark if mark in marks]


def explained_marks(marks: Collection[Mark]) -> str:
    """Return the sentences of marks as one text."""
    return " ".join(mark_sentences(marks))


THRESHOLDS = {
    Mark.FREQUENT_IP: range(1, 10_001),  # the tally remembers so many clicks of an address
    Mark.FREQUENT_CAMPAIGN: range(1, 10_001),
    Mark.REPEAT: range(100, 60_001),
    Mark.REUSED_EXTERNAL_ID: range(2, 61),  # the tally counts to 63
    Mark.FAST_CLICK: range(50, 60_001),
    Mark.NO_VIEW: range(5, 3_601),
}
"""The thresholds that each mark with one can have."""
THRESHOLD_UNITS = {
    Mark.FREQUENT_IP: "a minute",
    Mark.FREQUENT_CAMPAIGN: "a minute",
    Mark.REPEAT: "ms",
    Mark.REUSED_EXTERNAL_ID: "a day",
    Mark.FAST_CLICK: "ms",
    Mark.NO_VIEW: "s",
}


class MarkSetting(msgspec.Struct, frozen=True):
    """A mark's switch and threshold."""

    mark: Annotated[Mark, Meta(description="The mark.")]
    on: Annotated[bool, Meta(description="Whether clicks get it.")] = True
    threshold: Annotated[
        int,
        Meta(
            description="Threshold of a mark that has one: clicks per minute (frequent_ip, frequent_campaign), milliseconds (repeat, "
            "fast_click), seconds (no_view), or the click of a day from which on clicks are marked (reused_external_id). 0: the default."
        ),
    ] = 0


DEFAULT_MARKS = tuple(MarkSetting(mark, mark.is_default, mark.threshold) for mark in Mark)


def marks_in_force(instance: Iterable[MarkSetting], campaign: Iterable[MarkSetting]) -> tuple[MarkSetting, ...]:
    """Return the setting of every mark: the campaign's, else the instance's, else the default. A threshold of 0 changes none."""
    switches: dict[Mark, bool] = {}
    thresholds: dict[Mark, int] = {}
    for setting in (*DEFAULT_MARKS, *instance, *campaign):
        switches[setting.mark] = setting.on
        thresholds[setting.mark] = setting.threshold or thresholds.get(setting.mark, 0)
    return tuple(MarkSetting(mark, switches[mark], thresholds[mark]) for mark in Mark)


def mark_faults(field: str, settings: Sequence[MarkSetting]) -> list[FieldFault]:
    """Return everything wrong with settings of marks."""
    faults: list[FieldFault] = []
    seen: set[Mark] = set()
    for position, setting in enumerate(settings):
        at = f"{field}[{position}]"
        if setting.mark in seen:
            faults.append(FieldFault(f"{at}.mark", FaultCode.DUPLICATE, f"{setting.mark} has a setting already."))
        seen.add(setting.mark)
        possible = THRESHOLDS.get(setting.mark)
        if not setting.threshold:
            continue
        if possible is None:
            sentence = f"{setting.mark} has no threshold. Leave it out."
            faults.append(FieldFault(f"{at}.threshold", FaultCode.NOT_ALLOWED, sentence))
        elif setting.threshold not in possible:
            sentence = f"Enter {possible[0]:,} to {possible[-1]:,}, or leave it out to use the default."
            faults.append(FieldFault(f"{at}.threshold", FaultCode.OUT_OF_RANGE, sentence))
    return faults


def marks_of(text: str) -> frozenset[Mark]:
    """Return the marks in a click's text. Marks of a newer version are dropped."""
    return frozenset(Mark(word) for word in text.split(",") if word in Mark.__members__.values()) if text else NO_MARKS


def marks_text(marks: Collection[Mark]) -> str:
    """Return marks as a click's text, in the order of the list: equal marks are equal texts, so they are one group of a report."""
    return ",".join(mark.value for mark in Mark if mark in marks) if marks else ""


NO_MARKS: frozenset[Mark] = frozenset()
