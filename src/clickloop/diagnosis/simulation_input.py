"""The request of a dry run: its fields, their checks, and the simulation that it asks for."""

from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Meta, UnsetType

from clickloop.click_id import ClickId
from clickloop.conversion.conversion_input import ConversionInput
from clickloop.conversion.notice import MAX_TXID
from clickloop.conversion.reported import ConversionBody, numbered_values
from clickloop.diagnosis.check_input import TrackerUrls
from clickloop.diagnosis.simulation import Simulation, SimulationFault
from clickloop.log_filter import MAX_ID
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError, text_faults
from clickloop.tracking.notices import Intake

MAX_PARAMETERS = 100  # as many as are stored of a real click
MAX_VALUE_LENGTH = 4_000  # more than is stored of a real one

Number = Annotated[int, Meta(ge=1, le=MAX_ID)] | None


class VisitorBody(msgspec.Struct, kw_only=True):
    """The simulated visitor."""

    ip: str = "203.0.113.7"
    country: Annotated[str, Meta(description="Used as data; the IP address is not looked up.", examples=["US"])] = ""
    useragent: str = ""
    language: Annotated[str, Meta(description="Value of the Accept-Language header.", examples=["pt-BR,pt;q=0.9"])] = ""
    referrer: str = ""
    host: Annotated[
        str, Meta(description="Host of the link that was opened. Leave empty to use the campaign's or instance's host.")
    ] = ""
    returning: Annotated[bool, Meta(description="true if the visitor has been here before.")] = False


class SimulationBody(msgspec.Struct, kw_only=True):
    """A simulation of a new visitor to a campaign, of a click, or of a conversion. Set exactly one of the three ids."""

    campaign_id: Number = None
    click_id: Annotated[str, Meta(description="A recorded click. Simulates another conversion of it.")] = ""
    conversion_id: Annotated[
        str,
        Meta(
            description="A stored conversion. Applies today's rules to its last change; with conversion, simulates another "
            "incoming postback."
        ),
    ] = ""
    parameters: Annotated[
        dict[str, str] | UnsetType,
        Meta(
            description="Query parameters of the campaign link. Omit to use an example for each tracked parameter.",
            examples=[{"external_id": "abc"}],
        ),
    ] = UNSET
    visitor: VisitorBody | UnsetType = UNSET
    offer_id: Annotated[
        Number, Meta(description="Offer that the visitor is sent to; null for the one with the highest weight.")
    ] = None
    conversion: ConversionBody | UnsetType = UNSET


def simulate(intake: Intake, urls: TrackerUrls, body: SimulationBody, now_ms: int) -> Simulation | SimulationFault:
    """Simulate what the request describes. Nothing is sent or stored. Raise InvalidInputError."""
    # The edge's step parses User-Agents with a library that the core needs for nothing else, so it is loaded on first use.
    from clickloop.diagnosis.dry_run import simulate_click, simulate_conversion, simulate_visit
    from clickloop.diagnosis.simulated_click import SimulatedClick, SimulatedVisitor, TrackerHost

    faults = _faults(body)
    data = _conversion_input(body.conversion if body.conversion is not UNSET else ConversionBody(), faults)
    if faults:
        raise InvalidInputError(tuple(faults))
    if body.campaign_id is not None:
        place = TrackerHost(
            host=urlsplit(urls.base_url).netloc,
            fallback_url=urls.fallback_url,
            own_hosts=urls.own_hosts,
        )
        invented = SimulatedClick(
            campaign_id=body.campaign_id,
            parameters=None if body.parameters is UNSET else body.parameters,
            visitor=SimulatedVisitor()
            if body.visitor is UNSET
            else SimulatedVisitor(**msgspec.structs.asdict(body.visitor)),
            offer_id=body.offer_id,
        )
        return simulate_visit(intake, place, invented, data, now_ms)
    if body.conversion_id:
        notice = None if body.conversion is UNSET else data
        return simulate_conversion(intake, body.conversion_id.strip().lower(), notice, now_ms)
    click_id = intake.click_ids.read(body.click_id)
    if not isinstance(click_id, ClickId):
        sentence = "This is not a click ID of this tracker: it is mistyped, cut off or forged."
        raise InvalidInputError((FieldFault("click_id", FaultCode.NOT_FOUND, sentence),))
    return simulate_click(intake, click_id, data, now_ms)


def parameter_faults(parameters: dict[str, str]) -> list[FieldFault]:
    """Return the faults of the query parameters of a campaign link."""
    faults = [
        FieldFault(f"parameters.{name[:50]}", FaultCode.TOO_LONG, f"Enter at most {MAX_VALUE_LENGTH} characters.")
        for name, value in parameters.items()
        if len(name) + len(value) > MAX_VALUE_LENGTH
    ]
    if len(parameters) > MAX_PARAMETERS:
        faults.append(FieldFault("parameters", FaultCode.TOO_MANY, f"Enter at most {MAX_PARAMETERS} parameters."))
    return faults


def _faults(body: SimulationBody) -> list[FieldFault]:
    named = [name for name in ("campaign_id", "click_id", "conversion_id") if getattr(body, name)]
    if len(named) != 1:
        field, code = (named[1], FaultCode.CONFLICT) if named else ("campaign_id", FaultCode.REQUIRED)
        return [FieldFault(field, code, "Set exactly one of campaign_id, click_id and conversion_id.")]
    faults = []
    if body.campaign_id is None:
        sentence = "Only for a simulated visitor of a campaign. This click was recorded."
        faults += [
            FieldFault(name, FaultCode.NOT_ALLOWED, sentence)
            for name in ("parameters", "visitor", "offer_id")
            if getattr(body, name) not in (UNSET, None)
        ]
    if body.visitor is not UNSET:
        for name in ("ip", "country", "useragent", "language", "referrer", "host"):
            faults += text_faults(f"visitor.{name}", getattr(body.visitor, name), MAX_VALUE_LENGTH)
    return faults if body.parameters is UNSET else faults + parameter_faults(body.parameters)


def _conversion_input(body: ConversionBody, faults: list[FieldFault]) -> ConversionInput:
    """Return the conversion as stated, without a click id; add its faults."""
    for name, most in (("payout", 200), ("currency", 200), ("status", 200), ("txid", MAX_TXID), ("at", 200)):
        faults += text_faults(f"conversion.{name}", getattr(body, name), most)
    faults += text_faults("conversion.conversion_id", body.conversion_id, 200)
    values = msgspec.structs.asdict(body)
    values["params"] = numbered_values("conversion.params", body.params, faults)
    values["events"] = numbered_values("conversion.events", body.events, faults)
    return ConversionInput(click_id="", **values)
