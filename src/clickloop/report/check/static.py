"""The check of a chain as it is set up, step by step from the source back to the source. Pure."""

import re
from collections.abc import Iterator

from clickloop.click.routing import LeftOutReason, Routes
from clickloop.conversion.network_words import words_for_status
from clickloop.conversion.status import OTHER, SALE
from clickloop.macro import parse, unreplaced_macro
from clickloop.postback.address_guard import Policy, RefusedAddress, judge_target
from clickloop.postback.rule import Rule
from clickloop.postback.target import TargetFault, target_of
from clickloop.postback.values import ready_request
from clickloop.preset.preset import WayBack, source_presets
from clickloop.report.check.chain import (
    Chain,
    CheckedRule,
    campaign_place,
    network_place,
    offer_place,
    row_macros,
    rule_place,
    source_place,
)
from clickloop.report.check.finding import Code, Finding, Kind, Place, Severity
from clickloop.report.check.templates import address_findings, request_findings
from clickloop.setup.campaign import Campaign
from clickloop.setup.network import Network
from clickloop.setup.offer import Offer
from clickloop.setup.traffic_source import EXTERNAL_ID_ROW, SourceParameter, TrafficSource

_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
_MARKS = re.compile(r"[{}\[\]<>]|\$\w|%\w+%|__\w+__|#\w+#|@\w+@|\*\w+\*|\(\(\w+\)\)")
_ANY_NETWORK = Network(name="")
_OURS_ALONE = re.compile(r"\{\s*(externalid|postback_id|trafficsource\.\w+)\s*\}", re.IGNORECASE)


def static_findings(chain: Chain) -> list[Finding]:
    """Everything that is wrong with what is set up."""
    routes = chain.routes()
    found = list(_reach(chain))
    for source in chain.sources.values():
        found += [*_rows(source), *_way_back(chain, source)]
    for campaign in chain.campaigns:
        found += [*_campaign(campaign, routes, chain), *_own_rules_off(campaign, chain)]
    for offer in chain.offers.values():
        found += _offer(chain, offer)
    for network in chain.networks.values():
        found += _network(network)
    for checked in chain.rules:
        found += [*_rule(chain, checked), *_statuses(chain, checked.rule)]
    return found


def looks_like_a_macro(placeholder: str) -> bool:
    """Whether a placeholder holds what some source may replace."""
    return unreplaced_macro(placeholder) or _MARKS.search(placeholder) is not None


def _reach(chain: Chain) -> Iterator[Finding]:
    """Whether the world can open the campaign links."""
    if not chain.base_url or all(campaign.domain for campaign in chain.campaigns):
        return
    target = target_of(chain.base_url)
    if isinstance(target, TargetFault) or isinstance(judge_target(target, Policy()), RefusedAddress):
        yield Finding(
            _WARNING,
            Code.LINK_NOT_PUBLIC,
            Place(kind=Kind.INSTANCE, field="public_url"),
            f"Campaign links and postback URLs begin with {chain.base_url}, which only this machine or network can reach.",
            "Set the public URL, under which the world reaches the tracker, in the settings.",
        )


def _rows(source: TrafficSource) -> Iterator[Finding]:
    for at, row in enumerate(source.parameters):
        place = source_place(source, f"parameters[{at}].placeholder")
        if row.number == EXTERNAL_ID_ROW and not row.placeholder:
            yield _no_placeholder(source, place)
        elif row.tracked and row.placeholder:
            yield from placeholder_findings(row, place)


def _no_placeholder(source: TrafficSource, place: Place) -> Finding:
    preset = source_presets().get(source.preset)
    remedy = "Set the placeholder to the source's macro for its click id, such as ${SUBID}: the source's help lists it."
    if preset is not None and preset.appends:
        remedy = (
            f"{preset.name} sends its click id by itself as {preset.appends}: add a row of that name, and put its macro "
            "into the postback. It is no external_id, so that {externalid} stays empty."
        )
    sentence = "The row external_id has no placeholder, so the source does not put its click id into the campaign link."
    return Finding(_ERROR, Code.NO_EXTERNAL_ID_PLACEHOLDER, place, sentence, remedy)


def placeholder_findings(row: SourceParameter, place: Place) -> Iterator[Finding]:
    """What is wrong with what a source shall put into our link. Without its click id nothing can be reported to it: an error there."""
    needed = row.number == EXTERNAL_ID_ROW
    severity = _ERROR if needed else _WARNING
    if _OURS_ALONE.fullmatch(row.placeholder):
        sentence = f"{row.placeholder} is a macro of ours; the source does not know it and sends it as it is."
        remedy = "Put the source's own macro there: the source's help lists it."
        yield Finding(severity, Code.OUR_MACRO_AS_PLACEHOLDER, place, sentence, remedy)
    elif needed and not looks_like_a_macro(row.placeholder):
        sentence = (
            f"{row.placeholder!r} does not look like a macro, so every click would bring this same text, and none could be "
            "reported to the source."
        )
        remedy = "Put the source's macro for its click id there with all its brackets, such as ${SUBID}."
        yield Finding(severity, Code.PLACEHOLDER_NOT_A_MACRO, place, sentence, remedy)
    elif not looks_like_a_macro(row.placeholder) and not row.placeholder.isdecimal():
        sentence = f"{row.placeholder!r} does not look like a macro, so every click would bring this same text."
        remedy = "Put the source's macro there with all its brackets, or leave it if you mean a fixed text."
        yield Finding(severity, Code.PLACEHOLDER_NOT_A_MACRO, place, sentence, remedy)


def _way_back(chain: Chain, source: TrafficSource) -> Iterator[Finding]:
    """Whether the source learns of conversions, and can tell which click each is of."""
    preset = source_presets().get(source.preset)
    rule_id = chain.first_rules.get(source.id)
    rule = next((checked.rule for checked in chain.rules if checked.rule.rule_id == rule_id), None)
    if rule is None:
        by_postback = preset is None or preset.way_back in (WayBack.POSTBACK, WayBack.IN_ACCOUNT)
        yield Finding(
            _ERROR if by_postback else _WARNING,
            Code.NO_POSTBACK_URL,
            source_place(source, "postback_url"),
            "The source has no postback URL, so it learns of no conversion.",
            "Copy the source's postback link into the traffic source postback URL, with {externalid} as its click id."
            if by_postback or preset is None
            else preset.notes or "The source takes conversions by its own API only.",
        )
        return
    left = [word for word in preset.replace if word in rule.request.url] if preset else []
    if left and preset is not None:
        sentence = (
            f"The postback URL still holds {', '.join(left)} from the preset: your account's own value belongs there."
        )
        yield Finding(_ERROR, Code.PRESET_WORD_LEFT, source_place(source, "postback_url"), sentence, preset.notes)
    names = ready_request(rule.request, tuple(row_macros([source]).items())).names
    if "externalid" in names:
        return
    if "clickid" in names:
        yield Finding(
            _ERROR,
            Code.CLICK_ID_INSTEAD_OF_EXTERNAL_ID,
            source_place(source, "postback_url"),
            "The postback carries {clickid}, which is our click id; the source knows only its own, which is {externalid}.",
            "Write {externalid} in its place.",
        )
        return
    yield Finding(
        _ERROR,
        Code.EXTERNAL_ID_NOT_SENT,
        source_place(source, "postback_url"),
        "The postback does not carry {externalid}, so the source cannot tell which click converted and registers nothing.",
        "Add the source's parameter for its click id with {externalid} as its value, such as cid={externalid}.",
    )


def _campaign(campaign: Campaign, routes: Routes, chain: Chain) -> Iterator[Finding]:
    route = routes.find(campaign.key.encode())
    if route is None:
        return
    if not campaign.active:
        sentence = "The campaign is paused: its visitors go to the fallback address."
        yield Finding(
            _NOTE,
            Code.CAMPAIGN_PAUSED,
            campaign_place(campaign, "active"),
            sentence,
            "Switch it on to send them to offers.",
        )
    elif not route.targets:
        why = " ".join(dict.fromkeys(left.reason.sentence for left in route.left_out)) or "It has no offers."
        yield Finding(
            _ERROR,
            Code.NO_LIVE_OFFERS,
            campaign_place(campaign, "offers"),
            f"No visitor of the campaign can be sent to an offer. {why}",
            "Give it an offer with a weight above 0.",
        )
    if route.fallback is None:
        sentence = "Neither the campaign nor the instance has a fallback address: a visitor without an offer gets a plain 404 page."
        yield Finding(
            _NOTE,
            Code.NO_FALLBACK,
            campaign_place(campaign, "fallback_url"),
            sentence,
            "Set a fallback address, here or for the whole instance.",
        )
    for left in route.left_out:
        offer = chain.offers.get(left.offer_id)
        if left.reason is LeftOutReason.LOOPS and offer is not None:
            remedy = "Put the network's link there, not one of this tracker."
            yield Finding(_ERROR, Code.OFFER_LOOPS, offer_place(offer, "url"), left.reason.sentence, remedy)
        elif left.reason is not LeftOutReason.CAMPAIGN_PAUSED and route.targets:
            place = campaign_place(campaign, "offers")
            sentence = f"Offer {left.offer_id} gets no visitors. {left.reason.sentence}"
            yield Finding(_NOTE, Code.OFFER_LEFT_OUT, place, sentence, "Take it out, or give it a weight.")


def _own_rules_off(campaign: Campaign, chain: Chain) -> Iterator[Finding]:
    if campaign.source_rules_off and any(checked.rule.source_id == campaign.source_id for checked in chain.rules):
        yield Finding(
            _WARNING,
            Code.SOURCE_RULES_OFF,
            campaign_place(campaign, "source_rules_off"),
            "The campaign has switched its source's postback rules off: the source learns of none of its conversions.",
            "Switch them on, unless a rule of the campaign itself reports to the source.",
        )


def _offer(chain: Chain, offer: Offer) -> Iterator[Finding]:
    sources = chain.sources_to(offer.id)
    network = chain.networks.get(offer.network_id) if offer.network_id is not None else None
    place = offer_place(offer, "url")
    yield from address_findings(offer.url, sources, list(chain.sources.values()), network, place)
    if network is None:
        sentence = "The offer belongs to no network, so no token, address list or terms are checked when it converts."
        yield Finding(
            _NOTE, Code.OFFER_WITHOUT_NETWORK, offer_place(offer, "network_id"), sentence, "Choose its network."
        )
    wanted = network.click_id_parameter if network else ""
    if "clickid" not in parse(offer.url, row_macros(sources)).names:
        yield Finding(
            _ERROR,
            Code.CLICK_ID_NOT_IN_OFFER,
            place,
            "The offer's address does not carry {clickid}, so the network cannot tell us which click converted.",
            f"Add {wanted}={{clickid}} to the address."
            if wanted
            else "Add {clickid} to the address, in the parameter that the network returns in its postback.",
        )
    elif wanted and not _carries_click_id(offer.url, wanted):
        yield Finding(
            _WARNING,
            Code.CLICK_ID_IN_OTHER_PARAMETER,
            place,
            f"The network takes our click id in {wanted}, and the address carries it elsewhere.",
            f"Write {wanted}={{clickid}}, or correct the network's click_id_parameter.",
        )


def _carries_click_id(url: str, parameter: str) -> bool:
    query = url.partition("#")[0].partition("?")[2]
    pairs = [pair.partition("=") for pair in query.split("&")]
    return any(name == parameter and "clickid" in parse(value).names for name, _, value in pairs)


def _network(network: Network) -> Iterator[Finding]:
    macro = network.postback_parameters.get("cid", "")
    place = network_place(network, "postback_parameters.cid")
    if not macro:
        yield Finding(
            _ERROR if network.postback_parameters else _WARNING,
            Code.NO_CLICK_ID_IN_NOTICE,
            place,
            "The network's postback URL does not carry cid, so every conversion reported by it would be refused (no_click_id).",
            "Set cid to the network's macro for the parameter that took {clickid}, such as {sub1}.",
        )
    elif _OURS_ALONE.fullmatch(macro):
        sentence = f"{macro} is a macro of ours; the network does not know it and sends it as it is."
        yield Finding(_ERROR, Code.OUR_MACRO_AS_PLACEHOLDER, place, sentence, "Put the network's own macro there.")
    elif not looks_like_a_macro(macro):
        sentence = f"{macro!r} does not look like a macro, so every incoming postback would bring this same text."
        yield Finding(_WARNING, Code.PLACEHOLDER_NOT_A_MACRO, place, sentence, "Put the network's macro there.")
    if not network.token and not network.addresses:
        yield Finding(
            _WARNING,
            Code.NETWORK_OPEN,
            network_place(network, "token"),
            "The network has neither a token nor an address list: anyone who knows a click id can report conversions.",
            "Set a token and paste the postback URL again, or list the addresses that the network sends from.",
        )
    if network.test_only:
        sentence = "The network takes only the conversions of test clicks; all others are refused (test_only)."
        remedy = "Switch test_only off when your tests are done."
        yield Finding(_WARNING, Code.NETWORK_TEST_ONLY, network_place(network, "test_only"), sentence, remedy)


def _rule(chain: Chain, checked: CheckedRule) -> Iterator[Finding]:
    rule = checked.rule
    yield from request_findings(rule.request, chain.sources_of(rule), lambda field: rule_place(rule, field))
    if not rule.active:
        is_first = rule.rule_id in chain.first_rules.values()
        sentence = "The rule is switched off: its postbacks are skipped (rule_off)."
        yield Finding(
            _WARNING if is_first else _NOTE,
            Code.RULE_OFF,
            rule_place(rule, "active"),
            sentence,
            "Switch it on if it is needed.",
        )
    if checked.paused:
        sentence = "The receiver answered 410 Gone, so the rule is paused and its postbacks wait."
        remedy = (
            "Correct its URL if it is wrong, or ask the receiver; then resume the rule. Its waiting postbacks are rebuilt if the URL was "
            "corrected. One is sent first, and the others follow unless it is answered 410 again. The postback that was answered 410 has "
            "failed: resend it in Conversions - Out."
        )
        yield Finding(_ERROR, Code.RULE_PAUSED, rule_place(rule), sentence, remedy)


def _statuses(chain: Chain, rule: Rule) -> Iterator[Finding]:
    """Whether the statuses that a rule waits for can come."""
    selected = rule.conditions.statuses
    known = {row.status.key: row for row in chain.statuses}
    place = rule_place(rule, "conditions.statuses")
    networks = {network.id: network for campaign in chain.campaigns_of(rule) for network in chain.networks_of(campaign)}
    senders = list(networks.values())
    for key in selected:
        if key not in known:
            sentence = f"The rule waits for the status {key!r}, which does not exist."
            yield Finding(_ERROR, Code.STATUS_UNKNOWN, place, sentence, "Choose an existing status.")
        elif key not in (OTHER.key, SALE.key) and not any(
            words_for_status(key, known[key].words, network.status_words) for network in senders or [_ANY_NETWORK]
        ):
            sentence = f"No network's word is mapped to the status {key!r}; only the word {key!r} itself gives it."
            remedy = "Give the status the words that your networks send for it, here or on the network's page."
            yield Finding(_WARNING, Code.STATUS_WITHOUT_WORDS, place, sentence, remedy)
    told = [network for network in senders if network.postback_parameters]
    if (
        selected
        and SALE.key not in selected
        and told
        and all("status" not in network.postback_parameters for network in told)
    ):
        names = ", ".join(sorted(network.name for network in told))
        yield Finding(
            _WARNING,
            Code.STATUS_NOT_SENT,
            place,
            f"The rule waits for {', '.join(selected)}, and no status comes from {names}: without one a conversion is a sale.",
            "Add status with the network's macro to its postback URL, or let the rule be sent for sale.",
        )
