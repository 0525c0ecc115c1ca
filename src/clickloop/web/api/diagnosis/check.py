"""/check: whether the whole chain works, source → tracker → network → tracker → source, by the set-up and recent traffic."""

from typing import Annotated

from litestar import Response, Router, get
from litestar.params import QueryParameter

from clickloop.diagnosis.check.finding import CheckFinding
from clickloop.diagnosis.check.views import CheckFindingView, CheckView, check_finding_view, check_text, check_view
from clickloop.diagnosis.check_input import TrackerUrls, check_all, find_campaign_setup_problems, find_setup_problems
from clickloop.diagnosis.route.lookup import RouteSettings
from clickloop.log_filter import MAX_ID
from clickloop.store.ledger.logs.audit_log import SetupVersion, setup_version
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.problem import AnyRequest, not_found
from clickloop.web.api.text_page import AnswerFormat, RequestedFormat, text_response, wants_text
from clickloop.web.long_work import in_long_work

LATELY_MS = 30_000
"""Maximum age of the figures for recent traffic: counting them reads weeks of logs."""
CampaignParameter = Annotated[
    int | None,
    QueryParameter(ge=1, le=MAX_ID, description="Check only what this campaign needs. Omit to check everything."),
]


def check_setup(
    context: Context,
    request: AnyRequest,
    campaign_id: CampaignParameter = None,
    output: RequestedFormat = AnswerFormat.JSON,
) -> Response[CheckView]:
    """Find everything that keeps conversions from reaching their source, each with its location and remedy. Changes nothing."""
    check = run_check(context, campaign_id)
    return text_response(check_text(check)) if wants_text(request, output) else Response(check)


def run_check(context: ApiContext, campaign_id: int | None = None) -> CheckView:
    """Return the result of the check, of everything or of one campaign. Raise HTTPException 404."""
    result = check_all(context.ledger, context.facts, tracker_address_of(context), context.clock(), campaign_id)
    if result is None:
        raise not_found(f"live campaign {campaign_id}")
    return check_view(result)


def recent_check(context: ApiContext, campaign_id: int | None = None) -> tuple[CheckView, int]:
    """Return a result of the current set-up, at most ``LATELY_MS`` old, and its moment. Raise HTTPException 404."""
    return context.page_cache.of(
        ("check", campaign_id),
        (_version(context), tracker_address_of(context)),
        lambda: run_check(context, campaign_id),
        context.clock(),
        LATELY_MS,
    )


def setup_findings(context: ApiContext) -> tuple[CheckFinding, ...]:
    """Return the findings that follow from the set-up alone, worst first. Computed once per set-up."""
    address = tracker_address_of(context)
    found, _ = context.page_cache.of(
        "found as set up",
        (_version(context), address),
        lambda: find_setup_problems(context.ledger, address),
        context.clock(),
    )
    return found


def _version(context: ApiContext) -> SetupVersion:
    with context.ledger.read() as tx:
        return setup_version(tx)


def campaign_setup_findings(context: ApiContext, campaign_id: int) -> list[CheckFindingView]:
    """Return the findings about a live campaign from its set-up alone, worst first: fast, however much traffic there was."""
    found = find_campaign_setup_problems(context.ledger, tracker_address_of(context), campaign_id)
    return [check_finding_view(finding) for finding in found]


def tracker_address_of(context: ApiContext) -> TrackerUrls:
    """Return the addresses of this tracker."""
    return TrackerUrls(
        base_url=context.base_url,
        fallback_url=context.fallback_url,
        own_hosts=tuple(context.guard.policy.own_hosts),
    )


def route_settings(context: ApiContext) -> RouteSettings:
    """Return the settings of the instance that routes hang on."""
    address = tracker_address_of(context)
    return RouteSettings(
        own_hosts=address.own_hosts, fallback_url=address.fallback_url, ip_storage=context.instance.ip_storage
    )


router = Router(
    "/check",
    route_handlers=[
        get("/", summary="Check the set-up and recent traffic")(in_long_work(check_setup)),
    ],
    tags=["Diagnosis"],
)
