"""Fields in which macros may stand: the list of macros under them, and what the text comes to, as it is typed."""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import quote

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import PathParameter, SkipValidation

from clickloop.diagnosis.check.finding import Finding, Kind
from clickloop.diagnosis.check.finding import Place as FoundPlace
from clickloop.diagnosis.check.templates import Filling, offer_filling, postback_filling, template_findings
from clickloop.macro import KNOWN, Group, Macro, Place, check, parse
from clickloop.macro.finding import FindingCode
from clickloop.macro.known import BY_NAME, EVENTS, PARAMS, TOKENS
from clickloop.macro.template import Fault, read
from clickloop.postback.alarm_rules import FILLED_FOR_ALARMS
from clickloop.postback.masking import MASK
from clickloop.postback.sending.target import escaped_url
from clickloop.setup.source_rows import ROW_MACROS, V_MACROS, V_ROWS, row_macros
from clickloop.setup.traffic_source import RowInput, SourceParameter, TrafficSource, numbered_rows
from clickloop.store.ledger.setup.campaigns import CAMPAIGNS
from clickloop.store.ledger.setup.networks import NETWORKS
from clickloop.store.ledger.setup.traffic_sources import SOURCES, any_row_macros
from clickloop.text import readable
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.setup.networks import OfferLink, fill_offer_url
from clickloop.web.panel.frame.auth_guard import NEEDS
from clickloop.web.panel.frame.form import Form
from clickloop.web.panel.frame.page import fragment
from clickloop.web.panel.setup.remarks import (
    Remark,
    external_id_remarks,
    offer_remarks,
    postback_remarks,
    source_remarks,
)
from clickloop.web.panel.setup.setup_choices import number_of

MAX_LENGTH = 20_000  # the preview is made while somebody types
_PLACES = {"url": Place.URL, "header": Place.HEADER, "form": Place.FORM, "json": Place.JSON, "text": Place.TEXT}
_SOMEWHERE = FoundPlace(kind=Kind.POSTBACK_RULE)
"""The page shows the findings of a field beside it."""
_LAST_ONES = (f"token{TOKENS}", f"param{PARAMS}", f"event{EVENTS}")
_BRACE_FAULTS = {
    FindingCode.UNCLOSED_MACRO: "A brace that is never closed: it is sent as it is.",
    FindingCode.STRAY_BRACE: "A brace without its pair: it is sent as it is.",
}
_SINGLE_TOKENS = 3
"""Maximum number of unused token1 … token30 and the like that the list offers beside those that the source has."""


class TemplatePiece(msgspec.Struct, frozen=True):
    """A part of the template. ``kind``: ``known``, ``unknown``, ``off`` (always empty), or empty for plain text."""

    text: str
    kind: str = ""
    title: str = ""


class TemplatePreview(msgspec.Struct, frozen=True):
    """What a template looks like: its pieces, what is wrong, and what would be sent for an example."""

    pieces: tuple[TemplatePiece, ...]
    findings: tuple[Finding, ...]
    used: tuple[str, ...]
    example: str
    remarks: tuple[Remark, ...] = ()


class MacroGroup(msgspec.Struct, frozen=True):
    """Macros as they are offered under a field."""

    name: str
    macros: tuple[tuple[str, str, bool], ...]
    """Name, what it is, and whether its row is off."""
    last_ones: tuple[str, ...] = ()
    """The last of each series of numbered macros, of which only the first few are offered."""


class SourceRows(msgspec.Struct, frozen=True):
    """The rows of a source, saved or not, as macros see them; without a source those of any: each click's own source decides."""

    spellings: Mapping[str, str] = {}
    """The macros that the rows fill, by parameter in lower case."""
    source: TrafficSource | None = None
    off: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    """Macros of V1 … V30 for which the source has no row."""
    names: Mapping[str, str] = {}
    """The parameters of the source's rows, by the macro that each fills."""

    @classmethod
    def of(cls, source: TrafficSource) -> "SourceRows":
        """Return the rows of a source."""
        rows = source.parameters
        names = {ROW_MACROS[row.number]: row.parameter for row in rows}
        off = frozenset(ROW_MACROS[row.number] for row in rows if not row.tracked)
        return cls(row_macros(rows), source, off, V_MACROS - names.keys(), names)

    @property
    def empty(self) -> frozenset[str]:
        """The macros that are always empty."""
        return self.off | self.missing


def preview_template(
    text: str,
    rows: SourceRows,
    place: Place = Place.URL,
    *,
    filling: Filling | None = None,
    remarks: tuple[Remark, ...] = (),
) -> TemplatePreview:
    """Return what becomes of a template. ``filling`` None: that of a postback; ``remarks``: what else is to be said of it."""
    if filling is None:
        filling = postback_filling([rows.source] if rows.source else [], rows.spellings)
    findings = tuple(dict.fromkeys(template_findings(text, filling, _SOMEWHERE, place)))
    marked: list[tuple[int, int, TemplatePiece]] = []
    used: dict[str, None] = {}
    for braces in read(text, rows.spellings):
        whole = text[braces.start : braces.end]
        if braces.fault is None:
            kind = "off" if _is_empty(braces.name, rows) else "known"
            piece = TemplatePiece(whole, kind, _title(braces.name, rows))
            used |= {braces.name: None, rows.names.get(braces.name, braces.name): None}
        elif braces.fault is Fault.OTHER_STYLE:
            piece = TemplatePiece(whole, "unknown", "A macro of another system: it is sent as it is.")
        else:
            piece = TemplatePiece(whole, "unknown", "Not one of our macros: it is sent as it is.")
        marked.append((braces.start, braces.end, piece))
    for found in check(text, rows.spellings, place):
        if found.code in _BRACE_FAULTS:
            piece = TemplatePiece(found.text, "unknown", _BRACE_FAULTS[found.code])
            marked.append((found.position, found.position + len(found.text), piece))
    pieces: list[TemplatePiece] = []
    done = 0
    for start, end, piece in sorted(marked, key=lambda one: one[:2]):
        if start >= done:
            pieces += [TemplatePiece(text[done:start]), piece]
            done = end
    pieces.append(TemplatePiece(text[done:]))
    filled = parse(text, rows.spellings).render(_examples(rows), place, 1_767_225_600_000, lambda: 4711)
    example = readable(escaped_url(filled).replace(quote(MASK), MASK) if place is Place.URL else filled)
    if rows.source is None:
        remarks += source_remarks(text)
    shown = tuple(piece for piece in pieces if piece.text)
    return TemplatePreview(shown, findings, tuple(used), example if text else "", remarks)


def offered(rows: SourceRows, *, at_click: bool = False) -> list[MacroGroup]:
    """The macros that a field offers, by group; the source's rows by their own names first."""
    own = tuple(
        (name, f"The value of the source's parameter {name}.", macro in rows.off)
        for macro, name in rows.names.items()
        if macro not in ("externalid", "cost")
    )
    groups = [MacroGroup("This source's parameters", own)] if own else []
    for group in Group:
        if group is Group.ALARM:
            continue
        macros = tuple(
            (macro.name, macro.sentence, False)
            for macro in KNOWN
            if macro.group is group
            and macro.available
            and (macro.at_click or not at_click)
            and not _is_one_of_many(macro)
        )
        last_ones = tuple(
            name for name in _LAST_ONES if BY_NAME[name].group is group and (not at_click or BY_NAME[name].at_click)
        )
        groups.append(MacroGroup(str(group.value).capitalize(), macros, last_ones))
    return [group for group in groups if group.macros]


def offered_for_alarms() -> list[MacroGroup]:
    """Return the macros that a rule for alarms has, those of the alarm itself first."""
    known = [macro for macro in KNOWN if macro.name in FILLED_FOR_ALARMS]
    own = tuple((macro.name, macro.sentence, False) for macro in known if macro.group is Group.ALARM)
    others = tuple((macro.name, macro.sentence, False) for macro in known if macro.group is not Group.ALARM)
    return [MacroGroup("Alarm", own), MacroGroup("Others", others)]


def rows_of_source(context: ApiContext, source_id: int) -> SourceRows:
    """The rows of a stored source; of no source the names of any, since each click's own source decides."""
    with context.ledger.read() as tx:
        source = SOURCES.find(tx, source_id) if source_id else None
        if source is None:
            return SourceRows(any_row_macros(tx))
    return SourceRows.of(source)


def rows_of_form(form: Form) -> SourceRows:
    """Return the rows as they stand in the form of a source, saved or not, under the numbers that saving would give them."""
    given = [row for row in form.tree.get("parameters", []) if isinstance(row, dict)]
    wishes = [
        RowInput(
            parameter=str(row["parameter"]).strip(),
            number=_row_number(row.get("number")),
            placeholder=str(row.get("placeholder", "")),
            tracked=bool(row.get("tracked")),
        )
        for row in given
        if str(row.get("parameter", "")).strip()
    ]
    rows = [row for row in numbered_rows(wishes) if isinstance(row, SourceParameter)]  # none while there is a fault
    return SourceRows.of(TrafficSource(name=form.text("name"), parameters=tuple(rows)))


def _row_number(given: object) -> int | None:
    """Return the number of a row in a form if it is one that a V row can have; saving names the fault of any other."""
    number = number_of(given)
    return number if number in V_ROWS else None


def preview(
    context: Context,
    form: NamedDependency[SkipValidation[Form]],
    of: Annotated[str, PathParameter(description="source, rule or offer: whose field it is.")],
) -> Response[str]:
    """What the field named by ``field`` comes to: a part of the page, for the script that shows it."""
    name = form.text("field")
    text = next((value for given, value in form.pairs if given == name), "")[:MAX_LENGTH]
    place = Place.URL
    if name.endswith(".value"):
        place = Place.HEADER
    elif name == "request.body":
        place = _PLACES.get(form.text("request.body_kind"), Place.TEXT)
    rows = rows_of_form(form) if of == "source" else _rows_of_owner(context, form)
    if of == "offer":
        shown = preview_offer_url(context, text, number_of(form.text("network_id")), is_new=form.has("is_new"))
    elif of == "source":
        shown = preview_source_url(context, text, rows)
    else:
        shown = preview_template(
            text, rows, place, remarks=postback_remarks(text, context.guard) if place is Place.URL else ()
        )
    return Response(fragment("template_preview.html", preview=shown), media_type="text/html")


def preview_source_url(context: ApiContext, url: str, rows: SourceRows, *, faulty: bool = False) -> TemplatePreview:
    """Return what becomes of a source's postback URL. ``faulty``: its faults are told elsewhere."""
    refused = () if faulty else postback_remarks(url, context.guard)
    return preview_template(url, rows, remarks=(*external_id_remarks(url, rows.spellings), *refused))


def preview_offer_url(
    context: ApiContext, url: str, network_id: int | None, *, faulty: bool = False, is_new: bool = False
) -> TemplatePreview:
    """Return what becomes of the address of a network's offer. ``faulty``: its faults are told elsewhere.

    ``is_new``: saving adds the network's click id parameter where it is missing.
    """
    with context.ledger.read() as tx:
        rows = SourceRows(any_row_macros(tx))
        network = NETWORKS.find(tx, network_id) if network_id is not None else None
    saved = url
    if is_new and network_id is not None and url.strip() and "clickid" not in parse(url).names:
        saved = fill_offer_url(context, network_id, OfferLink(url=url)).url
    remarks = () if faulty else offer_remarks(saved, network, rows.spellings, context.guard.policy.own_hosts)
    if saved != url:
        remarks = (*remarks, Remark("dim", f"Saving adds the network’s click id parameter: {saved}"))
    return preview_template(url, rows, filling=offer_filling([], rows.spellings, network), remarks=remarks)


def _rows_of_owner(context: ApiContext, form: Form) -> SourceRows:
    """The rows of the source that the form names, or of the source of its campaign."""
    source_id = number_of(form.text("source_id"))
    if source_id is not None:
        return rows_of_source(context, source_id)
    campaign_id = number_of(form.text("campaign_id"))
    if campaign_id is None:
        return rows_of_source(context, 0)
    with context.ledger.read() as tx:
        campaign = CAMPAIGNS.find(tx, campaign_id)
    return rows_of_source(context, campaign.source_id) if campaign else SourceRows()


def _examples(rows: SourceRows) -> dict[str, str]:
    return {macro.name: "" if _is_empty(macro.name, rows) else macro.example for macro in KNOWN}


def _is_empty(name: str, rows: SourceRows) -> bool:
    """Return whether a macro is empty whatever comes."""
    return name in rows.empty or not BY_NAME[name].available


def _title(name: str, rows: SourceRows) -> str:
    if name in rows.off:
        return "This parameter is switched off, so the macro is empty."
    if name in rows.missing:
        return "The source has no such parameter, so the macro is empty."
    macro = BY_NAME[name]
    return macro.sentence if macro.available else f"{macro.sentence} Not available yet, so the macro is empty."


def _is_one_of_many(macro: Macro) -> bool:
    """Whether it is a numbered one beyond the first few, which would fill the list."""
    digits = macro.name.lstrip("abcdefghijklmnopqrstuvwxyz_.")
    return digits.isdecimal() and int(digits) > _SINGLE_TOKENS


routes = [post("/macro-preview/{of:str}", sync_to_thread=True, status_code=200, opt={NEEDS: None})(preview)]
