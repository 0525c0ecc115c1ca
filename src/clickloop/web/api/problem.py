"""Errors of the API as problem details (RFC 9457): every faulty field is named, and nothing internal is revealed."""

from http import HTTPStatus
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from msgspec import Meta
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError

from clickloop.machine.log import MAX_PATH, log, log_unexpected_error
from clickloop.people.user import NotPermittedError
from clickloop.saving.record import UnknownRecordError
from clickloop.setup.fault import FaultCode, InvalidInputError
from clickloop.setup.reading import MAX_FAULTS, choices
from clickloop.store.facts.facts import FactsError
from clickloop.store.file_fault import RESTORE_BACKUP
from clickloop.store.ledger.damaged_record import is_damaged_record
from clickloop.store.ledger.setup.versions import StaleRecordError
from clickloop.web.api.query import parameters_of
from clickloop.web.api.versions import etag_of

MAX_SENTENCE = 1_000
"""Maximum number of characters of a sentence: some repeat what was sent."""
PROBLEM_TYPE = "application/problem+json"
STORE_DAMAGED = (
    "The ledger is damaged and cannot be read. Nothing was saved. Keep a copy of the data folder, run clickloop doctor, and "
    f"{RESTORE_BACKUP}. Meanwhile visitors are redirected and incoming postbacks are stored."
)


class FieldProblem(msgspec.Struct, frozen=True):
    """A fault of one field."""

    field: Annotated[
        str, Meta(description="Path of the field. Empty for the whole body.", examples=["offers[1].weight"])
    ]
    code: Annotated[str, Meta(description="A stable code for programs.", examples=["out_of_range"])]
    message: Annotated[
        str, Meta(description="One sentence for users.", examples=["The weight is -1. It must be 0 to 1000000."])
    ]


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error as problem details (RFC 9457)."""

    title: Annotated[str, Meta(description="The meaning of the status.", examples=["Unprocessable Entity"])]
    status: Annotated[int, Meta(description="The HTTP status.", examples=[422])]
    detail: Annotated[
        str, Meta(description="What is wrong and what to do.", examples=["2 fields cannot be saved."])
    ] = ""
    errors: Annotated[tuple[FieldProblem, ...], Meta(description="Each faulty field.")] = ()
    type: Annotated[str, Meta(description="Always about:blank.")] = "about:blank"


AnyRequest = Request[Any, Any, Any]
T = TypeVar("T")


def not_found(what: str) -> HTTPException:
    """Return the error for a record that does not exist. ``what`` names it, such as ``campaign 7``."""
    return HTTPException(status_code=404, detail=f"There is no {what}.")


def expect_found(found: T | None, what: str) -> T:
    """Return what was looked up. Raise HTTPException 404 if there is none."""
    if found is None:
        raise not_found(what)
    return found


def answer_invalid(_request: AnyRequest, error: InvalidInputError) -> Response[Problem]:
    """Return 422 with the fault of each field."""
    faults = tuple(FieldProblem(fault.field, fault.code, _cut(fault.message)) for fault in error.faults[:MAX_FAULTS])
    detail = faults[0].message if len(faults) == 1 else f"{len(faults)} fields are invalid."
    if len(faults) == MAX_FAULTS:
        detail = f"At least {MAX_FAULTS} fields are invalid. The first {MAX_FAULTS} are listed."
    return problem_response(422, detail, faults)


def answer_unknown(_request: AnyRequest, error: UnknownRecordError) -> Response[Problem]:
    """Return 404 for a set-up record that does not exist."""
    return problem_response(404, f"There is no {error}.")


def answer_not_permitted(_request: AnyRequest, error: NotPermittedError) -> Response[Problem]:
    """Return 403 for a change that the actor's role does not allow."""
    return problem_response(403, str(error))


def answer_validation(request: AnyRequest, error: ValidationException) -> Response[Problem]:
    """Return 422 for a query or path parameter that cannot be read."""
    found = error.extra if isinstance(error.extra, list) else []
    if any(fault.get("key") == "data" for fault in found):
        return problem_response(400, "The body is empty. Expected a JSON object.")
    faults = tuple(
        _parameter_problem(request, str(fault.get("key", "")), str(fault.get("message", ""))) for fault in found
    )
    return problem_response(422, "A parameter of the URL cannot be read.", faults)


def _parameter_problem(request: AnyRequest, name: str, message: str) -> FieldProblem:
    """Return the fault of a parameter, with its name in the URL instead of the one in our function."""
    field = parameters_of(request.route_handler).get(name)
    known = choices(field.annotation) if field is not None else ""
    url_name = getattr(field.kwarg_definition, "name", None) if field is not None else None
    code = FaultCode.WRONG_TYPE
    if known:
        code = FaultCode.NOT_ALLOWED
    elif "<=" in message or ">=" in message:
        code = FaultCode.OUT_OF_RANGE
    return FieldProblem(url_name or name, code, f"{message}{known}.")


def answer_http(request: AnyRequest, error: HTTPException) -> Response[Problem]:
    """Return the status of any other HTTP error."""
    detail = error.detail
    if error.status_code == 404 and detail == "Not Found":
        detail = "There is nothing at this path. See /api/openapi.json for all paths."
    if error.status_code == 413:
        detail = "The body is too long. The maximum is 1 MiB."
    if error.status_code == 405:
        allowed = (error.headers or {}).get("allow", "the methods in the description")
        detail = f"{request.method} is not allowed here. Use {allowed}."
    return problem_response(error.status_code, detail, headers=error.headers)


def answer_conflict(_request: AnyRequest, _error: IntegrityError) -> Response[Problem]:
    """Return 409: another request was faster, and the checks could not see its change yet."""
    return problem_response(
        409, "Someone else saved a change that conflicts with this one. Read the record again, then retry."
    )


def answer_stale(request: AnyRequest, error: StaleRecordError) -> Response[Problem]:
    """Return 412 if the request has an If-Match header, else 409: another request wrote between our reading and writing."""
    current = f"it now has version {error.found}" if error.found else "it no longer exists"
    path = request.scope["path"][:MAX_PATH].removesuffix("/restore")
    detail = f"Someone else changed this record: {current}. Nothing was saved. Read it again (GET {path}), then decide"
    if "if-match" not in request.headers:
        return problem_response(409, f"{detail} whether to send your change again.")
    if not error.found:
        return problem_response(412, f"{detail}.")
    tag = etag_of(error.found)
    return problem_response(
        412, f"{detail} whether to send your change again with If-Match: {tag}.", headers={"ETag": tag}
    )


def answer_store_away(request: AnyRequest, error: OperationalError | FactsError) -> Response[Problem]:
    """Return 503: the ledger or the facts cannot be reached."""
    log("api store away", method=request.method, path=request.scope["path"][:MAX_PATH], error=str(error))
    detail = "The database cannot be reached. Nothing was saved. Try again."
    return problem_response(503, detail, headers={"Retry-After": "2"})


def answer_store_damaged(request: AnyRequest, error: DatabaseError) -> Response[Problem]:
    """Return 503: a page of the ledger cannot be read. Retrying is pointless, so it has no Retry-After."""
    log(
        "api: the ledger cannot be read", method=request.method, path=request.scope["path"][:MAX_PATH], error=str(error)
    )
    return problem_response(503, STORE_DAMAGED)


def answer_breakage(request: AnyRequest, error: Exception) -> Response[Problem]:
    """Return 500 without internal details, which are in the log, or 503 for a damaged record of the ledger."""
    log_unexpected_error("api broke", error, method=request.method, path=request.scope["path"][:MAX_PATH])
    if is_damaged_record(error):
        return problem_response(503, STORE_DAMAGED)
    return problem_response(500, "Internal error. See the server's log for details.")


def problem_response(
    status: int, detail: str, errors: tuple[FieldProblem, ...] = (), headers: dict[str, str] | None = None
) -> Response[Problem]:
    """Return a problem as a response."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    own_headers = {name: value for name, value in (headers or {}).items() if name.lower() != "content-type"}
    return Response(
        Problem(title=title, status=status, detail=_cut(detail), errors=errors),
        status_code=status,
        media_type=PROBLEM_TYPE,
        headers=own_headers,
    )


def _cut(sentence: str) -> str:
    """Return a sentence cut to its maximum length: it may repeat a long value that was sent."""
    return sentence if len(sentence) <= MAX_SENTENCE else f"{sentence[:MAX_SENTENCE]}…"
