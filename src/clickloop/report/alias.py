"""Names of figures in other trackers. Each entry is from the vendor's own documentation."""

import enum

import msgspec

from clickloop.report.measure import Measure


class OtherTracker(enum.StrEnum):
    """A tracker whose users may come to us."""

    VOLUUM = "Voluum"
    BINOM = "Binom"
    KEITARO = "Keitaro"
    REDTRACK = "RedTrack"


SOURCES = {
    OtherTracker.VOLUUM: "https://doc.voluum.com/en/voluum_abbreviations.html",
    OtherTracker.BINOM: "https://docs.binom.org/api_change.php",
    OtherTracker.KEITARO: "https://docs.keitaro.io/en/beginning/terms.html",
    OtherTracker.REDTRACK: "https://help.redtrack.io/knowledgebase/kb/basic-setup-9785/reports-and-dashboards-r-10959/reporting-formulae-10964/",
}


class Alias(msgspec.Struct, frozen=True):
    """A name in another tracker, and how its figure differs from ours; empty if it does not."""

    measure: Measure
    tracker: OtherTracker
    name: str
    difference: str = ""

    @property
    def source(self) -> str:
        """Return the address of the vendor's page that defines it."""
        return SOURCES[self.tracker]


_M = Measure
_V, _B, _K, _R = OtherTracker

ALIASES = (
    Alias(_M.AVERAGE_PAYOUT, _V, "AP", "Divides by all conversions."),
    Alias(_M.CLICKS, _B, "Clicks"),
    Alias(_M.LANDING_CLICKS, _B, "LP Clicks"),
    Alias(_M.LP_CTR, _B, "LP CTR"),
    Alias(_M.CONVERSIONS, _B, "Leads"),
    Alias(_M.CR, _B, "CR"),
    Alias(_M.EPC, _B, "EPC"),
    Alias(_M.CPC, _B, "CPC"),
    Alias(_M.REVENUE, _B, "Revenue"),
    Alias(_M.COST, _B, "Spend, cost"),
    Alias(_M.PROFIT, _B, "Profit"),
    Alias(_M.ROI, _B, "ROI"),
    Alias(_M.PROFIT, _K, "Profit"),
    Alias(_M.CR, _K, "CR (hold + confirmed)"),
    Alias(_M.EPC, _K, "EPC (confirmed)", "Keitaro's plain EPC includes revenue in hold."),
    Alias(_M.CPC, _K, "CPC"),
    Alias(_M.CPA, _K, "CPS", "Divides by confirmed conversions only."),
    Alias(_M.AVERAGE_PAYOUT, _K, "EC (confirmed)", "Divides by all conversions."),
    Alias(_M.ECPM, _K, "eCPM (confirmed)"),
    Alias(_M.PROFIT, _R, "Profit"),
    Alias(_M.CPC, _R, "CPC"),
    Alias(_M.EPC, _R, "EPC"),
    Alias(_M.EPUC, _R, "EPUC"),
    Alias(_M.LP_CTR, _R, "LP CTR", "Divides by landing views."),
    Alias(_M.ROAS, _R, "ROAS, %"),
    Alias(_M.ROI, _R, "Total ROI"),
)
"""Names that could not be verified are left out. RedTrack's figures are over all conversions unless a type is named."""


def aliases_of(measure: Measure) -> tuple[Alias, ...]:
    """Return what other trackers call a measure."""
    return tuple(alias for alias in ALIASES if alias.measure is measure)
