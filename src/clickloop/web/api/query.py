"""Filters as query parameters: an endpoint takes a filter as a record, and each of its fields is a parameter."""

import inspect
from typing import Annotated, Any, TypeVar

import msgspec
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter
from litestar.typing import FieldDefinition
from msgspec.structs import FieldInfo

from clickloop.log_filter import fields_of, meta_of, type_of

S = TypeVar("S", bound=msgspec.Struct)

_LIMITS = ("ge", "le", "max_length", "pattern", "description")


def from_query(kind: type[S]) -> Provide:
    """Return the dependency that reads a filter, or another record, from the query.

    Litestar takes parameters from a function's signature only, so the function gets one that is made of the record's fields.
    """
    fields = fields_of(kind)
    parameters = [_parameter(field) for field in fields]
    names = {parameter.name: field.name for parameter, field in zip(parameters, fields, strict=True)}

    def read(**arguments: Any) -> S:
        return kind(**{names[parameter]: value for parameter, value in arguments.items()})

    signed: Any = read
    signed.__signature__ = inspect.Signature(parameters)
    signed.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters} | {"return": kind}
    return Provide(signed, sync_to_thread=False)


def _parameter(field: FieldInfo) -> inspect.Parameter:
    meta = meta_of(field)
    limits = {name: value for name in _LIMITS if (value := getattr(meta, name)) is not None}
    kind = type_of(field) | None if field.default is None else type_of(field)
    # Litestar reserves some names, such as ``state``, so the names of its parameters differ from those in the query.
    return inspect.Parameter(
        f"by_{field.name}",
        inspect.Parameter.KEYWORD_ONLY,
        default=field.default,
        annotation=Annotated[kind, QueryParameter(name=field.encode_name, **limits)],
    )


def parameters_of(handler: BaseRouteHandler) -> dict[str, FieldDefinition]:
    """Return the parameters of an endpoint and its dependencies, by the names in our functions."""
    dependencies = handler.resolve_dependencies()
    found: dict[str, FieldDefinition] = {}
    for name, field in handler.parsed_fn_signature.parameters.items():
        found |= dependencies[name].parsed_fn_signature.parameters if name in dependencies else {name: field}
    return found
