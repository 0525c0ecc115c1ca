"""What the four logs share: filters that stand in the address, columns that one chooses and this browser remembers, and the table."""

import enum
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import msgspec

from clickloop.campaign.fault import FaultCode, InvalidInputError
from clickloop.click.click import Flag, Screening
from clickloop.conversion.notice import NoticeFlag
from clickloop.report.period import Preset, days_of
from clickloop.store.ledger.names import Named, names_of, newest_names
from clickloop.web.api.columns import NAMED, Column, Names, names_for
from clickloop.web.api.context import ApiContext
from clickloop.web.api.paging import LARGEST_ID, Page
from clickloop.web.api.problem import AnyRequest, invalid
from clickloop.web.api.wire import moment_text
from clickloop.web.cookies import cookie_of
from clickloop.web.panel.page import Answer, page
from clickloop.web.panel.visit import VisitFacts, redirect

ROWS_A_PAGE = 50
MOST_CHOICES = 1_000
"""So many of the newest campaigns, sources and so on can be chosen in a filter."""
PERIODS = (
    (Preset.TODAY, "Today"),
    (Preset.YESTERDAY, "Yesterday"),
    (Preset.LAST_7_DAYS, "Last 7 days"),
    (Preset.LAST_30_DAYS, "Last 30 days"),
    (Preset.LAST_90_DAYS, "Last 90 days"),
)
_YEAR_SECONDS = 365 * 24 * 3600
_LOCAL = "%Y-%m-%dT%H:%M"
_KEY = re.compile(r"[a-z0-9_]{1,40}")

Word = TypeVar("Word", bound=enum.StrEnum)


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """A field of the filters: a choice, a text, or a moment. ``value`` is what the address says."""

    name: str
    label: str
    value: str
    options: Sequence[tuple[str, str]] | None = None
    kind: str = "text"


class Asked:
    """What the address of a log, or a form with the same fields, asks for. Everything is optional; what cannot be read raises
    InvalidInputError."""

    def __init__(
        self, request: AnyRequest, zone: ZoneInfo, now_ms: int, pairs: Sequence[tuple[str, str]] | None = None
    ) -> None:
        given = request.query_params.multi_items() if pairs is None else pairs
        self._parameters = [(name, str(value)) for name, value in given]
        self._zone = zone
        self._now_ms = now_ms

    def text(self, name: str, most: int = 1_024) -> str:
        """A text, without space around it."""
        found = next((value.strip() for given, value in self._parameters if given == name), "")
        if len(found) > most:
            raise invalid(name, FaultCode.TOO_LONG, f"It has {len(found)} characters, at most {most} are looked for.")
        return found

    def number(self, name: str) -> int | None:
        """The number of a record."""
        found = self.text(name, 20)
        if not found:
            return None
        if not found.isascii() or not found.isdecimal() or int(found) > LARGEST_ID:
            raise invalid(name, FaultCode.WRONG_TYPE, "The number of a record is expected.")
        return int(found)

    def word(self, name: str, kind: type[Word]) -> Word | None:
        """A word of a closed list."""
        found = self.text(name, 100)
        if not found:
            return None
        if found not in {word.value for word in kind}:
            raise invalid(name, FaultCode.NOT_ALLOWED, f"One of {', '.join(kind)} is expected.")
        return kind(found)

    def yes(self, name: str) -> bool | None:
        """Yes, no, or either."""
        return {"true": True, "false": False}.get(self.text(name, 10))

    def period(self) -> tuple[str, str]:
        """The period as two moments for the API; empty: open. What is written out counts before a named one."""
        since, until = self._moment("since"), self._moment("until")
        named = self.word("period", Preset)
        if named is None or since or until:
            return since, until
        days = days_of(named, self._now_ms, self._zone)
        return moment_text(days.from_at(self._zone)), moment_text(days.until_at(self._zone))

    def local(self, name: str) -> str:
        """A moment of the address as a field for local time takes it."""
        try:
            moment = self._moment(name)
        except InvalidInputError:
            return self.text(name)  # its fault is told beside it
        return datetime.fromisoformat(moment).astimezone(self._zone).strftime(_LOCAL) if moment else ""

    def columns(self) -> list[str] | None:
        """The keys of the columns that are asked for; None: none are."""
        given = [key for name, text in self._parameters if name == "columns" for key in text.split(",")]
        return [key for key in given if _KEY.fullmatch(key)] or None

    def _moment(self, name: str) -> str:
        text = self.text(name, 40)
        return utc_text(name, text, self._zone) if text else ""


def utc_text(name: str, text: str, zone: ZoneInfo) -> str:
    """A moment that somebody wrote, by his own clock unless it names a zone, as the API takes it. Raises InvalidInputError."""
    try:
        read = datetime.fromisoformat(text)
        exact = (read if read.tzinfo else read.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise invalid(name, FaultCode.NOT_A_MOMENT, "A date is expected, or a date and time.") from None
    return exact.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def tidied(request: AnyRequest) -> Answer | None:
    """The way to the same page without empty parameters, which a form leaves in the address; None: there are none."""
    pairs = list(request.query_params.multi_items())
    kept = [(name, value) for name, value in pairs if value != ""]
    if len(kept) == len(pairs):
        return None
    path = quote(request.scope["path"])
    return redirect(f"{path}?{urlencode(kept)}" if kept else path)


def chosen(request: AnyRequest, noun: str, columns: Sequence[Column], asked: Asked) -> tuple[Column, ...]:
    """The columns that the address names, else those that this browser remembers, else the usual ones."""
    keys = asked.columns() or cookie_of(request, _cookie(noun)).split(".")
    found = tuple(column for column in columns if column.key in keys)
    return found or tuple(column for column in columns if column.shown)


def choices(context: ApiContext, kinds: Sequence[Named], asked: Asked) -> Names:
    """The names that the filters offer, with those that are chosen however old they are."""
    with context.ledger.read() as tx:
        found = {kind: newest_names(tx, kind, MOST_CHOICES) for kind in kinds}
        for kind in kinds:
            number = asked.number(f"{kind}_id")
            if number and number not in found[kind]:
                found[kind] |= names_of(tx, kind, [number])
    return found


def of_named(kind: Named, label: str, names: Names, asked: Asked) -> Filter:
    """A filter by a record of the set-up."""
    options = [(str(number), name) for number, name in names[kind].items()]
    return Filter(name=f"{kind}_id", label=label, value=asked.text(f"{kind}_id"), options=options)


def of_period(asked: Asked) -> list[Filter]:
    """The filters by time."""
    return [
        Filter(name="period", label="Period", value=asked.text("period"), options=PERIODS),
        Filter(name="since", label="From", value=asked.local("since"), kind="datetime-local"),
        Filter(name="until", label="Before", value=asked.local("until"), kind="datetime-local"),
    ]


def of_words(name: str, label: str, kind: type[enum.StrEnum], asked: Asked) -> Filter:
    """A filter by a closed list."""
    return Filter(name=name, label=label, value=asked.text(name), options=[(word, in_words(word)) for word in kind])


def of_flags(asked: Asked) -> Filter:
    """A filter by whether anything was odd."""
    options = (("true", "Odd ones"), ("false", "Without oddities"))
    return Filter(name="flagged", label="Flag", value=asked.text("flagged"), options=options)


def in_words(word: str) -> str:
    """A word of a closed list for people: ``no_click_id`` as ``No click id``."""
    return word.replace("_", " ").capitalize()


def flag_sentence(flag: str) -> str:
    """What a flag of a click, notice or conversion means; the flag itself if it is none of ours."""
    if flag == "test":
        return "It is of a test click: no report counts it."
    for kind in (NoticeFlag, Flag):
        if flag in {known.value for known in kind}:
            return kind(flag).sentence
    return in_words(flag)


def screening_sentence(word: str) -> str:
    """Why a click is not counted."""
    return Screening(word).sentence if word in {known.value for known in Screening} else in_words(word)


def log_page(
    visit: VisitFacts,
    request: AnyRequest,
    context: ApiContext,
    *,
    noun: str,
    columns: Sequence[Column],
    asked: Asked,
    found: Page[Any],
    names: Names,
    filters: Sequence[Filter],
    **more: Any,
) -> Answer:
    """A log: ``noun`` names its template and its cookie."""
    shown = chosen(request, noun, columns, asked)
    with context.ledger.read() as tx:
        names = names_for(tx, shown, found.items, names)
    answer = page(
        visit,
        f"{noun}.html",
        found=found,
        cursor=asked.text("cursor"),
        columns=columns,
        shown=shown,
        names=names,
        named=NAMED,
        filters=filters,
        is_filtered=any(one.value for one in filters),
        hidden=_hidden(request),
        noun=noun,
        flag_sentence=flag_sentence,
        **more,
    )
    if asked.columns() is not None:
        answer.set_cookie(
            _cookie(noun),
            ".".join(column.key for column in shown),
            max_age=_YEAR_SECONDS,
            path="/panel",
            httponly=True,
            samesite="lax",
        )
    return answer


def _hidden(request: AnyRequest) -> Callable[[str], list[tuple[str, str]]]:
    """What a form of the log hands on of the address: all but its own fields and the place in the list."""

    def handed_on(own: str) -> list[tuple[str, str]]:
        pairs = [(name, str(value)) for name, value in request.query_params.multi_items()]
        if own in ("columns", "export"):
            return [(name, value) for name, value in pairs if name not in ("columns", "cursor", "said")]
        return [(name, value) for name, value in pairs if name == "columns"]

    return handed_on


def _cookie(noun: str) -> str:
    return f"clickloop_columns_{noun}"
