"""Check a template when it is saved: find what would be sent wrong, each with a sentence and a remedy."""

import difflib
import re
from collections.abc import Iterator, Mapping

from clickloop.macro.encoding_context import EncodingContext
from clickloop.macro.filters import NAMES
from clickloop.macro.known import BY_NAME, CANONICAL_OF_ALIAS, TOKENS
from clickloop.macro.shape import shape_issues
from clickloop.macro.template import Braces, MacroFault, read, resolve
from clickloop.macro.template_issue import Severity, TemplateIssue, TemplateIssueCode

# Ends before path, query and fragment; a backslash counts as a slash, as in browsers.
_AUTHORITY = re.compile(r"[^/?#\\]*(?:[/\\]{2,}[^/?#\\]*)?")
_ENCODED = re.compile(r"%(?:25){0,3}7B([A-Za-z_][A-Za-z0-9_.|:\-]{0,63})%(?:25){0,3}7D", re.IGNORECASE)
_OTHER_ANYWHERE = re.compile(r"__[A-Z][A-Z0-9_]{1,40}?__(?![A-Za-z0-9_])")
_OTHER_AS_VALUE = re.compile(
    r"(?<=[=/])(?:\[{1,2}=?[A-Za-z_]\w{0,63}=?\]{1,2}|%[A-Za-z_]\w{1,63}%"
    r"|#{1,2}[A-Za-z_]\w{0,63}(?:\([a-z]{1,20}\))?#{1,2}|@[A-Za-z_]\w{0,63}@)(?=[&/#;?\s]|$)",
    re.ASCII,
)
_NUMBERED = re.compile(r"([a-z]+)([0-9]{1,6})")
_SPELLINGS = (*BY_NAME, *CANONICAL_OF_ALIAS)
"""Suggestions for a misspelt name."""
_MAX_COMPARED_LENGTH = 60  # comparing takes time in proportion to the product of the lengths, for every known name
_MAX_FINDINGS = 100  # a text of braces alone would have thousands
_OTHER_SENTENCE = "{} is another system's macro and is not replaced."
_OTHER_REMEDY = "Replace it with one of the macros listed here, or with the value itself."


def check(
    text: str,
    rows: Mapping[str, str] = {},
    context: EncodingContext = EncodingContext.URL,
    *,
    at_click: bool = False,
) -> tuple[TemplateIssue, ...]:
    """Return all issues in order of position. Never raise.

    ``rows`` as for ``parse``; ``at_click``: for an offer or landing URL, which is filled in before there is a conversion. Macros
    after the first 100 issues are not checked.
    """
    findings: list[TemplateIssue] = []
    authority_end = _authority_end(text) if context is EncodingContext.URL else 0
    for braces in read(text, rows):
        if len(findings) >= _MAX_FINDINGS:
            break
        whole = text[braces.start : braces.end]
        if braces.start < authority_end:
            findings.append(_in_authority(braces, whole))
        if braces.fault is not None:
            findings.append(_faulty(braces, whole, rows))
            continue
        if at_click and not BY_NAME[braces.name].at_click:
            findings.append(_no_value_yet(braces, whole))
        if text[braces.start - 1 : braces.start] == "$" and context in (EncodingContext.URL, EncodingContext.FORM):
            findings.append(_dollar(braces, whole))
    findings += _other_styles(text, context)
    findings += shape_issues(text, context)
    return tuple(sorted(findings, key=lambda finding: finding.position))


def _authority_end(text: str) -> int:
    found = _AUTHORITY.match(text)
    return found.end() if found else 0


def _in_authority(braces: Braces, whole: str) -> TemplateIssue:
    return TemplateIssue(
        TemplateIssueCode.MACRO_IN_AUTHORITY,
        Severity.ERROR,
        braces.start,
        whole,
        f"{whole} is in the scheme, user, host or port of the URL, where a value could send the request elsewhere.",
        "Spell out the scheme and host. Macros are allowed in the path, query and fragment.",
    )


def _faulty(braces: Braces, whole: str, rows: Mapping[str, str]) -> TemplateIssue:
    if braces.fault is MacroFault.OTHER_STYLE:
        meant = resolve(braces.detail.strip(), rows)
        remedy = _remedy_for_macro(meant[0]) if meant else _OTHER_REMEDY
        sentence, code = _OTHER_SENTENCE.format(whole), TemplateIssueCode.OTHER_STYLE
    elif braces.fault is MacroFault.UNKNOWN_FILTER:
        near = difflib.get_close_matches(braces.detail[:_MAX_COMPARED_LENGTH], NAMES, 1)
        code, sentence = TemplateIssueCode.UNKNOWN_FILTER, f"{whole} has an unknown filter and is left as it is."
        remedy = f"Did you mean |{near[0]}?" if near else f"The filters are {', '.join(sorted(NAMES))}."
    elif braces.fault is MacroFault.WRONG_ARGUMENT:
        code, sentence = TemplateIssueCode.WRONG_ARGUMENT, f"{whole} has an invalid argument and is left as it is."
        remedy = f"{braces.detail[:1].upper()}{braces.detail[1:]}."
    else:
        code, sentence = TemplateIssueCode.UNKNOWN_MACRO, f"{whole} is not a known macro and is left as it is."
        remedy = _remedy_for_name(braces.detail.strip(), rows)
    return TemplateIssue(code, Severity.WARNING, braces.start, whole, sentence, remedy)


def _remedy_for_macro(name: str) -> str:
    """Return a remedy with our spelling. Another system's click id may mean ours or the source's; only the user can tell."""
    if name == "clickid":
        return "Write {externalid} for the source's own click ID, {clickid} for ours."
    return f"Write {{{name}}}."


def _remedy_for_name(name: str, rows: Mapping[str, str]) -> str:
    stem, colon, argument = name.partition(":")
    if colon and resolve(stem, rows) and "=" in argument:
        return f"Write {{{stem}|map:{','.join(argument.replace(',', ' ').split())}}}."
    near = nearest_name(name, rows)
    return (
        f"Did you mean {{{near}}}?"
        if near
        else "Choose a macro from the list, or leave it if the receiver wants it as it is."
    )


def nearest_name(name: str, rows: Mapping[str, str]) -> str | None:
    """Return the known name most similar to ``name``, a row's or a canonical one; None if none is similar."""
    if len(name) > _MAX_COMPARED_LENGTH:
        return None
    key = name.lower()
    for spelling in (key.strip("_! ").replace("-", "_"), key.replace("_", "").replace("-", "").replace(" ", "")):
        meant = resolve(spelling, rows)
        if meant:
            return _for_people(spelling, rows)
    if numbered := _NUMBERED.fullmatch(key):
        known = [number for number in range(1, TOKENS + 1) if resolve(f"{numbered[1]}{number}", rows)]
        if known:
            return _for_people(f"{numbered[1]}{min(known, key=lambda one: abs(one - int(numbered[2])))}", rows)
    near = difflib.get_close_matches(key, (*_SPELLINGS, *rows), 1, 0.7)
    return _for_people(near[0], rows) if near else None


def _for_people(spelling: str, rows: Mapping[str, str]) -> str:
    """Return the canonical name, but for a row its parameter rather than ``token7``."""
    meant = resolve(spelling, rows)
    return spelling if meant is None or (spelling in rows and meant[0].startswith("token")) else meant[0]


def _no_value_yet(braces: Braces, whole: str) -> TemplateIssue:
    return TemplateIssue(
        TemplateIssueCode.NO_VALUE_YET,
        Severity.WARNING,
        braces.start,
        whole,
        f"{whole} only has a value in postbacks; it is still empty when the visitor is redirected.",
        "Remove it here, and use it in a postback.",
    )


def _dollar(braces: Braces, whole: str) -> TemplateIssue:
    return TemplateIssue(
        TemplateIssueCode.OTHER_STYLE,
        Severity.WARNING,
        braces.start - 1,
        f"${whole}",
        f"The dollar sign before {whole} is sent in front of the value.",
        f"Write {whole} without the dollar sign.",
    )


def _other_styles(text: str, context: EncodingContext) -> Iterator[TemplateIssue]:
    styles = (
        (_OTHER_ANYWHERE, _OTHER_AS_VALUE)
        if context in (EncodingContext.URL, EncodingContext.FORM)
        else (_OTHER_ANYWHERE,)
    )
    for style in styles:
        for found in style.finditer(text):
            sentence = _OTHER_SENTENCE.format(found[0])
            yield TemplateIssue(
                TemplateIssueCode.OTHER_STYLE, Severity.WARNING, found.start(), found[0], sentence, _OTHER_REMEDY
            )
    for found in _ENCODED.finditer(text):
        sentence = f"The braces of {found[0]} are percent-encoded, so it is sent as it is."
        yield TemplateIssue(
            TemplateIssueCode.ENCODED_BRACES,
            Severity.WARNING,
            found.start(),
            found[0],
            sentence,
            f"Write {{{found[1]}}}.",
        )
