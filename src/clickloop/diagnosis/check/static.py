"""Check a chain's set-up, step by step from the source back to the source. Pure."""

from collections.abc import Iterator

from clickloop.click.routing.routes import Routes
from clickloop.conversion.network_words import words_for_status
from clickloop.conversion.status import OTHER, SALE
from clickloop.diagnosis.check.caps import cap_findings
from clickloop.diagnosis.check.chain import (
    Chain,
    CheckedRule,
    campaign_place,
    macros_of,
    rule_place,
)
from clickloop.diagnosis.check.finding import CheckCode, CheckFinding, CheckPlace, CheckPlaceKind
from clickloop.diagnosis.check.flows import flow_findings
from clickloop.diagnosis.check.learning import learning_set_up_findings
from clickloop.diagnosis.check.marks import mark_list_findings
from clickloop.diagnosis.check.records import (
    campaign_findings,
    network_findings,
    offer_findings,
    rule_findings,
    source_findings,
)
from clickloop.macro import Severity
from clickloop.postback.rule import PostbackRule
from clickloop.postback.sending.address_guard import Policy, RefusedAddress, judge_target
from clickloop.postback.sending.target import TargetFault, target_of
from clickloop.setup.campaign import Campaign
from clickloop.setup.network import Network
from clickloop.setup.own_link import OwnLinks

_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
_ANY_NETWORK = Network(name="")


def static_findings(chain: Chain) -> list[CheckFinding]:
    """Return all findings about the set-up."""
    routes, own_links = chain.routes(), OwnLinks(chain.catalog.own_hosts)
    any_rows = macros_of(chain.sources.values())
    rules = {checked.rule.rule_id: checked.rule for checked in chain.rules}
    findings = list(_reach(chain))
    for source in chain.sources.values():
        findings += source_findings(source, rules.get(chain.first_rules.get(source.id, 0)))
    for campaign in chain.campaigns:
        findings += [*_campaign(campaign, routes), *_own_rules_off(campaign, chain)]
    findings += flow_findings(chain, _unserved(chain, routes))
    findings += learning_set_up_findings(chain)
    findings += mark_list_findings(chain)
    for offer in chain.offers.values():
        network = chain.networks.get(offer.network_id) if offer.network_id is not None else None
        findings += offer_findings(offer, network, chain.sources_to(offer.id), any_rows, own_links)
    findings += cap_findings(chain)
    for network in chain.networks.values():
        findings += network_findings(network)
    for checked in chain.rules:
        findings += [*_rule(chain, checked), *_statuses(chain, checked.rule)]
    return [*findings, *_views(chain)]


def _views(chain: Chain) -> Iterator[CheckFinding]:
    """Find scheduled views whose rule sends nothing."""
    rules = {checked.rule.rule_id: checked.rule for checked in chain.rules}
    for view in chain.views:
        rule = rules.get(view.rule_id)
        if rule is not None and rule.active:
            continue
        place = CheckPlace(kind=CheckPlaceKind.VIEW, id=view.id, name=view.name, field="schedule.rule_id")
        what = "off" if rule is not None else "archived"
        sentence = f"The view is to be sent through postback rule {view.rule_id}, which is {what}, so its runs are skipped (rule_off)."
        remedy = "Switch the rule on, choose another one, or end the schedule."
        yield CheckFinding(_WARNING, CheckCode.VIEW_NOT_SENT, place, sentence, remedy)


def _reach(chain: Chain) -> Iterator[CheckFinding]:
    """Find campaign links that cannot be opened from the internet."""
    if not chain.base_url or all(campaign.domain for campaign in chain.campaigns):
        return
    target = target_of(chain.base_url)
    if isinstance(target, TargetFault) or isinstance(judge_target(target, Policy()), RefusedAddress):
        yield CheckFinding(
            _WARNING,
            CheckCode.LINK_NOT_PUBLIC,
            CheckPlace(kind=CheckPlaceKind.INSTANCE, field="public_url"),
            f"Campaign links and postback URLs begin with {chain.base_url}, which only this machine or network can reach.",
            "Set the tracker's public URL in the settings.",
        )


def _campaign(campaign: Campaign, routes: Routes) -> Iterator[CheckFinding]:
    route = routes.find(campaign.key.encode())
    if route is None:
        return
    yield from campaign_findings(campaign, route)
    if route.fallback is None:
        sentence = "No fallback URL is set for the campaign or in the settings, so visitors without an offer get a plain 404 page."
        place = campaign_place(campaign, "fallback_url")
        remedy = "Set one here, or a default in the settings."
        yield CheckFinding(_NOTE, CheckCode.NO_FALLBACK, place, sentence, remedy)


def _unserved(chain: Chain, routes: Routes) -> set[int]:
    """Return the flows of active campaigns that have no destination at all."""
    return {
        campaign.flow_id
        for campaign in chain.catalog.campaigns
        if campaign.active and (route := routes.find(campaign.key.encode())) is not None and not route.serves
    }


def _own_rules_off(campaign: Campaign, chain: Chain) -> Iterator[CheckFinding]:
    if campaign.source_rules_off and any(checked.rule.source_id == campaign.source_id for checked in chain.rules):
        yield CheckFinding(
            _WARNING,
            CheckCode.SOURCE_RULES_OFF,
            campaign_place(campaign, "source_rules_off"),
            "The campaign has switched off its source's postback rules, so the source never learns of its conversions.",
            "Switch them on, unless one of the campaign's own rules reports to the source.",
        )


def _rule(chain: Chain, checked: CheckedRule) -> Iterator[CheckFinding]:
    rule = checked.rule
    yield from rule_findings(rule, chain.sources_of(rule))
    if not rule.active:
        is_first = rule.rule_id in chain.first_rules.values()
        sentence = "The rule is switched off, so its postbacks are skipped (rule_off)."
        yield CheckFinding(
            _WARNING if is_first else _NOTE,
            CheckCode.RULE_OFF,
            rule_place(rule, "active"),
            sentence,
            "Switch it on if it is needed.",
        )
    if checked.paused:
        sentence = "The receiver answered 410 Gone, so the rule is paused and its postbacks wait."
        remedy = (
            "Correct the URL if it is wrong, or ask the receiver; then resume the rule. Its waiting postbacks are rebuilt if the "
            "URL was corrected. One is sent first, and the others follow unless the response is 410 again. The postback that got "
            "the 410 has failed: resend it in Conversions - Out."
        )
        yield CheckFinding(_ERROR, CheckCode.RULE_PAUSED, rule_place(rule), sentence, remedy)


def _statuses(chain: Chain, rule: PostbackRule) -> Iterator[CheckFinding]:
    """Find statuses that a rule waits for but that cannot come."""
    selected = rule.conditions.statuses
    known = {row.status.key: row for row in chain.statuses}
    place = rule_place(rule, "conditions.statuses")
    networks = {network.id: network for campaign in chain.campaigns_of(rule) for network in chain.networks_of(campaign)}
    senders = list(networks.values())
    for key in selected:
        if key not in known:
            sentence = f"The rule waits for the status {key!r}, which does not exist."
            yield CheckFinding(_ERROR, CheckCode.STATUS_UNKNOWN, place, sentence, "Choose an existing status.")
        elif key not in (OTHER.key, SALE.key) and not any(
            words_for_status(key, known[key].words, network.status_words) for network in senders or [_ANY_NETWORK]
        ):
            sentence = f"No network's word is mapped to the status {key!r}, so only the word {key!r} itself sets it."
            remedy = "Map the words that your networks send to the status, for all networks or on the network's page."
            yield CheckFinding(_WARNING, CheckCode.STATUS_WITHOUT_WORDS, place, sentence, remedy)
    described = [network for network in senders if network.postback_parameters]
    if (
        selected
        and SALE.key not in selected
        and described
        and all("status" not in network.postback_parameters for network in described)
    ):
        names = ", ".join(sorted(network.name for network in described))
        yield CheckFinding(
            _WARNING,
            CheckCode.STATUS_NOT_SENT,
            place,
            f"The rule waits for {', '.join(selected)}, but no status comes from {names}. Without one a conversion is a sale.",
            "Add the parameter status with the network's macro to its postback URL, or select sale in the rule.",
        )
