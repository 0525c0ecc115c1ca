"""The pages of the four logs: a filter in the URL, columns that the browser remembers, and the table."""

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
from clickloop.clock import iso_text
from clickloop.conversion.notice import NoticeFlag
from clickloop.log_filter import PERIOD, WORDS, F, LogFilter, fields_of, label_of, meta_of, type_of
from clickloop.logs.column import LogColumn, names_for
from clickloop.logs.log import LOGS
from clickloop.report.period import Preset, days_of
from clickloop.setup.fault import FaultCode, InvalidInputError, invalid
from clickloop.setup.mark import Mark, mark_name
from clickloop.store.ledger.jobs.exports import ExportNoun
from clickloop.store.ledger.setup.names import RecordKind, names_of, newest_names
from clickloop.store.ledger.setup.statuses import status_rows
from clickloop.web.api.context import ApiContext
from clickloop.web.api.problem import AnyRequest
from clickloop.web.cookies import cookie_of
from clickloop.web.panel.frame.field_names import label
from clickloop.web.panel.frame.form import Form
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import Viewer, redirect

ROWS_PER_PAGE = 50
MAX_CHOICES = 1_000
"""Maximum number of campaigns, sources and so on in a filter, newest first."""
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
    """A field of a filter form: a choice, a text or a moment. ``value``: its value in the URL."""

    name: str
    label: str
    value: str
    options: Sequence[tuple[str, str]] | None = None
    kind: str = "text"

    @property
    def text(self) -> str:
        """The displayed value."""
        if self.kind == "datetime-local":
            return self.value.replace("T", " ")
        return dict(self.options or ()).get(self.value, self.value)


class LogFilterChip(msgspec.Struct, frozen=True):
    """An active filter, and the query of the log without it."""

    text: str
    without: str


class LogQuery:
    """The query of a log, or a form with the same fields. Everything is optional; unreadable values raise InvalidInputError."""

    def __init__(
        self, request: AnyRequest, zone: ZoneInfo, now_ms: int, pairs: Sequence[tuple[str, str]] | None = None
    ) -> None:
        parameters = request.query_params.multi_items() if pairs is None else pairs
        self._parameters = [(name, str(value)) for name, value in parameters]
        self._zone = zone
        self._now_ms = now_ms

    def text(self, name: str, max_length: int = 1_024) -> str:
        """Return a text, stripped."""
        found = next((value.strip() for key, value in self._parameters if key == name), "")
        if len(found) > max_length:
            raise invalid(name, FaultCode.TOO_LONG, f"It has {len(found)} characters; the maximum is {max_length}.")
        return found

    def word(self, name: str, kind: type[Word]) -> Word | None:
        """Return a member of an enum, None if absent."""
        found = self.text(name, 100)
        if not found:
            return None
        if found not in {word.value for word in kind}:
            raise invalid(name, FaultCode.NOT_ALLOWED, f"Must be one of {', '.join(kind)}.")
        return kind(found)

    def filter(self, kind: type[F]) -> F:
        """Return the filter of a log."""
        since, until = self.period()
        own = [field.name for field in fields_of(kind) if field.name not in PERIOD]
        # Reversed: of a repeated parameter, the first one wins.
        values = {name: value.strip() for name, value in reversed(self._parameters) if name in own}
        return Form((name, value) for name, value in values.items() if value).read(kind, since=since, until=until)

    def period(self) -> tuple[str, str]:
        """Return the period as two moments for the API, empty if open; explicit moments override a named period."""
        since, until = self._moment("since"), self._moment("until")
        named = self.word("period", Preset)
        if named is None or since or until:
            return since, until
        days = days_of(named, self._now_ms, self._zone)
        return iso_text(days.from_at(self._zone)), iso_text(days.until_at(self._zone))

    def local(self, name: str) -> str:
        """Return a moment as the value of a local-time field."""
        try:
            moment = self._moment(name)
        except InvalidInputError:
            return self.text(name)  # its fault is shown beside the field
        return datetime.fromisoformat(moment).astimezone(self._zone).strftime(_LOCAL) if moment else ""

    def columns(self) -> list[str] | None:
        """Return the keys of the requested columns, or None."""
        keys = [key for name, text in self._parameters if name == "columns" for key in text.split(",")]
        return [key for key in keys if _KEY.fullmatch(key)] or None

    def _moment(self, name: str) -> str:
        text = self.text(name, 40)
        return utc_text(name, text, self._zone) if text else ""


def utc_text(name: str, text: str, zone: ZoneInfo) -> str:
    """Return an entered moment, local unless it names a zone, in the API's notation. Raise InvalidInputError."""
    try:
        read = datetime.fromisoformat(text)
        exact = (read if read.tzinfo else read.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise invalid(name, FaultCode.NOT_A_MOMENT, "Enter a date, or a date and time.") from None
    return exact.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _without_empty(request: AnyRequest) -> PageResponse | None:
    """Return a redirect without empty parameters, which forms leave in the URL; None if there are none."""
    pairs = list(request.query_params.multi_items())
    filled = [(name, value) for name, value in pairs if value != ""]
    if len(filled) == len(pairs):
        return None
    path = quote(request.scope["path"])
    return redirect(f"{path}?{urlencode(filled)}" if filled else path)


def chosen_columns(
    request: AnyRequest, noun: str, columns: Sequence[LogColumn], query: LogQuery
) -> tuple[LogColumn, ...]:
    """Return the columns in the URL, else those that the browser remembers, else the default ones."""
    keys = query.columns() or cookie_of(request, _cookie(noun)).split(".")
    found = tuple(column for column in columns if column.key in keys)
    return found or tuple(column for column in columns if column.shown)


def form_of(context: ApiContext, kind: type[LogFilter], query: LogQuery) -> list[FormField]:
    """Return the fields of a filter form, filled in from the query."""
    fields = [field for field in fields_of(kind) if field.name not in PERIOD]
    with context.ledger.read() as tx:
        return [*(_form_field(tx, field, query.text(field.name)) for field in fields), *_period_fields(query)]


def _form_field(tx: Connection, field: FieldInfo, value: str) -> FormField:
    options: Sequence[tuple[str, str]] | None = None
    value_type = type_of(field)
    if value_type is int:
        names = _choices(tx, RecordKind(field.name.removesuffix("_id")), value)
        options = [(str(number), name) for number, name in names.items()]
    elif value_type is bool:
        yes, no = (meta_of(field).extra or {}).get(WORDS, ("Yes", "No"))
        options = (("true", yes), ("false", no))
    elif issubclass(value_type, enum.Enum):
        options = [(word.value, label(word.value)) for word in value_type]
    elif field.name == "status":
        options = [(row.status.key, row.status.name) for row in status_rows(tx)]
    elif field.name == "mark":
        options = [(mark.value, mark_name(mark)) for mark in Mark]
    return FormField(name=field.name, label=label_of(field), value=value, options=options)


def _choices(tx: Connection, kind: RecordKind, chosen: str) -> dict[int, str]:
    """Return the names that a field offers, always including the chosen one."""
    names = newest_names(tx, kind, MAX_CHOICES)
    number = int(chosen) if chosen.isascii() and chosen.isdecimal() and len(chosen) < 11 else 0
    return names if number in names else names | names_of(tx, kind, [number])


def _period_fields(query: LogQuery) -> list[FormField]:
    return [
        FormField(name="period", label="Period", value=query.text("period"), options=PERIODS),
        FormField(name="since", label="From", value=query.local("since"), kind="datetime-local"),
        FormField(name="until", label="Before", value=query.local("until"), kind="datetime-local"),
    ]


def flag_sentence(flag: str) -> str:
    """Return the meaning of a flag of a click, notice or conversion; for an unknown one, the flag itself."""
    if flag == "test":
        return "This is a test. Reports do not count it."
    for kind in (NoticeFlag, Flag):
        if flag in {known.value for known in kind}:
            return kind(flag).sentence
    return label(flag)


def screening_sentence(word: str) -> str:
    """Return the reason why a click is not counted."""
    return Screening(word).sentence if word in {known.value for known in Screening} else label(word)


def log_page(viewer: Viewer, request: AnyRequest, context: ApiContext, noun: ExportNoun, **more: Any) -> PageResponse:
    """Return the page of a log, or a redirect without empty parameters. ``noun`` also names the template and the cookie."""
    if response := _without_empty(request):
        return response
    log = LOGS[noun]
    query = LogQuery(request, viewer.zone, context.clock())
    found = log.list_page(context, query.filter(log.filters), ROWS_PER_PAGE, query.text("cursor"))
    form = form_of(context, log.filters, query)
    shown = chosen_columns(request, noun, log.columns, query)
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
    """Return the active filters."""
    parameters = request.query_params.multi_items()
    # Sorted: multi_items() has no stable order of names.
    pairs = sorted(((name, value) for name, value in parameters if name not in ("cursor", "said")), key=itemgetter(0))
    return [
        LogFilterChip(f"{field.label}: {field.text}", urlencode([pair for pair in pairs if pair[0] != field.name]))
        for field in form
        if field.value
    ]


def _hidden(request: AnyRequest) -> Callable[[str], list[tuple[str, str]]]:
    """Return a function for the query parameters that a form of the log carries along: all but its own and the cursor."""

    def hidden(form: str) -> list[tuple[str, str]]:
        pairs = [(name, str(value)) for name, value in request.query_params.multi_items()]
        if form in ("columns", "export"):
            return [(name, value) for name, value in pairs if name not in ("columns", "cursor", "said")]
        return [(name, value) for name, value in pairs if name == "columns"]

    return hidden


def _cookie(noun: str) -> str:
    return f"clickloop_columns_{noun}"
