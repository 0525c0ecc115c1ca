"""/simulate: the dry run: where a visitor would go, what each rule would do about his conversion, and why. Nothing is sent or stored."""

from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from litestar import Response, Router, post
from litestar.exceptions import HTTPException
from litestar.params import JSONBody
from msgspec import UNSET, Meta, UnsetType

from clickloop.click.routing import LeftOutReason
from clickloop.click_id import ClickId
from clickloop.clock import Moment
from clickloop.conversion.given import GivenConversion
from clickloop.conversion.notice import EVENTS, MAX_TXID, PARAMS, RefusalReason
from clickloop.diagnosis.macro_origin import MacroValue, Origin
from clickloop.diagnosis.simulation import (
    Destination,
    Redirect,
    SimulatedRule,
    Simulation,
    SimulationFault,
    simulation_text,
)
from clickloop.log_filter import MAX_ID
from clickloop.logs.click_view import ClickView, click_view
from clickloop.logs.conversion_view import ConversionView, conversion_view
from clickloop.logs.postback_view import FindingView, SentRequestView, finding_views, request_view
from clickloop.postback.due import SkipReason
from clickloop.setup.fault import Fault, FaultCode, InvalidInputError, invalid, text_faults
from clickloop.web.api.body import StrictBody
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.problem import AnyRequest
from clickloop.web.api.rights import RIGHT
from clickloop.web.api.text_page import AskedFormat, Format, text_response, wants_text
from clickloop.web.api.wire import optional_moment_text, shown

MAX_PARAMETERS = 100  # as many as are kept of a real click
MAX_VALUE_LENGTH = 4_000  # more than is kept of a real one

Number = Annotated[int, Meta(ge=1, le=MAX_ID)] | None


class VisitorBody(msgspec.Struct, kw_only=True):
    """The invented visitor."""

    ip: str = "203.0.113.7"
    country: Annotated[str, Meta(description="As stated: the address is not looked up.", examples=["US"])] = ""
    useragent: str = ""
    language: Annotated[str, Meta(description="As in Accept-Language.", examples=["pt-BR,pt;q=0.9"])] = ""
    referrer: str = ""
    host: Annotated[str, Meta(description="Under which the link was opened; empty: that of campaign or instance.")] = ""
    returning: Annotated[bool, Meta(description="Whether the visitor was here before.")] = False


class ConversionBody(msgspec.Struct, kw_only=True):
    """What the notice says; all of it as a network would send it, also what cannot be read."""

    payout: Annotated[str, Meta(examples=["12.5"])] = ""
    currency: str = ""
    status: str = ""
    txid: str = ""
    at: str = ""
    conversion_id: str = ""
    params: Annotated[dict[str, str], Meta(description="param1 to param20.")] = {}
    events: Annotated[dict[str, str], Meta(description="event1 to event30.")] = {}
    disable_postback: bool = False


class SimulationBody(msgspec.Struct, kw_only=True):
    """What to try: an invented visitor of a campaign, a click or a conversion. Name exactly one of the three."""

    campaign_id: Number = None
    click_id: Annotated[str, Meta(description="A recorded click: one more conversion of it is tried.")] = ""
    conversion_id: Annotated[
        str,
        Meta(
            description="A stored conversion: its last change is decided by today's rules; with conversion, one more notice."
        ),
    ] = ""
    parameters: Annotated[
        dict[str, str] | UnsetType,
        Meta(description="What the link brings; left out: an example for each row.", examples=[{"external_id": "abc"}]),
    ] = UNSET
    visitor: VisitorBody | UnsetType = UNSET
    offer_id: Annotated[Number, Meta(description="The offer that the visitor gets; null: the likeliest.")] = None
    conversion: ConversionBody | UnsetType = UNSET


class MacroValueView(msgspec.Struct, kw_only=True):
    """A macro, its value before filters and encoding, and where it came from."""

    macro: str
    value: str
    origin: Origin
    source: Annotated[str, Meta(description="Where exactly, or why there is none.")]


class OfferChanceView(msgspec.Struct, kw_only=True):
    """How likely an offer is."""

    offer_id: int
    offer_name: str
    percent: float


class LeftOutView(msgspec.Struct, kw_only=True):
    """An offer that nobody is sent to."""

    offer_id: int
    reason: LeftOutReason
    reason_text: str


class RedirectView(msgspec.Struct, kw_only=True):
    """Where the visitor goes."""

    to: Destination
    url: str
    offer_id: int
    offer_name: str
    recorded: Annotated[bool, Meta(description="true: where the visitor went, as it was recorded.")]
    chances: list[OfferChanceView]
    left_out: list[LeftOutView]
    macros: list[MacroValueView]
    left_untouched: Annotated[list[str], Meta(description="What looks like a macro and is none of ours.")]


class SimulatedRuleView(msgspec.Struct, kw_only=True):
    """What a rule would do, condition by condition."""

    rule_id: int
    rule_name: str
    sent: Annotated[bool, Meta(description="Whether it would be sent.")]
    paused: Annotated[bool, Meta(description="Its receiver said 410 Gone: what it owes waits.")]
    reason: SkipReason | None
    reason_text: str
    findings: list[FindingView]
    not_before: Moment | None
    request: Annotated[SentRequestView, Meta(description="What is sent, or would be if the rule were not skipped.")]
    unsendable: Annotated[str, Meta(description="Why the request could not be sent like this; empty: it could.")]
    macros: list[MacroValueView]
    left_untouched: Annotated[list[str], Meta(description="What looks like a macro and is none of ours.")]


class NotTakenView(msgspec.Struct, kw_only=True):
    """A parameter of the link of which nothing is kept."""

    name: str
    reason_text: str


class SimulationView(msgspec.Struct, kw_only=True):
    """A dry run. Nothing was sent or stored."""

    invented: Annotated[bool, Meta(description="The click is made up; its id is taken nowhere.")]
    not_taken: Annotated[
        list[NotTakenView], Meta(description="Parameters of the link that the campaign keeps nothing of.")
    ]
    redirect: RedirectView
    click: ClickView
    outcome: Annotated[str, Meta(description="What the notice would come to, as in Conversions - In.")]
    reason: RefusalReason | None
    reason_text: str
    flags: list[str]
    change: Annotated[str, Meta(description="new, status, payout or details; empty: nothing changes.")]
    stored: Annotated[bool, Meta(description="The last change of a stored conversion, decided once more.")]
    conversion: ConversionView | None
    rules: list[SimulatedRuleView]


def simulate(
    context: Context, request: AnyRequest, data: JSONBody[SimulationBody], told_as: AskedFormat = Format.JSON
) -> Response[SimulationView]:
    """The redirect, the conversion, each rule's decision condition by condition, the final request, and where each value came from.

    The code that decides is the one that decides in earnest. Nothing is sent or stored.
    """
    simulation = dry_run(context, data)
    if wants_text(request, told_as):
        return text_response(simulation_text(simulation))
    return Response(simulation_view(simulation), status_code=200)


def dry_run(context: ApiContext, data: SimulationBody) -> Simulation:
    """What would happen. Raises InvalidInputError, and HTTPException 404 for what there is not."""
    simulation = _simulated(context, data)
    if isinstance(simulation, SimulationFault):
        if simulation is SimulationFault.OFFER_NOT_SERVED:
            raise invalid("offer_id", FaultCode.NOT_FOUND, simulation.sentence)
        raise HTTPException(status_code=404, detail=simulation.sentence)
    return simulation


def _simulated(context: ApiContext, data: SimulationBody) -> Simulation | SimulationFault:
    # The edge's step reads User-Agents, with a library that the core needs for nothing else: loaded when first asked for.
    from clickloop.diagnosis.dry_run import simulate_click, simulate_conversion, simulate_visit
    from clickloop.diagnosis.simulated_click import InventedClick, Place, Visitor

    faults = _faults(data)
    given = _given(data.conversion if data.conversion is not UNSET else ConversionBody(), faults)
    if faults:
        raise InvalidInputError(tuple(faults))
    desk, now_ms = context.desk(), context.clock()
    if data.campaign_id is not None:
        place = Place(
            host=urlsplit(context.base_url).netloc,
            fallback_url=context.fallback_url,
            own_hosts=tuple(context.guard.policy.own_hosts),
        )
        invented = InventedClick(
            campaign_id=data.campaign_id,
            parameters=None if data.parameters is UNSET else data.parameters,
            visitor=Visitor() if data.visitor is UNSET else Visitor(**msgspec.structs.asdict(data.visitor)),
            offer_id=data.offer_id,
        )
        return simulate_visit(desk, place, invented, given, now_ms)
    if data.conversion_id:
        notice = None if data.conversion is UNSET else given
        return simulate_conversion(desk, data.conversion_id.strip().lower(), notice, now_ms)
    click_id = context.click_ids.read(data.click_id)
    if not isinstance(click_id, ClickId):
        raise invalid("click_id", FaultCode.NOT_FOUND, "It is not a click id of this tracker: mistyped, cut or forged.")
    return simulate_click(desk, click_id, given, now_ms)


def _faults(data: SimulationBody) -> list[Fault]:
    named = [name for name in ("campaign_id", "click_id", "conversion_id") if getattr(data, name)]
    if len(named) != 1:
        sentence = "Name exactly one of campaign_id, click_id and conversion_id."
        return [
            Fault(named[1] if named else "campaign_id", FaultCode.CONFLICT if named else FaultCode.REQUIRED, sentence)
        ]
    faults = []
    if data.campaign_id is None:
        faults += [
            Fault(
                name, FaultCode.NOT_ALLOWED, "It belongs to an invented visitor of a campaign; this click was recorded."
            )
            for name in ("parameters", "visitor", "offer_id")
            if getattr(data, name) not in (UNSET, None)
        ]
    if data.visitor is not UNSET:
        for name in ("ip", "country", "useragent", "language", "referrer", "host"):
            faults += text_faults(f"visitor.{name}", getattr(data.visitor, name), MAX_VALUE_LENGTH)
    if data.parameters is not UNSET:
        if len(data.parameters) > MAX_PARAMETERS:
            faults.append(Fault("parameters", FaultCode.TOO_MANY, f"At most {MAX_PARAMETERS} are looked at."))
        faults += [
            Fault(
                f"parameters.{name[:50]}", FaultCode.TOO_LONG, f"At most {MAX_VALUE_LENGTH} characters are looked at."
            )
            for name, value in data.parameters.items()
            if len(name) + len(value) > MAX_VALUE_LENGTH
        ]
    return faults


def _given(body: ConversionBody, faults: list[Fault]) -> GivenConversion:
    for name, most in (("payout", 200), ("currency", 200), ("status", 200), ("txid", MAX_TXID), ("at", 200)):
        faults += text_faults(f"conversion.{name}", getattr(body, name), most)
    faults += text_faults("conversion.conversion_id", body.conversion_id, 200)
    return GivenConversion(
        click_id="",
        payout=body.payout,
        status=body.status,
        txid=body.txid,
        currency=body.currency,
        at=body.at,
        conversion_id=body.conversion_id,
        params=_numbered("params", "param", PARAMS, body.params, faults),
        events=_numbered("events", "event", EVENTS, body.events, faults),
        disable_postback=body.disable_postback,
    )


def _numbered(field: str, prefix: str, most: int, given: dict[str, str], faults: list[Fault]) -> dict[int, str]:
    numbers = {f"{prefix}{number}": number for number in range(1, most + 1)}
    for name, value in given.items():
        place = f"conversion.{field}.{name[:50]}"
        if name not in numbers:
            faults.append(Fault(place, FaultCode.UNKNOWN_FIELD, f"{prefix}1 to {prefix}{most} are known."))
        faults += text_faults(place, value, 1_000)
    return {numbers[name]: value for name, value in given.items() if name in numbers}


def simulation_view(simulation: Simulation) -> SimulationView:
    """A dry run for JSON and for the panel, secrets masked."""
    told = simulation.told
    return SimulationView(
        invented=simulation.invented,
        not_taken=[NotTakenView(name=shown(one.name), reason_text=one.sentence) for one in simulation.not_taken],
        redirect=_redirect_view(simulation.redirect),
        click=click_view(simulation.click),
        outcome=told.outcome,
        reason=told.reason,
        reason_text=told.reason.sentence if told.reason else "",
        flags=list(told.flags),
        change=told.change,
        stored=told.stored,
        conversion=conversion_view(simulation.conversion) if simulation.conversion else None,
        rules=[_rule_view(simulated) for simulated in simulation.rules],
    )


def _redirect_view(redirect: Redirect) -> RedirectView:
    return RedirectView(
        to=redirect.to,
        url=shown(redirect.url),
        offer_id=redirect.offer_id,
        offer_name=shown(redirect.offer_name),
        recorded=redirect.recorded,
        chances=[
            OfferChanceView(offer_id=chance.offer_id, offer_name=shown(chance.offer_name), percent=chance.percent)
            for chance in redirect.chances
        ],
        left_out=[
            LeftOutView(offer_id=left.offer_id, reason=left.reason, reason_text=left.reason.sentence)
            for left in redirect.left_out
        ],
        macros=_macro_views(redirect.macros),
        left_untouched=[shown(text) for text in redirect.left_untouched],
    )


def _rule_view(simulated: SimulatedRule) -> SimulatedRuleView:
    return SimulatedRuleView(
        rule_id=simulated.rule.rule_id,
        rule_name=shown(simulated.rule.name),
        sent=simulated.reason is None,
        paused=simulated.paused,
        reason=simulated.reason,
        reason_text=simulated.reason.sentence if simulated.reason else "",
        findings=finding_views(simulated.findings),
        not_before=optional_moment_text(simulated.not_before),
        request=request_view(simulated.request),
        unsendable=simulated.unsendable,
        macros=_macro_views(simulated.macros),
        left_untouched=[shown(text) for text in simulated.left_untouched],
    )


def _macro_views(macros: tuple[MacroValue, ...]) -> list[MacroValueView]:
    return [
        MacroValueView(macro=macro.macro, value=macro.value, origin=macro.origin, source=macro.sentence)
        for macro in macros
    ]


router = Router(
    "/simulate",
    route_handlers=[
        post("/", status_code=200, dto=StrictBody, return_dto=None, sync_to_thread=True, summary="Try without sending")(
            simulate
        ),
    ],
    opt={RIGHT: None},  # it has no effect
    tags=["Diagnosis"],
)
