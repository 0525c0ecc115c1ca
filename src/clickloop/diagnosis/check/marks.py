"""Check marks: rules on marks that no click gets, marks that hit too many clicks, lists without a usable entry. Pure."""

from collections.abc import Iterator

from clickloop.diagnosis.check.chain import Chain, CheckedFlow, campaign_place
from clickloop.diagnosis.check.finding import CheckCode, CheckFinding, CheckPlace, CheckPlaceKind
from clickloop.macro import Severity
from clickloop.report.evidence import ClickEvidence
from clickloop.setup.campaign import Campaign
from clickloop.setup.condition import Condition, is_network
from clickloop.setup.mark import Mark, mark_name, marks_in_force

MIN_MARKED = 100
"""With fewer recent clicks than this, a mark that hits many of them is no finding."""
MANY_SHARE = 0.4
"""Share of the recent clicks from which on a mark is reported: it says little about clicks if it hits nearly every second one."""


def mark_evidence_findings(campaign: Campaign, clicks: ClickEvidence) -> Iterator[CheckFinding]:
    """Yield a finding for each mark that hits many of a campaign's recent clicks."""
    if clicks.recent < MIN_MARKED:
        return
    for mark in Mark:
        hit = clicks.marks.get(mark.value, 0)
        if hit >= MANY_SHARE * clicks.recent:
            yield CheckFinding(
                Severity.WARNING,
                CheckCode.MARK_HITS_MANY,
                campaign_place(campaign, "marks"),
                f"{hit:,} of the last {clicks.recent:,} clicks ({hit * 100 // clicks.recent}%) are marked {mark_name(mark)!r}. "
                f"{mark.sentence}",
                "Look at these clicks in the report by mark. If they are honest visitors, change the threshold or switch the mark off "
                "on the campaign's page Marks.",
            )


def mark_condition_findings(
    condition: Condition, rule: str, place: CheckPlace, flow: CheckedFlow, chain: Chain
) -> Iterator[CheckFinding]:
    """Find conditions on marks that a campaign which follows the flow has off."""
    if condition.field != "mark":
        return
    for campaign in chain.campaigns:
        follows = campaign.id == flow.campaign_id or (campaign.flow_id is not None and campaign.flow_id == flow.id)
        if not follows:
            continue
        on = {setting.mark.value for setting in marks_in_force(chain.marks, campaign.marks) if setting.on}
        off = [value for value in condition.values if value not in on]
        if off:
            names = ", ".join(mark_name(value) for value in off)
            yield CheckFinding(
                Severity.WARNING,
                CheckCode.RULE_ON_MARK_OFF,
                place,
                f"{rule[0].upper()}{rule[1:]} compares with {names}, which no click of {campaign.name!r} gets: it is switched off there.",
                "Switch the mark on for the campaign, or remove it from the condition.",
            )


def mark_list_findings(chain: Chain) -> Iterator[CheckFinding]:
    """Find lists of addresses without a single address."""
    for list_id in chain.ip_lists:
        named = chain.lists.get(list_id)
        if named is not None and not any(map(is_network, named.entries)):
            yield CheckFinding(
                Severity.WARNING,
                CheckCode.MARK_LIST_USELESS,
                CheckPlace(kind=CheckPlaceKind.LIST, id=list_id, name=named.name, field="entries"),
                f"Marks compare addresses with the list {named.name!r}, which has no address and no network.",
                "Add addresses or CIDR ranges, one per line, or choose another list for the mark listed IP.",
            )
