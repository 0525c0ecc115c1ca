"""Check a chain by its recent clicks, conversions, notices and postbacks. Pure."""

from collections.abc import Iterator, Mapping

import msgspec

from clickloop.conversion.notice import RefusalReason
from clickloop.diagnosis.check.caps import CapEvidence, cap_evidence_findings
from clickloop.diagnosis.check.chain import Chain, campaign_place, landing_place, network_place, rule_place
from clickloop.diagnosis.check.finding import CheckCode, CheckFinding, CheckPlace, CheckPlaceKind, moment_words
from clickloop.diagnosis.check.holdups import Holdups, holdup_findings
from clickloop.diagnosis.check.learning import LearningEvidence, learning_evidence_findings
from clickloop.diagnosis.check.marks import mark_evidence_findings
from clickloop.macro import Severity
from clickloop.plural import pluralize
from clickloop.report.evidence import ClickEvidence, LandingEvidence, RefusedNotices, RuleEvidence
from clickloop.setup.campaign import Campaign
from clickloop.setup.network import Network
from clickloop.text import readable

RECENT_CLICKS = 1_000
"""Number of newest clicks examined per campaign."""
RECENT_DAYS = 30
"""Days of conversions and postbacks examined; of refused notices ``REFUSED_DAYS``."""
REFUSED_DAYS = 7
ERROR_SHARE = 0.5
WARNING_SHARE = 0.05
MIN_CLICKS = 500
"""With fewer recent clicks than this, a campaign without conversions is only a note."""
LANDING_DAYS = 7
"""Days of landing clicks examined."""
OLD_SHARE = 0.2
"""Share of landing clicks with an old click id from which on it is reported: two tabs of one visitor make a few, too."""
MIN_OLD = 10
MIN_CONVERSIONS = 20
"""Minimum number of conversions from which on a status that none of them had is reported."""


class CampaignEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """The recent traffic of a campaign. Times are Unix milliseconds; None if nothing happened within the examined days."""

    campaign_id: int
    clicks: ClickEvidence = ClickEvidence()
    conversions: int = 0
    last_conversion_at: int | None = None
    last_delivered_at: int | None = None


class CheckEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """The recent traffic of everything or of one campaign."""

    campaigns: tuple[CampaignEvidence, ...] = ()
    rules: tuple[RuleEvidence, ...] = ()
    refused: tuple[RefusedNotices, ...] = ()
    words: Mapping[str, int] = {}
    """Unmapped status words and the number of conversions with each."""
    statuses: Mapping[str, int] = {}
    """Number of conversions by status key."""
    holdups: Holdups = Holdups()
    landings: tuple[LandingEvidence, ...] = ()
    caps: Mapping[int, CapEvidence] = {}
    """What offers with a cap got, by offer."""
    learning: tuple[LearningEvidence, ...] = ()
    checked_at: int = 0
    """The time of the check in Unix milliseconds."""


def evidence_findings(chain: Chain, evidence: CheckEvidence) -> list[CheckFinding]:
    """Return the findings from recent traffic."""
    campaigns = {campaign.id: campaign for campaign in chain.campaigns}
    findings: list[CheckFinding] = []
    for traffic in evidence.campaigns:
        if traffic.campaign_id in campaigns:
            findings += _campaign(campaigns[traffic.campaign_id], traffic)
    findings += [_refused(refused, chain.networks.get(refused.network_id)) for refused in evidence.refused]
    if evidence.words:
        findings.append(_words(evidence.words))
    findings += _statuses(chain, evidence)
    findings += _rules(chain, evidence)
    findings += _old_click_ids(chain, evidence)
    findings += cap_evidence_findings(chain, evidence.caps, RECENT_DAYS)
    findings += learning_evidence_findings(chain, evidence.learning)
    findings += holdup_findings(chain, evidence.holdups, evidence.checked_at)
    return findings


def _old_click_ids(chain: Chain, evidence: CheckEvidence) -> Iterator[CheckFinding]:
    """Yield a finding for each landing that serves old click ids."""
    for seen in evidence.landings:
        landing = chain.landings.get(seen.landing_id)
        if landing is None or seen.with_old_click_id < max(MIN_OLD, OLD_SHARE * seen.landing_clicks):
            continue
        yield CheckFinding(
            Severity.WARNING,
            CheckCode.OLD_CLICK_IDS_SERVED,
            landing_place(landing, "url"),
            f"{seen.with_old_click_id} of {pluralize(seen.landing_clicks, 'landing click')} in the last {LANDING_DAYS} days came from "
            "a page with an older click ID than the visitor's latest: a page cache serves an old copy of the landing.",
            "Keep the page out of the cache, or let the script (track.js) fill in the click ID.",
        )


def _campaign(campaign: Campaign, traffic: CampaignEvidence) -> Iterator[CheckFinding]:
    clicks = traffic.clicks
    place = campaign_place(campaign)
    if not clicks.recent:
        if campaign.active:
            sentence = "No counted click has come through the campaign link."
            remedy = "Paste the campaign's link into the source, or open it yourself with ?external_id=test added."
            yield CheckFinding(Severity.NOTE, CheckCode.NO_CLICKS, place, sentence, remedy)
        return
    yield from _external_ids(clicks, place)
    yield from _cost(clicks, place)
    yield from mark_evidence_findings(campaign, clicks)
    if not traffic.conversions:
        many = clicks.recent >= MIN_CLICKS
        sentence = f"{pluralize(clicks.recent, 'recent click')}, but no conversion in {RECENT_DAYS} days."
        remedy = (
            "Check in Conversions - In whether the network reports to our postback URL; it lists refused ones, too."
        )
        yield CheckFinding(
            Severity.WARNING if many else Severity.NOTE, CheckCode.NO_CONVERSIONS, place, sentence, remedy
        )


def _external_ids(clicks: ClickEvidence, place: CheckPlace) -> Iterator[CheckFinding]:
    """Find clicks that cannot be reported to the source because their id is missing or an unreplaced macro."""
    empty, unreplaced = clicks.without_external_id, clicks.unreplaced
    useless = empty + unreplaced
    together = f" Together these are {_share(useless, clicks.recent)}." if empty and unreplaced else ""
    if empty:
        sentence = (
            f"{_share(empty, clicks.recent)} came without an external_id, so they cannot be reported to the source."
        )
        remedy = (
            "Check the link in your campaign at the source: it must pass external_id with the source's click ID macro."
        )
        severity = _severity_of_part(empty, unreplaced, clicks.recent)
        yield CheckFinding(severity, CheckCode.EXTERNAL_ID_EMPTY, place, sentence + together, remedy)
    if unreplaced:
        sentence = f"{_share(unreplaced, clicks.recent)} came with an unreplaced macro as external_id."
        remedy = "Check the placeholder's spelling in the source's help. Clicks from the source's preview look like this, too."
        severity = _severity_of_part(unreplaced, empty, clicks.recent)
        yield CheckFinding(severity, CheckCode.EXTERNAL_ID_UNREPLACED, place, sentence + together, remedy)


def _cost(clicks: ClickEvidence, place: CheckPlace) -> Iterator[CheckFinding]:
    """Find clicks whose cost is unreadable and ignored, so that reports show too much profit."""
    if not clicks.cost_unreadable:
        return
    sentence = (
        f"{_share(clicks.cost_unreadable, clicks.recent)} came with a cost that is not a readable amount; "
        "reports count no cost for them."
    )
    remedy = (
        "Check the cost in the link that the source opens: it must be a decimal such as 0.0125, in a known currency. "
        "Correct the placeholder of the cost parameter, or set a fixed cost for the campaign."
    )
    # Never an error, because conversions are reported anyway.
    severity = Severity.WARNING if clicks.cost_unreadable / clicks.recent >= WARNING_SHARE else Severity.NOTE
    yield CheckFinding(severity, CheckCode.COST_UNREADABLE, place, sentence, remedy)


def _severity_of_part(part: int, other: int, whole: int) -> Severity:
    """Return the severity of both parts together, unless this one is small and the other larger."""
    small = part < other and part / whole < WARNING_SHARE
    return _severity(part if small else part + other, whole)


def _share(part: int, whole: int) -> str:
    clicks = "the one recent click" if whole == 1 else f"the {whole} most recent clicks"
    return f"{part} of {clicks} ({100 * part / whole:.1f}%)"


def _severity(part: int, whole: int) -> Severity:
    share = part / whole
    return Severity.ERROR if share >= ERROR_SHARE else Severity.WARNING if share >= WARNING_SHARE else Severity.NOTE


def _refused(refused: RefusedNotices, network: Network | None) -> CheckFinding:
    place = network_place(network) if network else CheckPlace(kind=CheckPlaceKind.INSTANCE, field="notices")
    times = "One incoming postback was" if refused.count == 1 else f"{refused.count} incoming postbacks were"
    sentence = (
        f"{times} refused in the last {REFUSED_DAYS} days ({refused.reason}), most recently at {moment_words(refused.last_at)}. "
        f"{refused.reason.sentence}"
    )
    remedy = _REMEDIES[refused.reason]
    return CheckFinding(Severity.WARNING, CheckCode.NOTICES_REFUSED, place, sentence, remedy, (refused.last_at,))


_PASTE = "Copy the postback URL from the network's page here into the network again, and check in Conversions - In what it sent."
_REMEDIES = {
    RefusalReason.NO_CLICK_ID: _PASTE,
    RefusalReason.MALFORMED_CLICK_ID: "See in Conversions - In what was sent as cid. The offer URL must pass {clickid} in "
    "the parameter that the network sends back.",
    RefusalReason.FORGED_CLICK_ID: "If these clicks are from another tracker, nothing is wrong. Otherwise check whether the "
    "network truncates or changes the ID.",
    RefusalReason.UNKNOWN_CLICK: "If the data folder was replaced, old clicks are lost. Otherwise check the delay of clicks on "
    "Health, then reprocess these incoming postbacks.",
    RefusalReason.EXPIRED_CLICK: "Raise the network's conversion window (click_lifetime_days), "
    "then reprocess these incoming postbacks.",
    RefusalReason.WRONG_TOKEN: "Copy the postback URL, which contains the token, into the network again. "
    "Then reprocess these incoming postbacks.",
    RefusalReason.ADDRESS_NOT_ALLOWED: "If the address in Conversions - In is the network's, add it to the network's list.",
    RefusalReason.UNREPLACED_MACRO: "The network did not replace its own macro. "
    "Correct its spelling in the postback URL at the network.",
    RefusalReason.DUPLICATE: "The network is set to refuse repeats. Switch that off if its repeats change statuses.",
    RefusalReason.TEST_ONLY: "Switch off the network's test mode (test_only), then reprocess these incoming postbacks.",
}


def _words(words: Mapping[str, int]) -> CheckFinding:
    listed = ", ".join(f"{readable(word)!r} ({count})" for word, count in list(words.items())[:10])
    return CheckFinding(
        Severity.WARNING,
        CheckCode.WORDS_NOT_MAPPED,
        CheckPlace(kind=CheckPlaceKind.STATUS, field="words"),
        f"Networks send words that are not mapped to a status: {listed}. Their conversions count as Other, without revenue.",
        "Map each word to a status, for all networks or on the network that sends it. Then reprocess these incoming postbacks.",
    )


def _statuses(chain: Chain, evidence: CheckEvidence) -> Iterator[CheckFinding]:
    conversions = sum(evidence.statuses.values())
    if conversions < MIN_CONVERSIONS:
        return
    for checked in chain.rules:
        selected = checked.rule.conditions.statuses
        if selected and not any(evidence.statuses.get(key) for key in selected):
            came = ", ".join(sorted(key for key, count in evidence.statuses.items() if count))
            yield CheckFinding(
                Severity.WARNING,
                CheckCode.STATUS_NEVER_CAME,
                rule_place(checked.rule, "conditions.statuses"),
                f"The rule waits for {', '.join(selected)}, but the {conversions} conversions of the last {RECENT_DAYS} days "
                f"had only {came}.",
                "Check which words your networks send, and select a status that they bring.",
            )


def _rules(chain: Chain, evidence: CheckEvidence) -> Iterator[CheckFinding]:
    rules = {checked.rule.rule_id: checked.rule for checked in chain.rules}
    for results in evidence.rules:
        rule = rules.get(results.rule_id)
        if rule is None or not results.failed:
            continue
        ended = results.failed + results.delivered
        why = f" Last error: {readable(results.last_error)[:200]}" if results.last_error else ""
        yield CheckFinding(
            _severity(results.failed, ended) if results.delivered else Severity.ERROR,
            CheckCode.NOT_DELIVERED,
            rule_place(rule),
            f"{results.failed} of {pluralize(ended, 'postback')} failed in the last {RECENT_DAYS} days.{why}",
            "Check the responses in Conversions - Out, correct the rule, then resend them.",
        )
