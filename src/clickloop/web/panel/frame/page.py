"""Rendering: a template and the visit make a page. Everything is escaped; nothing in a page comes from another host."""

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
from clickloop.setup.fault import Fault
from clickloop.setup.money_text import MoneyText
from clickloop.web.panel.frame.edit_conflict import overwriting_in, seen_field
from clickloop.web.panel.frame.field_names import field_name, parameter_name
from clickloop.web.panel.frame.form import CSRF_FIELD, by_path
from clickloop.web.panel.frame.navigation import FIRST_SECTIONS, LATER_PATHS, NAVIGATION, Entry
from clickloop.web.panel.frame.viewer import VisitFacts

STATIC = "/panel/static"
_FOLDER = Path(str(files(__package__)))
STATIC_FILES = {path.name: path.read_bytes() for path in sorted((_FOLDER / "static").iterdir()) if path.is_file()}
_TEMPLATE_FOLDERS = [path for path in sorted(_FOLDER.parent.iterdir()) if path.is_dir()]
"""Templates stand beside their pages. Their names differ over all folders, so a template names another without its folder."""
VERSION = hashlib.blake2b(b"\0".join(STATIC_FILES.values()), digest_size=6).hexdigest()
"""Of the static files: they are cached for ever under it."""

_MOMENT = re.compile(r"(?<!\w)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z(?!\w)")
_LOOK = "You may look at this, not change it."

Answer = Response[Any]
"""What a page's function answers: a page, or the way to another one."""


def page(
    visit: VisitFacts | None, template: str, status: int = 200, faults: tuple[Fault, ...] = (), **values: Any
) -> Answer:
    """The page of a template. ``faults`` stand beside the fields that they name; those of no shown field above the form.

    The status is 409 where one of them is that somebody else saved over what the form showed.
    """
    overwriting = overwriting_in(faults)
    template_values = {**values, "visit": visit, "faults": by_path(faults), "overwriting": overwriting}
    text = _ENVIRONMENT.get_template(template).render(template_values)
    return Response(text, status_code=409 if overwriting else status, media_type="text/html")


def fragment(template: str, **values: Any) -> str:
    """A part of a page, for a script of ours that puts it there."""
    return _ENVIRONMENT.get_template(template).render(**values)


def when(moment: str | int | None, zone: ZoneInfo, seconds: bool = True) -> Markup:
    """A moment (ISO text of the API, or Unix milliseconds) as people of that zone read it; the exact one on hover."""
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
    """Return a sentence, escaped, with each UTC moment (ISO 8601) in it as people of that zone read it."""
    parts: list[str] = []
    end = 0
    for found in _MOMENT.finditer(sentence):
        try:
            shown = when(found[0], zone)
        except ValueError:  # such as a 99th month, out of a file's name
            continue
        parts += [escape(sentence[end : found.start()]), shown]
        end = found.end()
    return Markup("").join([*parts, escape(sentence[end:])])


def amount(text: str | None, places: int = 2) -> str:
    """A decimal text of the API with thousands apart and at least ``places`` digits after the point: ``1,234.50``."""
    if text is None or text == "":
        return "–"
    sign, digits = ("−", text[1:]) if text.startswith("-") else ("", text)
    whole, _, part = digits.partition(".")
    return f"{sign}{int(whole or '0'):,}" + (f".{part.ljust(places, '0')}" if places or part else "")


def count(number: int | None) -> str:
    """A count with thousands apart."""
    return "–" if number is None else f"{number:,}"


def octets(number: int) -> str:
    """A size for people: ``1.4 GB``."""
    size = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _permitted(entries: tuple[Entry, ...], visit: VisitFacts) -> list[Entry]:
    return [entry for entry in entries if entry.right is None or visit.may(entry.right)]


def _without(query: str, name: str) -> str:
    """A query without a parameter."""
    return urlencode([(given, value) for given, value in parse_qsl(query, keep_blank_values=True) if given != name])


def _with_value(query: str, name: str, value: object) -> str:
    """A query with a parameter set."""
    kept = [(given, old) for given, old in parse_qsl(query, keep_blank_values=True) if given != name]
    return urlencode([*kept, (name, str(value))])


def _csrf_field(visit: VisitFacts) -> Markup:
    return Markup('<input type="hidden" name="{}" value="{}">').format(CSRF_FIELD, visit.csrf)


def _locked(visit: VisitFacts) -> Markup:
    """What the content of a form begins with that not everybody may send: for who may not, all of it is switched off."""
    return (
        Markup("")
        if visit.may(Right.WORK)
        else Markup('<p class="notice">{}</p><fieldset class="whole" disabled>').format(_LOOK)
    )


def _unlocked(visit: VisitFacts) -> Markup:
    """What it ends with."""
    return Markup("") if visit.may(Right.WORK) else Markup("</fieldset>")


def _unsaved(visit: VisitFacts) -> Markup:
    """The attribute of a form that asks before what was typed into it is lost. What was sent once and is shown again is typed, too."""
    return Markup(' data-unsaved="changed"') if visit.is_posted else Markup(" data-unsaved")


def _static(name: str) -> str:
    if name not in STATIC_FILES:
        raise KeyError(f"there is no static file {name}")
    return f"{STATIC}/{VERSION}/{name}"


@jinja2.pass_context
def _when(context: jinja2.runtime.Context, moment: str | int | None, seconds: bool = True) -> Markup:
    visit: VisitFacts = context["visit"]
    return when(moment, visit.zone, seconds)


@jinja2.pass_context
def _day(context: jinja2.runtime.Context, moment: str) -> str:
    """The day of a moment (ISO text of the API) as people of that zone read it: ``2026-10-30``."""
    visit: VisitFacts = context["visit"]
    return datetime.fromisoformat(moment).astimezone(visit.zone).date().isoformat()


@jinja2.pass_context
def _in_zone(context: jinja2.runtime.Context, sentence: str) -> Markup:
    visit: VisitFacts = context["visit"]
    return in_zone(sentence, visit.zone)


def _money(money: MoneyText | None) -> Markup:
    """An amount with its currency."""
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
    "octets": octets,
    "permitted_to": _permitted,
    "without": _without,
    "with_value": _with_value,
    "field_name": field_name,
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
