"""Every error of the API as problem details (RFC 9457), with each field's fault named and never a trace of the inside."""

from http import HTTPStatus
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from msgspec import Meta
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError

from clickloop.machine.log import MAX_PATH, log, log_breakage
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
"""Characters of a sentence about one fault; some repeat what was sent."""
PROBLEM_TYPE = "application/problem+json"
STORE_DAMAGED = (
    "The ledger is damaged and cannot be read here. Nothing was saved. Keep a copy of the data folder, run clickloop doctor, and "
    f"{RESTORE_BACKUP}; meanwhile visitors are redirected and incoming postbacks are stored."
)


class FieldProblem(msgspec.Struct, frozen=True):
    """One field's fault."""

    field: Annotated[str, Meta(description="Path of the field; empty: the whole body.", examples=["offers[1].weight"])]
    code: Annotated[str, Meta(description="Stable code for programs.", examples=["out_of_range"])]
    message: Annotated[
        str, Meta(description="One sentence for people.", examples=["The weight is -1, 0 to 1000000 is expected."])
    ]


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong, as RFC 9457 describes it."""

    title: Annotated[str, Meta(description="What the status means.", examples=["Unprocessable Entity"])]
    status: Annotated[int, Meta(description="The HTTP status again.", examples=[422])]
    detail: Annotated[
        str, Meta(description="What was found and what to do.", examples=["2 fields cannot be saved."])
    ] = ""
    errors: Annotated[tuple[FieldProblem, ...], Meta(description="Each field that is at fault.")] = ()
    type: Annotated[str, Meta(description="Always about:blank: title and errors say it.")] = "about:blank"


AnyRequest = Request[Any, Any, Any]
T = TypeVar("T")


def not_found(what: str) -> HTTPException:
    """The answer for a record that does not exist; ``what`` names it: ``campaign 7``."""
    return HTTPException(status_code=404, detail=f"There is no {what}.")


def expect_found(found: T | None, what: str) -> T:
    """Return what was looked up. Raise HTTPException 404 if there is none."""
    if found is None:
        raise not_found(what)
    return found


def answer_invalid(_request: AnyRequest, error: InvalidInputError) -> Response[Problem]:
    """422 with each field's fault."""
    faults = tuple(FieldProblem(fault.field, fault.code, _cut(fault.message)) for fault in error.faults[:MAX_FAULTS])
    detail = faults[0].message if len(faults) == 1 else f"{len(faults)} fields are at fault."
    if len(faults) == MAX_FAULTS:
        detail = f"{MAX_FAULTS} fields or more are at fault; the first {MAX_FAULTS} are named."
    return problem_response(422, detail, faults)


def answer_unknown(_request: AnyRequest, error: UnknownRecordError) -> Response[Problem]:
    """404 for a set-up record that does not exist."""
    return problem_response(404, f"There is no {error}.")


def answer_not_permitted(_request: AnyRequest, error: NotPermittedError) -> Response[Problem]:
    """Return 403 for a change that the actor's role does not allow."""
    return problem_response(403, str(error))


def answer_validation(request: AnyRequest, error: ValidationException) -> Response[Problem]:
    """422 for a query or path parameter of the wrong shape."""
    found = error.extra if isinstance(error.extra, list) else []
    if any(fault.get("key") == "data" for fault in found):
        return problem_response(400, "The body is empty; a JSON object is expected.")
    faults = tuple(
        _parameter_problem(request, str(fault.get("key", "")), str(fault.get("message", ""))) for fault in found
    )
    return problem_response(422, "A parameter of the address cannot be read.", faults)


def _parameter_problem(request: AnyRequest, name: str, message: str) -> FieldProblem:
    """The fault of a parameter by the name that it has in the address, whatever our function calls it."""
    field = parameters_of(request.route_handler).get(name)
    known = choices(field.annotation) if field is not None else ""
    told = getattr(field.kwarg_definition, "name", None) if field is not None else None
    code = FaultCode.WRONG_TYPE
    if known:
        code = FaultCode.NOT_ALLOWED
    elif "<=" in message or ">=" in message:
        code = FaultCode.OUT_OF_RANGE
    return FieldProblem(told or name, code, f"{message}{known}.")


def answer_http(request: AnyRequest, error: HTTPException) -> Response[Problem]:
    """Any other refusal with its own status."""
    detail = error.detail
    if error.status_code == 404 and detail == "Not Found":
        detail = "Nothing is here: the paths are listed in /api/openapi.json."
    if error.status_code == 413:
        detail = "The body is too long: at most 1 MiB is taken."
    if error.status_code == 405:
        detail = f"{request.method} is not possible here, only {(error.headers or {}).get('allow', 'what the description lists')}."
    return problem_response(error.status_code, detail, headers=error.headers)


def answer_conflict(_request: AnyRequest, _error: IntegrityError) -> Response[Problem]:
    """409: another writer was faster, which the checks before could not see."""
    return problem_response(
        409, "Someone else saved a change that conflicts with this one: read it again, then try again."
    )


def answer_stale(request: AnyRequest, error: StaleRecordError) -> Response[Problem]:
    """412 where the request named the version that it was made from; else 409: another writer came between reading and writing."""
    there = f"version {error.found} is there now" if error.found else "it is not there any more"
    path = request.scope["path"][:MAX_PATH].removesuffix("/restore")
    detail = f"Somebody changed it meanwhile: {there}. Nothing was saved. Read it again (GET {path}), then decide"
    if "if-match" not in request.headers:
        return problem_response(409, f"{detail} whether to send this once more.")
    if not error.found:
        return problem_response(412, f"{detail}.")
    tag = etag_of(error.found)
    return problem_response(
        412, f"{detail} whether to send this once more with If-Match: {tag}.", headers={"ETag": tag}
    )


def answer_store_away(request: AnyRequest, error: OperationalError | FactsError) -> Response[Problem]:
    """503: the ledger or the facts cannot be reached. Nothing was saved."""
    log("api store away", method=request.method, path=request.scope["path"][:MAX_PATH], error=str(error))
    detail = "The database cannot be reached just now. Nothing was saved: try again."
    return problem_response(503, detail, headers={"Retry-After": "2"})


def answer_store_damaged(request: AnyRequest, error: DatabaseError) -> Response[Problem]:
    """503: a page of the ledger cannot be read. Trying again is no use."""
    log(
        "api: the ledger cannot be read", method=request.method, path=request.scope["path"][:MAX_PATH], error=str(error)
    )
    return problem_response(503, STORE_DAMAGED)


def answer_breakage(request: AnyRequest, error: Exception) -> Response[Problem]:
    """500 without a word about the inside; the log has it. 503 where a record of the ledger is damaged."""
    log_breakage("api broke", error, method=request.method, path=request.scope["path"][:MAX_PATH])
    if is_damaged_record(error):
        return problem_response(503, STORE_DAMAGED)
    return problem_response(500, "Something broke inside; the log of the server says what.")


def problem_response(
    status: int, detail: str, errors: tuple[FieldProblem, ...] = (), headers: dict[str, str] | None = None
) -> Response[Problem]:
    """A problem as an answer."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    kept = {name: value for name, value in (headers or {}).items() if name.lower() != "content-type"}
    return Response(
        Problem(title=title, status=status, detail=_cut(detail), errors=errors),
        status_code=status,
        media_type=PROBLEM_TYPE,
        headers=kept,
    )


def _cut(sentence: str) -> str:
    """Return a sentence without most of a long value that it repeats: an answer is never much longer than its request."""
    return sentence if len(sentence) <= MAX_SENTENCE else f"{sentence[:MAX_SENTENCE]}…"
