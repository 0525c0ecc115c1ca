"""Results of a dry run: where a visitor would go, what each rule would do about their conversion, and why. Pure."""

import enum

import msgspec

from clickloop.click.click import Click
from clickloop.click.routing.not_served import NotServed
from clickloop.conversion.conversion import Conversion
from clickloop.conversion.notice import NoticeFlag, RefusalReason
from clickloop.diagnosis.macro_origin import MacroValue
from clickloop.diagnosis.trace.text import every_finding_line, one_line
from clickloop.explained import Explained
from clickloop.money import amount_text
from clickloop.postback.due import ConditionResult, SkipReason
from clickloop.postback.masking import masked_request
from clickloop.postback.rule import PostbackRequest, PostbackRule
from clickloop.text import readable


class DestinationKind(enum.StrEnum):
    """Where a visitor is sent."""

    OFFER = "offer"
    LANDING = "landing"
    URL = "url"
    FALLBACK = "fallback"
    NOWHERE = "nowhere"


class OfferChance(msgspec.Struct, frozen=True):
    """The probability of an offer: its share of all weights, in percent."""

    offer_id: int
    offer_name: str
    percent: float


class Redirect(msgspec.Struct, frozen=True, kw_only=True):
    """Where the visitor goes. ``recorded``: where the visitor of a recorded click went, without chances and macros."""

    to: DestinationKind
    url: str
    offer_id: int = 0
    offer_name: str = ""
    landing_id: int = 0
    landing_name: str = ""
    recorded: bool = False
    chances: tuple[OfferChance, ...] = ()
    left_out: tuple[NotServed, ...] = ()
    macros: tuple[MacroValue, ...] = ()
    cap: str = ""
    """Why it is not the path's own offer, if its cap is reached."""
    returning: str = ""
    """A sentence about visitors who return, if the campaign treats them in a way of its own."""
    left_untouched: tuple[str, ...] = ()
    """Texts in the URL that look like macros but are unknown, and stay as they are."""


class NoticeEffect(msgspec.Struct, frozen=True, kw_only=True):
    """The effect of the notice: ``outcome`` as in Conversions - In. ``change`` is the kind of change; empty if none."""

    outcome: str
    reason: RefusalReason | None = None
    flags: tuple[str, ...] = ()
    change: str = ""
    stored: bool = False
    """Whether it is the last change of a stored conversion, decided again."""


class SimulatedRule(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a rule. ``request``: the request to send, even if the rule is skipped; contains secrets."""

    rule: PostbackRule
    paused: bool
    """Whether a receiver's 410 has paused the rule, so that its postbacks wait."""
    reason: SkipReason | None
    findings: tuple[ConditionResult, ...]
    not_before: int | None
    request: PostbackRequest
    unsendable: str
    """Why the request cannot be sent; empty: it can."""
    macros: tuple[MacroValue, ...]
    left_untouched: tuple[str, ...]


class IgnoredParameter(msgspec.Struct, frozen=True):
    """A parameter of the link that is not stored, and why."""

    name: str
    sentence: str


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a dry run. ``invented``: the click is simulated, and its id is not valid."""

    invented: bool
    not_taken: tuple[IgnoredParameter, ...] = ()
    """The link's parameters that the campaign does not store."""
    click: Click
    redirect: Redirect
    notice_effect: NoticeEffect
    conversion: Conversion | None
    rules: tuple[SimulatedRule, ...]


class SimulationFault(Explained):
    """The reasons why there is nothing to simulate. A closed list."""

    NO_SUCH_CAMPAIGN = "no_such_campaign", "There is no active campaign with this ID."
    NO_SUCH_CLICK = "no_such_click", "There is no click with this ID yet."
    NO_SUCH_CONVERSION = "no_such_conversion", "There is no conversion with this ID."
    OFFER_NOT_SERVED = "offer_not_served", "The campaign sends no visitors to this offer."


def simulation_text(simulation: Simulation) -> str:
    kind = "A simulated click" if simulation.invented else f"Click {simulation.click.click_id}"
    lines = [f"{kind}: a dry run. Nothing is sent or stored.", "", *_redirect_lines(simulation.redirect), ""]
    if simulation.not_taken:
        lines[-1:] = [f"  {one_line(one.name)}: {one_line(one.sentence)}" for one in simulation.not_taken] + [""]
    lines += _conversion_lines(simulation)
    if simulation.notice_effect.change and not simulation.rules:
        lines += ["", "No postback rule applies: nothing would be sent."]
    for rule in simulation.rules:
        lines += ["", *_rule_lines(rule)]
    return "\n".join(lines) + "\n"


def _redirect_lines(redirect: Redirect) -> list[str]:
    verb = "went" if redirect.recorded else "goes"
    lines = [
        {
            DestinationKind.OFFER: f"The visitor {verb} to the offer {redirect.offer_name or redirect.offer_id}.",
            DestinationKind.LANDING: f"The visitor {verb} to the landing {redirect.landing_name or redirect.landing_id}.",
            DestinationKind.URL: f"The visitor {verb} to a path's URL.",
            DestinationKind.FALLBACK: f"The visitor {verb} to the fallback URL.",
            DestinationKind.NOWHERE: "There is nowhere to send the visitor: no offer and no fallback URL.",
        }[redirect.to]
    ]
    if redirect.url:
        lines.append(f"  {one_line(redirect.url, 2000)}")
    if len(redirect.chances) > 1:
        shares = ", ".join(f"{chance.offer_name} {chance.percent:g}%" for chance in redirect.chances)
        lines.append(f"  by weight: {one_line(shares)}")
    if redirect.cap:
        lines.append(f"  {one_line(redirect.cap, 300)}")
    if redirect.returning:
        lines.append(f"  {redirect.returning}")
    lines += [f"  left out  {left.kind} {left.id or ''}: {left.reason.sentence}" for left in redirect.left_out]
    return lines + _macro_lines(redirect.macros, redirect.left_untouched)


def _conversion_lines(simulation: Simulation) -> list[str]:
    effect, conversion = simulation.notice_effect, simulation.conversion
    if effect.reason is not None:
        return [f"The conversion would be refused ({effect.reason}). {effect.reason.sentence}"]
    if conversion is None:
        return [f"The incoming postback: {effect.outcome}."]
    payout = f"{amount_text(conversion.payout.micros)} {conversion.payout.currency}".strip()
    line = f"The conversion: {effect.outcome}, {one_line(conversion.status.name)}, {payout}"
    line += " (the last change of a stored conversion, decided again)." if effect.stored else "."
    if not effect.change:
        line += " Nothing changes, so nothing would be sent."
    return [line, *(f"  flag  {NoticeFlag(flag).sentence} ({flag})" for flag in effect.flags)]


def _rule_lines(simulated: SimulatedRule) -> list[str]:
    rule = simulated.rule
    name = f"Rule {rule.rule_id} {one_line(rule.name)!r}"
    if simulated.reason is not None:
        lines = [f"{name} is skipped ({simulated.reason}). {simulated.reason.sentence}"]
    else:
        delay = rule.conditions.delay_seconds
        lines = [f"{name} would be sent{f', {delay} s after the conversion' if delay else ''}."]
    if simulated.paused:
        lines.append("  The rule is paused because its receiver answered 410 Gone. Its postbacks wait.")
    lines += [f"  {line}" for line in every_finding_line(simulated.findings)]
    request = masked_request(simulated.request)
    lines.append(f"  {request.method} {one_line(request.url, 2000)}")
    lines += [f"  {header.name}: {one_line(readable(header.value))}" for header in request.headers]
    if request.body:
        lines.append(f"  {one_line(readable(request.body), 2000)}")
    if simulated.unsendable:
        lines.append(f"  This request cannot be sent: {simulated.unsendable}")
    return lines + _macro_lines(simulated.macros, simulated.left_untouched)


def _macro_lines(macros: tuple[MacroValue, ...], left_untouched: tuple[str, ...]) -> list[str]:
    width = min(24, max((len(macro.macro) + 2 for macro in macros), default=0))
    lines = []
    for macro in macros:
        shown = one_line(macro.value, 100) or "(empty)"
        lines.append(f"    {'{' + macro.macro + '}':<{width}}  {shown}  – {one_line(macro.sentence)}")
    return lines + [f"    {one_line(text)}  – not one of our macros, left as it is" for text in left_untouched]
