"""Fields with macros: the macros offered under them, and a live preview of the template."""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import quote

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import PathParameter, SkipValidation

from clickloop.diagnosis.check.finding import CheckFinding, CheckPlaceKind
from clickloop.diagnosis.check.finding import CheckPlace as FindingPlace
from clickloop.diagnosis.check.templates import Filling, offer_filling, postback_filling, template_findings
from clickloop.macro import KNOWN, EncodingContext, Macro, MacroCategory, check, parse
from clickloop.macro.known import BY_NAME, EVENTS, PARAMS, TOKENS
from clickloop.macro.template import MacroFault, read
from clickloop.macro.template_issue import TemplateIssueCode
from clickloop.postback.alarm_rules import FILLED_FOR_ALARMS
from clickloop.postback.masking import MASK
from clickloop.postback.sending.target import escaped_url
from clickloop.postback.view_rules import FILLED_FOR_VIEWS
from clickloop.setup.source_rows import ROW_MACROS, V_MACROS, V_ROWS, row_macros
from clickloop.setup.traffic_source import RowInput, SourceParameter, TrafficSource, numbered_rows
from clickloop.store.ledger.setup.campaigns import CAMPAIGNS
from clickloop.store.ledger.setup.networks import NETWORKS
from clickloop.store.ledger.setup.traffic_sources import SOURCES, any_row_macros
from clickloop.text import readable
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.setup.networks import OfferLink, fill_offer_url
from clickloop.web.panel.frame.auth_guard import NEEDS
from clickloop.web.panel.frame.field_names import label
from clickloop.web.panel.frame.form import Form
from clickloop.web.panel.frame.page import fragment
from clickloop.web.panel.setup.remarks import (
    Remark,
    external_id_remarks,
    landing_remarks,
    offer_remarks,
    postback_remarks,
    source_remarks,
)
from clickloop.web.panel.setup.setup_choices import number_of

MAX_LENGTH = 20_000  # longer templates are cut in the preview, which runs at every pause in typing
_PLACES = {
    "url": EncodingContext.URL,
    "header": EncodingContext.HEADER,
    "form": EncodingContext.FORM,
    "json": EncodingContext.JSON,
    "text": EncodingContext.TEXT,
}
_NO_PLACE = FindingPlace(kind=CheckPlaceKind.POSTBACK_RULE)
"""Findings need a place, but the page shows them beside the field."""
_LAST_NUMBERED = (f"token{TOKENS}", f"param{PARAMS}", f"event{EVENTS}")
_BRACE_FAULTS = {
    TemplateIssueCode.UNCLOSED_MACRO: "This brace is never closed, so it is sent as it is.",
    TemplateIssueCode.STRAY_BRACE: "This brace has no pair, so it is sent as it is.",
}
_MAX_NUMBERED = 3
"""Maximum number of each numbered series, such as token1 … token30, that the list offers."""


class TemplatePiece(msgspec.Struct, frozen=True):
    """A part of a template. ``kind``: ``known``, ``unknown``, ``off`` (always empty), or empty for plain text."""

    text: str
    kind: str = ""
    title: str = ""


class TemplatePreview(msgspec.Struct, frozen=True):
    """A template's pieces, its findings, the macros it uses, and the text sent for an example click."""

    pieces: tuple[TemplatePiece, ...]
    findings: tuple[CheckFinding, ...]
    used: tuple[str, ...]
    example: str
    remarks: tuple[Remark, ...] = ()


class MacroGroup(msgspec.Struct, frozen=True):
    """A titled group of macros offered under a field."""

    name: str
    macros: tuple[tuple[str, str, bool], ...]
    """Name, description, and whether its row is switched off."""
    last_numbered: tuple[str, ...] = ()
    """The last macro of each numbered series, of which only the first few are offered."""


class SourceRows(msgspec.Struct, frozen=True):
    """The rows of a source, saved or not, as macros see them; without a source, the rows of all: each click's source decides."""

    spellings: Mapping[str, str] = {}
    """Macros that the rows fill, by parameter in lower case."""
    source: TrafficSource | None = None
    off: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    """Macros of V1 … V30 without a row in the source."""
    names: Mapping[str, str] = {}
    """Parameters of the source's rows, by macro."""
    without_base: frozenset[str] = frozenset()
    """Macros that no geo base fills."""

    @classmethod
    def of(cls, source: TrafficSource, without_base: frozenset[str] = frozenset()) -> "SourceRows":
        rows = source.parameters
        names = {ROW_MACROS[row.number]: row.parameter for row in rows}
        off = frozenset(ROW_MACROS[row.number] for row in rows if not row.tracked)
        return cls(row_macros(rows), source, off, V_MACROS - names.keys(), names, without_base)

    @property
    def empty(self) -> frozenset[str]:
        """Macros that are always empty."""
        return self.off | self.missing | self.without_base


def preview_template(
    text: str,
    rows: SourceRows,
    place: EncodingContext = EncodingContext.URL,
    *,
    filling: Filling | None = None,
    remarks: tuple[Remark, ...] = (),
) -> TemplatePreview:
    """Return the preview of a template. ``filling`` None: filled as a postback; ``remarks``: further remarks to show."""
    if filling is None:
        filling = postback_filling([rows.source] if rows.source else [], rows.spellings)
    findings = tuple(dict.fromkeys(template_findings(text, filling, _NO_PLACE, place)))
    marked: list[tuple[int, int, TemplatePiece]] = []
    used: dict[str, None] = {}
    for braces in read(text, rows.spellings):
        token = text[braces.start : braces.end]
        if braces.fault is None:
            kind = "off" if _is_empty(braces.name, rows) else "known"
            piece = TemplatePiece(token, kind, _title(braces.name, rows))
            used |= {braces.name: None, rows.names.get(braces.name, braces.name): None}
        elif braces.fault is MacroFault.OTHER_STYLE:
            piece = TemplatePiece(token, "unknown", "A macro of another system, sent as it is.")
        else:
            piece = TemplatePiece(token, "unknown", "Not one of our macros, sent as it is.")
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
    example = readable(escaped_url(filled).replace(quote(MASK), MASK) if place is EncodingContext.URL else filled)
    if rows.source is None:
        remarks += source_remarks(text)
    if empty := [f"{{{name}}}" for name in used if name in rows.without_base]:
        sentence = f"No geo base fills {' or '.join(empty)}, so nothing is sent there."
        remarks += (Remark("warning", sentence, "The page Health lists the bases."),)
    shown = tuple(piece for piece in pieces if piece.text)
    return TemplatePreview(shown, findings, tuple(used), example if text else "", remarks)


def offered(rows: SourceRows, *, at_click: bool = False) -> list[MacroGroup]:
    """Return the macros of a field by group, the source's own rows first. ``at_click``: only those known at the click."""
    own = tuple(
        (name, f"The value of the source's parameter {name}.", macro in rows.off)
        for macro, name in rows.names.items()
        if macro not in ("externalid", "cost")
    )
    groups = [MacroGroup("This source's parameters", own)] if own else []
    for group in MacroCategory:
        if group in (MacroCategory.ALARM, MacroCategory.VIEW):
            continue
        macros = tuple(
            (macro.name, macro.sentence, False)
            for macro in KNOWN
            if macro.group is group
            and macro.name not in rows.without_base
            and (macro.at_click or not at_click)
            and not _is_high_numbered(macro)
        )
        last_numbered = tuple(
            name for name in _LAST_NUMBERED if BY_NAME[name].group is group and (not at_click or BY_NAME[name].at_click)
        )
        groups.append(MacroGroup(label(group.value), macros, last_numbered))
    return [group for group in groups if group.macros]


def offered_for_alarms() -> list[MacroGroup]:
    """Return the macros of a rule for alarms, the alarm's own first."""
    known = [macro for macro in KNOWN if macro.name in FILLED_FOR_ALARMS]
    own = tuple((macro.name, macro.sentence, False) for macro in known if macro.group is MacroCategory.ALARM)
    others = tuple((macro.name, macro.sentence, False) for macro in known if macro.group is not MacroCategory.ALARM)
    return [MacroGroup("Alarm", own), MacroGroup("Others", others)]


def offered_for_views() -> list[MacroGroup]:
    """Return the macros of a rule for views, the view's own first."""
    known = [macro for macro in KNOWN if macro.name in FILLED_FOR_VIEWS]
    own = tuple((macro.name, macro.sentence, False) for macro in known if macro.group is MacroCategory.VIEW)
    others = tuple((macro.name, macro.sentence, False) for macro in known if macro.group is not MacroCategory.VIEW)
    return [MacroGroup("View", own), MacroGroup("Others", others)]


def rows_of_source(context: ApiContext, source_id: int) -> SourceRows:
    """Return the rows of a saved source; for 0 or an unknown one, the rows of all sources."""
    with context.ledger.read() as tx:
        source = SOURCES.find(tx, source_id) if source_id else None
        if source is None:
            return SourceRows(any_row_macros(tx), without_base=context.empty_macros())
    return SourceRows.of(source, context.empty_macros())


def rows_of_form(context: ApiContext, form: Form) -> SourceRows:
    """Return the rows in the form of a source, with the numbers that saving would give them; none while a row has a fault."""
    submitted = [row for row in form.tree.get("parameters", []) if isinstance(row, dict)]
    inputs = [
        RowInput(
            parameter=str(row["parameter"]).strip(),
            number=_row_number(row.get("number")),
            placeholder=str(row.get("placeholder", "")),
            tracked=bool(row.get("tracked")),
        )
        for row in submitted
        if str(row.get("parameter", "")).strip()
    ]
    rows = [row for row in numbered_rows(inputs) if isinstance(row, SourceParameter)]
    source = TrafficSource(name=form.text("name"), parameters=tuple(rows))
    return SourceRows.of(source, context.empty_macros())


def _row_number(value: object) -> int | None:
    """Return the number of a row in a form if a V row can have it; saving reports any other."""
    number = number_of(value)
    return number if number in V_ROWS else None


def preview(
    context: Context,
    form: NamedDependency[SkipValidation[Form]],
    of: Annotated[str, PathParameter(description="Record type of the field: source, rule, offer or landing.")],
) -> Response[str]:
    """Return the preview of the form field that ``field`` names, for the script that inserts it."""
    name = form.text("field")
    text = next((value for field, value in form.pairs if field == name), "")[:MAX_LENGTH]
    place = EncodingContext.URL
    if name.endswith(".value"):
        place = EncodingContext.HEADER
    elif name == "request.body":
        place = _PLACES.get(form.text("request.body_kind"), EncodingContext.TEXT)
    rows = rows_of_form(context, form) if of == "source" else _rows_of_owner(context, form)
    if of == "offer":
        shown = preview_offer_url(context, text, number_of(form.text("network_id")), is_new=form.has("is_new"))
    elif of == "landing":
        shown = preview_landing_url(context, text)
    elif of == "source":
        shown = preview_source_url(context, text, rows)
    else:
        shown = preview_template(
            text, rows, place, remarks=postback_remarks(text, context.guard) if place is EncodingContext.URL else ()
        )
    return Response(fragment("template_preview.html", preview=shown), media_type="text/html")


def preview_source_url(context: ApiContext, url: str, rows: SourceRows, *, faulty: bool = False) -> TemplatePreview:
    """Return the preview of a source's postback URL. ``faulty``: its faults are shown elsewhere."""
    refused = () if faulty else postback_remarks(url, context.guard)
    return preview_template(url, rows, remarks=(*external_id_remarks(url, rows.spellings), *refused))


def preview_offer_url(
    context: ApiContext, url: str, network_id: int | None, *, faulty: bool = False, is_new: bool = False
) -> TemplatePreview:
    """Return the preview of an offer URL. ``faulty``: its faults are shown elsewhere.

    ``is_new``: saving adds the network's click ID parameter if it is missing.
    """
    with context.ledger.read() as tx:
        rows = SourceRows(any_row_macros(tx), without_base=context.empty_macros())
        network = NETWORKS.find(tx, network_id) if network_id is not None else None
    saved = url
    if is_new and network_id is not None and url.strip() and "clickid" not in parse(url).names:
        saved = fill_offer_url(context, network_id, OfferLink(url=url)).url
    remarks = () if faulty else offer_remarks(saved, network, rows.spellings, context.guard.policy.own_hosts)
    if saved != url:
        remarks = (*remarks, Remark("dim", f"Saving adds the network’s click ID parameter: {saved}"))
    return preview_template(url, rows, filling=offer_filling([], rows.spellings, network), remarks=remarks)


def preview_landing_url(context: ApiContext, url: str, *, faulty: bool = False) -> TemplatePreview:
    """Return the preview of a landing's or path's URL. ``faulty``: its faults are shown elsewhere."""
    with context.ledger.read() as tx:
        rows = SourceRows(any_row_macros(tx))
    remarks = () if faulty else landing_remarks(url)
    return preview_template(url, rows, filling=offer_filling([], rows.spellings, None), remarks=remarks)


def _rows_of_owner(context: ApiContext, form: Form) -> SourceRows:
    """Return the rows of the source or campaign that the form names."""
    source_id = number_of(form.text("source_id"))
    if source_id is not None:
        return rows_of_source(context, source_id)
    campaign_id = number_of(form.text("campaign_id"))
    if campaign_id is None:
        return rows_of_source(context, 0)
    with context.ledger.read() as tx:
        campaign = CAMPAIGNS.find(tx, campaign_id)
    return rows_of_source(context, campaign.source_id) if campaign else SourceRows(without_base=context.empty_macros())


def _examples(rows: SourceRows) -> dict[str, str]:
    return {macro.name: "" if _is_empty(macro.name, rows) else macro.example for macro in KNOWN}


def _is_empty(name: str, rows: SourceRows) -> bool:
    """Return whether a macro is always empty."""
    return name in rows.empty


def _title(name: str, rows: SourceRows) -> str:
    if name in rows.off:
        return "This parameter is switched off, so the macro is empty."
    if name in rows.missing:
        return "The source has no such parameter, so the macro is empty."
    if name in rows.without_base:
        return "No geo base has it, so the macro is empty. The page Health lists the bases."
    return BY_NAME[name].sentence


def _is_high_numbered(macro: Macro) -> bool:
    """Return whether a macro is numbered beyond the first few, which would fill the list."""
    digits = macro.name.lstrip("abcdefghijklmnopqrstuvwxyz_.")
    return digits.isdecimal() and int(digits) > _MAX_NUMBERED


routes = [post("/macro-preview/{of:str}", sync_to_thread=True, status_code=200, opt={NEEDS: None})(preview)]
