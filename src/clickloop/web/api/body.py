"""Reading JSON bodies into Structs. Every faulty field is reported, unknown ones too, before anything is done."""

import types
import typing
from typing import Any, TypeVar

import msgspec
from litestar.dto import AbstractDTO
from litestar.dto.data_structures import DTOFieldDefinition
from litestar.exceptions import HTTPException
from litestar.openapi.spec import Reference, Schema
from litestar.typing import FieldDefinition

from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.setup.reading import PartlyRead, read_input, repeated_keys

T = TypeVar("T")


class StrictBody(AbstractDTO[Any]):
    """Makes Litestar read the parameter ``data`` of an endpoint with ``read_body``."""

    def decode_bytes(self, value: bytes) -> Any:
        """Return the body as the Struct of the endpoint's parameter. An empty body is None where the parameter is optional."""
        field = self.asgi_connection.route_handler.parsed_data_field
        kind = field.annotation
        if field.is_optional:
            if not value:
                return None
            kind = next(one for one in typing.get_args(kind) if one is not types.NoneType)
        content_type = (
            self.asgi_connection.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        )
        if content_type != "application/json" and not content_type.endswith("+json"):
            raise HTTPException(status_code=415, detail=f"The body is {content_type!r}. Expected application/json.")
        return self.read(value, kind)

    def read(self, body: bytes, kind: type[Any]) -> Any:
        """Return what is passed to the endpoint. Raise HTTPException 400, InvalidInputError."""
        return read_body(body, kind)

    @classmethod
    def create_for_field_definition(
        cls, field_definition: FieldDefinition, handler_id: str, backend_cls: Any = None
    ) -> None:
        """Prepare nothing per endpoint."""

    @classmethod
    def create_openapi_schema(
        cls, field_definition: FieldDefinition, handler_id: str, schema_creator: Any
    ) -> Reference | Schema:
        """Return the schema of the Struct itself."""
        schema: Reference | Schema = schema_creator.for_field_definition(field_definition)
        return schema

    @classmethod
    def is_supported_model_type_field(cls, field_definition: FieldDefinition) -> bool:
        """Return True: any Struct can be read."""
        return True

    @classmethod
    def generate_field_definitions(cls, model_type: type[Any]) -> typing.Generator[DTOFieldDefinition, None, None]:
        """Yield nothing: the Struct is read as it is."""
        yield from ()

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:
        """Return False: the Struct is read as it is."""
        return False


class CheckedBody(StrictBody):
    """The body of an endpoint that uses ``report_all_faults``: it gets a faulty body as far as parsed, and adds its own faults."""

    def read(self, body: bytes, kind: type[Any]) -> Any:
        """Return the Struct, or PartlyRead if fields are faulty. Raise HTTPException 400, InvalidInputError."""
        read = read_partly(body, kind)
        return read if read.faults else read.value


def read_body(body: bytes, kind: type[T]) -> T:
    """Return the Struct in a JSON body. Raise HTTPException 400 if it is not JSON, InvalidInputError for faulty fields."""
    read = read_partly(body, kind)
    if read.faults:
        raise InvalidInputError(read.faults)
    return read.value


def read_partly(body: bytes, kind: type[T]) -> PartlyRead[T]:
    """Parse a JSON body into a Struct as far as possible. Return it and all faults.

    Raise HTTPException 400 if it is not JSON, InvalidInputError for repeated keys.
    """
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        text = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise HTTPException(status_code=400, detail=f"The body is not valid JSON: {text}.") from None
    if repeated := repeated_keys(body):
        sentence = "The body has this key more than once, so its value is ambiguous."
        raise InvalidInputError(tuple(FieldFault(name[:100], FaultCode.DUPLICATE, sentence) for name in repeated))
    return read_input(data, kind)
