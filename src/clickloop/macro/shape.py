"""Issues around the macros of a template: characters that would be sent as they are, or break the parameter after them."""

import re
import unicodedata
from collections.abc import Iterator

from clickloop.macro.encoding_context import EncodingContext
from clickloop.macro.template import BRACES
from clickloop.macro.template_issue import Severity, TemplateIssue, TemplateIssueCode
from clickloop.pasting import INVISIBLE

_MAX_FINDINGS = 20
"""Maximum number of issues of one kind."""
_EXCERPT = 30
_NAME = re.compile(r"\{\s*[A-Za-z_!][\w.:|\-]*", re.ASCII)
_BRACE = re.compile(f"{BRACES.pattern}|[{{}}]")
_ENTITY = re.compile(r"&(?:amp|#38|#0*38|#x26|quot|lt|gt);", re.IGNORECASE)
_CHARACTERS = {"&amp;": "&", "&quot;": "%22", "&lt;": "%3C", "&gt;": "%3E"}
_LOOKALIKES = dict(zip("｛｝﹛﹜❴❵？＆﹠＝﹦＃", "{}{}{}?&&==#", strict=True))
_FULL_WIDTH = re.compile(f"[{''.join(_LOOKALIKES)}]")
_NO_AMPERSAND = re.compile(r"\}[;,]?([A-Za-z_][\w.\-]{0,63}=)", re.ASCII)
_FIRST_PAIR = re.compile(r"&[\w.\-\[\]]{1,64}=", re.ASCII)
_SECOND_QUERY = re.compile(r"\?([\w.\-\[\]]{1,64}=)", re.ASCII)
_PAIR_IN_FRAGMENT = re.compile(r"[#?&][\w.\-]{1,64}=(?=\{)", re.ASCII)


def shape_issues(text: str, context: EncodingContext) -> Iterator[TemplateIssue]:
    """Yield the issues around the macros of a template. Takes linear time."""
    if context in (EncodingContext.JSON, EncodingContext.TEXT):
        return  # braces, entities and joined emoji are normal in messages
    yield from _invisible(text)
    if context is EncodingContext.HEADER:
        return
    yield from _braces(text)
    yield from _full_width(text)
    yield from _entities(text)
    yield from _glued(text)
    if context is EncodingContext.URL:
        yield from _query(text)
        yield from _fragment(text)


def _invisible(text: str) -> Iterator[TemplateIssue]:
    for number, found in enumerate(INVISIBLE.finditer(text)):
        if number == _MAX_FINDINGS:
            return
        name = unicodedata.name(found[0], "a control character").lower()
        code = f"U+{ord(found[0]):04X}"
        excerpt = text[max(0, found.start() - _EXCERPT // 2) : found.end()]
        sentence = (
            f"An invisible character ({code}, {name}) is at character {found.start() + 1} and would be sent, too."
        )
        remedy = f"Delete what follows {excerpt[:-1]!r} and type it again."
        yield _finding(TemplateIssueCode.INVISIBLE_CHARACTER, found.start(), found[0], sentence, remedy)


def _braces(text: str) -> Iterator[TemplateIssue]:
    """Yield unpaired braces. Pairs that are not macros are fine, such as JSON in a parameter."""
    open_at: list[int] = []
    closing: list[int] = []
    for found in _BRACE.finditer(text):
        if len(found[0]) > 1:
            continue
        if found[0] == "{":
            open_at.append(found.start())
        elif open_at:
            open_at.pop()
        else:
            closing.append(found.start())
    for at in sorted([*open_at, *closing])[:_MAX_FINDINGS]:
        macro = _NAME.match(text, at)
        if macro:
            sentence = f"{_cut(macro[0])} at character {at + 1} is not closed, so it is sent as it is."
            remedy = f"Write {macro[0].rstrip('|:')}}}."
            yield _finding(TemplateIssueCode.UNCLOSED_MACRO, at, macro[0], sentence, remedy)
        else:
            before = text[max(0, at - _EXCERPT) : at]
            sentence = f"A stray {text[at]} is at character {at + 1}, after {_cut(before)!r}, and is sent as it is."
            yield _finding(TemplateIssueCode.STRAY_BRACE, at, text[at], sentence, "Remove it.")


def _full_width(text: str) -> Iterator[TemplateIssue]:
    found = _FULL_WIDTH.search(text)
    if found:
        excerpt = text[found.start() : found.start() + _EXCERPT]
        where, plain = f"{found[0]} at character {found.start() + 1}", _LOOKALIKES[found[0]]
        what = "brace" if plain in "{}" else plain
        sentence = f"{where} only looks like a {what}: {excerpt!r} is sent as it is."
        remedy = "Type { and } on the keyboard." if plain in "{}" else f"Type {plain} on the keyboard."
        yield _finding(TemplateIssueCode.FULL_WIDTH_BRACES, found.start(), excerpt, sentence, remedy)


def _entities(text: str) -> Iterator[TemplateIssue]:
    for number, found in enumerate(_ENTITY.finditer(text)):
        if number == _MAX_FINDINGS:
            return
        behind = text[found.end() : found.end() + _EXCERPT].partition("&")[0]
        sentence = (
            f"{found[0]} at character {found.start() + 1} was copied from HTML: the parameter after it would be named "
            f"{found[0][1:]}{behind.partition('=')[0]}."
        )
        remedy = f"Write {_CHARACTERS.get(found[0].lower(), '&')} instead."
        yield _finding(TemplateIssueCode.HTML_ENTITY, found.start(), found[0], sentence, remedy)


def _glued(text: str) -> Iterator[TemplateIssue]:
    for number, found in enumerate(_NO_AMPERSAND.finditer(text)):
        if number == _MAX_FINDINGS:
            return
        at = found.start() + 1
        if len(found[0]) == len(found[1]) + 1:
            where = "follows a macro without an &"
        elif 0 <= text.find("?") < at or ("?" not in text and "/" not in text):
            where = (
                f"follows a macro and a {text[at]} instead of an &"  # in a path, a semicolon starts a path parameter
            )
        else:
            continue
        begun = found[0][1:]
        sentence = f"{begun} at character {at + 1} {where}, so it becomes part of the macro's value."
        yield _finding(TemplateIssueCode.AMPERSAND_MISSING, at, begun, sentence, f"Write &{found[1]}.")


def _query(text: str) -> Iterator[TemplateIssue]:
    address = text.partition("#")[0]
    begins_at = address.find("?")
    if begins_at < 0:
        pair = _FIRST_PAIR.search(address)
        if pair:
            sentence = f"{pair[0]} at character {pair.start() + 1} is not a parameter, because there is no ? before it."
            yield _finding(
                TemplateIssueCode.QUESTION_MARK_MISSING, pair.start(), pair[0], sentence, f"Write ?{pair[0][1:]}."
            )
        return
    second = _SECOND_QUERY.search(address, begins_at + 1)
    # A URL in a parameter has its own query.
    if (
        second
        and "://" not in address[begins_at : second.start()]
        and "%3a%2f%2f" not in address[begins_at : second.start()].lower()
    ):
        sentence = (
            f"A second ? is at character {second.start() + 1}, so {second[1]} becomes part of the value before it."
        )
        yield _finding(
            TemplateIssueCode.SECOND_QUESTION_MARK, second.start(), second[0], sentence, f"Write &{second[1]}."
        )


def _fragment(text: str) -> Iterator[TemplateIssue]:
    at = text.find("#")
    pair = _PAIR_IN_FRAGMENT.search(text, at) if at >= 0 else None
    found = BRACES.match(text, pair.end()) if pair else None
    if found:
        sentence = f"{_cut(found[0])} is after the # at character {at + 1}, which browsers never send to a server."
        yield _finding(
            TemplateIssueCode.MACRO_IN_FRAGMENT,
            found.start(),
            found[0],
            sentence,
            "Move it before the #, into the query.",
        )


def _finding(code: TemplateIssueCode, position: int, text: str, sentence: str, remedy: str) -> TemplateIssue:
    return TemplateIssue(code, Severity.WARNING, position, text, sentence, remedy)


def _cut(text: str) -> str:
    return text if len(text) <= 2 * _EXCERPT else f"{text[: 2 * _EXCERPT]}…"
