"""Check a chain as a whole. Pure."""

import msgspec

from clickloop.diagnosis.check.chain import Chain
from clickloop.diagnosis.check.evidence import CampaignEvidence, CheckEvidence, evidence_findings
from clickloop.diagnosis.check.finding import CheckFinding, worst_first
from clickloop.diagnosis.check.static import static_findings
from clickloop.macro import Severity


class CheckedCampaign(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign and its recent traffic."""

    name: str
    evidence: CampaignEvidence


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """The findings of a check, the worst first, and the recent traffic of each campaign."""

    findings: tuple[CheckFinding, ...]
    campaigns: tuple[CheckedCampaign, ...]

    def count(self, severity: Severity) -> int:
        return sum(finding.severity is severity for finding in self.findings)


def check_chain(chain: Chain, evidence: CheckEvidence) -> CheckResult:
    """Check a chain's set-up and its recent traffic."""
    names = {campaign.id: campaign.name for campaign in chain.campaigns}
    return CheckResult(
        findings=worst_first([*static_findings(chain), *evidence_findings(chain, evidence)]),
        campaigns=tuple(
            CheckedCampaign(name=names[traffic.campaign_id], evidence=traffic)
            for traffic in evidence.campaigns
            if traffic.campaign_id in names
        ),
    )
