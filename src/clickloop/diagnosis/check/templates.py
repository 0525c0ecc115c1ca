"""Checking the templates of a chain: macros of others, macros that nobody knows, rows that are off or not there. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from clickloop.diagnosis.check.chain import macros_of, row_of
from clickloop.diagnosis.check.finding import Code, Finding
from clickloop.diagnosis.check.finding import Place as FoundPlace
from clickloop.macro import Finding as MacroFinding
from clickloop.macro import FindingCode, Place, Severity, check, parse
from clickloop.postback.rule import BodyKind, RequestTemplate
from clickloop.setup.network import Network
from clickloop.setup.source_rows import ROW_MACROS, ROW_NUMBERS, FixedRow, row_label
from clickloop.setup.traffic_source import SourceParameter, TrafficSource

_PLACES = {BodyKind.FORM: Place.FORM, BodyKind.JSON: Place.JSON, BodyKind.TEXT: Place.TEXT}
_FOREIGN = frozenset({FindingCode.OTHER_STYLE, FindingCode.UNKNOWN_MACRO})
_MAX_NAMES = 3
"""Names of sources in a sentence; the others are counted."""

PlaceOf = Callable[[str], FoundPlace]
"""The place of a field."""


class Filling(msgspec.Struct, frozen=True, kw_only=True):
    """What a template is filled with."""

    sources: tuple[TrafficSource, ...]
    """Those whose clicks it is filled for."""
    rows: Mapping[str, str]
    """The macros of their rows, by parameter in lower case."""
    foreign: Mapping[str, str]
    """The macros of the source or network that the template may have been copied from, and ours in place of each."""
    foreign_code: Code
    at_click: bool = False
    """It is filled when the visitor is redirected, before there is a conversion."""


def postback_filling(sources: Sequence[TrafficSource], any_rows: Mapping[str, str] = {}) -> Filling:
    """Return what a postback for conversions of these sources is filled with; of none known: ``any_rows``."""
    return Filling(
        sources=tuple(sources),
        rows=macros_of(sources) if sources else any_rows,
        foreign=source_macros(sources),
        foreign_code=Code.SOURCE_MACRO_IN_OURS,
    )


def offer_filling(sources: Sequence[TrafficSource], any_rows: Mapping[str, str], network: Network | None) -> Filling:
    """Return what the address of a network's offer is filled with; ``any_rows`` where no campaign sends visitors to it."""
    return Filling(
        sources=tuple(sources),
        rows=macros_of(sources) if sources else any_rows,
        foreign=network_macros(network) if network else {},
        foreign_code=Code.NETWORK_MACRO_IN_OURS,
        at_click=True,
    )


def templates_of(request: RequestTemplate) -> Iterator[tuple[str, str, Place]]:
    """Every template of a request with its field and the place that it goes to."""
    yield "request.url", request.url, Place.URL
    for position, header in enumerate(request.headers):
        yield f"request.headers[{position}].value", header.value, Place.HEADER
    if request.body_kind is not BodyKind.NONE:
        yield "request.body", request.body, _PLACES[request.body_kind]


def request_findings(request: RequestTemplate, filling: Filling, place_of: PlaceOf) -> Iterator[Finding]:
    """Return what is wrong with the templates of a request."""
    for field, text, place in templates_of(request):
        yield from template_findings(text, filling, place_of(field), place)


def template_findings(text: str, filling: Filling, found_at: FoundPlace, place: Place = Place.URL) -> Iterator[Finding]:
    """Return what is wrong with a template that goes to ``place``."""
    for finding in check(text, filling.rows, place, at_click=filling.at_click):
        if finding.code in _FOREIGN and finding.text in filling.foreign:
            yield _foreign(finding, filling.foreign[finding.text], filling.foreign_code, found_at)
        else:
            yield Finding(finding.severity, Code(finding.code.value), found_at, finding.sentence, finding.remedy)
    for name in parse(text, filling.rows).names:
        if name in ROW_NUMBERS:
            yield from _row_findings(name, filling.sources, found_at)


def source_macros(sources: Sequence[TrafficSource]) -> dict[str, str]:
    """By placeholder of these sources, our macro for the same."""
    return {
        row.placeholder: f"{{{row.parameter if row.number > 0 else ROW_MACROS[row.number]}}}"
        for source in reversed(sources)
        for row in reversed(source.parameters)
        if row.placeholder
    }


def network_macros(network: Network) -> dict[str, str]:
    """By macro of a network, our macro for the same; empty where there is none before a conversion."""
    return {
        macro: "{clickid}" if name == "cid" else "" for name, macro in reversed(network.postback_parameters.items())
    }


def _foreign(finding: MacroFinding, ours: str, code: Code, place: FoundPlace) -> Finding:
    whose = "traffic source's" if code is Code.SOURCE_MACRO_IN_OURS else "network's"
    severity = Severity.ERROR if ours in ("{externalid}", "{clickid}") else Severity.WARNING
    sentence = f"{finding.text} is the {whose} own macro; nobody replaces it here, so it is sent as it is."
    return Finding(severity, code, place, sentence, f"Write {ours}." if ours else finding.remedy)


def _row_findings(macro: str, sources: Sequence[TrafficSource], place: FoundPlace) -> Iterator[Finding]:
    """Return what is wrong with a row that a template uses, in the sources that do have or should have it."""
    rows = [(source, row) for source in sources if (row := row_of(source, macro)) is not None]
    if sources and not rows:
        whose = _names(sources) if len(sources) == 1 else "any source"
        sentence = f"{{{macro}}} is the {_label(macro)}, which {whose} does not have, so it is always empty."
        remedy = "Add the row to the source, or remove the macro."
        yield Finding(Severity.WARNING, Code.ROW_MISSING, place, sentence, remedy)
    off = [(source, row) for source, row in rows if not row.tracked]
    if off:
        sentence = f"{_row(macro, off)} is off, so it is always empty."
        remedy = "Switch the row's slider on, or remove the macro."
        yield Finding(Severity.WARNING, Code.ROW_OFF, place, sentence, remedy)
    unsent = [
        (source, row) for source, row in rows if row.tracked and not row.placeholder and row.number > FixedRow.COST
    ]
    if unsent:
        sentence = f"{_row(macro, unsent)} has no placeholder, so the campaign link does not carry it."
        remedy = "Set the row's placeholder to the source's macro, unless the source adds the parameter by itself."
        yield Finding(Severity.NOTE, Code.ROW_WITHOUT_PLACEHOLDER, place, sentence, remedy)


def _row(macro: str, rows: Sequence[tuple[TrafficSource, SourceParameter]]) -> str:
    """Return the name of a row for people: ``{zone} (row V1 of 'MGID')``."""
    return f"{{{rows[0][1].parameter}}} ({_label(macro)} of {_names([source for source, _ in rows])})"


def _label(macro: str) -> str:
    return f"row {row_label(ROW_NUMBERS[macro])}"


def _names(sources: Sequence[TrafficSource]) -> str:
    names = [repr(source.name) if source.name else "this source" for source in sources]
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return f"{', '.join(names[:_MAX_NAMES])}{more}"
