"""The pages of the four logs: a filter in the address, columns that one chooses and this browser remembers, and the table."""

import enum
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, TypeVar
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import FieldInfo
from sqlalchemy import Connection

from clickloop.click.click import Flag, Screening
from clickloop.conversion.notice import NoticeFlag
from clickloop.log_filter import PERIOD, WORDS, F, LogFilter, fields_of, label_of, meta_of, type_of
from clickloop.report.period import Preset, days_of
from clickloop.setup.fault import FaultCode, InvalidInputError
from clickloop.store.ledger.jobs.exports import ExportNoun
from clickloop.store.ledger.setup.names import Named, names_of, newest_names
from clickloop.store.ledger.setup.statuses import status_rows
from clickloop.web.api.context import ApiContext
from clickloop.web.api.logs.columns import Column, names_for
from clickloop.web.api.logs.exportable import LOGS
from clickloop.web.api.problem import AnyRequest, invalid
from clickloop.web.api.wire import moment_text
from clickloop.web.cookies import cookie_of
from clickloop.web.panel.frame.form import Form
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import Viewer, redirect

ROWS_A_PAGE = 50
MAX_CHOICES = 1_000
"""The newest campaigns, sources and so on that can be chosen in a filter."""
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


class FormField(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a filter's form: a choice, a text, or a moment. ``value`` is what the address says."""

    name: str
    label: str
    value: str
    options: Sequence[tuple[str, str]] | None = None
    kind: str = "text"

    @property
    def text(self) -> str:
        """The value for people."""
        if self.kind == "datetime-local":
            return self.value.replace("T", " ")
        return dict(self.options or ()).get(self.value, self.value)


class LogFilterChip(msgspec.Struct, frozen=True):
    """A filter that is set: what it says, and the query of the log without it."""

    text: str
    without: str


class LogQuery:
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

    def word(self, name: str, kind: type[Word]) -> Word | None:
        """A word of a closed list."""
        found = self.text(name, 100)
        if not found:
            return None
        if found not in {word.value for word in kind}:
            raise invalid(name, FaultCode.NOT_ALLOWED, f"One of {', '.join(kind)} is expected.")
        return kind(found)

    def filter(self, kind: type[F]) -> F:
        """Return the filter of a log that is asked for. Raise InvalidInputError."""
        since, until = self.period()
        own = [field.name for field in fields_of(kind) if field.name not in PERIOD]
        # Of a parameter that came twice the first counts.
        given = {name: value.strip() for name, value in reversed(self._parameters) if name in own}
        return Form((name, value) for name, value in given.items() if value).read(kind, since=since, until=until)

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


def _tidied(request: AnyRequest) -> PageResponse | None:
    """The way to the same page without empty parameters, which a form leaves in the address; None: there are none."""
    pairs = list(request.query_params.multi_items())
    kept = [(name, value) for name, value in pairs if value != ""]
    if len(kept) == len(pairs):
        return None
    path = quote(request.scope["path"])
    return redirect(f"{path}?{urlencode(kept)}" if kept else path)


def chosen(request: AnyRequest, noun: str, columns: Sequence[Column], query: LogQuery) -> tuple[Column, ...]:
    """The columns that the address names, else those that this browser remembers, else the usual ones."""
    keys = query.columns() or cookie_of(request, _cookie(noun)).split(".")
    found = tuple(column for column in columns if column.key in keys)
    return found or tuple(column for column in columns if column.shown)


def form_of(context: ApiContext, kind: type[LogFilter], query: LogQuery) -> list[FormField]:
    """Return the fields of a filter's form, filled in as the address says."""
    fields = [field for field in fields_of(kind) if field.name not in PERIOD]
    with context.ledger.read() as tx:
        return [*(_form_field(tx, field, query.text(field.name)) for field in fields), *_of_period(query)]


def _form_field(tx: Connection, field: FieldInfo, value: str) -> FormField:
    options: Sequence[tuple[str, str]] | None = None
    value_type = type_of(field)
    if value_type is int:
        names = _choices(tx, Named(field.name.removesuffix("_id")), value)
        options = [(str(number), name) for number, name in names.items()]
    elif value_type is bool:
        yes, no = (meta_of(field).extra or {}).get(WORDS, ("Yes", "No"))
        options = (("true", yes), ("false", no))
    elif issubclass(value_type, enum.Enum):
        options = [(word.value, in_words(word.value)) for word in value_type]
    elif field.name == "status":
        options = [(row.status.key, row.status.name) for row in status_rows(tx)]
    return FormField(name=field.name, label=label_of(field), value=value, options=options)


def _choices(tx: Connection, kind: Named, chosen: str) -> dict[int, str]:
    """Return the names that a field offers, with the chosen one however old it is."""
    names = newest_names(tx, kind, MAX_CHOICES)
    number = int(chosen) if chosen.isascii() and chosen.isdecimal() and len(chosen) < 11 else 0
    return names if number in names else names | names_of(tx, kind, [number])


def _of_period(query: LogQuery) -> list[FormField]:
    return [
        FormField(name="period", label="Period", value=query.text("period"), options=PERIODS),
        FormField(name="since", label="From", value=query.local("since"), kind="datetime-local"),
        FormField(name="until", label="Before", value=query.local("until"), kind="datetime-local"),
    ]


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


def log_page(viewer: Viewer, request: AnyRequest, context: ApiContext, noun: ExportNoun, **more: Any) -> PageResponse:
    """Return the page of a log, or the way to the same page without empty parameters. The log's name is its template's and cookie's."""
    if tidy := _tidied(request):
        return tidy
    log = LOGS[noun]
    query = LogQuery(request, viewer.zone, context.clock())
    found = log.list_page(context, query.filter(log.filters), ROWS_A_PAGE, query.text("cursor"))
    form = form_of(context, log.filters, query)
    shown = chosen(request, noun, log.columns, query)
    with context.ledger.read() as tx:
        names = names_for(tx, shown, found.items)
    response = page(
        viewer,
        f"{noun}.html",
        found=found,
        cursor=query.text("cursor"),
        columns=log.columns,
        shown=shown,
        names=names,
        filters=form,
        chips=_chips(request, form),
        hidden=_hidden(request),
        noun=noun,
        flag_sentence=flag_sentence,
        **more,
    )
    if query.columns() is not None:
        response.set_cookie(
            _cookie(noun),
            ".".join(column.key for column in shown),
            max_age=_YEAR_SECONDS,
            path="/panel",
            httponly=True,
            samesite="lax",
        )
    return response


def _chips(request: AnyRequest, form: Sequence[FormField]) -> list[LogFilterChip]:
    """Return the filters that are set, each with the address of the log without it."""
    given = request.query_params.multi_items()
    # Sorted: the parameters come in another order each time.
    pairs = sorted(((name, value) for name, value in given if name not in ("cursor", "said")), key=itemgetter(0))
    return [
        LogFilterChip(f"{field.label}: {field.text}", urlencode([pair for pair in pairs if pair[0] != field.name]))
        for field in form
        if field.value
    ]


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
