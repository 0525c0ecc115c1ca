"""The macro language of all templates: offer, landing and postback URLs, headers and bodies.

``{name}`` or ``{name|filter:argument|filter}``. Names are case-insensitive; a known macro without a value is empty, an unknown
one is left as it is. A template is parsed once (``parse``), rendered often (``Template.render``) and checked when it is saved
(``check``). Values are never expanded.
"""

from clickloop.macro.checking import check
from clickloop.macro.filters import FILTERS, Chance, FilterInfo
from clickloop.macro.finding import Finding, FindingCode, Severity
from clickloop.macro.known import KNOWN, Group, Macro
from clickloop.macro.place import Place
from clickloop.macro.template import Template, parse
from clickloop.macro.unreplaced import unreplaced_macro
from clickloop.macro.values import Values

__all__ = [
    "FILTERS",
    "KNOWN",
    "Chance",
    "FilterInfo",
    "Finding",
    "FindingCode",
    "Group",
    "Macro",
    "Place",
    "Severity",
    "Template",
    "Values",
    "check",
    "parse",
    "unreplaced_macro",
]
