"""Entered cost in every store of facts: each click has one cost, each spread is its amount to the micro, undone is as before."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clickloop.click.click import Click
from clickloop.click.marks.mark_correction import MarkBatch, MarkChange
from clickloop.clock import DAY_MS, HOUR_MS
from clickloop.report.cost.segment import (
    CostFilter,
    CostKind,
    CostPart,
    CostSegment,
    SegmentClicks,
    Spread,
    SpreadOrder,
    SpreadOver,
    rank_of,
)
from clickloop.report.query import ExchangeRate, Report, ReportQuery
from clickloop.store.facts.facts import FactsError, FactsStore
from clickloop.store.facts.judgements import ClickJudgement, Judgements
from clickloop.store.journal.segment import Segment, SegmentContents, closed_segment_bytes
from tests.store.facts.test_reports import E12, NOON, OPENERS, TODAY, Counted, D

RATES = (ExchangeRate("EUR", TODAY - 30, E12 * 11 // 10),)
DAY = CostSegment(campaign_id=1, from_at=NOON - NOON % DAY_MS, until_at=NOON - NOON % DAY_MS + DAY_MS)


@pytest.fixture(params=list(OPENERS))
def opener(request: pytest.FixtureRequest) -> Callable[[Path], FactsStore]:
    return OPENERS[request.param]


@pytest.fixture
def counted(opener: Callable[[Path], FactsStore], tmp_path: Path) -> Iterator[Counted]:
    made = Counted(tmp_path, opener)
    yield made
    made.close()


def order(entry_id: int, micros: int, segment: CostSegment = DAY, **fields: Any) -> SpreadOrder:
    """Return an order to spread an entry for the first time."""
    kind, generation = fields.pop("kind", CostKind.API), fields.pop("generation", 1)
    usual: dict[str, Any] = {"currency": "USD", "rank": rank_of(kind, entry_id, generation), "entry_id": entry_id}
    return SpreadOrder(micros=micros, segment=segment, **usual | fields)


def apply(counted: Counted, wanted: SpreadOrder, limit: int = 1000) -> Spread:
    """Spread an amount and put it into effect."""
    spread = counted.facts.costs.spread(wanted)
    while spread.active < spread.covered:
        spread = counted.facts.costs.advance(wanted.rank, limit)
    return spread


def undo(counted: Counted, rank: int, limit: int = 1000) -> None:
    while counted.facts.costs.withdraw(rank, limit) is not None:
        pass


def cost(counted: Counted) -> int:
    return counted.report(rates=RATES).totals.cost_micros


def parts(counted: Counted, click: Click) -> list[tuple[int, int, str]]:
    return [(part.entry_id, part.micros, part.currency) for part in counted.facts.costs.parts(click.click_id)]


def all_reports(counted: Counted) -> list[Report]:
    dimensions = (D.CAMPAIGN, D.SOURCE, D.COUNTRY, D.V3, D.DAY, D.STATUS)
    groups = [(), *((dimension,) for dimension in dimensions), (D.V3, D.HOUR)]
    return [counted.report(*group_by, rates=RATES, statuses=("sale", "rejected")) for group_by in groups]


def test_an_amount_that_does_not_divide_is_exact_and_the_first_clicks_bear_the_rest(counted: Counted) -> None:
    clicks = [counted.visit(at=NOON + place) for place in range(3)]
    spread = apply(counted, order(1, 100))
    shares = counted.facts.costs.shares(spread.rank)
    assert [shares[click.click_id] for click in clicks] == [34, 33, 33]
    assert cost(counted) == 100
    assert parts(counted, clicks[0]) == [(1, 34, "USD")]


def test_less_than_a_micro_per_click_goes_to_the_first_clicks(counted: Counted) -> None:
    counted.visit(5)
    spread = apply(counted, order(1, 2))
    assert sorted(counted.facts.costs.shares(spread.rank).values()) == [0, 0, 0, 1, 1]
    assert cost(counted) == 2


def test_an_entry_replaces_the_links_cost_and_undone_uncovers_it(counted: Counted) -> None:
    clicks = [counted.visit(cost_micros=50, cost_currency="EUR", country="DE", v3="z") for _ in range(2)]
    before = all_reports(counted)
    assert cost(counted) == 110
    rank = apply(counted, order(1, 30)).rank
    assert cost(counted) == 30
    assert parts(counted, clicks[1]) == [(1, 15, "USD")]
    undo(counted, rank)
    assert all_reports(counted) == before
    assert counted.facts.costs.spreads([1]) == []
    assert counted.facts.costs.shares(rank) == {}


def test_the_figures_of_every_dimension_have_the_entered_cost(counted: Counted) -> None:
    counted.visit(2, country="DE", v3="zone-1", offer_id=4, unique=True)
    counted.visit(2, country="US", v3="zone-2", offer_id=5, at=NOON + HOUR_MS)
    apply(counted, order(1, 100, CostSegment(source_id=2, from_at=DAY.from_at, until_at=DAY.until_at)))
    for dimension in (D.COUNTRY, D.V3, D.OFFER, D.HOUR, D.HOUR_OF_DAY):
        assert [group.sums.cost_micros for group in counted.report(dimension).groups] == [50, 50]
    assert counted.report(D.STATUS).totals.cost_micros == 0
    assert counted.report(D.COUNTRY).totals.clicks_recorded == 4


def test_the_newer_entry_counts_and_manual_ones_before_others(counted: Counted) -> None:
    click = counted.visit(2)
    first = apply(counted, order(1, 10, kind=CostKind.MANUAL)).rank
    apply(counted, order(2, 20))
    assert cost(counted) == 10
    third = apply(counted, order(3, 30)).rank
    undo(counted, first)
    assert cost(counted) == 30
    fourth = apply(counted, order(4, 40, kind=CostKind.MANUAL)).rank
    undo(counted, third)
    assert cost(counted) == 40
    undo(counted, fourth)
    assert cost(counted) == 20
    assert parts(counted, click) == [(2, 10, "USD")]


def test_part_of_a_segment_keeps_the_entry_beneath(counted: Counted) -> None:
    counted.visit(2, v3="a")
    counted.visit(2, v3="b")
    apply(counted, order(1, 100))
    segment = CostSegment(
        campaign_id=1, filters=(CostFilter(D.V3, ("b",)),), from_at=DAY.from_at, until_at=DAY.until_at
    )
    apply(counted, order(2, 8, segment))
    assert {group.keys[0]: group.sums.cost_micros for group in counted.report(D.V3).groups} == {"a": 50, "b": 8}


def test_a_filter_by_no_value_matches_clicks_without_one(counted: Counted) -> None:
    counted.visit(v3="a")
    counted.visit(offer_id=7)
    for one in (CostFilter(D.V3, ("",)), CostFilter(D.OFFER, ("7",)), CostFilter(D.OFFER, ("0",))):
        segment = CostSegment(campaign_id=1, filters=(one,), from_at=DAY.from_at, until_at=DAY.until_at)
        assert counted.facts.costs.count(segment).recorded == 1


def test_unique_or_clean_clicks_bear_the_amount_and_the_others_cost_nothing(counted: Counted) -> None:
    repeated = counted.visit(2, cost_micros=9, cost_currency="USD", marks="repeat")
    new = counted.visit(2, unique=True, cost_micros=9, cost_currency="USD")
    counted.visit(screening="crawler", cost_micros=9, cost_currency="USD")
    counted.visit(screening="test", cost_micros=9, cost_currency="USD")
    assert counted.facts.costs.count(DAY) == SegmentClicks(recorded=5, clicks=4, unique=2, clean=2)
    rank = apply(counted, order(1, 100, over=SpreadOver.UNIQUE)).rank
    assert (cost(counted), parts(counted, new), parts(counted, repeated)) == (100, [(1, 50, "USD")], [])
    undo(counted, rank)
    apply(counted, order(2, 60, over=SpreadOver.CLEAN))
    assert (cost(counted), parts(counted, new), parts(counted, repeated)) == (60, [(2, 30, "USD")], [])


def test_a_segment_without_clicks_is_not_attributed_and_covers_nothing(counted: Counted) -> None:
    counted.visit(2, cost_micros=9, cost_currency="USD")
    spread = apply(counted, order(1, 100, over=SpreadOver.UNIQUE))
    assert (spread.covered, spread.shared, spread.micros) == (0, 0, 100)
    assert cost(counted) == 18
    empty = apply(counted, order(2, 7, CostSegment(campaign_id=9, from_at=DAY.from_at, until_at=DAY.until_at)))
    assert (empty.covered, empty.active) == (0, 0)
    undo(counted, empty.rank)
    assert counted.facts.costs.spreads([1, 2]) == [spread]


def test_a_spread_takes_effect_in_steps_and_counts_once_however_often_it_is_ordered(counted: Counted) -> None:
    counted.visit(5, cost_micros=1, cost_currency="USD")
    wanted = order(1, 50)
    assert counted.facts.costs.spread(wanted) == counted.facts.costs.spread(wanted)
    assert cost(counted) == 5
    assert counted.facts.costs.advance(wanted.rank, 2).active == 2
    assert cost(counted) == 23
    assert counted.facts.costs.spread(wanted).active == 2
    assert counted.facts.costs.advance(wanted.rank, 9).active == 5
    assert counted.facts.costs.advance(wanted.rank, 9).active == 5
    assert cost(counted) == 50
    back = counted.facts.costs.withdraw(wanted.rank, 3)
    assert back is not None
    assert (back.active, cost(counted)) == (2, 23)
    assert counted.facts.costs.withdraw(wanted.rank, 3) is None
    assert cost(counted) == 5
    with pytest.raises(FactsError, match="no spread"):
        counted.facts.costs.advance(wanted.rank, 1)


def test_clicks_that_arrive_later_make_an_entry_outdated_until_it_is_spread_anew(counted: Counted) -> None:
    counted.visit(2)
    first = apply(counted, order(1, 100)).rank
    ends = (DAY.until_at, DAY.until_at + 1)
    assert counted.facts.costs.outdated(*ends) == []
    late = counted.visit(cost_micros=7, cost_currency="USD")
    counted.visit(campaign_id=3)
    assert cost(counted) == 107
    assert counted.facts.costs.outdated(*ends) == [1]
    assert counted.facts.costs.outdated(0, DAY.until_at) == []
    apply(counted, order(1, 100, generation=2))
    undo(counted, first)
    assert counted.facts.costs.outdated(*ends) == []
    assert (cost(counted), parts(counted, late)) == (100, [(1, 33, "USD")])


def test_an_unattributed_entry_is_outdated_when_clicks_arrive(counted: Counted) -> None:
    apply(counted, order(1, 100))
    counted.visit()
    assert counted.facts.costs.outdated(0, DAY.until_at + 1) == [1]


def test_clean_clicks_that_were_marked_make_an_entry_outdated_only_if_clean_clicks_bear_it(counted: Counted) -> None:
    click = counted.visit(2)
    apply(counted, order(1, 100, over=SpreadOver.CLEAN))
    apply(counted, order(2, 100))
    mark(counted, click)
    assert counted.facts.costs.outdated(0, DAY.until_at + 1) == [1]


def test_as_many_other_clean_clicks_make_an_entry_outdated_too(counted: Counted) -> None:
    clean, marked = counted.visit(), counted.visit(marks="datacenter")
    rank = apply(counted, order(1, 100, over=SpreadOver.CLEAN)).rank
    mark(counted, clean)
    changes = (MarkChange(marked.click_id, lost="datacenter"),)
    counted.facts.marks.correct(MarkBatch(job_id="other", number=1, last_click_id="z", judged=1, changes=changes), NOON)
    assert counted.facts.costs.outdated(0, DAY.until_at + 1) == [1]
    apply(counted, order(1, 100, over=SpreadOver.CLEAN, generation=2))
    undo(counted, rank)
    assert counted.facts.costs.outdated(0, DAY.until_at + 1) == []
    assert (parts(counted, clean), parts(counted, marked)) == ([], [(1, 100, "USD")])


def test_many_spreads_are_put_into_effect_and_taken_back_at_once_over_and_under_others(counted: Counted) -> None:
    click = counted.visit(3, cost_micros=5, cost_currency="USD", v3="a")
    counted.visit(2, v3="b")
    before = all_reports(counted)
    manual = apply(counted, order(9, 50, kind=CostKind.MANUAL, currency="EUR")).rank
    segments = [
        CostSegment(campaign_id=1, filters=(CostFilter(D.V3, (value,)),), from_at=DAY.from_at, until_at=DAY.until_at)
        for value in ("a", "b", "c", "a")
    ]
    orders = [order(entry_id, 10 * entry_id, one) for entry_id, one in enumerate(segments, 1)]
    ranks = [one.rank for one in orders]
    assert [one.shared for one in counted.facts.costs.spread_each(orders, 100)] == [3, 2, 0, 3]
    assert counted.facts.costs.spread_each(orders, 100) == counted.facts.costs.spreads([1, 2, 3, 4])
    counted.facts.costs.advance_each(ranks)
    counted.facts.costs.advance_each(ranks)
    assert parts(counted, click) == [(9, 10, "EUR")]
    undo(counted, manual)
    assert (cost(counted), parts(counted, click)) == (60, [(4, 13, "USD")])
    counted.facts.costs.withdraw_each(ranks[2:])
    assert (cost(counted), parts(counted, click)) == (30, [(1, 3, "USD")])
    counted.facts.costs.withdraw_each(ranks)
    assert all_reports(counted) == before


def test_as_many_orders_are_spread_at_once_as_have_few_clicks_together(counted: Counted) -> None:
    counted.visit(3)
    orders = [order(entry_id, 10) for entry_id in range(1, 5)]
    orders.append(order(5, 10, CostSegment(campaign_id=1, from_at=0, until_at=DAY.until_at)))
    spread_to = [len(counted.facts.costs.spread_each(orders, 6)) for _ in range(4)]
    assert spread_to == [2, 4, 5, 5]


def mark(counted: Counted, click: Click, number: int = 1) -> None:
    """Mark a click as coming from a data centre."""
    changes = (MarkChange(click.click_id, gained="datacenter"),)
    counted.facts.marks.correct(
        MarkBatch(job_id="job", number=number, last_click_id="z", judged=1, changes=changes), NOON
    )


def test_corrected_marks_and_cost_do_not_disturb_each_other(counted: Counted) -> None:
    click = counted.visit(2, cost_micros=5, cost_currency="USD", country="DE")
    before = all_reports(counted)
    first = apply(counted, order(1, 100)).rank
    mark(counted, click)
    second = apply(counted, order(2, 60)).rank
    assert cost(counted) == 60
    assert counted.report(D.COUNTRY).totals.clean_clicks == 1
    undo(counted, first)
    undo(counted, second)
    counted.facts.marks.undo("job")
    assert all_reports(counted) == before


def test_retention_deletes_entered_cost_with_its_clicks(counted: Counted) -> None:
    counted.visit(2, at=NOON - 2 * DAY_MS)
    counted.visit(2)
    segment = CostSegment(campaign_id=1, from_at=DAY.from_at - 3 * DAY_MS, until_at=DAY.until_at)
    rank = apply(counted, order(1, 100, segment)).rank
    while counted.facts.delete_clicks(NOON - DAY_MS):
        pass
    assert cost(counted) == 50
    assert len(counted.facts.costs.shares(rank)) == 2
    assert counted.facts.costs.outdated(0, DAY.until_at + 1) == []
    undo(counted, rank)
    assert cost(counted) == 0


def test_hours_with_clicks_are_counted_for_the_zone_of_a_file(counted: Counted) -> None:
    counted.visit(2)
    counted.visit(3, at=NOON + 2 * HOUR_MS)
    assert counted.facts.costs.quarters(DAY) == {NOON: 2, NOON + 2 * HOUR_MS: 3}


def test_many_segments_are_counted_at_once(counted: Counted) -> None:
    counted.visit(2, v3="a", unique=True)
    counted.visit(3, v3="b", at=NOON + 2 * HOUR_MS)
    counted.visit(5, screening="crawler", v3="a")
    counted.visit(campaign_id=2, offer_id=7)

    def segment(campaign_id: int, value: str, hours: int) -> CostSegment:
        filters = (CostFilter(D.V3, (value,)),)
        return CostSegment(
            campaign_id=campaign_id, filters=filters, from_at=NOON - DAY_MS, until_at=NOON + hours * HOUR_MS
        )

    segments = [segment(1, "a", 1), segment(1, "b", 1), segment(1, "b", 48), segment(2, "", 1), segment(1, "", 1)]
    assert counted.facts.costs.count_each(segments, SpreadOver.CLICKS) == [2, 0, 3, 1, 0]
    assert counted.facts.costs.count_each(segments, SpreadOver.UNIQUE) == [2, 0, 0, 0, 0]
    assert counted.facts.costs.count_each([], SpreadOver.CLICKS) == []


def test_a_cell_tells_how_much_of_it_comes_from_links_models_and_which_entries(counted: Counted) -> None:
    counted.visit(2, v3="a", cost_micros=10, cost_currency="EUR")
    counted.visit(v3="b", cost_micros=10, cost_currency="USD", cost_rule="per_click")
    only_a = CostSegment(campaign_id=1, filters=(CostFilter(D.V3, ("a",)),), from_at=NOON, until_at=NOON + HOUR_MS)

    def origins() -> list[tuple[object, ...]]:
        query = ReportQuery(from_at=DAY.from_at, until_at=DAY.until_at, currency="USD", group_by=(D.V3,))
        found = counted.facts.costs.origins(query)
        return [(*one.keys, one.entry_id, one.model, one.currency, one.micros) for one in found]

    before = [("a", 0, "", "EUR", 20), ("b", 0, "per_click", "USD", 10)]
    assert origins() == before
    rank = apply(counted, order(1, 30, only_a)).rank
    assert origins() == [("a", 1, "", "USD", 30), ("b", 0, "per_click", "USD", 10)]
    over = apply(counted, order(2, 9, currency="EUR")).rank
    assert origins() == [("a", 2, "", "EUR", 6), ("b", 2, "", "EUR", 3)]
    undo(counted, over)
    undo(counted, rank)
    assert origins() == before


def test_the_cost_of_conversions_is_covered_like_that_of_clicks_whenever_they_come(counted: Counted) -> None:
    click = counted.visit(cost_micros=5, cost_currency="USD", cost_rule="per_click;per_conversion 7 EUR")
    counted.convert(click, 30, cost_micros=7, cost_currency="EUR")
    assert parts(counted, click) == [(0, 7, "EUR"), (0, 5, "USD")]
    assert cost(counted) == 5 + 8
    before = all_reports(counted)
    rank = apply(counted, order(1, 100)).rank
    assert (cost(counted), parts(counted, click)) == (100, [(1, 100, "USD")])
    counted.convert(click, 30, cost_micros=7, cost_currency="EUR", at=NOON + HOUR_MS)
    assert cost(counted) == 100
    mark(counted, click)
    assert cost(counted) == 100
    counted.convert(
        click, 30, cost_micros=-7, cost_currency="EUR", at=NOON + HOUR_MS, conversions=-1, revenue_micros=-30
    )
    counted.facts.marks.undo("job")
    undo(counted, rank)
    assert all_reports(counted) == before


def test_conversions_that_are_handed_over_again_bring_their_cost_once(counted: Counted) -> None:
    click = counted.visit()
    counted.convert(click, 30, cost_micros=7, cost_currency="USD")
    rank = apply(counted, order(1, 100)).rank
    counted.facts.forget_conversions(counted.facts.last_outbox_id())
    assert cost(counted) == 100
    counted.convert(click, 30, cost_micros=7, cost_currency="USD")
    assert cost(counted) == 100
    undo(counted, rank)
    assert cost(counted) == 7


def test_a_click_that_settling_finds_not_unique_costs_nothing_by_the_model_of_unique_clicks(counted: Counted) -> None:
    usual: dict[str, Any] = {
        "campaign_id": 1,
        "source_id": 2,
        "at": NOON,
        "unique": True,
        "cost_micros": 5,
        "cost_currency": "USD",
    }
    rules = ("per_unique", "per_unique;revenue_share 10", "per_click", "")
    clicks = [Click(click_id=f"{place:026d}", cost_rule=rule, **usual) for place, rule in enumerate(rules)]
    path = counted.folder / "judged.ndjson"
    lines = [msgspec.json.encode(click)[:-1] + b',"crc":1}' for click in clicks]
    path.write_bytes(closed_segment_bytes(999, lines))
    segment = SegmentContents(Segment(path, "clicks", "other", 999, path.stat().st_size), len(clicks))
    judged = Judgements(clicks=tuple(ClickJudgement(click.click_id, unique=False) for click in clicks))
    counted.facts.load_clicks([segment], judged)
    assert [sum(part[1] for part in parts(counted, click)) for click in clicks] == [0, 0, 5, 5]


class PlainModel:
    """Clicks and entries in lists, and what each click costs: the slow and obvious way."""

    def __init__(self) -> None:
        self.clicks: list[Click] = []
        self.entries: dict[int, tuple[SpreadOrder, CostKind]] = {}

    def matches(self, click: Click, wanted: SpreadOrder) -> bool:
        segment = wanted.segment
        return (
            click.screening != "test"
            and segment.from_at <= click.at < segment.until_at
            and segment.source_id in (0, click.source_id)
            and segment.campaign_id in (0, click.campaign_id)
            and all(getattr(click, one.dimension.value) in one.values for one in segment.filters)
        )

    def shares(self, wanted: SpreadOrder) -> dict[str, int]:
        covered = sorted((click for click in self.clicks if self.matches(click, wanted)), key=lambda one: one.click_id)
        bearing = [click.click_id for click in covered if not click.screening and self.bears(click, wanted.over)]
        if not bearing:
            return {}
        each, rest = divmod(wanted.micros, len(bearing))
        found = {click.click_id: 0 for click in covered}
        return found | {click_id: each + (place < rest) for place, click_id in enumerate(bearing)}

    def bears(self, click: Click, over: SpreadOver) -> bool:
        return {SpreadOver.CLICKS: True, SpreadOver.UNIQUE: click.unique, SpreadOver.CLEAN: not click.marks}[over]

    def parts(self) -> dict[str, list[CostPart]]:
        """Return the parts of each click's cost."""
        found = {
            click.click_id: [CostPart(0, click.cost_micros, click.cost_currency)] if click.cost_micros else []
            for click in self.clicks
        }
        for _, (wanted, _) in sorted(self.entries.items(), key=lambda item: (item[1][1] is CostKind.MANUAL, item[0])):
            for click_id, micros in self.shares(wanted).items():
                found[click_id] = [CostPart(wanted.entry_id, micros, wanted.currency)] if micros else []
        return found


def random_click(chance: random.Random, counted: Counted) -> Click:
    fields: dict[str, Any] = {"campaign_id": chance.randrange(1, 3), "source_id": chance.randrange(1, 3)}
    fields |= {"v3": chance.choice(["", "a", "b"]), "unique": chance.random() < 0.5}
    fields |= {"marks": chance.choice(["", "", "repeat"]), "screening": chance.choice(["", "", "", "crawler", "test"])}
    if chance.random() < 0.6:
        fields |= {"cost_micros": chance.randrange(0, 9), "cost_currency": chance.choice(["USD", "EUR"])}
    return counted.visit(at=NOON + chance.randrange(-DAY_MS, DAY_MS), **{k: v for k, v in fields.items() if v})


def random_order(chance: random.Random, entry_id: int, kind: CostKind) -> SpreadOrder:
    owner = chance.choice([{"campaign_id": 1}, {"source_id": 2}, {"campaign_id": 2, "source_id": 1}])
    filters = (CostFilter(D.V3, tuple(chance.sample(["", "a", "b"], 2))),) if chance.random() < 0.4 else ()
    first = chance.randrange(-24, 20)
    span = {"from_at": NOON + first * HOUR_MS, "until_at": NOON + (first + chance.randrange(1, 30)) * HOUR_MS}
    segment = CostSegment(filters=filters, **owner, **span)
    over = chance.choice(list(SpreadOver))
    currency = chance.choice(["USD", "EUR"])
    return order(entry_id, chance.randrange(0, 60), segment, kind=kind, over=over, currency=currency)


@pytest.mark.parametrize("seed", range(4))
def test_random_entries_late_clicks_and_undo_agree_with_a_plain_model(counted: Counted, seed: int) -> None:
    chance = random.Random(seed)
    model = PlainModel()
    ranks: dict[int, int] = {}

    def respread(entry_id: int) -> None:
        """Put a newer spread over the older one, then take that back, as the worker does."""
        wanted, kind = model.entries[entry_id]
        rank = ranks[entry_id]
        newer = rank_of(kind, entry_id, (rank & 0xFFFF) + 1)
        moved = SpreadOrder(
            rank=newer,
            entry_id=entry_id,
            segment=wanted.segment,
            over=wanted.over,
            micros=wanted.micros,
            currency=wanted.currency,
        )
        apply(counted, moved, chance.randrange(1, 9))
        undo(counted, rank, chance.randrange(1, 9))
        ranks[entry_id] = newer

    for entry_id in range(1, 15):
        model.clicks += [random_click(chance, counted) for _ in range(chance.randrange(4))]
        if ranks and chance.random() < 0.4:
            gone = chance.choice(list(ranks))
            undo(counted, ranks.pop(gone), chance.randrange(1, 9))
            del model.entries[gone]
        kind = chance.choice(list(CostKind))
        wanted = random_order(chance, entry_id, kind)
        apply(counted, wanted, chance.randrange(1, 9))
        model.entries[entry_id], ranks[entry_id] = (wanted, kind), wanted.rank
        for outdated in counted.facts.costs.outdated(0, NOON + 60 * DAY_MS):
            respread(outdated)
        for each, rank in ranks.items():
            assert counted.facts.costs.shares(rank) == model.shares(model.entries[each][0])
        assert {c.click_id: counted.facts.costs.parts(c.click_id) for c in model.clicks} == model.parts()
    while ranks:
        gone = chance.choice(list(ranks))
        undo(counted, ranks.pop(gone), chance.randrange(1, 9))
        del model.entries[gone]
        assert {c.click_id: counted.facts.costs.parts(c.click_id) for c in model.clicks} == model.parts()
