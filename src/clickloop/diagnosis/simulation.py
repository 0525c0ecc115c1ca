"""The dry run as it is told: where a visitor would go, what each rule would do about his conversion, and why. Pure."""

import enum

import msgspec

from clickloop.click.click import Click
from clickloop.click.routing import LeftOut
from clickloop.conversion.conversion import Conversion
from clickloop.conversion.notice import NoticeFlag, RefusalReason
from clickloop.diagnosis.macro_origin import MacroValue
from clickloop.diagnosis.trace_text import every_finding_line, one_line
from clickloop.explained import Explained
from clickloop.money import amount_text
from clickloop.postback.due import Finding, SkipReason
from clickloop.postback.masking import masked_request
from clickloop.postback.rule import Request, Rule
from clickloop.text import readable


class Destination(enum.StrEnum):
    """Where a visitor is sent."""

    OFFER = "offer"
    FALLBACK = "fallback"
    NOWHERE = "nowhere"


class Chance(msgspec.Struct, frozen=True):
    """How likely an offer is: its weight among all weights, in percent."""

    offer_id: int
    offer_name: str
    percent: float


class Redirect(msgspec.Struct, frozen=True, kw_only=True):
    """Where the visitor goes. ``recorded``: where he went, for a click that was recorded; then nothing else is looked at."""

    to: Destination
    url: str
    offer_id: int = 0
    offer_name: str = ""
    recorded: bool = False
    chances: tuple[Chance, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    macros: tuple[MacroValue, ...] = ()
    left_untouched: tuple[str, ...] = ()
    """What looks like a macro in the address, is none of ours, and is left as it stands."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the notice does: ``outcome`` as in Conversions - In. ``change`` names what changed; empty: nothing."""

    outcome: str
    reason: RefusalReason | None = None
    flags: tuple[str, ...] = ()
    change: str = ""
    stored: bool = False
    """It is the last change of a conversion that is stored, decided once more."""


class SimulatedRule(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule would do. ``request``: what would be sent, or would have been if the rule were not skipped; secrets are in it."""

    rule: Rule
    paused: bool
    """A receiver's 410 holds back what it owes."""
    reason: SkipReason | None
    findings: tuple[Finding, ...]
    not_before: int | None
    request: Request
    unsendable: str
    """Why the request could not be sent as it is; empty: it could."""
    macros: tuple[MacroValue, ...]
    left_untouched: tuple[str, ...]


class NotTaken(msgspec.Struct, frozen=True):
    """A parameter of the link of which nothing is kept, and why."""

    name: str
    sentence: str


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """A dry run. ``invented``: the click is made up, and its id is not one that we would take."""

    invented: bool
    not_taken: tuple[NotTaken, ...] = ()
    """Parameters that were given for the link and that the campaign keeps nothing of."""
    click: Click
    redirect: Redirect
    told: Told
    conversion: Conversion | None
    rules: tuple[SimulatedRule, ...]


class SimulationFault(Explained):
    """Why there is nothing to try. A closed list."""

    NO_SUCH_CAMPAIGN = "no_such_campaign", "There is no live campaign of that number."
    NO_SUCH_CLICK = "no_such_click", "There is no click of that id yet."
    NO_SUCH_CONVERSION = "no_such_conversion", "There is no conversion of that id."
    OFFER_NOT_SERVED = "offer_not_served", "The campaign sends nobody to that offer."


def simulation_text(simulation: Simulation) -> str:
    """The dry run as a page of text."""
    kind = "An invented click" if simulation.invented else f"Click {simulation.click.click_id}"
    lines = [f"{kind}: a dry run. Nothing is sent or stored.", "", *_redirect_lines(simulation.redirect), ""]
    if simulation.not_taken:
        lines[-1:] = [f"  {one_line(one.name)}: {one_line(one.sentence)}" for one in simulation.not_taken] + [""]
    lines += _conversion_lines(simulation)
    if simulation.told.change and not simulation.rules:
        lines += ["", "No postback rule applies: nothing would be sent."]
    for rule in simulation.rules:
        lines += ["", *_rule_lines(rule)]
    return "\n".join(lines) + "\n"


def _redirect_lines(redirect: Redirect) -> list[str]:
    verb = "went" if redirect.recorded else "goes"
    lines = [
        {
            Destination.OFFER: f"The visitor {verb} to the offer {redirect.offer_name or redirect.offer_id}.",
            Destination.FALLBACK: f"The visitor {verb} to the fallback address.",
            Destination.NOWHERE: "There is nowhere to send the visitor: no offer and no fallback address.",
        }[redirect.to]
    ]
    if redirect.url:
        lines.append(f"  {one_line(redirect.url, 2000)}")
    if len(redirect.chances) > 1:
        shares = ", ".join(f"{chance.offer_name} {chance.percent:g} %" for chance in redirect.chances)
        lines.append(f"  by weight: {one_line(shares)}")
    lines += [f"  left out  offer {left.offer_id}: {left.reason.sentence}" for left in redirect.left_out]
    return lines + _macro_lines(redirect.macros, redirect.left_untouched)


def _conversion_lines(simulation: Simulation) -> list[str]:
    told, conversion = simulation.told, simulation.conversion
    if told.reason is not None:
        return [f"The conversion would be refused ({told.reason}). {told.reason.sentence}"]
    if conversion is None:
        return [f"The notice: {told.outcome}."]
    payout = f"{amount_text(conversion.payout.micros)} {conversion.payout.currency}".strip()
    line = f"The conversion: {told.outcome}, {one_line(conversion.status.name)}, {payout}"
    line += " (the last change of a stored conversion, decided once more)." if told.stored else "."
    if not told.change:
        line += " Nothing changes, so nothing would be sent."
    return [line, *(f"  odd  {NoticeFlag(flag).sentence} ({flag})" for flag in told.flags)]


def _rule_lines(simulated: SimulatedRule) -> list[str]:
    rule = simulated.rule
    name = f"Rule {rule.rule_id} {one_line(rule.name)!r}"
    if simulated.reason is not None:
        lines = [f"{name} is skipped ({simulated.reason}). {simulated.reason.sentence}"]
    else:
        delay = rule.conditions.delay_seconds
        lines = [f"{name} would be sent{f', {delay} s after the conversion' if delay else ''}."]
    if simulated.paused:
        lines.append("  The rule is paused since its receiver said 410 Gone: what it owes waits.")
    lines += [f"  {line}" for line in every_finding_line(simulated.findings)]
    request = masked_request(simulated.request)
    lines.append(f"  {request.method} {one_line(request.url, 2000)}")
    lines += [f"  {header.name}: {one_line(readable(header.value))}" for header in request.headers]
    if request.body:
        lines.append(f"  {one_line(readable(request.body), 2000)}")
    if simulated.unsendable:
        lines.append(f"  It cannot be sent like this: {simulated.unsendable}")
    return lines + _macro_lines(simulated.macros, simulated.left_untouched)


def _macro_lines(macros: tuple[MacroValue, ...], left_untouched: tuple[str, ...]) -> list[str]:
    width = min(24, max((len(macro.macro) + 2 for macro in macros), default=0))
    lines = []
    for macro in macros:
        shown = one_line(macro.value, 100) or "(empty)"
        lines.append(f"    {'{' + macro.macro + '}':<{width}}  {shown}  – {one_line(macro.sentence)}")
    return lines + [f"    {one_line(text)}  – not one of our macros: left as it stands" for text in left_untouched]
