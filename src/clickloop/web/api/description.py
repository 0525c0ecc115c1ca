"""The OpenAPI 3.1 description of the API. It is complete enough to work from it alone."""

import re
import typing
from typing import Any

import msgspec
from litestar import Litestar
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme, Server, Tag

from clickloop import __version__
from clickloop.setup.record import RecordFields
from clickloop.web.api.problem import Problem
from clickloop.web.api.versions import describe_versions

SECURITY = "token"
_REFERENCE = r"#/components/schemas/(\w+)"

_INTRODUCTION = """\
Clickloop records the clicks of paid advertising, receives their conversions, and reports each one back to the traffic source.

**Authenticate** every request but this one with a token: `Authorization: Bearer <secret>`. Create the first token on the server:
`clickloop token create NAME`.

**From nothing to the first reported conversion:**

1. `POST /api/v1/traffic-sources` `{"name": "My source", "preset": "clickadu", "postback_url": "https://source.example/postback?id={externalid}&payout={payout}"}`.
   Without a preset, set `parameters`: the row `external_id` with the source's macro for its click ID as `placeholder`.
2. `POST /api/v1/networks` `{"name": "My network", "postback_parameters": {"cid": "{sub1}", "payout": "{payout}"}}`.
   Paste `postback_url` from the response into the network.
3. `POST /api/v1/offers` `{"name": "My offer", "network_id": 1, "url": "https://network.example/click?sub1={clickid}"}`.
4. `POST /api/v1/campaigns` `{"name": "My campaign", "source_id": 1, "offers": [{"offer_id": 1}]}`.
   Paste `link` from the response into the source. Opened with `external_id=abc`, it redirects to the offer with our click ID as
   `sub1`.
5. The network calls its postback URL with that click ID (or you call `POST /api/v1/conversions`). Within a second the source's
   postback URL is called with `abc`.
6. `GET /api/v1/clicks/{click_id}/trace` returns the whole story. `/notices` lists what came in, `/postbacks` what went out.

**Conventions.** Money is decimal text with a currency (`{"amount": "12.5", "currency": "USD"}`), never a float. Times are ISO 8601
in UTC. Lists return `items` and `next_cursor`; pass that as `cursor` to get the next page. `limit` is at most 500. `PATCH` changes
only the given fields. `DELETE` archives; nothing is lost. Unknown fields are refused. Errors are problem details (RFC 9457);
`errors` names each field. `{macros}` in URLs are listed at `/macros`. `warnings` in a response point out what was saved but will
probably not work as intended.

**Concurrent changes.** Setup records have a `version`, which is also their `ETag`. Send it as `If-Match` with `PATCH`, `DELETE`
and `/restore` to make a change only if the record still has that version. Otherwise the answer is 412, nothing is changed, and
`detail` and `ETag` give the current version. Read the record again and decide. Without `If-Match` the change is always made.
"""

_TAGS = {
    "Traffic sources": "Where visitors come from, and where conversions are reported to.",
    "Networks": "Where offers come from, and who reports conversions to us.",
    "Offers": "The pages that visitors are sent to.",
    "Campaigns": "Links that send visitors to offers.",
    "Flows": "Shared flows: the rules and paths that visitors of several campaigns follow.",
    "Landings": "Your pages between the ad and the offer.",
    "Lists": "Values that conditions of several rules share.",
    "Statuses": "The statuses of conversions, and the words that networks use for them.",
    "Postback rules": "What is sent, and where, when a conversion changes.",
    "Clicks": "The clicks of visitors.",
    "Notices": "Conversions - In: every notice of a conversion, refused ones too.",
    "Conversions": "What clicks earned.",
    "Postbacks": "Conversions - Out: every postback, skipped ones with the reason.",
    "Exports": "Logs as CSV files, written in the background.",
    "Receivers": "The hosts that postbacks are sent to, with pauses and rate limits.",
    "Presets": "Publicly documented settings of traffic sources and networks.",
    "Macros": "The names that can stand in braces in templates.",
    "Marks": "Marks of suspicious traffic, judged anew on past clicks.",
    "Diagnosis": "Simulations that send nothing, and checks of the whole chain.",
    "Users": "The users of the panel, and their roles.",
    "Reports": "Clicks, conversions and money in figures.",
    "Tokens": "The secrets that give access to this API.",
    "Settings": "The settings of the whole instance.",
    "Backup": "Used by `clickloop backup` on the running server.",
    "Audit log": "Who changed what, with the values before and after.",
}

_ERRORS = {
    "400": "The body is not valid JSON.",
    "401": "No valid token was given.",
    "403": "The role of the token does not allow this.",
    "404": "There is no such record.",
    "413": "The body is longer than 1 MiB.",
    "415": "The body is not application/json.",
    "422": "A field or parameter is invalid. `errors` names each one.",
    "default": "Any other error, such as 503 while the database cannot be reached.",
}

_DAY = r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$"
_MOMENT_OR_DAY = r"^([0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+(Z|[+-][0-9]{2}:?[0-9]{2})?)?)?$"
_GONE = {"410": "The file of the upload has been deleted."}
_NO_USER = {"404": "The token belongs to no user."}
_OWN_ERRORS = {
    "upload_conversions": {
        "413": "The file is larger than the operator allows.",
        "415": "The body has none of the supported types.",
        "422": "The file has no known format, or a parameter is invalid. `errors` names the fault and its place.",
        "507": "The disk has no room for the file.",
    },
    "read_upload_lines": _GONE,
    "read_upload_result": _GONE,
    "verify_facts": {"429": "A verification is already running."},
    "begin_pause": {"409": "Settling is already paused, or cannot be paused now."},
    "preview_marks": {"409": "Another rerun is not finished. `detail` has its ID."},
    "apply_marks": {"409": "It cannot be applied now. `detail` says why."},
    "undo_marks": {"409": "It cannot be undone now. `detail` says why."},
    "order_export": {"409": "The caller has too many unfinished exports."},
    "read_export_result": {
        "409": "The export is not finished, so there is no file.",
        "410": "The file of the export has been deleted.",
    },
    "cancel_postback": {"409": "It is not waiting: it is being sent, or has ended."},
    "remove_status": {"409": "Rules, networks or notices still use it. `detail` names them."},
    "resend_postback": {"409": "It cannot be resent as requested. `detail` says what to do."},
    "copy_as_curl": {"409": "There is no request: the postback was skipped."},
    "check_setup": {"404": "There is no such campaign."},
    "simulate": {"404": "There is no such campaign, offer, click or conversion."},
    "make_test_link": {"404": "There is no such campaign."},
    "change_profile": _NO_USER,
    "change_own_password": _NO_USER,
    "list_sessions": _NO_USER,
    "end_all_sessions": _NO_USER,
}
"""Errors of some operations, in addition to the usual ones or instead of them."""


def openapi_config() -> OpenAPIConfig:
    """Return the configuration for Litestar. ``openapi_document`` finishes what it generates."""
    return OpenAPIConfig(
        title="Clickloop API",
        version=__version__,
        description=_INTRODUCTION,
        use_handler_docstrings=True,
        components=Components(
            security_schemes={
                SECURITY: SecurityScheme(
                    type="http", scheme="bearer", description="A token from `clickloop token create` or `POST /tokens`."
                )
            }
        ),
        security=[{SECURITY: []}],
        servers=[Server(url="/")],
        tags=[Tag(name=name, description=text) for name, text in _TAGS.items()],
        render_plugins=(),
        operation_id_creator=lambda handler, *_: handler.handler_name,
    )


def openapi_document(app: Litestar) -> dict[str, Any]:
    """Return the whole description as JSON values, with problem details as the answer to every error."""
    document: dict[str, Any] = app.openapi_schema.to_schema()
    schemas = document["components"]["schemas"]
    schemas |= msgspec.json.schema_components([Problem], ref_template="#/components/schemas/{name}")[1]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if isinstance(operation, dict) and "responses" in operation:
                _describe_errors(path, method, operation)
    describe_versions(app, document)
    _describe_structs(app, schemas)
    _require_all_fields_of_records(app, document)
    for schema in schemas.values():
        for name, field in schema.get("properties", {}).items():
            _describe_moment(name, field)
    for name in _bodies(document):
        schemas[name]["additionalProperties"] = False
    renamed = re.sub(rb"Page_[a-z_.]+\.([A-Za-z]+)View_", rb"\1Page", msgspec.json.encode(document))
    finished: dict[str, Any] = msgspec.json.decode(renamed)
    for name, schema in finished["components"]["schemas"].items():
        if name.endswith("Page"):
            schema |= {"title": name, "description": "A page of a list."}
    return finished


def _require_all_fields_of_records(app: Litestar, document: dict[str, Any]) -> None:
    """Remove the defaults that records have in the code: an answer has all fields of a record.

    The default of an enum field is in the schema of the enum, which other fields share.
    """
    schemas = document["components"]["schemas"]
    bodies = _bodies(document)
    handlers = [handler for route in app.routes for handler in getattr(route, "route_handlers", ())]
    kinds = {handler.parsed_return_field.annotation for handler in handlers}
    records = {kind.__name__ for kind in kinds if isinstance(kind, type) and issubclass(kind, RecordFields)}
    parts = {part for name in records for part in re.findall(_REFERENCE, repr(schemas[name]))}
    for name in records | parts:
        schema = schemas[name]
        if "enum" in schema:
            schema.pop("default", None)
        elif name not in bodies:
            schema["required"] = sorted(schema["properties"])
            for field in schema["properties"].values():
                field.pop("default", None)


def _bodies(document: dict[str, Any]) -> set[str]:
    """Return the names of the schemas of request bodies and their parts, which allow no further fields."""
    schemas = document["components"]["schemas"]
    found: set[str] = set()
    waiting = [
        operations.get(method, {}).get("requestBody")
        for operations in document["paths"].values()
        for method in _WRITING
    ]
    while waiting:
        for name in set(re.findall(_REFERENCE, repr(waiting.pop()))) - found:
            if schemas[name].get("type") == "object":
                found.add(name)
                waiting.append(schemas[name])
    return found


def _describe_moment(name: str, field: dict[str, Any]) -> None:
    """Add the format to a field of an answer that is a moment. Moments in requests are read more leniently."""
    if "default" in field or not (name.endswith(("_at", "_since")) or name in _MOMENTS):
        return
    for option in [field, *field.get("oneOf", ())]:
        if option.get("type") == "string":
            option["format"] = "date-time"


def _describe_errors(path: str, method: str, operation: dict[str, Any]) -> None:
    has_body = "requestBody" in operation
    wanted = ["401"]
    wanted += ["403"] if method != "get" or _ADMINISTERED.intersection(operation["tags"]) else []
    wanted += ["400", "413", "415"] if has_body else []
    wanted += ["404"] if "{" in path else []
    wanted += ["422", "default"]  # unknown query parameters are refused everywhere
    own = _OWN_ERRORS.get(operation["operationId"], {})
    operation["responses"].pop("400", None)
    for status in sorted({*wanted, *own} - ({"400"} if "413" in own else set())):
        operation["responses"][status] = {
            "description": own.get(status) or _ERRORS[status],
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    for parameter in operation.get("parameters", ()):
        parameter["schema"] |= _PARAMETER_SHAPES.get(parameter["name"], {})
    if operation["operationId"] in _TEXT_TOO:
        operation["responses"]["200"]["content"]["text/plain"] = {"schema": {"type": "string"}}
    if operation["operationId"] in _BODY_OPTIONAL:
        operation["requestBody"]["required"] = False
    if operation["operationId"] in _PREVIEWS:
        operation["responses"]["200"] = msgspec.json.decode(msgspec.json.encode(operation["responses"]["202"]))
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            answer["description"] = _DONE.get(status, "Done.")
            answer.pop("headers", None)
    if operation["operationId"] == "report_conversion":
        created = operation["responses"]["201"]
        created["description"] = "A new conversion."
        operation["responses"]["200"] = created | {"description": "A change of a conversion, or a repeat."}
        operation["responses"]["202"] = created | {
            "description": "It waits for its click, or for earlier landing clicks, to arrive."
        }


_PARAMETER_SHAPES = {
    "cursor": {"pattern": "^[A-Za-z0-9_-]*$"},
    "since": {"pattern": _MOMENT_OR_DAY},
    "until": {"pattern": _MOMENT_OR_DAY},
    "from": {"pattern": _DAY},
    "to": {"pattern": _DAY},
    "day": {"format": "date"},
}
"""Formats of parameters. An empty one counts as left out."""
_MOMENTS = frozenset({"at", "since", "until", "valid_until", "not_before"})
"""Fields of answers that are moments, although their names do not end in ``_at`` or ``_since``."""
_TEXT_TOO = frozenset({"read_trace", "simulate", "check_setup"})
"""Operations that return plain text with ``format=text``."""
_BODY_OPTIONAL = frozenset({"resume_paused_rule"})
_PREVIEWS = frozenset({"rerun_notices", "resend_postbacks", "cancel_postbacks"})
"""Operations that answer 200 to a preview."""
_ADMINISTERED = frozenset({"Users", "Tokens", "Audit log"})
_WRITING = ("post", "patch")
_DONE = {"200": "The current state.", "201": "Created.", "202": "Accepted. It is done in the background."}


def _describe_structs(app: Litestar, schemas: dict[str, Any]) -> None:
    """Put the docstring of each Struct into its schema, which Litestar leaves out."""
    docstrings: dict[str, str] = {}
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            fields = [handler.parsed_return_field, *handler.parsed_fn_signature.parameters.values()]
            for field in fields:
                _collect(field.annotation, docstrings)
    for name, schema in schemas.items():
        if name in docstrings and "description" not in schema:
            schema["description"] = docstrings[name]


def _collect(kind: Any, docstrings: dict[str, str]) -> None:
    for inner in typing.get_args(kind):
        _collect(inner, docstrings)
    origin = typing.get_origin(kind) or kind
    if isinstance(origin, type) and hasattr(origin, "__struct_fields__") and origin.__name__ not in docstrings:
        docstrings[origin.__name__] = (origin.__doc__ or "").strip()
        for hint in typing.get_type_hints(origin).values():
            _collect(hint, docstrings)
