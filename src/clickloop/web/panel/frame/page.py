"""Rendering of templates. Everything is escaped, and pages load nothing from other hosts."""

import hashlib
import re
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

import jinja2
from litestar import Response
from markupsafe import Markup, escape

from clickloop.people.user import Right
from clickloop.setup.fault import FieldFault
from clickloop.setup.money_text import MoneyText
from clickloop.web.panel.frame.edit_conflict import conflict_in, seen_field
from clickloop.web.panel.frame.field_names import field_name, in_words, label, parameter_name
from clickloop.web.panel.frame.form import CSRF_FIELD, messages_by_path
from clickloop.web.panel.frame.navigation import FIRST_SECTIONS, LATER_PATHS, NAVIGATION, Entry
from clickloop.web.panel.frame.viewer import Viewer

STATIC = "/panel/static"
_FOLDER = Path(str(files(__package__)))
STATIC_FILES = {path.name: path.read_bytes() for path in sorted((_FOLDER / "static").iterdir()) if path.is_file()}
_TEMPLATE_FOLDERS = [path for path in sorted(_FOLDER.parent.iterdir()) if path.is_dir()]
"""Templates are next to their pages. Their names are unique across folders, so they refer to each other without one."""
VERSION = hashlib.blake2b(b"\0".join(STATIC_FILES.values()), digest_size=6).hexdigest()
"""Hash of the static files, part of their URLs: browsers cache them forever."""

_MOMENT = re.compile(r"(?<!\w)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z(?!\w)")
_READ_ONLY = "Your role can view this page but not change it."

PageResponse = Response[Any]
"""The result of a page's function: a page or a redirect."""


def page(
    viewer: Viewer | None,
    template: str,
    faults: tuple[FieldFault, ...] = (),
    *,
    status: int | None = None,
    **values: Any,
) -> PageResponse:
    """Return the page of a template. ``faults`` are shown beside their fields, and all of them above the form.

    The default status is 200; 422 with faults, 409 if one of them is an edit conflict.
    """
    conflict = conflict_in(faults)
    template_values = {**values, "viewer": viewer, "faults": messages_by_path(faults), "conflict": conflict}
    text = _ENVIRONMENT.get_template(template).render(template_values)
    default = 409 if conflict else 422 if faults else 200
    return Response(text, status_code=status or default, media_type="text/html")


def fragment(template: str, **values: Any) -> str:
    """Return a part of a page, for a script that inserts it."""
    return _ENVIRONMENT.get_template(template).render(**values)


def when(moment: str | int | None, zone: ZoneInfo, seconds: bool = True) -> Markup:
    """Return a moment (ISO text of the API, or Unix milliseconds) in local time, with milliseconds and UTC on hover."""
    if moment is None or moment == "":
        return Markup('<span class="none">–</span>')
    exact = datetime.fromtimestamp(moment / 1000, UTC) if isinstance(moment, int) else datetime.fromisoformat(moment)
    local = exact.astimezone(zone)
    shown = local.strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")
    iso = exact.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return Markup('<time datetime="{}" title="{} {}, {} UTC">{}</time>').format(
        iso, shown, local.strftime("%Z"), iso.replace("T", " ").rstrip("Z"), shown
    )


def in_zone(sentence: str, zone: ZoneInfo) -> Markup:
    """Return a sentence, escaped, with each UTC moment (ISO 8601) in it as local time."""
    parts: list[str] = []
    end = 0
    for found in _MOMENT.finditer(sentence):
        try:
            shown = when(found[0], zone)
        except ValueError:  # such as month 99 in a file name
            continue
        parts += [escape(sentence[end : found.start()]), shown]
        end = found.end()
    return Markup("").join([*parts, escape(sentence[end:])])


def amount(text: str | None, places: int = 2) -> str:
    """Return a decimal text with thousands separators and at least ``places`` decimals: ``1,234.50``."""
    if text is None or text == "":
        return "–"
    sign, digits = ("−", text[1:]) if text.startswith("-") else ("", text)
    whole, _, part = digits.partition(".")
    return f"{sign}{int(whole or '0'):,}" + (f".{part.ljust(places, '0')}" if places or part else "")


def count(number: int | None) -> str:
    """Return a count with thousands separators."""
    return "–" if number is None else f"{number:,}"


def byte_size(number: int) -> str:
    """Return a size such as ``1.4 GB``."""
    size = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _permitted(entries: tuple[Entry, ...], viewer: Viewer) -> list[Entry]:
    return [entry for entry in entries if entry.right is None or viewer.may(entry.right)]


def _without(query: str, name: str) -> str:
    """Return a query without a parameter."""
    return urlencode([(key, value) for key, value in parse_qsl(query, keep_blank_values=True) if key != name])


def _with_value(query: str, name: str, value: object) -> str:
    """Return a query with a parameter set."""
    others = [(key, old) for key, old in parse_qsl(query, keep_blank_values=True) if key != name]
    return urlencode([*others, (name, str(value))])


@jinja2.pass_context
def _csrf_field(context: jinja2.runtime.Context) -> Markup:
    viewer: Viewer = context["viewer"]
    return Markup('<input type="hidden" name="{}" value="{}">').format(CSRF_FIELD, viewer.csrf)


@jinja2.pass_context
def _locked(context: jinja2.runtime.Context) -> Markup:
    """Return the start of a form's content that is disabled for users who may not change anything; ``_unlocked`` ends it."""
    return (
        Markup("")
        if context["viewer"].may(Right.WORK)
        else Markup('<p class="notice">{}</p><fieldset class="whole" disabled>').format(_READ_ONLY)
    )


@jinja2.pass_context
def _unlocked(context: jinja2.runtime.Context) -> Markup:
    return Markup("") if context["viewer"].may(Right.WORK) else Markup("</fieldset>")


@jinja2.pass_context
def _unsaved(context: jinja2.runtime.Context) -> Markup:
    """Return the attribute of a form that asks before unsaved input is lost; after a POST it counts as changed."""
    return Markup(' data-unsaved="changed"') if context["viewer"].is_posted else Markup(" data-unsaved")


def _static(name: str) -> str:
    if name not in STATIC_FILES:
        raise KeyError(f"there is no static file {name}")
    return f"{STATIC}/{VERSION}/{name}"


@jinja2.pass_context
def _when(context: jinja2.runtime.Context, moment: str | int | None, seconds: bool = True) -> Markup:
    viewer: Viewer = context["viewer"]
    return when(moment, viewer.zone, seconds)


@jinja2.pass_context
def _day(context: jinja2.runtime.Context, moment: str) -> str:
    """Return the local day of a moment (ISO text of the API): ``2026-10-30``."""
    viewer: Viewer = context["viewer"]
    return datetime.fromisoformat(moment).astimezone(viewer.zone).date().isoformat()


@jinja2.pass_context
def _in_zone(context: jinja2.runtime.Context, sentence: str) -> Markup:
    viewer: Viewer = context["viewer"]
    return in_zone(sentence, viewer.zone)


def _money(money: MoneyText | None) -> Markup:
    """Return an amount with its currency."""
    if money is None:
        return Markup('<span class="none">–</span>')
    return Markup('{}&nbsp;<span class="unit">{}</span>').format(amount(money.amount), money.currency)


_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_TEMPLATE_FOLDERS),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_ENVIRONMENT.filters |= {
    "when": _when,
    "day": _day,
    "in_zone": _in_zone,
    "money": _money,
    "amount": amount,
    "count": count,
    "byte_size": byte_size,
    "permitted_to": _permitted,
    "without": _without,
    "with_value": _with_value,
    "field_name": field_name,
    "in_words": in_words,
    "label": label,
    "parameter_name": parameter_name,
}
_ENVIRONMENT.globals |= {
    "static": _static,
    "csrf": _csrf_field,
    "seen_field": seen_field,
    "locked": _locked,
    "unlocked": _unlocked,
    "unsaved": _unsaved,
    "NAVIGATION": NAVIGATION,
    "FIRST_SECTIONS": FIRST_SECTIONS,
    "LATER_PATHS": LATER_PATHS,
}
