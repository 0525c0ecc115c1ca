"""A small storm like ``bench.storm``: conversions, kills of any process and failing receivers, all at once."""

import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bench.flaky import AnswerKind, ReceivedRequest
from bench.storm import Plan, StormResult, lines_of, run_storm
from bench.storm_counting import Observations, count

pytestmark = pytest.mark.crash
CONVERSIONS = 600
KILLS = 6
PLAN = Plan(conversions=CONVERSIONS, kills=KILLS, seed=random.randrange(10_000))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the storm's data folder."""
    return tmp_path_factory.mktemp("storm") / "data"


@pytest.fixture(scope="module")
def storm(folder: Path) -> StormResult:
    """Run the storm and return its results. The tracker is stopped."""
    return run_storm(PLAN, folder)


def test_kills_and_flaky_receivers_lose_no_postback_and_duplicate_only_requests_in_flight(storm: StormResult) -> None:
    print("\n".join(lines_of(PLAN, storm)))
    assert storm.broken == (), f"seed {PLAN.seed}"
    assert sum(storm.killed.values()) == KILLS
    assert storm.figures.conversions == CONVERSIONS
    assert storm.figures.delivered > CONVERSIONS
    assert sum(storm.figures.answers.values()) > CONVERSIONS / 8  # the receivers did fail


def without_a_conversion(observations: Observations) -> Observations:
    return msgspec.structs.replace(observations, accepted=dict(list(observations.accepted.items())[1:]))


def with_a_lost_conversion(observations: Observations) -> Observations:
    return msgspec.structs.replace(observations, accepted=observations.accepted | {"T-lost": "c" * 26})


def delivered(observations: Observations) -> ReceivedRequest:
    """Return a request whose 200 ended a postback that was accepted once."""
    taken = [one for one in observations.arrivals if one.kind is AnswerKind.OK and one.answered]
    times = [one.postback_id for one in taken]
    return next(one for one in taken if times.count(one.postback_id) == 1)


def with_an_attempt_that_arrived_twice(observations: Observations) -> Observations:
    return msgspec.structs.replace(observations, arrivals=[*observations.arrivals, delivered(observations)])


def with_an_unrecorded_request(observations: Observations) -> Observations:
    again = delivered(observations)
    unknown = ReceivedRequest(again.postback_id, again.attempt + 1, AnswerKind.OK, True)
    return msgspec.structs.replace(observations, arrivals=[*observations.arrivals, unknown])


def without_a_delivery(observations: Observations) -> Observations:
    gone = delivered(observations).postback_id
    return msgspec.structs.replace(
        observations, arrivals=[one for one in observations.arrivals if one.postback_id != gone]
    )


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (without_a_conversion, "conversions are registered"),
        (with_a_lost_conversion, "conversions are registered"),
        (with_an_attempt_that_arrived_twice, "arrived more than once"),
        (with_an_unrecorded_request, "without an attempt in the ledger"),
        (with_an_unrecorded_request, "although their 200 was recorded"),
        (without_a_delivery, "that no receiver accepted"),
    ],
)
def test_every_broken_promise_is_reported(
    storm: StormResult, folder: Path, change: Callable[[Observations], Observations], part: str
) -> None:
    assert any(part in sentence for sentence in count(folder, change(storm.observations)).broken)
