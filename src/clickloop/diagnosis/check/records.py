"""What is wrong with one record of the set-up, by itself and what it stands beside. Pure.

The API says it as warnings when the record is saved or read, the panel as the fields are filled in, and the check of the whole
chain says the same in the same words.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from clickloop.click.routing import LeftOutReason, Route
from clickloop.diagnosis.check.chain import campaign_place, network_place, offer_place, rule_place, source_place
from clickloop.diagnosis.check.finding import Code, Finding, Place
from clickloop.diagnosis.check.templates import offer_filling, postback_filling, request_findings, template_findings
from clickloop.macro import Severity, parse, unreplaced_macro
from clickloop.macro.known import BY_NAME
from clickloop.postback.alarm_rules import ALARM_MACROS, FILLED_FOR_ALARMS, is_alarm_rule
from clickloop.postback.rule import Rule
from clickloop.postback.values import ready_request
from clickloop.setup.campaign import Campaign
from clickloop.setup.network import Network
from clickloop.setup.offer import Offer
from clickloop.setup.own_link import OwnLinks
from clickloop.setup.preset.preset import WayBack, source_presets
from clickloop.setup.source_rows import FixedRow, row_macros
from clickloop.setup.traffic_source import SourceParameter, TrafficSource

_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
_MARKS = re.compile(r"[{}\[\]<>]|\$\w|%\w+%|__\w+__|#\w+#|@\w+@|\*\w+\*|\(\(\w+\)\)")
_OURS_ALONE = re.compile(r"\{\s*(externalid|postback_id|trafficsource\.\w+)\s*\}", re.IGNORECASE)


def looks_like_a_macro(placeholder: str) -> bool:
    """Return whether a placeholder holds what some source may replace."""
    return unreplaced_macro(placeholder) or _MARKS.search(placeholder) is not None


def source_findings(source: TrafficSource, rule: Rule | None) -> Iterator[Finding]:
    """Return what is wrong with a source's rows and with its way back. ``rule``: the live one that holds its postback URL."""
    for at, row in enumerate(source.parameters):
        place = source_place(source, f"parameters[{at}].placeholder")
        if row.number == FixedRow.EXTERNAL_ID and not row.placeholder:
            yield _no_placeholder(source, place)
        elif row.tracked and row.placeholder:
            yield from _placeholder_findings(row, place)
    yield from _way_back(source, rule)


def postback_url_findings(source: TrafficSource, url: str) -> Iterator[Finding]:
    """Return what is wrong with the macros of a source's postback URL."""
    return template_findings(url, postback_filling([source]), source_place(source, "postback_url"))


def external_id_findings(names: Collection[str], place: Place) -> Iterator[Finding]:
    """Return what keeps a source from knowing the click of a postback that uses the macros ``names``."""
    if "externalid" in names:
        return
    if "clickid" in names:
        yield Finding(
            _ERROR,
            Code.CLICK_ID_INSTEAD_OF_EXTERNAL_ID,
            place,
            "The postback carries {clickid}, which is our click id; the source knows only its own, which is {externalid}.",
            "Write {externalid} in its place.",
        )
        return
    yield Finding(
        _ERROR,
        Code.EXTERNAL_ID_NOT_SENT,
        place,
        "The postback does not carry {externalid}, so the source cannot tell which click converted and registers nothing.",
        "Add the source's parameter for its click id with {externalid} as its value, such as cid={externalid}.",
    )


def rule_findings(rule: Rule, sources: Sequence[TrafficSource]) -> Iterator[Finding]:
    """Return what is wrong with the macros of a rule. ``sources``: those whose clicks it may be sent for."""
    yield from request_findings(rule.request, postback_filling(sources), lambda field: rule_place(rule, field))
    for_alarms = is_alarm_rule(rule)
    names = [name for name in ready_request(rule.request).names if BY_NAME[name].available]  # the others have their own
    empty = [name for name in names if (name in ALARM_MACROS if not for_alarms else name not in FILLED_FOR_ALARMS)]
    if empty:
        listed = ", ".join(f"{{{name}}}" for name in empty)
        what, remedy = (
            ("an alarm", "Use {alarm} and the like.") if for_alarms else ("a conversion", "They belong in alarm rules.")
        )
        sentence = f"For {what} these are empty: {listed}."
        yield Finding(_WARNING, Code.EMPTY_MACRO, rule_place(rule, "request"), sentence, remedy)


def offer_findings(
    offer: Offer,
    network: Network | None,
    sources: Sequence[TrafficSource],
    any_rows: Mapping[str, str],
    own_links: OwnLinks,
) -> Iterator[Finding]:
    """Return what is wrong with an offer.

    ``sources``: those of the campaigns that send visitors to it; ``any_rows``: the macros of all sources' rows by parameter, which
    the address of an offer without campaigns may name.
    """
    filling = offer_filling(sources, any_rows, network)
    yield from template_findings(offer.url, filling, offer_place(offer, "url"))
    yield from address_findings(offer, network, filling.rows, own_links)
    if network is None:
        sentence = "The offer belongs to no network, so no token, address list or terms are checked when it converts."
        place = offer_place(offer, "network_id")
        yield Finding(_NOTE, Code.OFFER_WITHOUT_NETWORK, place, sentence, "Choose its network.")


def address_findings(
    offer: Offer, network: Network | None, rows: Mapping[str, str], own_links: OwnLinks
) -> Iterator[Finding]:
    """Return what is wrong with where an offer's address leads, and whether the click can be told there."""
    place = offer_place(offer, "url")
    if own_links.key_in(offer.url) is not None:
        remedy = "Put the network's link there, not one of this tracker."
        yield Finding(_ERROR, Code.OFFER_LOOPS, place, LeftOutReason.LOOPS.sentence, remedy)
    wanted = network.click_id_parameter if network else ""
    if "clickid" not in parse(offer.url, rows).names:
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


def network_findings(network: Network) -> Iterator[Finding]:
    """Return what is wrong with a network."""
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
        sentence = f"{macro!r} does not look like a macro, so every incoming postback would bring this same text and be refused."
        remedy = "Put the network's macro there with all its brackets, such as {sub1}."
        yield Finding(_WARNING, Code.PLACEHOLDER_NOT_A_MACRO, place, sentence, remedy)
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


def campaign_findings(campaign: Campaign, route: Route) -> Iterator[Finding]:
    """Return what keeps a live campaign from sending visitors to its offers. ``route``: as the edge has it."""
    if not campaign.active:
        sentence = "The campaign is paused: its visitors go to the fallback address."
        remedy = "Switch it on to send them to offers."
        yield Finding(_NOTE, Code.CAMPAIGN_PAUSED, campaign_place(campaign, "active"), sentence, remedy)
    elif not route.targets:
        why = " ".join(dict.fromkeys(left.reason.sentence for left in route.left_out)) or "It has no offers."
        yield Finding(
            _ERROR,
            Code.NO_LIVE_OFFERS,
            campaign_place(campaign, "offers"),
            f"No visitor of the campaign can be sent to an offer. {why}",
            "Give it an offer with a weight above 0.",
        )
    else:
        for left in route.left_out:
            if left.reason is LeftOutReason.LOOPS:
                continue  # the offer itself says it
            sentence = f"Offer {left.offer_id} gets no visitors. {left.reason.sentence}"
            place = campaign_place(campaign, "offers")
            yield Finding(_NOTE, Code.OFFER_LEFT_OUT, place, sentence, "Take it out, or give it a weight.")


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


def _placeholder_findings(row: SourceParameter, place: Place) -> Iterator[Finding]:
    """Return what is wrong with what a source shall put into our link. Without its click id nothing can be reported: an error there."""
    needed = row.number == FixedRow.EXTERNAL_ID
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


def _way_back(source: TrafficSource, rule: Rule | None) -> Iterator[Finding]:
    """Return what keeps a source from learning of conversions, or from telling which click each is of."""
    preset = source_presets().get(source.preset)
    place = source_place(source, "postback_url")
    if rule is None:
        by_postback = preset is None or preset.way_back in (WayBack.POSTBACK, WayBack.IN_ACCOUNT)
        yield Finding(
            _ERROR if by_postback else _WARNING,
            Code.NO_POSTBACK_URL,
            place,
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
        yield Finding(_ERROR, Code.PRESET_WORD_LEFT, place, sentence, preset.notes)
    rows = row_macros(source.parameters)
    yield from external_id_findings(ready_request(rule.request, tuple(rows.items())).names, place)


def _carries_click_id(url: str, parameter: str) -> bool:
    query = url.partition("#")[0].partition("?")[2]
    pairs = [pair.partition("=") for pair in query.split("&")]
    return any(name == parameter and "clickid" in parse(value).names for name, _, value in pairs)
