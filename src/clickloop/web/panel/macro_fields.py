"""Fields in which macros may stand: the list of macros under them, and what the text comes to, as it is typed."""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import quote

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import PathParameter, SkipValidation

from clickloop.macro import KNOWN, Finding, Group, Macro, Place, check, parse
from clickloop.macro.known import BY_NAME
from clickloop.macro.template import Fault, read
from clickloop.octets import readable
from clickloop.postback.alarm_rules import FILLED_FOR_ALARMS
from clickloop.postback.target import escaped_url
from clickloop.report.masking import MASK
from clickloop.store.ledger.campaigns import CAMPAIGNS
from clickloop.store.ledger.networks import NETWORKS
from clickloop.store.ledger.traffic_sources import SOURCES
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.traffic_sources import any_row_macros, row_macros, rows_missing, rows_off
from clickloop.web.panel.entry import NEEDS
from clickloop.web.panel.form import Form
from clickloop.web.panel.page import fragment
from clickloop.web.panel.remarks import ROW_MACROS, Remark, offer_remarks, postback_remarks, source_remarks
from clickloop.web.panel.setup_choices import number_of

MOST_CHARACTERS = 20_000
_PLACES = {"url": Place.URL, "header": Place.HEADER, "form": Place.FORM, "json": Place.JSON, "text": Place.TEXT}
_SINGLE_TOKENS = 3
"""So many of token1 … token30 and the like stand in the list beside those that the source has."""


class Piece(msgspec.Struct, frozen=True):
    """A part of the template. ``kind``: ``known``, ``unknown``, ``off`` (always empty), or empty for plain text."""

    text: str
    kind: str = ""
    title: str = ""


class Sight(msgspec.Struct, frozen=True):
    """What a template looks like: its pieces, what is wrong, and what would be sent for an example."""

    pieces: tuple[Piece, ...]
    findings: tuple[Finding, ...]
    used: tuple[str, ...]
    example: str
    remarks: tuple[Remark, ...] = ()


class MacroGroup(msgspec.Struct, frozen=True):
    """Macros as they are offered under a field."""

    name: str
    macros: tuple[tuple[str, str, bool], ...]
    """Name, what it is, and whether its row is off."""


class Rows(msgspec.Struct, frozen=True):
    """The rows of a source as macros see them."""

    spellings: Mapping[str, str] = {}
    """Lower-case parameter name to the canonical macro."""
    off: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    """Macros of V1 … V30 for which the source has no row; none where no source is known."""
    names: Mapping[str, str] = {}
    """Canonical macro to the row's parameter."""

    @property
    def empty(self) -> frozenset[str]:
        """The macros that are always empty."""
        return self.off | self.missing


def sight(
    text: str,
    rows: Rows,
    place: Place = Place.URL,
    *,
    source_url: bool = False,
    at_click: bool = False,
    remarks: tuple[Remark, ...] = (),
) -> Sight:
    """What becomes of a template. ``source_url``: it should carry the source's click id; ``at_click``: before a conversion;
    ``remarks``: what else is to be said of it."""
    wants_external_id = source_url and bool(text.strip())
    findings = check(
        text,
        rows.spellings,
        place,
        wants_external_id=wants_external_id,
        at_click=at_click,
        off=rows.off,
        missing=rows.missing,
    )
    pieces: list[Piece] = []
    used: dict[str, None] = {}
    done = 0
    for braces in read(text, rows.spellings):
        pieces.append(Piece(text[done : braces.start]))
        whole = text[braces.start : braces.end]
        if braces.fault is None:
            kind = "off" if _is_empty(braces.name, rows) else "known"
            pieces.append(Piece(whole, kind, _title(braces.name, rows)))
            used |= {braces.name: None, rows.names.get(braces.name, braces.name): None}
        elif braces.fault is Fault.OTHER_STYLE:
            pieces.append(Piece(whole, "unknown", "A macro of another system: nobody here replaces it."))
        else:
            pieces.append(Piece(whole, "unknown", "No macro of ours: it is sent as it is."))
        done = braces.end
    pieces.append(Piece(text[done:]))
    filled = parse(text, rows.spellings).render(_examples(rows), place, 1_767_225_600_000, lambda: 4711)
    example = readable(escaped_url(filled).replace(quote(MASK), MASK) if place is Place.URL else filled)
    if not rows.names:
        remarks += source_remarks(text)
    shown = tuple(piece for piece in pieces if piece.text)
    return Sight(shown, findings, tuple(used), example if text else "", remarks)


def offered(rows: Rows, *, at_click: bool = False) -> list[MacroGroup]:
    """The macros that a field offers, by group; the source's rows by their own names first."""
    own = tuple(
        (name, f"What the source's parameter {name} brought.", macro in rows.off)
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
        groups.append(MacroGroup(str(group.value).capitalize(), macros))
    return [group for group in groups if group.macros]


def offered_for_alarms() -> list[MacroGroup]:
    """Return the macros that a rule for alarms has, those of the alarm itself first."""
    known = [macro for macro in KNOWN if macro.name in FILLED_FOR_ALARMS]
    own = tuple((macro.name, macro.sentence, False) for macro in known if macro.group is Group.ALARM)
    others = tuple((macro.name, macro.sentence, False) for macro in known if macro.group is not Group.ALARM)
    return [MacroGroup("Alarm", own), MacroGroup("Others", others)]


def rows_of_source(context: ApiContext, source_id: int) -> Rows:
    """The rows of a stored source; of no source the names of any, since each click's own source decides."""
    with context.ledger.read() as tx:
        source = SOURCES.find(tx, source_id) if source_id else None
        if source is None:
            return Rows(any_row_macros(tx))
    spellings = row_macros(source)
    return Rows(
        spellings,
        frozenset(rows_off(source)),
        frozenset(rows_missing(source)),
        {spellings[row.parameter.lower()]: row.parameter for row in source.parameters},
    )


def rows_of_form(form: Form) -> Rows:
    """The rows as they stand in the form of a source, saved or not. Rows without a number get those that saving would give."""
    spellings = {"external_id": "externalid", "cost": "cost"}
    names = {"externalid": "external_id", "cost": "cost"}
    off: set[str] = set()
    rows = [row for row in form.tree.get("parameters", []) if isinstance(row, dict)]
    taken = {str(row.get("number", "")) for row in rows}
    highest = max((int(number) for number in taken if number.isdecimal() and len(number) < 3), default=0)
    free = iter([*range(highest + 1, 31), *(number for number in range(1, highest) if str(number) not in taken)])
    for row in rows:
        parameter = str(row.get("parameter", "")).strip()
        if not parameter:
            continue
        macro = {"external_id": "externalid", "cost": "cost"}.get(parameter.lower())
        if macro is None:
            number = str(row.get("number", "")) or str(next(free, ""))
            macro = f"token{number}"
        spellings[parameter.lower()] = macro
        names[macro] = parameter
        if not row.get("tracked"):
            off.add(macro)
    return Rows(spellings, frozenset(off), ROW_MACROS - set(spellings.values()), names)


def preview(
    context: Context,
    form: NamedDependency[SkipValidation[Form]],
    of: Annotated[str, PathParameter(description="source, rule or offer: whose field it is.")],
) -> Response[str]:
    """What the field named by ``field`` comes to: a part of the page, for the script that shows it."""
    name = form.text("field")
    text = next((value for given, value in form.pairs if given == name), "")[:MOST_CHARACTERS]
    place = Place.URL
    if name.endswith(".value"):
        place = Place.HEADER
    elif name == "request.body":
        place = _PLACES.get(form.text("request.body_kind"), Place.TEXT)
    rows = rows_of_form(form) if of == "source" else _rows_of_owner(context, form)
    seen = sight(
        text,
        rows,
        place,
        source_url=of == "source",
        at_click=of == "offer",
        remarks=_remarks(context, form, of, text) if place is Place.URL else (),
    )
    return Response(fragment("macro_sight.html", sight=seen), media_type="text/html")


def _remarks(context: ApiContext, form: Form, of: str, url: str) -> tuple[Remark, ...]:
    """What is to be said of the address of an offer or a postback."""
    if of != "offer":
        return postback_remarks(url, context.guard)
    parameter = click_id_parameter_of(context, number_of(form.text("network_id")))
    return offer_remarks(url, parameter, context.guard.policy.own_hosts)


def click_id_parameter_of(context: ApiContext, network_id: int | None) -> str:
    """The parameter of a network's links that takes our click id; empty where it is not known."""
    if network_id is None:
        return ""
    with context.ledger.read() as tx:
        network = NETWORKS.find(tx, network_id)
    return network.click_id_parameter if network else ""


def _rows_of_owner(context: ApiContext, form: Form) -> Rows:
    """The rows of the source that the form names, or of the source of its campaign."""
    source_id = number_of(form.text("source_id"))
    if source_id is not None:
        return rows_of_source(context, source_id)
    campaign_id = number_of(form.text("campaign_id"))
    if campaign_id is None:
        return rows_of_source(context, 0)
    with context.ledger.read() as tx:
        campaign = CAMPAIGNS.find(tx, campaign_id)
    return rows_of_source(context, campaign.source_id) if campaign else Rows()


def _examples(rows: Rows) -> dict[str, str]:
    return {macro.name: "" if _is_empty(macro.name, rows) else macro.example for macro in KNOWN}


def _is_empty(name: str, rows: Rows) -> bool:
    """Return whether a macro is empty whatever comes."""
    return name in rows.empty or not BY_NAME[name].available


def _title(name: str, rows: Rows) -> str:
    if name in rows.off:
        return "The slider of this row is off: it is empty."
    if name in rows.missing:
        return "The source has no such row: it is empty."
    macro = BY_NAME[name]
    return macro.sentence if macro.available else f"{macro.sentence} Not available yet: it is empty."


def _is_one_of_many(macro: Macro) -> bool:
    """Whether it is a numbered one beyond the first few, which would fill the list."""
    digits = macro.name.lstrip("abcdefghijklmnopqrstuvwxyz_.")
    return digits.isdecimal() and int(digits) > _SINGLE_TOKENS


routes = [post("/macro-preview/{of:str}", sync_to_thread=True, status_code=200, opt={NEEDS: None})(preview)]
