"""Versions over HTTP: ``ETag`` on every answer that is one set-up record, ``If-Match`` on the requests that change one."""

import re
from typing import Any

from litestar import Litestar, Response
from litestar.exceptions import HTTPException

from clickloop.setup.record import Versioned
from clickloop.store.ledger.setup.versions import Expectation

CHANGING_METHODS = frozenset({"PATCH", "PUT", "DELETE", "POST"})

_MAX_HEADER = 1_000  # a few versions; the rest is not looked at
_ENTITY_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
# RFC 9110, section 13.1.1. Linear: a tag ends at its second quote, and only blanks and commas stand between tags.
_ENTITY_TAGS = re.compile(rf"{_ENTITY_TAG}(?:[ \t]*,[ \t]*{_ENTITY_TAG})*")
_STRONG_TAG = re.compile(r'(?<!W/)"([0-9]{1,18})"(?=[ \t]*(?:,|$))')
_MALFORMED = (
    'The If-Match header cannot be read: the ETag of the record is expected with its double quotes, such as "1772366400123", or '
    "several of them with commas between, or *."
)


def etag_of(version: int) -> str:
    """Return a version as an entity tag."""
    return f'"{version}"'


def read_if_match(values: list[str]) -> Expectation:
    """Return what the If-Match headers of a request expect. Raise HTTPException 400 for what is no such header.

    ``*`` is any version. A weak tag or one that we never gave matches nothing (the comparison is strong).
    """
    text = ",".join(values).strip(" \t")
    if text == "*":
        return Expectation()
    if len(text) > _MAX_HEADER or not _ENTITY_TAGS.fullmatch(text):
        raise HTTPException(status_code=400, detail=_MALFORMED)
    return Expectation(frozenset(int(number) for number in _STRONG_TAG.findall(text)))


async def put_etag(response: Response[Any]) -> Response[Any]:
    """Put the version of a record that is answered into its ETag."""
    content = getattr(response, "content", None)
    if isinstance(content, Versioned):
        response.headers["ETag"] = etag_of(content.version)
    return response


def describe_versions(app: Litestar, document: dict[str, Any]) -> None:
    """Describe the headers, and what a stale version is answered, in an OpenAPI document."""
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
    """Return the names of the operations that answer with one record. Those without a description of their own stay out."""
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
    "description": "The ETag of the record as you read it; `*` or left out: the change is made whatever version is there.",
    "schema": {"type": "string", "examples": ['"1772366400123"']},
}
_REFUSALS = {
    "400": "The If-Match header cannot be read.",
    "412": "The record is at another version than If-Match says; nothing was changed. Read it again: `detail` and `ETag` name the "
    "version that is there.",
}
_PROBLEM_CONTENT = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
