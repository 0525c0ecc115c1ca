"""Check flows and landings: rules that no visitor reaches, paths that lead nowhere, and click ids that get lost. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from clickloop.diagnosis.check.chain import Chain, CheckedFlow, landing_place
from clickloop.diagnosis.check.finding import CheckCode, CheckFinding, CheckPlace, CheckPlaceKind
from clickloop.diagnosis.check.marks import mark_condition_findings
from clickloop.diagnosis.check.shadowing import hidden_rules
from clickloop.diagnosis.condition_phrases import field_noun
from clickloop.macro import Severity, parse
from clickloop.plural import pluralize
from clickloop.setup.catalog import CatalogCampaign, flows_by_campaign
from clickloop.setup.condition import Condition, Operator
from clickloop.setup.flow import MAX_DEPTH, Path, PathTarget, Rule
from clickloop.setup.landing import Landing
from clickloop.setup.traffic_source import is_google_ads

_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


def flow_findings(chain: Chain, unserved: Collection[int] = ()) -> Iterator[CheckFinding]:
    """Yield the findings about all flows and landings, and about how campaigns lead to each other.

    ``unserved``: flows without any destination, which have a finding of their own in place of one for each path.
    """
    lists = {number: named.entries for number, named in chain.lists.items()}
    for flow in chain.flows:
        yield from _rule_findings(flow, lists, chain)
        if flow.id not in unserved:
            yield from _all_path_findings(flow, chain)
    for landing in chain.landings.values():
        yield from landing_findings(landing)
    yield from _loop_findings(chain)
    checked = {campaign.id for campaign in chain.campaigns}
    for campaign in chain.catalog.campaigns:
        if campaign.id in checked:
            yield from _google_findings(campaign, chain)


def landing_findings(landing: Landing) -> Iterator[CheckFinding]:
    """Yield the findings about a landing."""
    if not landing.append_click_id and "clickid" not in parse(landing.url).names:
        yield CheckFinding(
            _WARNING,
            CheckCode.LANDING_LOSES_CLICK_ID,
            landing_place(landing, "url"),
            "The landing's URL does not carry our click ID, so its buttons know the visitor by a cookie alone, which browsers block "
            "for landings on another site.",
            "Append the click ID (append_click_id), or write {clickid} into the URL.",
        )


def flow_place(flow: CheckedFlow, field: str, chain: Chain) -> CheckPlace:
    """Return the place of a part of a flow: a field of the campaign whose own it is, or of the shared flow."""
    if not flow.campaign_id:
        return CheckPlace(kind=CheckPlaceKind.FLOW, id=flow.id, name=flow.name, field=field)
    name = next((campaign.name for campaign in chain.campaigns if campaign.id == flow.campaign_id), "")
    return CheckPlace(kind=CheckPlaceKind.CAMPAIGN, id=flow.campaign_id, name=name, field=f"flow.{field}")


def _rule_findings(flow: CheckedFlow, lists: Mapping[int, Sequence[str]], chain: Chain) -> Iterator[CheckFinding]:
    rules = flow.parts.rules
    active = [position for position, rule in enumerate(rules) if rule.active]
    everybody = next((position for position in active if not rules[position].conditions), None)
    below = sum(position > everybody for position in active) if everybody is not None else 0
    if everybody is not None and below:
        yield CheckFinding(
            _WARNING,
            CheckCode.RULE_FOR_EVERYBODY,
            flow_place(flow, f"rules[{everybody}]", chain),
            f"{_rule(everybody, rules)} has no conditions, so it takes every visitor and {pluralize(below, 'rule')} below get none.",
            "Move it to the end, add a condition, or switch it off.",
        )
    reached = rules if everybody is None else rules[: everybody + 1]
    for later, earlier in hidden_rules(reached, lists):
        yield CheckFinding(
            _WARNING,
            CheckCode.RULE_SHADOWED,
            flow_place(flow, f"rules[{later}]", chain),
            f"{_rule(later, rules)} gets no visitors: {_rule(earlier, rules)}, which is above it, takes all of them.",
            "Move it up, or change the conditions of one of the two.",
        )
    for position in active:
        for number, condition in enumerate(rules[position].conditions):
            place = flow_place(flow, f"rules[{position}].conditions[{number}]", chain)
            yield from _condition_findings(condition, _rule(position, rules), place, chain)
            yield from mark_condition_findings(condition, _rule(position, rules), place, flow, chain)


def _all_path_findings(flow: CheckedFlow, chain: Chain) -> Iterator[CheckFinding]:
    rules = flow.parts.rules
    for position, rule in enumerate(rules):
        if rule.active:
            whose = f"the paths of {_rule(position, rules)}"
            yield from _path_list_findings(flow, f"rules[{position}].paths", rule.paths, whose, chain)
    yield from _path_list_findings(flow, "default_paths", flow.parts.default_paths, "the default paths", chain)


def _condition_findings(condition: Condition, rule: str, place: CheckPlace, chain: Chain) -> Iterator[CheckFinding]:
    """Find conditions that compare with an empty list alone."""
    if condition.list_id is None or condition.values:
        return
    named = chain.lists.get(condition.list_id)
    if named is not None and named.entries:
        return
    name = (
        f"The list {named.name!r} is empty" if named else f"The list {condition.list_id} is archived or does not exist"
    )
    if condition.op is Operator.NOT_IN:
        sentence = f"{name}, so {rule} excludes nobody by {field_noun(condition.field)}."
        yield CheckFinding(
            _WARNING, CheckCode.NOT_IN_EMPTY_LIST, place, sentence, "Add entries, or remove the condition."
        )
    else:
        sentence = f"{name}, so no known value of {field_noun(condition.field)} fits {rule}."
        yield CheckFinding(_WARNING, CheckCode.LIST_EMPTY, place, sentence, "Add entries, or remove the condition.")


def _path_list_findings(
    flow: CheckedFlow, at: str, paths: Sequence[Path], whose: str, chain: Chain
) -> Iterator[CheckFinding]:
    """Yield the findings about the paths that one rule's visitors are split among."""
    place = flow_place(flow, at, chain)
    active = [path for path in paths if path.active]
    if not active:
        sentence = f"There are no active paths among {whose}, so their visitors go to the fallback URL."
        remedy = "Add a path, or switch one on. A path to nothing shows a 404 page on purpose."
        yield CheckFinding(_ERROR, CheckCode.PATHS_MISSING, place, sentence, remedy)
    elif not any(path.weight for path in active):
        sentence = f"All weights of {whose} are 0, so their visitors go to the fallback URL."
        yield CheckFinding(_ERROR, CheckCode.WEIGHTS_ZERO, place, sentence, "Give one of them a weight.")
    for number, path in enumerate(paths):
        if path.active:
            yield from _path_findings(path, flow_place(flow, f"{at}[{number}]", chain), chain)


def _path_findings(path: Path, place: CheckPlace, chain: Chain) -> Iterator[CheckFinding]:
    name = f"The path {path.name!r}" if path.name else "A path without a name"
    if path.target not in (PathTarget.OFFER, PathTarget.LANDING_AND_OFFER):
        return
    by_landing = path.target is PathTarget.LANDING_AND_OFFER
    shares: Sequence[tuple[int, int]] = (
        [(share.landing_id, share.weight) for share in path.landings]
        if by_landing
        else [(share.offer_id, share.weight) for share in path.offers]
    )
    known, noun = (chain.landings.keys(), "landing") if by_landing else (chain.offers.keys(), "offer")
    live = [(number, weight) for number, weight in shares if number in known]
    if not live:
        sentence = f"{name} has no live {noun}, so no visitor is sent along it."
        yield CheckFinding(
            _WARNING,
            CheckCode.PATH_EMPTY,
            place,
            sentence,
            f"Add a {noun}, or remove the path." if by_landing else "Add an offer, or remove the path.",
        )
    elif not any(weight for _, weight in live):
        sentence = f"{name} gives all its {noun}s the weight 0, so no visitor is sent along it."
        yield CheckFinding(_WARNING, CheckCode.WEIGHTS_ZERO, place, sentence, "Give one of them a weight.")
    if by_landing and live:
        yield from _button_findings(path, name, place, chain)


def _button_findings(path: Path, name: str, place: CheckPlace, chain: Chain) -> Iterator[CheckFinding]:
    """Find buttons of landings that have no offer of their own."""
    offers = sum(share.offer_id in chain.offers and share.weight > 0 for share in path.offers)
    if not offers:
        sentence = f"{name} has landings and no offer with a weight, so the landings' buttons lead to the fallback URL."
        yield CheckFinding(_ERROR, CheckCode.LANDING_WITHOUT_OFFERS, place, sentence, "Add an offer to the path.")
        return
    for share in path.landings:
        landing = chain.landings.get(share.landing_id)
        if landing is not None and share.weight and landing.buttons > max(1, offers):
            sentence = (
                f"The landing {landing.name!r} has {landing.buttons} buttons, but {name[0].lower()}{name[1:]} has "
                f"{pluralize(offers, 'offer')}. Buttons beyond the last offer lead to the last one."
            )
            remedy = "Add offers to the path, or correct the landing's number of buttons."
            yield CheckFinding(_WARNING, CheckCode.BUTTONS_WITHOUT_OFFER, place, sentence, remedy)


def _google_findings(campaign: CatalogCampaign, chain: Chain) -> Iterator[CheckFinding]:
    """Find redirects by a page for visitors from Google Ads, whose policy allows only redirects by the server."""
    source = chain.sources.get(campaign.source_id)
    if source is None or not is_google_ads(source):
        return
    flow = next((flow for flow in chain.flows if flow.id == campaign.flow_id), None)
    places = [
        (
            CheckPlace(kind=CheckPlaceKind.CAMPAIGN, id=campaign.id, name=campaign.name, field="redirect"),
            campaign.redirect,
        )
    ]
    if flow is not None:
        places += [
            (flow_place(flow, f"{at}.redirect", chain), path.redirect)
            for at, path in flow.parts.paths()
            if path.redirect is not None and path.active
        ]
    for place, mode in places:
        if mode.is_page:
            yield CheckFinding(
                _WARNING,
                CheckCode.CLIENT_REDIRECT_FOR_GOOGLE,
                place,
                f"Visitors from {source.name!r} are redirected by a page (mode {mode}), but Google Ads allows only redirects by the "
                "server and may refuse the ads.",
                "Choose 302, 302_no_referrer or 307 for this campaign.",
            )


def _loop_findings(chain: Chain) -> Iterator[CheckFinding]:
    """Find campaigns that lead to each other in a loop, or through too many others. Two saves at once may make one."""
    checked = {campaign.id for campaign in chain.campaigns}
    names = {campaign.id: campaign for campaign in chain.catalog.campaigns}
    following = {
        campaign_id: sorted(
            {
                path.campaign_id
                for _, path in flow.parts.paths()
                if path.active and path.campaign_id and path.target is PathTarget.CAMPAIGN
            }
        )
        for campaign_id, flow in flows_by_campaign(chain.catalog).items()
    }
    depths = _depths(following)
    for number, depth in depths.items():
        if number not in checked:
            continue
        place = CheckPlace(kind=CheckPlaceKind.CAMPAIGN, id=number, name=names[number].name, field="flow")
        if depth is None:
            sentence = "A path leads to a campaign that leads back here, so visitors would go round in a loop. They go to the fallback URL."
            yield CheckFinding(_ERROR, CheckCode.CAMPAIGN_LOOP, place, sentence, "Let one of the paths lead elsewhere.")
        elif depth > MAX_DEPTH:
            sentence = f"Visitors would pass through {depth} further campaigns; {MAX_DEPTH} are possible."
            yield CheckFinding(
                _WARNING, CheckCode.CAMPAIGNS_TOO_DEEP, place, sentence, "Lead to the last campaign directly."
            )


def _depths(following: Mapping[int, Sequence[int]]) -> dict[int, int | None]:
    """Return the number of campaigns that a visitor of each passes through at most; None: it is part of a loop.

    Campaigns are taken off from the ends, one layer after the other: those that stay lead into a loop.
    """
    depths: dict[int, int] = {}
    waiting = {number: set(others) & following.keys() for number, others in following.items()}
    while ready := [number for number, others in waiting.items() if not others - depths.keys()]:
        for number in ready:
            depths[number] = max((1 + depths[other] for other in waiting.pop(number)), default=0)
    return {number: depths.get(number) for number in following if number in depths or _returns_to(number, following)}


def _returns_to(start: int, following: Mapping[int, Sequence[int]]) -> bool:
    """Return whether a campaign is itself part of a loop."""
    seen: set[int] = set()
    waiting = list(following[start])
    while waiting:
        number = waiting.pop()
        if number == start:
            return True
        if number not in seen:
            seen.add(number)
            waiting += following.get(number, ())
    return False


def _rule(position: int, rules: Sequence[Rule]) -> str:
    name = rules[position].name
    return f"rule {name!r}" if name else f"rule {position + 1}"
