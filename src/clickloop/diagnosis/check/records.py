"""Check one record of the set-up in its context. Pure.

The API returns these findings as warnings when a record is saved or read, the panel shows them as fields are filled in, and the
check of the whole chain includes them with the same sentences.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from clickloop.click.routing.not_served import NotServedReason
from clickloop.click.routing.route import Route
from clickloop.diagnosis.check.chain import campaign_place, network_place, offer_place, rule_place, source_place
from clickloop.diagnosis.check.finding import CheckCode, CheckFinding, CheckPlace
from clickloop.diagnosis.check.templates import offer_filling, postback_filling, request_findings, template_findings
from clickloop.macro import Severity, parse, unreplaced_macro
from clickloop.postback.alarm_rules import ALARM_MACROS, FILLED_FOR_ALARMS, is_alarm_rule
from clickloop.postback.rule import PostbackRule, Trigger
from clickloop.postback.values import ready_request
from clickloop.postback.view_rules import FILLED_FOR_VIEWS, VIEW_MACROS
from clickloop.setup.campaign import Campaign
from clickloop.setup.flow import PathTarget
from clickloop.setup.network import Network
from clickloop.setup.offer import Offer
from clickloop.setup.own_link import OwnLinks
from clickloop.setup.preset.preset import PostbackSupport, source_presets
from clickloop.setup.source_rows import FixedRow, row_macros
from clickloop.setup.traffic_source import SourceParameter, TrafficSource

_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
_MARKS = re.compile(r"[{}\[\]<>]|\$\w|%\w+%|__\w+__|#\w+#|@\w+@|\*\w+\*|\(\(\w+\)\)")
_OURS_ALONE = re.compile(r"\{\s*(externalid|postback_id|trafficsource\.\w+)\s*\}", re.IGNORECASE)


def looks_like_a_macro(placeholder: str) -> bool:
    """Return whether a placeholder contains anything that a source may replace."""
    return unreplaced_macro(placeholder) or _MARKS.search(placeholder) is not None


def source_findings(source: TrafficSource, rule: PostbackRule | None) -> Iterator[CheckFinding]:
    """Yield the findings about a source's rows and its postback URL. ``rule``: the live rule with that URL."""
    for at, row in enumerate(source.parameters):
        place = source_place(source, f"parameters[{at}].placeholder")
        if row.number == FixedRow.EXTERNAL_ID and not row.placeholder:
            yield _no_placeholder(source, place)
        elif row.tracked and row.placeholder:
            yield from _placeholder_findings(row, place)
    yield from _way_back(source, rule)


def postback_url_findings(source: TrafficSource, url: str) -> Iterator[CheckFinding]:
    """Return the findings about the macros of a source's postback URL."""
    return template_findings(url, postback_filling([source]), source_place(source, "postback_url"))


def external_id_findings(names: Collection[str], place: CheckPlace) -> Iterator[CheckFinding]:
    """Yield the finding if a postback with the macros ``names`` does not tell the source which click converted."""
    if "externalid" in names:
        return
    if "clickid" in names:
        yield CheckFinding(
            _ERROR,
            CheckCode.CLICK_ID_INSTEAD_OF_EXTERNAL_ID,
            place,
            "The postback sends {clickid}, which is our click ID, but the source knows only its own, {externalid}.",
            "Replace it with {externalid}.",
        )
        return
    yield CheckFinding(
        _ERROR,
        CheckCode.EXTERNAL_ID_NOT_SENT,
        place,
        "The postback does not send {externalid}, so the source cannot tell which click converted and registers nothing.",
        "Add the source's parameter for its click ID with the value {externalid}, such as cid={externalid}.",
    )


def rule_findings(rule: PostbackRule, sources: Sequence[TrafficSource]) -> Iterator[CheckFinding]:
    """Yield the findings about a rule's macros. ``sources``: those whose clicks it may be sent for."""
    yield from request_findings(rule.request, postback_filling(sources), lambda field: rule_place(rule, field))
    names = ready_request(rule.request).names
    if is_alarm_rule(rule):
        empty = [name for name in names if name not in FILLED_FOR_ALARMS]
        what, remedy = "alarms", "Use the alarm macros, such as {alarm}."
    elif rule.conditions.trigger is Trigger.VIEW:
        empty = [name for name in names if name not in FILLED_FOR_VIEWS]
        what, remedy = "scheduled views", "Use the macros of views, such as {view.csv}."
    else:
        empty = [name for name in names if name in ALARM_MACROS | VIEW_MACROS]
        what, remedy = "conversions", "Use them in rules for alarms or views only."
    if empty:
        listed = ", ".join(f"{{{name}}}" for name in empty)
        sentence = f"These macros are always empty for {what}: {listed}."
        yield CheckFinding(_WARNING, CheckCode.EMPTY_MACRO, rule_place(rule, "request"), sentence, remedy)


def offer_findings(
    offer: Offer,
    network: Network | None,
    sources: Sequence[TrafficSource],
    any_rows: Mapping[str, str],
    own_links: OwnLinks,
) -> Iterator[CheckFinding]:
    """Yield the findings about an offer.

    ``sources``: those of the campaigns that send visitors to it. ``any_rows``: the macros of all sources' rows by parameter,
    which the URL of an offer without campaigns may use.
    """
    filling = offer_filling(sources, any_rows, network)
    yield from template_findings(offer.url, filling, offer_place(offer, "url"))
    yield from address_findings(offer, network, filling.rows, own_links)
    if network is None:
        sentence = "The offer belongs to no network, so no token, address list or conversion window applies to its conversions."
        place = offer_place(offer, "network_id")
        yield CheckFinding(_NOTE, CheckCode.OFFER_WITHOUT_NETWORK, place, sentence, "Choose the offer's network.")


def address_findings(
    offer: Offer, network: Network | None, rows: Mapping[str, str], own_links: OwnLinks
) -> Iterator[CheckFinding]:
    """Yield the findings about an offer URL's target, and about the click id in it."""
    place = offer_place(offer, "url")
    if own_links.key_in(offer.url) is not None:
        remedy = "Enter the network's link, not a link of this tracker."
        yield CheckFinding(_ERROR, CheckCode.OFFER_LOOPS, place, NotServedReason.LOOPS.sentence, remedy)
    wanted = network.click_id_parameter if network else ""
    if "clickid" not in parse(offer.url, rows).names:
        yield CheckFinding(
            _ERROR,
            CheckCode.CLICK_ID_NOT_IN_OFFER,
            place,
            "The offer URL does not contain {clickid}, so the network cannot tell us which click converted.",
            f"Add {wanted}={{clickid}} to the URL."
            if wanted
            else "Add {clickid} to the URL, in the parameter that the network returns in its postback.",
        )
    elif wanted and not _carries_click_id(offer.url, wanted):
        yield CheckFinding(
            _WARNING,
            CheckCode.CLICK_ID_IN_OTHER_PARAMETER,
            place,
            f"The network expects our click ID in {wanted}, but the URL has it in another parameter.",
            f"Use {wanted}={{clickid}}, or correct the network's click_id_parameter.",
        )


def network_findings(network: Network) -> Iterator[CheckFinding]:
    """Yield the findings about a network."""
    macro = network.postback_parameters.get("cid", "")
    place = network_place(network, "postback_parameters.cid")
    if not macro:
        yield CheckFinding(
            _ERROR if network.postback_parameters else _WARNING,
            CheckCode.NO_CLICK_ID_IN_NOTICE,
            place,
            "The network's postback URL has no cid, so every conversion that it reports would be refused (no_click_id).",
            "Set cid to the network's macro for the parameter that contains {clickid}, such as {sub1}.",
        )
    elif _OURS_ALONE.fullmatch(macro):
        sentence = f"{macro} is one of our macros. The network does not know it and would send it unchanged."
        yield CheckFinding(
            _ERROR, CheckCode.OUR_MACRO_AS_PLACEHOLDER, place, sentence, "Enter the network's own macro."
        )
    elif not looks_like_a_macro(macro):
        sentence = f"{macro!r} does not look like a macro, so every incoming postback would contain the same text and be refused."
        remedy = "Enter the network's macro with all its brackets, such as {sub1}."
        yield CheckFinding(_WARNING, CheckCode.PLACEHOLDER_NOT_A_MACRO, place, sentence, remedy)
    if not network.token and not network.addresses:
        yield CheckFinding(
            _WARNING,
            CheckCode.NETWORK_OPEN,
            network_place(network, "token"),
            "The network has no token and no list of allowed IP addresses, so anyone who knows a click ID can report conversions.",
            "Set a token and copy the postback URL into the network again, or list the network's IP addresses.",
        )
    if network.test_only:
        sentence = "The network accepts conversions for test clicks only and refuses all others (test_only)."
        remedy = "Switch off test_only when you have finished testing."
        yield CheckFinding(_WARNING, CheckCode.NETWORK_TEST_ONLY, network_place(network, "test_only"), sentence, remedy)


_NAMES = {
    PathTarget.OFFER: "Offer",
    PathTarget.LANDING_AND_OFFER: "Landing",
    PathTarget.URL: "A path's URL",
    PathTarget.CAMPAIGN: "Campaign",
    PathTarget.NOTHING: "A path",
}


def campaign_findings(campaign: Campaign, route: Route) -> Iterator[CheckFinding]:
    """Yield the findings about a live campaign's offers. ``route``: its route as the edge uses it."""
    if not campaign.active:
        sentence = "The campaign is paused: its visitors go to the fallback URL."
        remedy = "Switch it on to send them to offers."
        yield CheckFinding(_NOTE, CheckCode.CAMPAIGN_PAUSED, campaign_place(campaign, "active"), sentence, remedy)
    elif not route.serves:
        why = " ".join(dict.fromkeys(left.reason.sentence for left in route.left_out)) or "It has no offers."
        yield CheckFinding(
            _ERROR,
            CheckCode.NO_LIVE_OFFERS,
            campaign_place(campaign, "offers"),
            f"The campaign cannot send visitors to any offer. {why}",
            "Add an offer with a weight above 0.",
        )
    else:
        for left in route.left_out:
            if left.reason is NotServedReason.LOOPS:
                continue  # reported for the offer itself
            sentence = f"{_NAMES[left.kind]} {left.id or ''} gets no visitors. {left.reason.sentence}".replace(
                "  ", " "
            )
            place = campaign_place(campaign, "offers")
            yield CheckFinding(_NOTE, CheckCode.OFFER_LEFT_OUT, place, sentence, "Remove it, or set its weight.")


def _no_placeholder(source: TrafficSource, place: CheckPlace) -> CheckFinding:
    preset = source_presets().get(source.preset)
    remedy = "Set the placeholder to the source's macro for its click ID, such as ${SUBID}. The source's help lists it."
    if preset is not None and preset.appends:
        remedy = (
            f"{preset.name} adds its click ID by itself as {preset.appends}. Add a parameter with that name, and use its macro "
            "in the postback. It is not stored as external_id, so {externalid} stays empty."
        )
    sentence = (
        "The parameter external_id has no placeholder, so the campaign link does not contain the source's click ID."
    )
    return CheckFinding(_ERROR, CheckCode.NO_EXTERNAL_ID_PLACEHOLDER, place, sentence, remedy)


def _placeholder_findings(row: SourceParameter, place: CheckPlace) -> Iterator[CheckFinding]:
    """Yield the findings about a row's placeholder. Errors for external_id, because nothing can be reported without it."""
    needed = row.number == FixedRow.EXTERNAL_ID
    severity = _ERROR if needed else _WARNING
    if _OURS_ALONE.fullmatch(row.placeholder):
        sentence = f"{row.placeholder} is one of our macros. The source does not know it and would send it unchanged."
        remedy = "Enter the source's own macro. The source's help lists it."
        yield CheckFinding(severity, CheckCode.OUR_MACRO_AS_PLACEHOLDER, place, sentence, remedy)
    elif needed and not looks_like_a_macro(row.placeholder):
        sentence = (
            f"{row.placeholder!r} does not look like a macro, so every click would contain this same text, and none could be "
            "reported to the source."
        )
        remedy = "Enter the source's macro for its click ID with all its brackets, such as ${SUBID}."
        yield CheckFinding(severity, CheckCode.PLACEHOLDER_NOT_A_MACRO, place, sentence, remedy)
    elif not looks_like_a_macro(row.placeholder) and not row.placeholder.isdecimal():
        sentence = f"{row.placeholder!r} does not look like a macro, so every click would contain this same text."
        remedy = "Enter the source's macro with all its brackets, or keep it if you want a fixed text."
        yield CheckFinding(severity, CheckCode.PLACEHOLDER_NOT_A_MACRO, place, sentence, remedy)


def _way_back(source: TrafficSource, rule: PostbackRule | None) -> Iterator[CheckFinding]:
    """Yield the findings about reporting conversions to a source."""
    preset = source_presets().get(source.preset)
    place = source_place(source, "postback_url")
    if rule is None:
        by_postback = preset is None or preset.way_back in (PostbackSupport.POSTBACK, PostbackSupport.IN_ACCOUNT)
        yield CheckFinding(
            _ERROR if by_postback else _WARNING,
            CheckCode.NO_POSTBACK_URL,
            place,
            "The source has no postback URL, so it never learns of a conversion.",
            "Enter the postback link from the source as its postback URL here, with {externalid} as the click ID."
            if by_postback or preset is None
            else preset.notes or "The source accepts conversions only by its own API.",
        )
        return
    left = [word for word in preset.replace if word in rule.request.url] if preset else []
    if left and preset is not None:
        sentence = (
            f"The postback URL still contains {', '.join(left)} from the preset. Replace it with your account's value."
        )
        yield CheckFinding(_ERROR, CheckCode.PRESET_WORD_LEFT, place, sentence, preset.notes)
    rows = row_macros(source.parameters)
    yield from external_id_findings(ready_request(rule.request, tuple(rows.items())).names, place)


def _carries_click_id(url: str, parameter: str) -> bool:
    query = url.partition("#")[0].partition("?")[2]
    pairs = [pair.partition("=") for pair in query.split("&")]
    return any(name == parameter and "clickid" in parse(value).names for name, _, value in pairs)
