"""The API as one Litestar application: the endpoints under /api/v1, and their description."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from litestar import Litestar, Response, Router
from litestar.di import Provide
from litestar.exceptions import HTTPException, ValidationException
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin
from litestar.types import BeforeMessageSendHookHandler, ControllerRouterHandler, Guard, Message, Scope
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError

from clickloop.people.user import NotPermittedError
from clickloop.saving.record import UnknownRecordError
from clickloop.setup.fault import InvalidInputError
from clickloop.store.facts.facts import FactsError
from clickloop.store.ledger.setup.versions import StaleRecordError
from clickloop.web.api.auth_guard import context_of, refuse_unknown_parameters, token_guard
from clickloop.web.api.body import StrictBody
from clickloop.web.api.context import ApiContext
from clickloop.web.api.description import openapi_config, openapi_document
from clickloop.web.api.diagnosis import (
    alarms,
    check,
    delivery,
    health,
    learned_weights,
    offer_caps,
    receivers,
    routes,
    settling_pauses,
    simulate,
    trial_clicks,
)
from clickloop.web.api.jobs import backtests, cancels, exports, mark_reruns, reruns, resends, uploads
from clickloop.web.api.logs import clicks, conversions, notices, postbacks
from clickloop.web.api.logs import id_search as finding
from clickloop.web.api.people import changes, profile, tokens, users
from clickloop.web.api.problem import (
    AnyRequest,
    answer_breakage,
    answer_conflict,
    answer_http,
    answer_invalid,
    answer_not_permitted,
    answer_stale,
    answer_store_away,
    answer_store_damaged,
    answer_unknown,
    answer_validation,
)
from clickloop.web.api.reports import cost_uploads, costs, reports, views
from clickloop.web.api.served_description import describe
from clickloop.web.api.setup import (
    campaigns,
    flows,
    landings,
    list_entries,
    lists,
    macros,
    networks,
    offers,
    postback_rules,
    presets,
    rates,
    rule_resuming,
    settings,
    statuses,
    traffic_sources,
)
from clickloop.web.api.versions import put_etag

MAX_BODY_BYTES = 1 << 20  # the largest legitimate body is a month of rates; uploads are streamed

_NOUNS = (
    traffic_sources,
    networks,
    offers,
    offer_caps,
    flows,
    landings,
    lists,
    list_entries,
    campaigns,
    cancels,
    statuses,
    postback_rules,
    clicks,
    finding,
    notices,
    conversions,
    uploads,
    postbacks,
    resends,
    rule_resuming,
    reruns,
    exports,
    backtests,
    mark_reruns,
    receivers,
    presets,
    macros,
    simulate,
    routes,
    learned_weights,
    trial_clicks,
    check,
    alarms,
    health,
    users,
    tokens,
    profile,
    settings,
    changes,
    reports,
    views,
    costs,
    cost_uploads,
    rates,
    delivery,
    settling_pauses,
)
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)


class _Api(Litestar):
    """Litestar without the plugins that it adds if pydantic or attrs is installed: neither is used here."""

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return [*plugins, MsgspecDIPlugin()]


def create_api(
    context: ApiContext,
    beside: Sequence[ControllerRouterHandler] = (),
    before_send: Sequence[BeforeMessageSendHookHandler] = (),
    answer_refused: Callable[[AnyRequest, HTTPException], Response[Any]] = answer_http,
) -> Litestar:
    """Return the API on these stores, with the handlers ``beside`` it. ``answer_refused`` also answers unknown paths.

    Nothing is opened or closed here. The context is kept in the application's state only.
    """
    version = _version([token_guard(), refuse_unknown_parameters])
    app = _Api(
        [version, describe, *beside],
        openapi_config=None,
        exception_handlers={
            InvalidInputError: answer_invalid,
            StaleRecordError: answer_stale,
            UnknownRecordError: answer_unknown,
            NotPermittedError: answer_not_permitted,
            ValidationException: answer_validation,
            HTTPException: answer_refused,
            IntegrityError: answer_conflict,
            OperationalError: answer_store_away,
            DatabaseError: answer_store_damaged,
            FactsError: answer_store_away,
            Exception: answer_breakage,
        },
        before_send=[_secure, _name_all_methods, *before_send],
        request_max_body_size=MAX_BODY_BYTES,
        logging_config=None,
        debug=False,
    )
    app.state.context = context
    return app


def _version(guards: Sequence[Guard]) -> Router:
    return Router(
        "/api/v1",
        route_handlers=[noun.router for noun in _NOUNS],
        dto=StrictBody,
        return_dto=None,
        guards=guards,
        after_request=put_etag,
        dependencies={"context": Provide(context_of, sync_to_thread=False)},
    )


def description() -> bytes:
    """Return the description of all endpoints as JSON. Not while requests are handled: see ``served_description``."""
    described = _Api([_version([])], openapi_config=openapi_config(), logging_config=None)
    return msgspec.json.encode(openapi_document(described))


async def _secure(message: Message, scope: Scope) -> None:
    """Add the headers to every answer of the API that keep browsers from rendering, storing or embedding it."""
    if message["type"] == "http.response.start" and not scope["path"].startswith("/panel"):
        message["headers"] = [*message["headers"], *_HEADERS]


async def _name_all_methods(message: Message, scope: Scope) -> None:
    """List all methods of a path in the answer to OPTIONS. Litestar answers per handler, with that handler's method only."""
    if message["type"] != "http.response.start" or scope.get("method") != "OPTIONS" or message["status"] != 204:
        return
    routes = [
        route for route in scope["litestar_app"].routes if getattr(route, "path_format", "") == scope["path_template"]
    ]
    allowed = ", ".join(sorted({method for route in routes for method in getattr(route, "methods", ())}))
    others = [(name, value) for name, value in message["headers"] if name.lower() != b"allow"]
    message["headers"] = [*others, (b"allow", allowed.encode("ascii"))]
