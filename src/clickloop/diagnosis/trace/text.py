"""The trace as text: a line per event, with its details indented below."""

import re
from collections.abc import Iterable, Sequence

from clickloop.clock import iso_text
from clickloop.diagnosis.trace.trace import EventKind, Trace
from clickloop.postback.due import ConditionResult

MAX_LINE_LENGTH = 200  # wider than max_length terminals; the API returns the whole text
_INDENT = " " * 26
_LINE_BREAKS = re.compile(r"[\r\n]+")
_SHORT_ESCAPES = {"\t": "\\t", "\v": "\\v", "\f": "\\f", "\0": "\\0"}


def trace_text(trace: Trace, route_lines: Iterable[str] = ()) -> str:
    """Return the trace for a terminal, the oldest event first; all times are UTC. ``route_lines``: how the route came about."""
    lines = [f"Click {trace.click_id}"]
    if trace.click is None:
        lines.append("The ID is genuine, but its click has not arrived.")
    if trace.left_out:
        lines.append(trace.left_out.sentence)
    for event in trace.events:
        of = f" Postback {event.id}." if event.kind is EventKind.ATTEMPT else ""
        lines.append(f"{iso_text(event.at)}  {event.kind.replace('_', ' '):<13}  {one_line(event.sentence)}{of}")
        lines += [f"{_INDENT}{detail.name}: {one_line(detail.value)}" for detail in event.details]
        if event.kind is EventKind.POSTBACK:
            lines += [f"{_INDENT}{line}" for line in finding_lines(event.findings)]
        if event.kind is EventKind.REDIRECT:
            lines += [f"{_INDENT}{line}" for line in route_lines]
    return "\n".join(lines) + "\n"


def every_finding_line(findings: Sequence[ConditionResult]) -> list[str]:
    """Return a decision with a sentence for each condition."""
    return [_finding_line(finding) for finding in findings]


def finding_lines(findings: Sequence[ConditionResult]) -> list[str]:
    """Return a decision in short: conditions that are not met or have details; the others as a count."""
    lines = []
    silent = 0
    for finding in findings:
        if finding.met and not finding.detail:
            silent += 1
        else:
            lines.append(_finding_line(finding))
    if silent:
        lines.append(
            f"met      {silent} of {len(findings)} conditions" if lines else f"met      all {silent} conditions"
        )
    return lines


def _finding_line(finding: ConditionResult) -> str:
    detail = f" {one_line(finding.detail)}." if finding.detail else ""
    if finding.met:
        return f"met      {finding.condition.met_sentence}{detail}"
    return f"not met  {finding.condition.sentence}{detail} ({finding.condition})"


def one_line(text: str, max_length: int = MAX_LINE_LENGTH) -> str:
    """Return the text on one line, cut to length: line breaks as ⏎, other unprintable characters escaped."""
    # Each line is stripped separately: a pattern with the spaces around a break would take quadratic time for runs of spaces.
    text = " ⏎ ".join(line for part in _LINE_BREAKS.split(text) if (line := part.strip()))
    left = len(text) - max_length
    if left > 0:
        text = text[:max_length]
    # Unprintable characters may move a terminal's cursor.
    shown = "".join(character if character.isprintable() else _escaped(character) for character in text)
    return f"{shown}… ({left} more characters)" if left > 0 else shown


def _escaped(character: str) -> str:
    code = ord(character)
    if character in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[character]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
