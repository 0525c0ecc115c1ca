"""/macros: the macros and filters of our templates."""

from typing import Annotated

import msgspec
from litestar import Router, get
from msgspec import Meta

from clickloop.logs.view import view_of
from clickloop.macro import FILTERS, KNOWN, MacroCategory
from clickloop.web.api.context import Context


class MacroView(msgspec.Struct, kw_only=True):
    """A macro. Names are case-insensitive."""

    name: Annotated[str, Meta(description="Name, written {name} in templates.", examples=["externalid"])]
    aliases: Annotated[list[str], Meta(description="Names in other trackers that work as well.")]
    group: MacroCategory
    description: str
    example: Annotated[str, Meta(description="An example value.")]
    at_click: Annotated[bool, Meta(description="true if it has a value in offer URLs, before there is a conversion.")]
    available: Annotated[
        bool,
        Meta(description="false if it is always empty: nothing fills it in yet, or no geo base has it."),
    ]


class FilterView(msgspec.Struct, kw_only=True):
    """A filter, written after a macro: {name|filter} or {name|filter:argument}."""

    name: Annotated[str, Meta(examples=["default"])]
    argument: Annotated[str, Meta(description="Format of the argument. Empty if there is none.")]
    description: str


class MacroCatalogue(msgspec.Struct, kw_only=True):
    """All macros and filters. A traffic source's own parameters can be used as macros, too."""

    macros: list[MacroView]
    filters: list[FilterView]


def list_macros(context: Context) -> MacroCatalogue:
    """List the macros and filters for offer URLs and for the URL, headers and body of postbacks."""
    empty = context.empty_macros()
    return MacroCatalogue(
        macros=[
            view_of(MacroView, macro, description=macro.sentence, available=macro.name not in empty) for macro in KNOWN
        ],
        filters=[view_of(FilterView, known, description=known.sentence) for known in FILTERS],
    )


router = Router(
    "/macros",
    route_handlers=[
        get("/", sync_to_thread=False, summary="List macros and filters")(list_macros),
    ],
    tags=["Macros"],
)
