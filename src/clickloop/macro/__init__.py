"""The macro language of all templates: offer, landing and postback URLs, headers and bodies.

``{name}`` or ``{name|filter:argument|filter}``. Names are case-insensitive; a known macro without a value is empty, an unknown
one is left as it is. A template is parsed once (``parse``), rendered often (``Template.render``) and checked when it is saved
(``check``). Values are never expanded.
"""

from clickloop.macro.checking import check
from clickloop.macro.encoding_context import EncodingContext
from clickloop.macro.filters import FILTERS, Chance, FilterInfo
from clickloop.macro.known import KNOWN, Macro, MacroCategory
from clickloop.macro.template import Template, parse
from clickloop.macro.template_issue import Severity, TemplateIssue, TemplateIssueCode
from clickloop.macro.unreplaced import unreplaced_macro
from clickloop.macro.values import Values

__all__ = [
    "FILTERS",
    "KNOWN",
    "Chance",
    "EncodingContext",
    "FilterInfo",
    "Macro",
    "MacroCategory",
    "Severity",
    "Template",
    "TemplateIssue",
    "TemplateIssueCode",
    "Values",
    "check",
    "parse",
    "unreplaced_macro",
]
