"""Versions over HTTP: ``ETag`` on every answer that is a set-up record, ``If-Match`` on requests that change one."""

import re
from typing import Any

from litestar import Litestar, Response
from litestar.exceptions import HTTPException

from clickloop.setup.record import Versioned
from clickloop.store.ledger.setup.versions import Expectation

CHANGING_METHODS = frozenset({"PATCH", "PUT", "DELETE", "POST"})

_MAX_HEADER = 1_000  # room for some fifty versions
_ENTITY_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
# RFC 9110, section 13.1.1. Takes linear time: a tag ends at its second quote, and only blanks and commas separate tags.
_ENTITY_TAGS = re.compile(rf"{_ENTITY_TAG}(?:[ \t]*,[ \t]*{_ENTITY_TAG})*")
_STRONG_TAG = re.compile(r'(?<!W/)"([0-9]{1,18})"(?=[ \t]*(?:,|$))')
_MALFORMED = (
    'The If-Match header cannot be read. Expected the ETag of the record with its double quotes, such as "1772366400123", '
    "several of them separated by commas, or *."
)


def etag_of(version: int) -> str:
    """Return a version as an entity tag."""
    return f'"{version}"'


def read_if_match(values: list[str]) -> Expectation:
    """Return the versions that the If-Match headers of a request expect. Raise HTTPException 400 if they cannot be read.

    ``*`` is any version. A weak tag, or one that is no version, matches nothing, as the comparison is strong.
    """
    text = ",".join(values).strip(" \t")
    if text == "*":
        return Expectation()
    if len(text) > _MAX_HEADER or not _ENTITY_TAGS.fullmatch(text):
        raise HTTPException(status_code=400, detail=_MALFORMED)
    return Expectation(frozenset(int(number) for number in _STRONG_TAG.findall(text)))


async def put_etag(response: Response[Any]) -> Response[Any]:
    """Add an ETag to a response whose content is a record with a version."""
    content = getattr(response, "content", None)
    if isinstance(content, Versioned):
        response.headers["ETag"] = etag_of(content.version)
    return response


def describe_versions(app: Litestar, document: dict[str, Any]) -> None:
    """Add the headers and the errors of stale versions to an OpenAPI document."""
    versioned = _versioned_operations(app)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if not isinstance(operation, dict) or operation.get("operationId") not in versioned:
                continue
            for status, answer in operation["responses"].items():
                if status.startswith("2"):
                    answer["headers"] = {"ETag": _ETAG}
            if method in ("patch", "delete") or path.endswith("/restore"):
                operation.setdefault("parameters", []).append(_IF_MATCH)
                operation["responses"] |= {
                    status: {"description": sentence, "content": _PROBLEM_CONTENT}
                    for status, sentence in _REFUSALS.items()
                    if status not in operation["responses"]
                }


def _versioned_operations(app: Litestar) -> set[str]:
    """Return the operation IDs of the endpoints that return a record with a version."""
    handlers = [handler for route in app.routes for handler in getattr(route, "route_handlers", ())]
    return {handler.handler_name for handler in handlers if _is_versioned(handler.parsed_return_field.annotation)}


def _is_versioned(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Versioned)


_ETAG = {
    "description": "The version of the record in double quotes.",
    "schema": {"type": "string", "examples": ['"1772366400123"']},
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of the record as you read it. With `*`, or without the header, the change is made for any version.",
    "schema": {"type": "string", "examples": ['"1772366400123"']},
}
_REFUSALS = {
    "400": "The If-Match header cannot be read.",
    "412": "The record has another version than If-Match says. Nothing was changed. Read it again. `detail` and `ETag` give its "
    "current version.",
}
_PROBLEM_CONTENT = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
