"""Filters of the logs as options of commands: ``--network`` for ``network_id``, with the help of the API's parameters."""

import enum
import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer
from msgspec.structs import FieldInfo

from clickloop.log_filter import LogFilter, fields_of, label_of, meta_of, type_of

Command = Callable[..., None]


def with_options_of(kind: type[LogFilter]) -> Callable[[Command], Command]:
    """Return a decorator for a command: in place of its parameter ``wanted`` it gets an option for each field of a filter.

    ``wanted`` then holds what was given, by field. Typer takes options from the signature of a function and nowhere else, so the
    command is given one that has them.
    """
    options = {field.name: _option(field) for field in fields_of(kind)}

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def run(**given: Any) -> None:
            wanted = {name: value for name in options if (value := given.pop(name)) not in (None, "")}
            command(**given, wanted=wanted)

        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command).parameters.values():
            parameters += options.values() if parameter.name == "wanted" else [parameter]
        signed: Any = run
        signed.__signature__ = inspect.Signature(parameters)
        signed.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def _option(field: FieldInfo) -> inspect.Parameter:
    name, value_type = "--" + field.name.removesuffix("_id").replace("_", "-"), type_of(field)
    text = meta_of(field).description or ""
    if value_type is int:
        text = f"Only for the {label_of(field).lower()} with this number."
    elif value_type is bool:
        name += f"/--no-{field.name}"
    elif issubclass(value_type, enum.Enum):
        # A text: the server may know other words than this command, and says which.
        text += f" One of {', '.join(word.value for word in value_type)}."
        value_type = str
    return inspect.Parameter(
        field.name,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=None,
        annotation=Annotated[value_type | None, typer.Option(name, help=text)],
    )
