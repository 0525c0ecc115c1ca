"""The check of a chain by what came lately: clicks, conversions, notices, postbacks. Pure."""

from collections.abc import Iterator, Mapping

import msgspec

from clickloop.conversion.notice import RefusalReason
from clickloop.diagnosis.check.chain import Chain, campaign_place, network_place, rule_place
from clickloop.diagnosis.check.finding import Code, Finding, Kind, Place, moment_words
from clickloop.diagnosis.check.held import Held, held_findings
from clickloop.macro import Severity
from clickloop.plural import counted
from clickloop.report.evidence import Clicks, RefusedNotices, RuleEvidence
from clickloop.setup.campaign import Campaign
from clickloop.setup.network import Network
from clickloop.text import readable

RECENT_CLICKS = 1_000
"""Clicks examined per campaign, the newest."""
RECENT_DAYS = 30
"""Days in which conversions and postbacks are searched; refused notices within ``REFUSED_DAYS``."""
REFUSED_DAYS = 7
ERROR_SHARE = 0.5
WARNING_SHARE = 0.05
FEW_CLICKS = 500
"""Below this many recent clicks, a campaign without conversions is only noted."""
ENOUGH_CONVERSIONS = 20
"""Minimum number of conversions before a status that none of them had is reported."""


class CampaignEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a campaign lately. Moments are Unix milliseconds; None: nothing within the days that are looked at."""

    campaign_id: int
    clicks: Clicks = Clicks()
    conversions: int = 0
    last_conversion_at: int | None = None
    last_delivered_at: int | None = None


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What came lately, of everything or of one campaign."""

    campaigns: tuple[CampaignEvidence, ...] = ()
    rules: tuple[RuleEvidence, ...] = ()
    refused: tuple[RefusedNotices, ...] = ()
    words: Mapping[str, int] = {}
    """Words that no status claims, and how many conversions came with each."""
    statuses: Mapping[str, int] = {}
    """By status, how many conversions stand under it."""
    held: Held = Held()
    looked_at: int = 0
    """The moment of looking."""


def evidence_findings(chain: Chain, evidence: Evidence) -> list[Finding]:
    """What speaks against the chain in what came lately."""
    campaigns = {campaign.id: campaign for campaign in chain.campaigns}
    found: list[Finding] = []
    for seen in evidence.campaigns:
        if seen.campaign_id in campaigns:
            found += _campaign(campaigns[seen.campaign_id], seen)
    found += [_refused(refused, chain.networks.get(refused.network_id)) for refused in evidence.refused]
    if evidence.words:
        found.append(_words(evidence.words))
    found += _statuses(chain, evidence)
    found += _rules(chain, evidence)
    found += held_findings(chain, evidence.held, evidence.looked_at)
    return found


def _campaign(campaign: Campaign, seen: CampaignEvidence) -> Iterator[Finding]:
    clicks = seen.clicks
    place = campaign_place(campaign)
    if not clicks.recent:
        if campaign.active:
            sentence = "No counted click has come through the campaign link."
            remedy = "Paste the campaign's link into the source, or open it yourself with ?external_id=test."
            yield Finding(Severity.NOTE, Code.NO_CLICKS, place, sentence, remedy)
        return
    yield from _external_ids(clicks, place)
    yield from _cost(clicks, place)
    if not seen.conversions:
        many = clicks.recent >= FEW_CLICKS
        sentence = f"{counted(clicks.recent, 'recent click')} and no conversion within {RECENT_DAYS} days."
        remedy = "See whether the network reports to our postback URL: Conversions - In lists what came in, refused ones too."
        yield Finding(Severity.WARNING if many else Severity.NOTE, Code.NO_CONVERSIONS, place, sentence, remedy)


def _external_ids(clicks: Clicks, place: Place) -> Iterator[Finding]:
    """Clicks that no source can be told of, for want of an id or of a replaced one. How bad it is goes by both together."""
    empty, unreplaced = clicks.without_external_id, clicks.unreplaced
    useless = empty + unreplaced
    together = f" Together these are {_share(useless, clicks.recent)}." if empty and unreplaced else ""
    if empty:
        sentence = (
            f"{_share(empty, clicks.recent)} came without an external_id; none of them can be reported to the source."
        )
        remedy = "Open the source's campaign: its link must carry external_id with the source's click id macro."
        severity = _severity_of_part(empty, unreplaced, clicks.recent)
        yield Finding(severity, Code.EXTERNAL_ID_EMPTY, place, sentence + together, remedy)
    if unreplaced:
        sentence = (
            f"{_share(unreplaced, clicks.recent)} brought a macro that the source had not replaced as external_id."
        )
        remedy = "Check the placeholder's spelling against the source's help; test clicks of the source's own preview do this too."
        severity = _severity_of_part(unreplaced, empty, clicks.recent)
        yield Finding(severity, Code.EXTERNAL_ID_UNREPLACED, place, sentence + together, remedy)


def _cost(clicks: Clicks, place: Place) -> Iterator[Finding]:
    """Find clicks whose cost counts as none, so that reports show more profit than there is."""
    if not clicks.cost_unreadable:
        return
    sentence = (
        f"{_share(clicks.cost_unreadable, clicks.recent)} brought a cost that could not be read as an amount; "
        "reports count none for them."
    )
    remedy = (
        "Look at the cost in the link that the source opens: it must be a decimal such as 0.0125, in a known currency. "
        "Check the placeholder of the row cost, or set a fixed cost at the campaign."
    )
    # The loop works all the same, so never an error.
    severity = Severity.WARNING if clicks.cost_unreadable / clicks.recent >= WARNING_SHARE else Severity.NOTE
    yield Finding(severity, Code.COST_UNREADABLE, place, sentence, remedy)


def _severity_of_part(part: int, other: int, whole: int) -> Severity:
    """As bad as both parts together, unless this one is a small part beside a larger one."""
    small = part < other and part / whole < WARNING_SHARE
    return _severity(part if small else part + other, whole)


def _share(part: int, whole: int) -> str:
    clicks = "the one recent click" if whole == 1 else f"the {whole} most recent clicks"
    return f"{part} of {clicks} ({100 * part / whole:.1f} %)"


def _severity(part: int, whole: int) -> Severity:
    share = part / whole
    return Severity.ERROR if share >= ERROR_SHARE else Severity.WARNING if share >= WARNING_SHARE else Severity.NOTE


def _refused(refused: RefusedNotices, network: Network | None) -> Finding:
    place = network_place(network) if network else Place(kind=Kind.INSTANCE, field="notices")
    times = "One incoming postback was" if refused.count == 1 else f"{refused.count} incoming postbacks were"
    sentence = (
        f"{times} refused within {REFUSED_DAYS} days ({refused.reason}), the last at {moment_words(refused.last_at)}. "
        f"{refused.reason.sentence}"
    )
    remedy = _REMEDIES[refused.reason]
    return Finding(Severity.WARNING, Code.NOTICES_REFUSED, place, sentence, remedy, (refused.last_at,))


_PASTE = (
    "Copy the network's postback URL from its page into the network again, and see in Conversions - In what was sent."
)
_REMEDIES = {
    RefusalReason.NO_CLICK_ID: _PASTE,
    RefusalReason.MALFORMED_CLICK_ID: "See in Conversions - In what came as cid: the offer's address must carry {clickid} in "
    "the parameter that the network sends back.",
    RefusalReason.FORGED_CLICK_ID: "If another tracker's clicks are among these, nothing is wrong; else see whether the "
    "network cuts or changes the id.",
    RefusalReason.UNKNOWN_CLICK: "If the data folder was set up afresh, old clicks are gone; otherwise see the delay of clicks on "
    "Health, then rerun the notices.",
    RefusalReason.EXPIRED_CLICK: "Raise the network's click_lifetime_days, then run the notices again.",
    RefusalReason.WRONG_TOKEN: "Paste the network's postback URL into the network again: it carries the token. Then rerun the notices.",
    RefusalReason.ADDRESS_NOT_ALLOWED: "Add the address that Conversions - In shows to the network's list if it is the network's.",
    RefusalReason.UNREPLACED_MACRO: "The network did not replace its own macro: correct its spelling in the postback URL at the network.",
    RefusalReason.DUPLICATE: "The network is set to refuse repeats: switch that off if they carry changes of status.",
    RefusalReason.TEST_ONLY: "Switch the network's test_only off, then run the notices again.",
}


def _words(words: Mapping[str, int]) -> Finding:
    listed = ", ".join(f"{readable(word)!r} ({count})" for word, count in list(words.items())[:10])
    return Finding(
        Severity.WARNING,
        Code.WORDS_NOT_MAPPED,
        Place(kind=Kind.STATUS, field="words"),
        f"Networks send words that no status has: {listed}. Their conversions are under Other and count as no revenue.",
        "Map each word to a status, for all networks or on the network that sends it, then run the notices again.",
    )


def _statuses(chain: Chain, evidence: Evidence) -> Iterator[Finding]:
    conversions = sum(evidence.statuses.values())
    if conversions < ENOUGH_CONVERSIONS:
        return
    for checked in chain.rules:
        selected = checked.rule.conditions.statuses
        if selected and not any(evidence.statuses.get(key) for key in selected):
            came = ", ".join(sorted(key for key, count in evidence.statuses.items() if count))
            yield Finding(
                Severity.WARNING,
                Code.STATUS_NEVER_CAME,
                rule_place(checked.rule, "conditions.statuses"),
                f"The rule waits for {', '.join(selected)}; the {conversions} conversions of {RECENT_DAYS} days had only {came}.",
                "See which words your networks send, and let the rule wait for a status that comes.",
            )


def _rules(chain: Chain, evidence: Evidence) -> Iterator[Finding]:
    rules = {checked.rule.rule_id: checked.rule for checked in chain.rules}
    for seen in evidence.rules:
        rule = rules.get(seen.rule_id)
        if rule is None or not seen.failed:
            continue
        ended = seen.failed + seen.delivered
        why = f" The last error: {readable(seen.last_error)[:200]}" if seen.last_error else ""
        yield Finding(
            _severity(seen.failed, ended) if seen.delivered else Severity.ERROR,
            Code.NOT_DELIVERED,
            rule_place(rule),
            f"{seen.failed} of {counted(ended, 'postback')} of {RECENT_DAYS} days {'was' if seen.failed == 1 else 'were'} given up.{why}",
            "Look at the answers in Conversions - Out, correct the rule, then send them again.",
        )
