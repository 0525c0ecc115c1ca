"""Checking the templates of a chain: macros of others, macros that nobody knows, rows that are off or not there. Pure."""

from collections.abc import Callable, Iterator, Mapping

from clickloop.macro import Finding as MacroFinding
from clickloop.macro import FindingCode, Place, check, parse
from clickloop.postback.rule import BodyKind, RequestTemplate
from clickloop.report.check.chain import ROW_MACROS, row_macros, row_of
from clickloop.report.check.finding import Code, Finding, Severity
from clickloop.report.check.finding import Place as FoundPlace
from clickloop.setup.network import Network
from clickloop.setup.traffic_source import COST_ROW, EXTERNAL_ID_ROW, TrafficSource

_PLACES = {BodyKind.FORM: Place.FORM, BodyKind.JSON: Place.JSON, BodyKind.TEXT: Place.TEXT}
_FOREIGN = frozenset({FindingCode.OTHER_STYLE, FindingCode.UNKNOWN_MACRO})

PlaceOf = Callable[[str], FoundPlace]
"""The place of a field."""


def templates_of(request: RequestTemplate) -> Iterator[tuple[str, str, Place]]:
    """Every template of a request with its field and the place that it goes to."""
    yield "request.url", request.url, Place.URL
    for position, header in enumerate(request.headers):
        yield f"request.headers[{position}].value", header.value, Place.HEADER
    if request.body_kind is not BodyKind.NONE:
        yield "request.body", request.body, _PLACES[request.body_kind]


def request_findings(request: RequestTemplate, sources: list[TrafficSource], place_of: PlaceOf) -> Iterator[Finding]:
    """What is wrong with the templates of a rule that is sent for conversions of these sources."""
    foreign, rows = source_macros(sources), row_macros(sources)
    for field, text, place in templates_of(request):
        found_at = place_of(field)
        yield from _template_findings(text, sources, rows, place, foreign, Code.SOURCE_MACRO_IN_OURS, found_at)


def address_findings(
    url: str, sources: list[TrafficSource], known: list[TrafficSource], network: Network | None, place: FoundPlace
) -> Iterator[Finding]:
    """What is wrong with the address of an offer of a network that visitors of these sources are sent to.

    ``known``: all sources; the address of an offer that no campaign has may name the rows of any.
    """
    foreign = network_macros(network) if network else {}
    rows = row_macros(sources or known)
    yield from _template_findings(
        url, sources, rows, Place.URL, foreign, Code.NETWORK_MACRO_IN_OURS, place, at_click=True
    )


def source_macros(sources: list[TrafficSource]) -> dict[str, str]:
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


def _template_findings(
    text: str,
    sources: list[TrafficSource],
    rows: Mapping[str, str],
    place: Place,
    foreign: Mapping[str, str],
    foreign_code: Code,
    found_at: FoundPlace,
    *,
    at_click: bool = False,
) -> Iterator[Finding]:
    for finding in check(text, rows, place, at_click=at_click):
        if finding.code in _FOREIGN and finding.text in foreign:
            yield _foreign(finding, foreign[finding.text], foreign_code, found_at)
        else:
            severity = Severity.ERROR if finding.code is FindingCode.MACRO_IN_AUTHORITY else Severity.WARNING
            yield Finding(severity, Code(finding.code.value), found_at, finding.sentence, finding.remedy)
    for name in parse(text, rows).names:
        yield from _row_findings(name, sources, found_at)


def _foreign(finding: MacroFinding, ours: str, code: Code, place: FoundPlace) -> Finding:
    whose = "traffic source's" if code is Code.SOURCE_MACRO_IN_OURS else "network's"
    severity = Severity.ERROR if ours in ("{externalid}", "{clickid}") else Severity.WARNING
    sentence = f"{finding.text} is the {whose} own macro; nobody replaces it here, so it is sent as it is."
    return Finding(severity, code, place, sentence, f"Write {ours}." if ours else finding.remedy)


def _row_findings(macro: str, sources: list[TrafficSource], place: FoundPlace) -> Iterator[Finding]:
    """What is wrong with a row that a template uses, in the sources that do have or should have it."""
    if macro not in ROW_MACROS.values():
        return
    found = [(source, row_of(source, macro)) for source in sources]
    if sources and all(row is None for _, row in found):
        sentence = f"{{{macro}}} is the {_label(macro)}, which {_names(sources)} does not have, so it is always empty."
        yield Finding(
            Severity.WARNING, Code.ROW_MISSING, place, sentence, "Add the row to the source, or remove the macro."
        )
    for source, row in found:
        if row is None or row.number == EXTERNAL_ID_ROW:
            continue
        label = f"{{{row.parameter}}} ({_label(macro)} of {source.name!r})"
        if not row.tracked:
            sentence = f"{label} is off, so it is always empty."
            remedy = "Switch the row's slider on, or remove the macro."
            yield Finding(Severity.WARNING, Code.ROW_OFF, place, sentence, remedy)
        elif not row.placeholder and row.number != COST_ROW:
            sentence = f"{label} has no placeholder, so the campaign link does not carry it."
            remedy = "Set the row's placeholder to the source's macro, unless the source adds the parameter by itself."
            yield Finding(Severity.NOTE, Code.ROW_WITHOUT_PLACEHOLDER, place, sentence, remedy)


def _label(macro: str) -> str:
    return f"row V{macro[5:]}" if macro.startswith("token") else f"row {macro}"


def _names(sources: list[TrafficSource]) -> str:
    return repr(sources[0].name) if len(sources) == 1 else "any source"
