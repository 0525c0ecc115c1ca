"""Log filters as command options: ``--network`` for ``network_id``, with the API's descriptions as help."""

import enum
import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer
from msgspec.structs import FieldInfo

from clickloop.log_filter import LogFilter, fields_of, label_of, meta_of, type_of

Command = Callable[..., None]


def with_options_of(filter_type: type[LogFilter]) -> Callable[[Command], Command]:
    """Return a decorator that replaces a command's parameter ``filters`` with an option for each field of a filter.

    The command receives the values by field in ``filters``. Typer reads options from a function's signature only, so the
    decorator sets a signature that contains them.
    """
    options = {field.name: _option(field) for field in fields_of(filter_type)}

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def run(**values: Any) -> None:
            filters = {name: value for name in options if (value := values.pop(name)) not in (None, "")}
            command(**values, filters=filters)

        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command).parameters.values():
            parameters += options.values() if parameter.name == "filters" else [parameter]
        signed: Any = run
        signed.__signature__ = inspect.Signature(parameters)
        signed.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def _option(field: FieldInfo) -> inspect.Parameter:
    name, value_type = "--" + field.name.removesuffix("_id").replace("_", "-"), type_of(field)
    text = meta_of(field).description or ""
    if value_type is int:
        text = f"Only for the {label_of(field).lower()} with this ID."
    elif value_type is bool:
        name += f"/--no-{field.name}"
    elif issubclass(value_type, enum.Enum):
        # Accept any text: the server may know more values than this command, and its error lists them.
        text += f" One of {', '.join(word.value for word in value_type)}."
        value_type = str
    return inspect.Parameter(
        field.name,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=None,
        annotation=Annotated[value_type | None, typer.Option(name, help=text)],
    )
