"""/simulate: where a visitor would go, and what each rule would do about a conversion. Nothing is sent or stored."""

from typing import Annotated

import msgspec
from litestar import Response, Router, post
from litestar.exceptions import HTTPException
from litestar.params import JSONBody
from msgspec import Meta

from clickloop.click.routing.not_served import NotServedReason
from clickloop.clock import Moment
from clickloop.conversion.notice import RefusalReason
from clickloop.diagnosis.macro_origin import MacroOrigin, MacroValue
from clickloop.diagnosis.simulation import (
    DestinationKind,
    Redirect,
    SimulatedRule,
    Simulation,
    SimulationFault,
    simulation_text,
)
from clickloop.diagnosis.simulation_input import SimulationBody
from clickloop.diagnosis.simulation_input import simulate as run_simulation
from clickloop.logs.click_view import ClickView, click_view
from clickloop.logs.conversion_view import ConversionView, conversion_view
from clickloop.logs.postback_view import FindingView, SentRequestView, finding_views, request_view
from clickloop.logs.view import view_of
from clickloop.postback.due import SkipReason
from clickloop.setup.fault import FaultCode, invalid
from clickloop.setup.flow import PathTarget
from clickloop.text import readable
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.diagnosis.check import tracker_address_of
from clickloop.web.api.problem import AnyRequest
from clickloop.web.api.rights import RIGHT
from clickloop.web.api.text_page import AnswerFormat, RequestedFormat, text_response, wants_text

NOT_A_MACRO = "Text that looks like a macro but is not one of ours."


class MacroValueView(msgspec.Struct, kw_only=True):
    """A macro, its value before filters and encoding, and where the value came from."""

    macro: str
    value: str
    origin: MacroOrigin
    source: Annotated[str, Meta(description="Where the value came from, or why it is empty.")]


class OfferChanceView(msgspec.Struct, kw_only=True):
    """The share of visitors that an offer gets."""

    offer_id: int
    offer_name: str
    percent: float


class LeftOutView(msgspec.Struct, kw_only=True):
    """An offer that gets no visitors."""

    kind: Annotated[PathTarget, Meta(description="offer; landing_and_offer for a landing; url; campaign.")]
    id: Annotated[int, Meta(description="The offer, landing or campaign. 0 for a URL.")]
    path_id: int
    reason: NotServedReason
    reason_text: str


class RedirectView(msgspec.Struct, kw_only=True):
    """Where the visitor goes."""

    to: DestinationKind
    url: str
    offer_id: int
    offer_name: str
    landing_id: int
    landing_name: str
    recorded: Annotated[bool, Meta(description="true if this is where the visitor of a recorded click went.")]
    chances: list[OfferChanceView]
    left_out: list[LeftOutView]
    cap: Annotated[str, Meta(description="Why it is not the path's own offer: its cap is reached. Empty otherwise.")]
    returning: Annotated[
        str, Meta(description="What the chances leave out, if the campaign has bind or rotation. Otherwise empty.")
    ]
    macros: list[MacroValueView]
    left_untouched: Annotated[list[str], Meta(description=NOT_A_MACRO)]


class SimulatedRuleView(msgspec.Struct, kw_only=True):
    """What a rule would do, condition by condition."""

    rule_id: int
    rule_name: str
    sent: Annotated[bool, Meta(description="true if a postback would be sent.")]
    paused: Annotated[
        bool, Meta(description="true if the rule is paused because its receiver answered 410 Gone. Its postbacks wait.")
    ]
    reason: SkipReason | None
    reason_text: str
    findings: list[FindingView]
    not_before: Moment | None
    request: Annotated[
        SentRequestView,
        Meta(description="Request that would be sent, or that would have been sent if the rule were not skipped."),
    ]
    unsendable: Annotated[str, Meta(description="Why the request could not be sent as it is. Empty if it could.")]
    macros: list[MacroValueView]
    left_untouched: Annotated[list[str], Meta(description=NOT_A_MACRO)]


class NotTakenView(msgspec.Struct, kw_only=True):
    """A parameter of the link that is not stored."""

    name: str
    reason_text: str


class SimulationView(msgspec.Struct, kw_only=True):
    """A simulation. Nothing was sent or stored."""

    invented: Annotated[bool, Meta(description="true if the click is simulated. Its ID is not valid anywhere.")]
    not_taken: Annotated[
        list[NotTakenView], Meta(description="Parameters of the link that the campaign does not store.")
    ]
    redirect: RedirectView
    click: ClickView
    outcome: Annotated[str, Meta(description="Outcome of the incoming postback, as in Conversions - In.")]
    reason: RefusalReason | None
    reason_text: str
    flags: list[str]
    change: Annotated[str, Meta(description="new, status, payout or details. Empty if nothing would change.")]
    stored: Annotated[bool, Meta(description="true if the last change of a stored conversion was evaluated again.")]
    conversion: ConversionView | None
    rules: list[SimulatedRuleView]


def simulate(
    context: Context, request: AnyRequest, data: JSONBody[SimulationBody], output: RequestedFormat = AnswerFormat.JSON
) -> Response[SimulationView]:
    """Simulate a visit and a conversion.

    Returns the redirect, the conversion, each rule's decision condition by condition, the final request, and where each value
    came from. Runs the same code as production. Nothing is sent or stored.
    """
    simulation = dry_run(context, data)
    if wants_text(request, output):
        return text_response(simulation_text(simulation))
    return Response(simulation_view(simulation), status_code=200)


def dry_run(context: ApiContext, data: SimulationBody) -> Simulation:
    """Return the simulation. Raise InvalidInputError, and HTTPException 404 for a record that does not exist."""
    simulation = run_simulation(context.intake(), tracker_address_of(context), data, context.clock())
    if isinstance(simulation, SimulationFault):
        if simulation is SimulationFault.OFFER_NOT_SERVED:
            raise invalid("offer_id", FaultCode.NOT_FOUND, simulation.sentence)
        raise HTTPException(status_code=404, detail=simulation.sentence)
    return simulation


def simulation_view(simulation: Simulation) -> SimulationView:
    """Return a simulation for JSON and for the panel, secrets masked."""
    outcome = simulation.notice_effect
    return view_of(
        SimulationView,
        outcome,
        invented=simulation.invented,
        not_taken=[NotTakenView(name=readable(one.name), reason_text=one.sentence) for one in simulation.not_taken],
        redirect=_redirect_view(simulation.redirect),
        click=click_view(simulation.click),
        reason_text=outcome.reason.sentence if outcome.reason else "",
        conversion=conversion_view(simulation.conversion) if simulation.conversion else None,
        rules=[_rule_view(simulated) for simulated in simulation.rules],
    )


def _redirect_view(redirect: Redirect) -> RedirectView:
    left_out = [view_of(LeftOutView, left, reason_text=left.reason.sentence) for left in redirect.left_out]
    return view_of(RedirectView, redirect, left_out=left_out, macros=_macro_views(redirect.macros))


def _rule_view(simulated: SimulatedRule) -> SimulatedRuleView:
    return view_of(
        SimulatedRuleView,
        simulated,
        rule_id=simulated.rule.rule_id,
        rule_name=readable(simulated.rule.name),
        sent=simulated.reason is None,
        reason_text=simulated.reason.sentence if simulated.reason else "",
        findings=finding_views(simulated.findings),
        request=request_view(simulated.request),
        macros=_macro_views(simulated.macros),
    )


def _macro_views(macros: tuple[MacroValue, ...]) -> list[MacroValueView]:
    return [
        MacroValueView(macro=macro.macro, value=macro.value, origin=macro.origin, source=macro.sentence)
        for macro in macros
    ]


router = Router(
    "/simulate",
    route_handlers=[
        post("/", status_code=200, sync_to_thread=True, summary="Simulate without sending")(simulate),
    ],
    opt={RIGHT: None},  # it has no effect
    tags=["Diagnosis"],
)
