"""Check templates: foreign macros, unknown macros, and rows that are off or missing. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from clickloop.diagnosis.check.chain import macros_of, row_of
from clickloop.diagnosis.check.finding import CheckCode, CheckFinding
from clickloop.diagnosis.check.finding import CheckPlace as FoundPlace
from clickloop.macro import EncodingContext, Severity, TemplateIssueCode, check, parse
from clickloop.macro import TemplateIssue as MacroFinding
from clickloop.postback.rule import BodyKind, RequestTemplate
from clickloop.setup.network import Network
from clickloop.setup.source_rows import ROW_MACROS, ROW_NUMBERS, FixedRow, row_label
from clickloop.setup.traffic_source import SourceParameter, TrafficSource

_PLACES = {
    BodyKind.FORM: EncodingContext.FORM,
    BodyKind.JSON: EncodingContext.JSON,
    BodyKind.TEXT: EncodingContext.TEXT,
    BodyKind.MULTIPART: EncodingContext.FORM,
}
_FOREIGN = frozenset({TemplateIssueCode.OTHER_STYLE, TemplateIssueCode.UNKNOWN_MACRO})
_MAX_NAMES = 3
"""Maximum number of source names in a sentence; the rest is counted."""

PlaceOf = Callable[[str], FoundPlace]
"""Returns the place of a field."""


class Filling(msgspec.Struct, frozen=True, kw_only=True):
    """The context in which a template is filled."""

    sources: tuple[TrafficSource, ...]
    """The sources whose clicks it is filled for."""
    rows: Mapping[str, str]
    """The macros of their rows, by parameter in lower case."""
    foreign: Mapping[str, str]
    """Macros of the source or network that the template may have been copied from, and our equivalent of each."""
    foreign_code: CheckCode
    at_click: bool = False
    """Whether it is filled when the visitor is redirected, before there is a conversion."""


def postback_filling(sources: Sequence[TrafficSource], any_rows: Mapping[str, str] = {}) -> Filling:
    """Return the context of a postback for conversions of these sources; ``any_rows`` is used if there are none."""
    return Filling(
        sources=tuple(sources),
        rows=macros_of(sources) if sources else any_rows,
        foreign=source_macros(sources),
        foreign_code=CheckCode.SOURCE_MACRO_IN_OURS,
    )


def offer_filling(sources: Sequence[TrafficSource], any_rows: Mapping[str, str], network: Network | None) -> Filling:
    """Return the context of the URL of a network's offer; ``any_rows`` is used if no campaign sends visitors to it."""
    return Filling(
        sources=tuple(sources),
        rows=macros_of(sources) if sources else any_rows,
        foreign=network_macros(network) if network else {},
        foreign_code=CheckCode.NETWORK_MACRO_IN_OURS,
        at_click=True,
    )


def templates_of(request: RequestTemplate) -> Iterator[tuple[str, str, EncodingContext]]:
    """Yield the templates of a request: field, template, and the encoding context of its values."""
    yield "request.url", request.url, EncodingContext.URL
    for position, header in enumerate(request.headers):
        yield f"request.headers[{position}].value", header.value, EncodingContext.HEADER
    if request.body_kind is not BodyKind.NONE:
        yield "request.body", request.body, _PLACES[request.body_kind]


def request_findings(request: RequestTemplate, filling: Filling, place_of: PlaceOf) -> Iterator[CheckFinding]:
    """Yield the findings about the templates of a request."""
    for field, text, place in templates_of(request):
        yield from template_findings(text, filling, place_of(field), place)


def template_findings(
    text: str, filling: Filling, found_at: FoundPlace, place: EncodingContext = EncodingContext.URL
) -> Iterator[CheckFinding]:
    """Yield the findings about a template whose values are encoded for ``place``."""
    for finding in check(text, filling.rows, place, at_click=filling.at_click):
        if finding.code in _FOREIGN and finding.text in filling.foreign:
            yield _foreign(finding, filling.foreign[finding.text], filling.foreign_code, found_at)
        else:
            yield CheckFinding(
                finding.severity, CheckCode(finding.code.value), found_at, finding.sentence, finding.remedy
            )
    for name in parse(text, filling.rows).names:
        if name in ROW_NUMBERS:
            yield from _row_findings(name, filling.sources, found_at)


def source_macros(sources: Sequence[TrafficSource]) -> dict[str, str]:
    """Return our equivalents of the sources' placeholders."""
    return {
        row.placeholder: f"{{{row.parameter if row.number > 0 else ROW_MACROS[row.number]}}}"
        for source in reversed(sources)
        for row in reversed(source.parameters)
        if row.placeholder
    }


def network_macros(network: Network) -> dict[str, str]:
    """Return our equivalents of a network's macros; empty if there is none before a conversion."""
    return {
        macro: "{clickid}" if name == "cid" else "" for name, macro in reversed(network.postback_parameters.items())
    }


def _foreign(finding: MacroFinding, ours: str, code: CheckCode, place: FoundPlace) -> CheckFinding:
    whose = "traffic source's" if code is CheckCode.SOURCE_MACRO_IN_OURS else "network's"
    severity = Severity.ERROR if ours in ("{externalid}", "{clickid}") else Severity.WARNING
    sentence = f"{finding.text} is the {whose} own macro. It is not replaced here but sent as it is."
    return CheckFinding(severity, code, place, sentence, f"Write {ours}." if ours else finding.remedy)


def _row_findings(macro: str, sources: Sequence[TrafficSource], place: FoundPlace) -> Iterator[CheckFinding]:
    """Yield the findings about a row that a template uses, in the sources that have it or should have it."""
    rows = [(source, row) for source in sources if (row := row_of(source, macro)) is not None]
    if sources and not rows:
        whose = _names(sources) if len(sources) == 1 else "none of the sources"
        verb = "does not have" if len(sources) == 1 else "has"
        sentence = f"{{{macro}}} is {_label(macro)}, which {whose} {verb}, so it is always empty."
        remedy = "Add the parameter to the source, or remove the macro."
        yield CheckFinding(Severity.WARNING, CheckCode.ROW_MISSING, place, sentence, remedy)
    off = [(source, row) for source, row in rows if not row.tracked]
    if off:
        sentence = f"{_row(macro, off)} is not tracked, so it is always empty."
        remedy = "Turn on tracking for the parameter, or remove the macro."
        yield CheckFinding(Severity.WARNING, CheckCode.ROW_OFF, place, sentence, remedy)
    unsent = [
        (source, row) for source, row in rows if row.tracked and not row.placeholder and row.number > FixedRow.COST
    ]
    if unsent:
        sentence = f"{_row(macro, unsent)} has no placeholder, so the campaign link does not contain it."
        remedy = "Set the parameter's placeholder to the source's macro, unless the source adds it by itself."
        yield CheckFinding(Severity.NOTE, CheckCode.ROW_WITHOUT_PLACEHOLDER, place, sentence, remedy)


def _row(macro: str, rows: Sequence[tuple[TrafficSource, SourceParameter]]) -> str:
    """Return the name of a row: ``{zone} (parameter V1 of 'MGID')``."""
    return f"{{{rows[0][1].parameter}}} ({_label(macro)} of {_names([source for source, _ in rows])})"


def _label(macro: str) -> str:
    return f"parameter {row_label(ROW_NUMBERS[macro])}"


def _names(sources: Sequence[TrafficSource]) -> str:
    names = [repr(source.name) if source.name else "this source" for source in sources]
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return f"{', '.join(names[:_MAX_NAMES])}{more}"
