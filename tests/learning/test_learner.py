"""Weights follow what items earned: deterministic, never below the least share, and close to the best item's revenue."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from bench.market import FIVE_OFFERS, Outcome, TrueOffer, simulate
from clickloop.clock import HOUR_MS, MINUTE_MS
from clickloop.learning.evidence import DelayedItem, Delays, ItemCounts, ItemPeriod, LearnedSplit
from clickloop.learning.learner import frozen_weights, is_worth_publishing, learn, periods_of
from clickloop.learning.maturity import DEFAULT_DELAY_MS, MIN_DELAYS
from clickloop.learning.sampling import belief_in, draws_for, interval, prior_of
from clickloop.learning.splits import LearningObstacle, Split, obstacle_of, splits_of
from clickloop.learning.weights import WHOLE, weights_of
from clickloop.setup.flow import LandingShare, OfferShare, Path, PathTarget
from clickloop.setup.learning import Goal, ItemKind, Learning

NOW = 1_760_000_000_000
OFFERS, LANDINGS = ItemKind.OFFERS, ItemKind.LANDINGS


def a_split(*ids: int, learning: Learning | None = None) -> Split:
    items = tuple((id_, 100) for id_ in ids)
    return Split(path_id=1, kind=OFFERS, learning=learning or Learning(), items=items)


def counts_of(visits: int, successes: int, dollars: int = 10) -> ItemCounts:
    return ItemCounts(
        visits=visits,
        conversions=successes,
        successes=successes,
        revenue_micros=successes * dollars * 1_000_000,
        revenue_squares=float(successes * dollars * dollars),
    )


def learned(split: Split, *counts: ItemCounts, now_ms: int = NOW) -> LearnedSplit | None:
    by_item = {(1, OFFERS, id_): one for (id_, _), one in zip(split.items, counts, strict=True)}
    return learn(split, by_item, {}, now_ms, "USD")


def weights(split: Split, *counts: ItemCounts, now_ms: int = NOW) -> list[int]:
    found = learned(split, *counts, now_ms=now_ms)
    return [] if found is None else [item.weight for item in found.items]


def test_five_offers_of_known_rates_earn_nine_tenths_of_the_best_one_over_the_second_half() -> None:
    outcome = simulate(FIVE_OFFERS, visits=40_000, days=4, learn_every_minutes=120)
    assert outcome.second_half >= 0.9
    assert outcome.lowest_share >= 0.05
    assert outcome.best - outcome.learned < (outcome.best - outcome.even) / 2


def test_the_same_market_gives_the_same_weights_again() -> None:
    def run() -> tuple[Outcome, list[tuple[tuple[int, int], ...]]]:
        seen: list[tuple[tuple[int, int], ...]] = []
        offers = [TrueOffer(1, 0.05, 8), TrueOffer(2, 0.1, 8)]
        outcome = simulate(
            offers, visits=2_000, days=2, learn_every_minutes=480, on_learned=lambda split: seen.append(split.weights())
        )
        return outcome, seen

    assert run() == run()


def test_weights_depend_on_nothing_but_counts_and_minute() -> None:
    split, counts = a_split(1, 2), (counts_of(1000, 20), counts_of(1000, 22))
    start_of_minute = NOW - NOW % MINUTE_MS
    assert weights(split, *counts, now_ms=start_of_minute) == weights(split, *counts, now_ms=start_of_minute + 59_999)
    assert weights(split, *counts, now_ms=start_of_minute) != weights(split, *counts, now_ms=start_of_minute + 60_000)


def test_without_a_conversion_nothing_is_learned() -> None:
    assert learned(a_split(1, 2), counts_of(500, 0), counts_of(300, 0)) is None
    assert learned(a_split(1, 2), ItemCounts(), ItemCounts()) is None


def test_the_offer_with_the_better_rate_and_the_one_with_the_better_payout_win_by_their_goal() -> None:
    counts = counts_of(5_000, 200, dollars=2), counts_of(5_000, 100, dollars=20)
    by_revenue, by_rate = (a_split(1, 2, learning=Learning(goal=goal)) for goal in list(Goal)[:2])
    assert weights(by_revenue, *counts) == [50, 950]
    assert weights(by_rate, *counts) == [950, 50]


def test_an_offer_without_visits_is_tried_more_than_one_that_is_known_to_be_worse() -> None:
    best, worse, new = weights(a_split(1, 2, 3), counts_of(5_000, 100), counts_of(5_000, 60), ItemCounts())
    assert best > new > worse == 50


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=200), st.integers(0, 50))
@settings(max_examples=200, deadline=None)
def test_weights_sum_to_a_thousand_and_none_is_below_the_least_share(won: list[int], least_share: int) -> None:
    found = weights_of(won, least_share)
    assert sum(found) == WHOLE
    assert min(found) >= min(least_share * WHOLE // 100, WHOLE // len(won))
    ranked = sorted(zip(won, found, strict=True))
    assert all(low[1] <= high[1] + 1 for low, high in pairwise(ranked))


@given(
    st.lists(
        st.tuples(st.integers(0, 10**6), st.integers(0, 10**4), st.integers(-(10**12), 10**12), st.floats(0, 1e12)),
        min_size=2,
        max_size=5,
    ),
    st.sampled_from(Goal),
)
@settings(max_examples=100, deadline=None)
def test_any_counts_give_weights_even_more_conversions_than_visits_and_negative_revenue(
    rows: list[tuple[int, int, int, float]], goal: Goal
) -> None:
    counts = [
        ItemCounts(visits=visits, conversions=n, successes=n, revenue_micros=money, revenue_squares=squares)
        for visits, n, money, squares in rows
    ]
    found = learned(a_split(*range(1, len(rows) + 1), learning=Learning(goal=goal)), *counts)
    assert found is None or sum(item.weight for item in found.items) == WHOLE
    assert found is None or all(0 <= item.low <= item.high for item in found.items)


def test_draws_of_a_path_are_bounded_however_many_offers_it_has() -> None:
    assert draws_for(200) * 200 <= 50_000
    assert draws_for(2) == 4_000


def test_the_interval_holds_the_true_rate() -> None:
    counts = counts_of(10_000, 300)
    prior = prior_of([counts])
    assert prior is not None
    low, high = interval(belief_in(counts, prior, Goal.CONVERSIONS_PER_VISIT))
    assert 0.026 < low < 0.03 < high < 0.034


def test_visits_count_from_the_offers_own_delay_on_and_a_set_delay_overrides_it() -> None:
    own = {DelayedItem(OFFERS, 1, False): Delays(MIN_DELAYS, 5 * HOUR_MS)}
    few = {DelayedItem(OFFERS, 1, False): Delays(MIN_DELAYS - 1, 5 * HOUR_MS)}
    since = NOW - 72 * HOUR_MS
    for delays, learning, age in (
        (own, Learning(), 5 * HOUR_MS),
        (few, Learning(), DEFAULT_DELAY_MS),
        (own, Learning(delay_hours=2), 2 * HOUR_MS),
    ):
        assert periods_of(a_split(1, learning=learning), delays, NOW) == [
            ItemPeriod(1, OFFERS, 1, Goal.REVENUE_PER_VISIT, since, NOW - age)
        ]


def test_a_delay_beyond_the_window_leaves_an_empty_period() -> None:
    slow = {DelayedItem(OFFERS, 1, False): Delays(MIN_DELAYS, 100 * HOUR_MS)}
    (period,) = periods_of(a_split(1), slow, NOW)
    assert period.since_at == period.until_at


def test_items_of_weight_0_and_those_not_served_are_out() -> None:
    path = Path(id=1, learning=Learning(), offers=(OfferShare(1), OfferShare(2, 0), OfferShare(3), OfferShare(4)))
    (split,) = splits_of(path, lambda _kind, id_: id_ != 3)
    assert [id_ for id_, _ in split.items] == [1, 4]
    assert list(splits_of(path, lambda _kind, id_: id_ == 1)) == []


def test_landings_and_offers_learn_apart_and_for_landing_ctr_the_landings_alone() -> None:
    shares = {"landings": (LandingShare(1), LandingShare(2)), "offers": (OfferShare(1), OfferShare(2))}
    path = Path(id=1, target=PathTarget.LANDING_AND_OFFER, learning=Learning(), **shares)  # type: ignore[arg-type]
    assert [split.kind for split in splits_of(path, lambda *_: True)] == [LANDINGS, OFFERS]
    path = Path(id=1, target=PathTarget.LANDING_AND_OFFER, learning=Learning(goal=Goal.LANDING_CTR), **shares)  # type: ignore[arg-type]
    assert [split.kind for split in splits_of(path, lambda *_: True)] == [LANDINGS]


def test_a_path_that_cannot_learn_by_its_set_up_says_why() -> None:
    two = (OfferShare(1), OfferShare(2))
    ctr = Learning(goal=Goal.LANDING_CTR)
    assert obstacle_of(Path(offers=two)) is None
    assert obstacle_of(Path(learning=Learning(), offers=two)) is None
    assert obstacle_of(Path(learning=Learning(), offers=two[:1])) is LearningObstacle.ONE_ITEM
    assert obstacle_of(Path(learning=ctr, offers=two)) is LearningObstacle.NO_LANDINGS
    assert obstacle_of(Path(learning=Learning(), target=PathTarget.NOTHING)) is LearningObstacle.NO_CHOICE
    short = Learning(window_hours=24, delay_hours=24)
    assert obstacle_of(Path(learning=short, offers=two)) is LearningObstacle.WINDOW_TOO_SHORT


def test_frozen_weights_stay_and_an_offer_that_is_new_since_gets_the_least_share() -> None:
    assert frozen_weights(a_split(1, 2, 3), [(1, 700), (2, 300), (9, 0)]) == ((1, 700), (2, 300), (3, 50))


def test_weights_are_published_when_they_moved_beyond_chance_or_their_evidence_is_old() -> None:
    def after(visits: int, conversions: int, now_ms: int, *ids: int) -> LearnedSplit:
        found = learned(a_split(*ids), counts_of(visits, 10), counts_of(1_000, conversions), now_ms=now_ms)
        assert found is not None
        return found

    before = after(1_000, 11, NOW, 1, 2)
    assert is_worth_publishing(None, before)
    assert not is_worth_publishing(before, after(1_001, 11, NOW + MINUTE_MS, 1, 2))
    assert is_worth_publishing(before, after(1_000, 40, NOW + MINUTE_MS, 1, 2))
    assert is_worth_publishing(before, after(1_002, 11, NOW + HOUR_MS, 1, 2))
    assert is_worth_publishing(before, after(1_000, 11, NOW + MINUTE_MS, 1, 3))
    assert not is_worth_publishing(before, after(1_000, 11, NOW + HOUR_MS, 1, 2))


def test_an_offer_with_few_conversions_waits_as_long_as_the_slowest_other_one() -> None:
    delays = {
        DelayedItem(OFFERS, 1, False): Delays(MIN_DELAYS, 5 * HOUR_MS),
        DelayedItem(OFFERS, 2, False): Delays(MIN_DELAYS, 7 * HOUR_MS),
        DelayedItem(OFFERS, 9, False): Delays(MIN_DELAYS, 50 * HOUR_MS),  # of another path
    }
    periods = periods_of(a_split(1, 2, 3), delays, NOW)
    assert [(NOW - period.until_at) // HOUR_MS for period in periods] == [5, 7, 7]
