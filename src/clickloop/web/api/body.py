"""Reading a JSON body into a Struct: every faulty field is named, unknown ones too, before anything is done."""

import types
import typing
from typing import Any, TypeVar

import msgspec
from litestar.dto import AbstractDTO
from litestar.dto.data_structures import DTOFieldDefinition
from litestar.exceptions import HTTPException
from litestar.openapi.spec import Reference, Schema
from litestar.typing import FieldDefinition

from clickloop.setup.fault import Fault, FaultCode, InvalidInputError
from clickloop.setup.reading import PartlyRead, read_given, repeated_keys

T = TypeVar("T")


class StrictBody(AbstractDTO[Any]):
    """Makes Litestar read the parameter ``data`` of a door with ``read_body``."""

    def decode_bytes(self, value: bytes) -> Any:
        """The body as the Struct that the door asks for; no body is None where the door does without."""
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
            raise HTTPException(status_code=415, detail=f"The body is {content_type!r}; application/json is expected.")
        return self.read(value, kind)

    def read(self, body: bytes, kind: type[Any]) -> Any:
        """What the door is given. Raises HTTPException 400 and InvalidInputError."""
        return read_body(body, kind)

    @classmethod
    def create_for_field_definition(
        cls, field_definition: FieldDefinition, handler_id: str, backend_cls: Any = None
    ) -> None:
        """Nothing is prepared per door."""

    @classmethod
    def create_openapi_schema(
        cls, field_definition: FieldDefinition, handler_id: str, schema_creator: Any
    ) -> Reference | Schema:
        """The schema of the Struct itself."""
        schema: Reference | Schema = schema_creator.for_field_definition(field_definition)
        return schema

    @classmethod
    def is_supported_model_type_field(cls, field_definition: FieldDefinition) -> bool:
        """Any Struct."""
        return True

    @classmethod
    def generate_field_definitions(cls, model_type: type[Any]) -> typing.Generator[DTOFieldDefinition, None, None]:
        """None: the Struct is read as it is."""
        yield from ()

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:
        """None: the Struct is read as it is."""
        return False


class CheckedBody(StrictBody):
    """The same for a door that ``tells_all``: it is given what could be read and the faults, to add those of its checks."""

    def read(self, body: bytes, kind: type[Any]) -> Any:
        """The Struct, or PartlyRead where fields are at fault. Raises HTTPException 400 and InvalidInputError."""
        read = read_partly(body, kind)
        return read if read.faults else read.value


def read_body(body: bytes, kind: type[T]) -> T:
    """The Struct that a JSON body holds. Raises HTTPException 400 for what is no JSON, InvalidInputError for faulty fields."""
    read = read_partly(body, kind)
    if read.faults:
        raise InvalidInputError(read.faults)
    return read.value


def read_partly(body: bytes, kind: type[T]) -> PartlyRead[T]:
    """What a JSON body holds, and each faulty field. Raises HTTPException 400 for what is no JSON, InvalidInputError for a key that
    stands twice."""
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        text = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise HTTPException(status_code=400, detail=f"The body is not valid JSON: {text}.") from None
    if repeated := repeated_keys(body):
        sentence = "The body has the key more than once: which of its values is meant cannot be told."
        raise InvalidInputError(tuple(Fault(name[:100], FaultCode.DUPLICATE, sentence) for name in repeated))
    return read_given(given, kind)
