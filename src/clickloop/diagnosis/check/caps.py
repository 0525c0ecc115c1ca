"""Check the caps of offers: those that never count, that cannot be reached, or that send visitors nowhere. Pure."""

from collections.abc import Iterator, Mapping

import msgspec

from clickloop.diagnosis.check.chain import Chain, offer_place
from clickloop.diagnosis.check.finding import CheckCode, CheckFinding
from clickloop.macro import Severity
from clickloop.plural import pluralize
from clickloop.setup.catalog import flows_by_campaign
from clickloop.setup.flow import references_of
from clickloop.setup.offer import Offer
from clickloop.setup.offer_cap import CapPeriod, CapUnit, OfferCap, cap_words, counted_words

MIN_CONVERSIONS = 20
"""Minimum number of conversions from which on a status that none of them had is reported."""
MIN_VISITS = 100
"""Minimum number of visits from which on a cap that is far off is reported."""
OUT_OF_REACH = 100
"""A cap this many times what the offer's best period had is as good as none."""


class CapEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What an offer with a cap got in the examined days."""

    visits: int = 0
    conversions: int = 0
    """Without test ones, of any status."""
    statuses: Mapping[str, int] = {}
    """Conversions by status key."""
    best: int = 0
    """The most that counted in one of the cap's periods."""


def cap_findings(chain: Chain) -> Iterator[CheckFinding]:
    """Yield the findings about caps by the set-up alone."""
    reached = _offers_with_visitors(chain)
    known = {words.status.key for words in chain.statuses}
    live = {offer.id for offer in chain.catalog.offers}
    for offer in chain.offers.values():
        cap = offer.cap
        if cap is None:
            continue
        gone = [key for key in cap.statuses if key not in known]
        if gone:
            yield _never_counts(offer, f"there is no status {', '.join(gone)}", len(gone) == len(cap.statuses))
        if cap.then_offer_id is not None and cap.then_offer_id not in live:
            yield CheckFinding(
                Severity.WARNING,
                CheckCode.CAP_ALTERNATIVE_GONE,
                offer_place(offer, "cap.then_offer_id"),
                f"Once the cap of {cap_words(cap)} is reached, visitors are to go to offer {cap.then_offer_id}, which is archived or "
                "does not exist. The offer leaves the rotation instead.",
                "Choose another offer, or none.",
            )
        if offer.id not in reached:
            yield CheckFinding(
                Severity.NOTE,
                CheckCode.CAP_WITHOUT_TRAFFIC,
                offer_place(offer, "cap"),
                f"The offer has a cap of {cap_words(cap)}, but no campaign and no other cap leads to it.",
                "Add it to the flow of a campaign, or remove the cap.",
            )


def cap_evidence_findings(chain: Chain, evidence: Mapping[int, CapEvidence], days: int) -> Iterator[CheckFinding]:
    """Yield the findings about caps by what their offers got recently. ``days``: how many were examined."""
    reached = _offers_with_visitors(chain)
    for offer_id, found in evidence.items():
        offer = chain.offers.get(offer_id)
        if offer is None or offer.cap is None or offer_id not in reached:
            continue
        cap = offer.cap
        if not found.visits and not found.conversions:
            yield CheckFinding(
                Severity.NOTE,
                CheckCode.CAP_WITHOUT_TRAFFIC,
                offer_place(offer, "cap"),
                f"The offer got no visitors in the last {days} days, so its cap of {cap_words(cap)} counts nothing.",
                "Check the weights and rules of the flows that name it.",
            )
        elif _status_never_comes(cap, found):
            came = ", ".join(sorted(key for key, count in found.statuses.items() if count))
            conversions = pluralize(found.conversions, "conversion")
            why = f"the {conversions} of the last {days} days had only {came}"
            yield _never_counts(offer, why, is_whole=True)
        elif (
            found.visits >= MIN_VISITS
            and 0 < found.best * OUT_OF_REACH <= cap.amount
            and cap.per is not CapPeriod.TOTAL
        ):
            best = counted_words(found.best, cap)
            yield CheckFinding(
                Severity.NOTE,
                CheckCode.CAP_OUT_OF_REACH,
                offer_place(offer, "cap.amount"),
                f"The cap of {cap_words(cap)} is far off: the most within {_period(cap)} in the last {days} days was {best}.",
                "Check the number and the period.",
            )


def _never_counts(offer: Offer, why: str, is_whole: bool) -> CheckFinding:
    cap = offer.cap
    assert cap is not None
    waits = "never counts" if is_whole else "counts less than it says"
    return CheckFinding(
        Severity.WARNING,
        CheckCode.CAP_NEVER_COUNTS,
        offer_place(offer, "cap.statuses"),
        f"The cap of {cap_words(cap)} {waits}: {why}.",
        "Check which words your network sends, and choose statuses that it brings, or none to count all but rejected ones.",
    )


def _status_never_comes(cap: OfferCap, found: CapEvidence) -> bool:
    if cap.of is not CapUnit.CONVERSIONS or not cap.statuses or found.conversions < MIN_CONVERSIONS:
        return False
    return not any(found.statuses.get(key) for key in cap.statuses)


def _offers_with_visitors(chain: Chain) -> set[int]:
    """Return the offers that a campaign's flow names, and those that the caps of such offers lead to."""
    found: set[int] = set()
    for flow in flows_by_campaign(chain.catalog).values():
        found |= references_of(flow.parts).offers
    alternatives = {offer.id: offer.alternative_id for offer in chain.catalog.offers}
    waiting = list(found)
    while waiting:
        following = alternatives.get(waiting.pop(), 0)
        if following and following not in found:
            found.add(following)
            waiting.append(following)
    return found


def _period(cap: OfferCap) -> str:
    return f"one {cap.per.value}"
