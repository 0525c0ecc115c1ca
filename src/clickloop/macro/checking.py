"""Checks a template when it is saved: what would be sent wrong, said for people, with a remedy."""

import difflib
import re
from collections.abc import Iterator, Mapping

from clickloop.macro.filters import NAMES
from clickloop.macro.finding import Finding, FindingCode, Severity
from clickloop.macro.known import BY_NAME, CANONICAL_OF_ALIAS, TOKENS
from clickloop.macro.place import Place
from clickloop.macro.shape import shape_findings
from clickloop.macro.template import Braces, Fault, read, resolve

# Ends before path, query and fragment; a backslash counts as browsers count it.
_AUTHORITY = re.compile(r"[^/?#\\]*(?:[/\\]{2,}[^/?#\\]*)?")
_ENCODED = re.compile(r"%(?:25){0,3}7B([A-Za-z_][A-Za-z0-9_.|:\-]{0,63})%(?:25){0,3}7D", re.IGNORECASE)
_OTHER_ANYWHERE = re.compile(r"__[A-Z][A-Z0-9_]{1,40}?__(?![A-Za-z0-9_])")
_OTHER_AS_VALUE = re.compile(
    r"(?<=[=/])(?:\[{1,2}=?[A-Za-z_]\w{0,63}=?\]{1,2}|%[A-Za-z_]\w{1,63}%"
    r"|#{1,2}[A-Za-z_]\w{0,63}(?:\([a-z]{1,20}\))?#{1,2}|@[A-Za-z_]\w{0,63}@)(?=[&/#;?\s]|$)",
    re.ASCII,
)
_NUMBERED = re.compile(r"([a-z]+)([0-9]{1,6})")
_SPELLINGS = tuple(
    spelling
    for spelling in (*BY_NAME, *CANONICAL_OF_ALIAS)
    if BY_NAME[CANONICAL_OF_ALIAS.get(spelling, spelling)].available
)
"""What a misspelt name may have been meant for: a macro without a value is no remedy."""
_MAX_COMPARED_LENGTH = 60  # comparing costs the product of the lengths, with every name there is
_MAX_FINDINGS = 100  # a text of braces alone would make thousands
_OTHER_SENTENCE = "{} is a macro of another system; nobody here replaces it."


def check(
    text: str,
    rows: Mapping[str, str] = {},
    place: Place = Place.URL,
    *,
    at_click: bool = False,
) -> tuple[Finding, ...]:
    """Return all findings in order of position. Never raises.

    ``rows`` as for ``parse``; ``at_click``: for an offer or landing URL, which is filled in before there is a conversion. Stops
    looking at macros after 100 findings.
    """
    findings: list[Finding] = []
    authority_end = _authority_end(text) if place is Place.URL else 0
    for braces in read(text, rows):
        if len(findings) >= _MAX_FINDINGS:
            break
        whole = text[braces.start : braces.end]
        if braces.start < authority_end:
            findings.append(_in_authority(braces, whole))
        if braces.fault is not None:
            findings.append(_faulty(braces, whole, rows))
            continue
        if not BY_NAME[braces.name].available:
            findings.append(_not_available(braces, whole))
        elif at_click and not BY_NAME[braces.name].at_click:
            findings.append(_no_value_yet(braces, whole))
        if text[braces.start - 1 : braces.start] == "$" and place in (Place.URL, Place.FORM):
            findings.append(_dollar(braces, whole))
    findings += _other_styles(text, place)
    findings += shape_findings(text, place)
    return tuple(sorted(findings, key=lambda finding: finding.position))


def _authority_end(text: str) -> int:
    found = _AUTHORITY.match(text)
    return found.end() if found else 0


def _in_authority(braces: Braces, whole: str) -> Finding:
    return Finding(
        FindingCode.MACRO_IN_AUTHORITY,
        Severity.ERROR,
        braces.start,
        whole,
        f"{whole} is in the scheme, user, host or port of the URL, where a value could send the request elsewhere.",
        "Write scheme and host out; macros are allowed in path, query and fragment.",
    )


def _faulty(braces: Braces, whole: str, rows: Mapping[str, str]) -> Finding:
    if braces.fault is Fault.OTHER_STYLE:
        meant = resolve(braces.detail.strip(), rows)
        remedy = (
            _remedy_for_macro(meant[0])
            if meant and BY_NAME[meant[0]].available
            else "Replace it by one of the macros listed here, or by the value itself."
        )
        sentence, code = _OTHER_SENTENCE.format(whole), FindingCode.OTHER_STYLE
    elif braces.fault is Fault.UNKNOWN_FILTER:
        near = difflib.get_close_matches(braces.detail[:_MAX_COMPARED_LENGTH], NAMES, 1)
        code, sentence = FindingCode.UNKNOWN_FILTER, f"{whole} has an unknown filter and is left as it is."
        remedy = f"Did you mean |{near[0]}?" if near else f"The filters are {', '.join(sorted(NAMES))}."
    elif braces.fault is Fault.WRONG_ARGUMENT:
        code, sentence = FindingCode.WRONG_ARGUMENT, f"{whole} has a wrong argument and is left as it is."
        remedy = f"{braces.detail[:1].upper()}{braces.detail[1:]}."
    else:
        code, sentence = FindingCode.UNKNOWN_MACRO, f"{whole} is not known and is left as it is."
        remedy = _remedy_for_name(braces.detail.strip(), rows)
    return Finding(code, Severity.WARNING, braces.start, whole, sentence, remedy)


def _remedy_for_macro(name: str) -> str:
    """Our spelling of another system's macro. Its click id may be ours or the source's, which only the user can tell."""
    if name == "clickid":
        return "Write {externalid} for the source's own click id, {clickid} for ours."
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
    """The known spelling most like ``name``: a row's own or a canonical one; None when nothing is near."""
    if len(name) > _MAX_COMPARED_LENGTH:
        return None
    key = name.lower()
    for spelling in (key.strip("_! ").replace("-", "_"), key.replace("_", "").replace("-", "").replace(" ", "")):
        meant = resolve(spelling, rows)
        if meant and BY_NAME[meant[0]].available:
            return _for_people(spelling, rows)
    if numbered := _NUMBERED.fullmatch(key):
        known = [number for number in range(1, TOKENS + 1) if resolve(f"{numbered[1]}{number}", rows)]
        if known:
            return _for_people(f"{numbered[1]}{min(known, key=lambda one: abs(one - int(numbered[2])))}", rows)
    near = difflib.get_close_matches(key, (*_SPELLINGS, *rows), 1, 0.7)
    return _for_people(near[0], rows) if near else None


def _for_people(spelling: str, rows: Mapping[str, str]) -> str:
    """The canonical name, but a row by its own parameter rather than as ``token7``."""
    meant = resolve(spelling, rows)
    return spelling if meant is None or (spelling in rows and meant[0].startswith("token")) else meant[0]


def _no_value_yet(braces: Braces, whole: str) -> Finding:
    return Finding(
        FindingCode.NO_VALUE_YET,
        Severity.WARNING,
        braces.start,
        whole,
        f"{whole} has a value in postbacks only; when the visitor is redirected it is still empty.",
        "Remove it here; use it in a postback.",
    )


def _not_available(braces: Braces, whole: str) -> Finding:
    return Finding(
        FindingCode.NO_VALUE_YET,
        Severity.WARNING,
        braces.start,
        whole,
        f"{whole} is not available yet, so it is always empty.",
        f"Remove it; a traffic source's own parameter of that name is {{var:{braces.name}}}.",
    )


def _dollar(braces: Braces, whole: str) -> Finding:
    return Finding(
        FindingCode.OTHER_STYLE,
        Severity.WARNING,
        braces.start - 1,
        f"${whole}",
        f"The dollar sign before {whole} stays, so the receiver gets it before the value.",
        f"Write {whole} without the dollar sign.",
    )


def _other_styles(text: str, place: Place) -> Iterator[Finding]:
    styles = (_OTHER_ANYWHERE, _OTHER_AS_VALUE) if place in (Place.URL, Place.FORM) else (_OTHER_ANYWHERE,)
    for style in styles:
        for found in style.finditer(text):
            remedy = "Replace it by one of the macros listed here, or by the value itself."
            sentence = _OTHER_SENTENCE.format(found[0])
            yield Finding(FindingCode.OTHER_STYLE, Severity.WARNING, found.start(), found[0], sentence, remedy)
    for found in _ENCODED.finditer(text):
        sentence = f"{found[0]} has its braces percent-encoded, so it is sent as it is."
        yield Finding(
            FindingCode.ENCODED_BRACES, Severity.WARNING, found.start(), found[0], sentence, f"Write {{{found[1]}}}."
        )
