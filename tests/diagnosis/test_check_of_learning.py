"""The check of paths that learn: each reason why one cannot, and none of a path that can."""

import pytest

from clickloop.clock import HOUR_MS
from clickloop.diagnosis.check.chain import Chain
from clickloop.diagnosis.check.finding import CheckCode, CheckFinding
from clickloop.diagnosis.check.learning import (
    LearningEvidence,
    learning_evidence_findings,
    learning_set_up_findings,
    learning_splits,
)
from clickloop.macro import Severity
from clickloop.setup.flow import FlowParts, LandingShare, OfferShare, Path, PathTarget, Rule
from clickloop.setup.learning import Goal, ItemKind, Learning
from tests.diagnosis.test_check_of_flows import by_default, flowing

TWO = (OfferShare(5), OfferShare(6))
CAN = Path(id=1, name="All", learning=Learning(), offers=TWO)


def of_set_up(path: Path) -> list[CheckFinding]:
    return list(learning_set_up_findings(by_default(path)))


def of_evidence(chain: Chain, visits: int, successes: int, hours: int = 3) -> list[CheckFinding]:
    counted = LearningEvidence(
        path_id=1, kind=ItemKind.OFFERS, visits=visits, successes=successes, shortest_delay_ms=hours * HOUR_MS
    )
    return list(learning_evidence_findings(chain, (counted,)))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (Path(id=1, learning=Learning(), offers=TWO[:1]), "only one landing or offer"),
        (Path(id=1, learning=Learning(), offers=(OfferShare(5), OfferShare(6, 0))), "only one landing or offer"),
        (Path(id=1, learning=Learning(), offers=(OfferShare(5), OfferShare(99))), "only one landing or offer"),
        (Path(id=1, learning=Learning(goal=Goal.LANDING_CTR), offers=TWO), "has no landings"),
        (Path(id=1, learning=Learning(), target=PathTarget.NOTHING), "nothing to choose from"),
        (Path(id=1, learning=Learning(window_hours=12, delay_hours=24), offers=TWO), "older than the window"),
        (
            Path(
                id=1,
                learning=Learning(goal=Goal.LANDING_CTR),
                target=PathTarget.LANDING_AND_OFFER,
                landings=(LandingShare(4),),
                offers=TWO,
            ),
            "only one landing.",
        ),
    ],
)
def test_a_path_whose_set_up_leaves_nothing_to_learn_is_found_with_the_reason(path: Path, words: str) -> None:
    (finding,) = of_set_up(path)
    assert (finding.severity, finding.code) == (Severity.WARNING, CheckCode.PATH_CANNOT_LEARN)
    assert finding.place.field == "flow.default_paths[0]"
    assert words in finding.sentence


def test_a_path_that_can_learn_does_not_or_is_off_is_not_found() -> None:
    off = Path(id=1, learning=Learning(), active=False, offers=TWO[:1])
    assert [of_set_up(path) for path in (CAN, Path(id=1, offers=TWO[:1]), off)] == [[], [], []]
    rule_off = Rule(active=False, paths=(Path(id=1, learning=Learning(), offers=TWO[:1]),))
    assert list(learning_set_up_findings(flowing(FlowParts(rules=(rule_off,))))) == []
    assert [split.path_id for split in learning_splits(by_default(CAN))] == [1]


def test_visits_without_a_conversion_in_the_window_are_found_and_few_of_them_are_a_note() -> None:
    (many,), (few,) = of_evidence(by_default(CAN), 500, 0), of_evidence(by_default(CAN), 9, 0)
    assert (many.severity, few.severity) == (Severity.WARNING, Severity.NOTE)
    assert "500 visits of its offers in the last 72 hours counted, none with a conversion" in many.sentence
    (none,) = of_evidence(by_default(CAN), 0, 0)
    assert "No visit of its offers in the last 72 hours counts yet" in none.sentence
    assert of_evidence(by_default(CAN), 500, 1) == []


def test_a_window_shorter_than_the_offers_own_delay_is_found() -> None:
    (finding,) = of_evidence(by_default(CAN), 0, 0, hours=80)
    assert finding.severity is Severity.WARNING
    assert "Visits count only after 80 hours" in finding.sentence


def test_a_frozen_path_needs_no_conversions() -> None:
    frozen = Path(id=1, learning=Learning(frozen=True), offers=TWO)
    assert of_evidence(by_default(frozen), 500, 0) == []
