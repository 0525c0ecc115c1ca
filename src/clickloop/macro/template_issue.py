"""Issues that the check of a template finds."""

import enum

import msgspec


class Severity(enum.StrEnum):
    """The severity of an issue in a template or in the set-up, worst first."""

    ERROR = "error"
    """It cannot work: conversions or visitors are lost."""
    WARNING = "warning"
    """It probably does not do what the user intended."""
    NOTE = "note"
    """Worth knowing."""


class TemplateIssueCode(enum.StrEnum):
    UNKNOWN_MACRO = "unknown_macro"
    UNKNOWN_FILTER = "unknown_filter"
    WRONG_ARGUMENT = "wrong_argument"
    MACRO_IN_AUTHORITY = "macro_in_authority"
    OTHER_STYLE = "other_style"
    ENCODED_BRACES = "encoded_braces"
    UNCLOSED_MACRO = "unclosed_macro"
    STRAY_BRACE = "stray_brace"
    FULL_WIDTH_BRACES = "full_width_braces"
    INVISIBLE_CHARACTER = "invisible_character"
    HTML_ENTITY = "html_entity"
    SECOND_QUESTION_MARK = "second_question_mark"
    QUESTION_MARK_MISSING = "question_mark_missing"
    AMPERSAND_MISSING = "ampersand_missing"
    MACRO_IN_FRAGMENT = "macro_in_fragment"
    NO_VALUE_YET = "no_value_yet"


class TemplateIssue(msgspec.Struct, frozen=True):
    """An issue in a template. ``text`` is at ``position``, in characters from the start."""

    code: TemplateIssueCode
    severity: Severity
    position: int
    text: str
    sentence: str
    remedy: str
