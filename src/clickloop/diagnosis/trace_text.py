"""The trace as a page of text: a line for each event, what is known of it indented below."""

import re
from collections.abc import Sequence

from clickloop.clock import iso_text
from clickloop.diagnosis.trace import EventKind, Trace
from clickloop.postback.due import Finding

MAX_LINE_LENGTH = 200  # a terminal has no more; the API has the whole text
_INDENT = " " * 26
_LINE_BREAKS = re.compile(r"[\r\n]+")
_SHORT_ESCAPES = {"\t": "\\t", "\v": "\\v", "\f": "\\f", "\0": "\\0"}


def trace_text(trace: Trace) -> str:
    """The trace for a terminal, the oldest event first; every moment is UTC."""
    lines = [f"Click {trace.click_id}"]
    if trace.click is None:
        lines.append("The id is genuine, but its click has not arrived.")
    if trace.left_out:
        lines.append(trace.left_out.sentence)
    for event in trace.events:
        of = f" Postback {event.id}." if event.kind is EventKind.ATTEMPT else ""
        lines.append(f"{iso_text(event.at)}  {event.kind:<10}  {one_line(event.sentence)}{of}")
        lines += [f"{_INDENT}{detail.name}: {one_line(detail.value)}" for detail in event.details]
        if event.kind is EventKind.POSTBACK:
            lines += [f"{_INDENT}{line}" for line in finding_lines(event.findings)]
    return "\n".join(lines) + "\n"


def every_finding_line(findings: Sequence[Finding]) -> list[str]:
    """A decision condition by condition, each as a sentence."""
    return [_finding_line(finding) for finding in findings]


def finding_lines(findings: Sequence[Finding]) -> list[str]:
    """A decision in short: what is not met, what was compared; the rest as a number."""
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


def _finding_line(finding: Finding) -> str:
    detail = f" {one_line(finding.detail)}." if finding.detail else ""
    if finding.met:
        return f"met      {finding.condition.met_sentence}{detail}"
    return f"not met  {finding.condition.sentence}{detail} ({finding.condition})"


def one_line(text: str, most: int = MAX_LINE_LENGTH) -> str:
    """The text on one line: breaks as ⏎, all else that cannot be seen (and could move a cursor) escaped, the end cut off and counted."""
    # Each line is stripped by itself: a pattern with the spaces around the break would try every run of spaces from each of them.
    text = " ⏎ ".join(line for part in _LINE_BREAKS.split(text) if (line := part.strip()))
    left = len(text) - most
    if left > 0:
        text = text[:most]
    seen = "".join(character if character.isprintable() else _escaped(character) for character in text)
    return f"{seen}… ({left} more characters)" if left > 0 else seen


def _escaped(character: str) -> str:
    code = ord(character)
    if character in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[character]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
