"""/macros: the catalogue of what may stand in braces in our templates."""

from typing import Annotated

import msgspec
from litestar import Router, get
from msgspec import Meta

from clickloop.macro import FILTERS, KNOWN, Group


class MacroView(msgspec.Struct, kw_only=True):
    """A macro. Names match case-insensitively."""

    name: Annotated[str, Meta(description="Written {name}.", examples=["externalid"])]
    aliases: Annotated[list[str], Meta(description="Names of other trackers that mean the same.")]
    group: Group
    description: str
    example: Annotated[str, Meta(description="A value that it may have.")]
    at_click: Annotated[bool, Meta(description="Whether it has a value in offer addresses, before a conversion.")]
    available: Annotated[
        bool,
        Meta(description="False: nothing fills it in yet, so it is always empty. Templates that use it are warned of."),
    ]


class FilterView(msgspec.Struct, kw_only=True):
    """A filter, written behind a macro: {name|filter} or {name|filter:argument}."""

    name: Annotated[str, Meta(examples=["default"])]
    argument: Annotated[str, Meta(description="What its argument looks like; empty: it takes none.")]
    description: str


class MacroCatalogue(msgspec.Struct, kw_only=True):
    """Everything that may stand in braces, beside the names of a traffic source's own rows."""

    macros: list[MacroView]
    filters: list[FilterView]


def list_macros() -> MacroCatalogue:
    """One language for offer and postback addresses, headers and bodies."""
    return MacroCatalogue(
        macros=[
            MacroView(
                name=macro.name,
                aliases=list(macro.aliases),
                group=macro.group,
                description=macro.sentence,
                example=macro.example,
                at_click=macro.at_click,
                available=macro.available,
            )
            for macro in KNOWN
        ],
        filters=[FilterView(name=known.name, argument=known.argument, description=known.sentence) for known in FILTERS],
    )


router = Router(
    "/macros",
    route_handlers=[
        get("/", sync_to_thread=False, summary="List macros and filters")(list_macros),
    ],
    tags=["Macros"],
)
