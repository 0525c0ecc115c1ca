"""/check: whether the whole chain works, source → tracker → network → tracker → source, as set up and by what came lately."""

from typing import Annotated

from litestar import Response, Router, get
from litestar.params import QueryParameter

from clickloop.diagnosis.check.finding import Finding
from clickloop.diagnosis.check.views import ToldCheck, ToldFinding, check_text, told_check, told_finding
from clickloop.diagnosis.check_input import Standing, check_all, check_as_set_up, check_campaign_as_set_up
from clickloop.log_filter import MAX_ID
from clickloop.store.ledger.logs.audit_log import SetupVersion, setup_version
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.problem import AnyRequest, not_found
from clickloop.web.api.text_page import AskedFormat, Format, text_response, wants_text
from clickloop.web.long_work import in_long_work

LATELY_MS = 30_000
"""Maximum age of the figures for recent traffic: counting them reads weeks of logs."""
OfCampaign = Annotated[
    int | None, QueryParameter(ge=1, le=MAX_ID, description="Only what this campaign needs; left out: everything.")
]


def check_setup(
    context: Context, request: AnyRequest, campaign_id: OfCampaign = None, told_as: AskedFormat = Format.JSON
) -> Response[ToldCheck]:
    """Everything that keeps a conversion from being told to its source, each with its place and its remedy. Changes nothing."""
    told = checked(context, campaign_id)
    return text_response(check_text(told)) if wants_text(request, told_as) else Response(told)


def checked(context: ApiContext, campaign_id: int | None = None) -> ToldCheck:
    """What the check finds, of everything or of one campaign. Raises HTTPException 404."""
    result = check_all(context.ledger, context.facts, standing_of(context), context.clock(), campaign_id)
    if result is None:
        raise not_found(f"live campaign {campaign_id}")
    return told_check(result)


def checked_lately(context: ApiContext, campaign_id: int | None = None) -> tuple[ToldCheck, int]:
    """What the check found at most ``LATELY_MS`` ago, by the set-up as it is now, and when. Raises HTTPException 404."""
    return context.remembered.of(
        ("check", campaign_id),
        (_version(context), standing_of(context)),
        lambda: checked(context, campaign_id),
        context.clock(),
        LATELY_MS,
    )


def found_as_set_up(context: ApiContext) -> tuple[Finding, ...]:
    """What is wrong by the set-up alone, the worst first, found out once for each set-up."""
    standing = standing_of(context)
    found, _ = context.remembered.of(
        "found as set up",
        (_version(context), standing),
        lambda: check_as_set_up(context.ledger, standing),
        context.clock(),
    )
    return found


def _version(context: ApiContext) -> SetupVersion:
    with context.ledger.read() as tx:
        return setup_version(tx)


def checked_as_set_up(context: ApiContext, campaign_id: int) -> list[ToldFinding]:
    """What the check finds of a live campaign by the set-up alone, the worst first: quick however much has come."""
    found = check_campaign_as_set_up(context.ledger, standing_of(context), campaign_id)
    return [told_finding(finding) for finding in found]


def standing_of(context: ApiContext) -> Standing:
    """Where the tracker stands, as the check asks."""
    return Standing(
        base_url=context.base_url,
        fallback_url=context.fallback_url,
        own_hosts=tuple(context.guard.policy.own_hosts),
    )


router = Router(
    "/check",
    route_handlers=[
        get("/", summary="Check the whole chain")(in_long_work(check_setup)),
    ],
    tags=["Diagnosis"],
)
