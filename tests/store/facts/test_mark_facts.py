"""Corrected marks in every store of facts: each figure is what it would be had the clicks come with their marks; undone, what it was."""

import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from clickloop.click.click import Click
from clickloop.click.click_log import ClickFilter
from clickloop.click.marks.landing_views import LandingWatch
from clickloop.click.marks.mark_correction import LATE, MarkBatch, MarkChange, MarkCorrection
from clickloop.click.marks.marked_click import ClickSpan
from clickloop.clock import DAY_MS
from clickloop.report.query import Dimension, ExchangeRate, Report
from clickloop.store.facts.facts import FactsStore
from tests.store.facts.test_reports import E12, NOON, OPENERS, TODAY, Counted, D

MARKS = ("datacenter", "repeat", "fast_click", "no_view")
RATES = (ExchangeRate("EUR", TODAY - 30, E12 * 11 // 10),)
USUAL = (D.CAMPAIGN, D.OFFER, D.COUNTRY, D.DAY, D.STATUS, D.MARK)
PERIOD = ClickSpan(since=NOON - DAY_MS, until=NOON + DAY_MS)


@pytest.fixture(params=list(OPENERS))
def opener(request: pytest.FixtureRequest) -> Callable[[Path], FactsStore]:
    return OPENERS[request.param]


@pytest.fixture
def counted(opener: Callable[[Path], FactsStore], tmp_path: Path) -> Iterator[Counted]:
    made = Counted(tmp_path, opener)
    yield made
    made.close()


def change(counted: Counted, *changes: MarkChange, job_id: str = "job", number: int = 1) -> int:
    """Correct clicks in a batch of a job."""
    batch = MarkBatch(job_id=job_id, number=number, last_click_id="z", judged=len(changes), changes=changes)
    return counted.facts.marks.correct(batch, NOON)


def all_reports(counted: Counted, dimensions: Iterable[Dimension] = USUAL) -> list[Report]:
    """Return a report for each dimension, the totals, and by offer and day. The benchmark compares every dimension."""
    groups: list[tuple[Dimension, ...]] = [(), *((dimension,) for dimension in dimensions), (D.OFFER, D.DAY)]
    return [counted.report(*group_by, rates=RATES, statuses=("sale", "rejected")) for group_by in groups]


def marks_of_click(counted: Counted, click: Click) -> str:
    return counted.facts.find_clicks([click.click_id])[click.click_id].marks


def test_a_corrected_click_is_no_longer_clean_and_keeps_all_other_figures(counted: Counted) -> None:
    click = counted.visit(2, unique=True, cost_micros=7, cost_currency="USD", offer_id=3, country="US")
    counted.convert(click, 30)
    before = counted.report(D.COUNTRY).groups[0].sums
    assert change(counted, MarkChange(click.click_id, gained="datacenter")) == 1
    after = counted.report(D.COUNTRY).groups[0].sums
    assert (before.clean_clicks, after.clean_clicks) == (2, 1)
    assert {name for name in before.__struct_fields__ if getattr(before, name) != getattr(after, name)} == {
        "clean_clicks"
    }
    assert marks_of_click(counted, click) == "datacenter"


def test_marks_that_a_change_does_not_name_stay_and_all_have_one_order(counted: Counted) -> None:
    click = counted.visit(marks="datacenter,repeat")
    change(counted, MarkChange(click.click_id, gained="no_view,bot_useragent", lost="datacenter,frequent_ip"))
    assert marks_of_click(counted, click) == "bot_useragent,repeat,no_view"


def test_a_batch_counts_once_however_often_it_is_written(counted: Counted) -> None:
    click = counted.visit()
    assert change(counted, MarkChange(click.click_id, gained="repeat")) == 1
    again = all_reports(counted)
    assert change(counted, MarkChange(click.click_id, gained="repeat")) == 0
    assert change(counted, MarkChange(click.click_id, gained="datacenter")) == 0
    assert all_reports(counted) == again
    assert counted.facts.marks.progress("job").batches == 1


def test_clicks_that_are_unknown_or_have_the_marks_already_are_left_alone(counted: Counted) -> None:
    click = counted.visit(marks="repeat")
    loads = counted.facts.loads()
    assert change(counted, MarkChange(click.click_id, gained="repeat", lost="no_view"), MarkChange("0" * 26)) == 0
    progress = counted.facts.marks.progress("job")
    assert (progress.batches, progress.judged, progress.changed) == (1, 2, 0)
    assert counted.facts.loads() == loads + 1


def test_undo_takes_back_the_newest_batch_first_and_reports_are_as_before(counted: Counted) -> None:
    fast, slow = counted.visit(offer_id=1, marks="repeat"), counted.visit(offer_id=2)
    counted.convert(fast, 50)
    counted.press(slow)
    every_one = all_reports(counted, Dimension)
    before = all_reports(counted)
    change(counted, MarkChange(fast.click_id, gained="datacenter", lost="repeat"))
    between = all_reports(counted)
    change(counted, MarkChange(fast.click_id, lost="datacenter"), MarkChange(slow.click_id, "no_view"), number=2)
    assert all_reports(counted) not in (before, between)
    assert counted.facts.marks.undo("job").batches == 1
    assert all_reports(counted) == between
    assert counted.facts.marks.undo("job").batches == 0
    assert all_reports(counted) == before
    assert all_reports(counted, Dimension) == every_one
    assert counted.facts.marks.undo("job").batches == 0
    assert [marks_of_click(counted, click) for click in (fast, slow)] == ["repeat", ""]


def test_what_is_loaded_later_carries_the_corrected_marks(counted: Counted) -> None:
    click = counted.visit(marks="repeat", country="US")
    counted.convert(click, 30)
    change(counted, MarkChange(click.click_id, lost="repeat"))
    counted.convert(click, -30, conversions=-1)  # the ledger's copy still has the old mark
    counted.press(click)
    change(counted, MarkChange(click.click_id, gained="no_view"), number=2)
    counted.facts.marks.undo("job")
    counted.facts.marks.undo("job")
    assert marks_of_click(counted, click) == "repeat"
    sums = counted.report().totals
    assert (sums.clicks, sums.clean_clicks, sums.confirmed, sums.landing_clicks) == (1, 0, 0, 1)


def test_random_corrections_give_the_reports_of_clicks_that_came_with_their_marks(
    opener: Callable[[Path], FactsStore], tmp_path: Path
) -> None:
    for seed in range(2):
        chance = random.Random(seed)
        folders = [tmp_path / f"{seed}-{name}" for name in ("corrected", "plain")]
        for folder in folders:
            folder.mkdir()
        corrected, plain = (Counted(folder, opener) for folder in folders)
        _play(chance, corrected, plain)
        corrected.facts.close()
        plain.facts.close()


def _play(chance: random.Random, corrected: Counted, plain: Counted) -> None:
    """Load and correct at random, then load the same into the other store with the final marks from the start."""
    clicks, marks = [], {}
    loaded: list[tuple[str, Click, dict[str, Any]]] = []
    number = 0
    for _ in range(40):
        match chance.randrange(5):
            case 0 | 1:
                click = corrected.visit(
                    at=NOON + chance.randrange(DAY_MS),
                    marks=",".join(m for m in MARKS if chance.random() < 0.2),
                    unique=chance.random() < 0.5,
                    cost_micros=chance.randrange(9),
                    cost_currency="EUR",
                    offer_id=chance.randrange(3),
                    country=chance.choice(["", "US", "DE"]),
                    screening=chance.choice(["", "", "", "prefetch", "test"]),
                )
                clicks.append(click)
                marks[click.click_id] = {*click.marks.split(",")} - {""}
            case 2 if clicks:
                chosen = chance.sample(clicks, min(3, len(clicks)))
                changes = [
                    (click, {m for m in MARKS if chance.random() < 0.4}, {m for m in MARKS if chance.random() < 0.4})
                    for click in chosen
                ]
                number += 1
                change(
                    corrected,
                    *(MarkChange(click.click_id, ",".join(gained), ",".join(lost)) for click, gained, lost in changes),
                    number=number,
                )
                for click, gained, lost in changes:
                    marks[click.click_id] = marks[click.click_id] - lost | gained
            case 3 if clicks:
                sale = {
                    "micros": chance.randrange(99),
                    "status": chance.choice(["sale", "rejected"]),
                    "currency": "EUR",
                }
                loaded.append(("convert", chance.choice(clicks), sale))
                corrected.convert(loaded[-1][1], **loaded[-1][2])
            case 4 if clicks:
                loaded.append(("press", chance.choice(clicks), {"offer_id": chance.randrange(3)}))
                corrected.press(loaded[-1][1], **loaded[-1][2])
    final = {id_: ",".join(m for m in MARKS if m in words) for id_, words in marks.items()}
    found = corrected.facts.find_clicks(list(final))
    assert {id_: ",".join(m for m in MARKS if m in click.marks.split(",")) for id_, click in found.items()} == final
    for click in clicks:
        plain.load(found[click.click_id])
    for what, click, fields in loaded:
        getattr(plain, what)(found[click.click_id], **fields)
    assert all_reports(corrected) == all_reports(plain)


def test_clicks_to_judge_come_in_order_with_their_page_and_their_marks_of_now(counted: Counted) -> None:
    first = counted.visit(at=NOON, marks="repeat", country="US", landing_id=5)
    second = counted.visit(at=NOON + 1_000)
    counted.visit(at=NOON + 2_000, screening="prefetch")
    counted.visit(at=NOON + 3_000, campaign_id=9)
    counted.press(first, at=NOON + 900)  # the view comes at noon
    counted.press(second, at=NOON + 5_000)
    change(counted, MarkChange(first.click_id, lost="repeat"))
    reader = counted.facts.marks
    one, *others = reader.clicks(PERIOD, 1, with_page=True)
    assert (others, one.click_id, one.marks, one.country, one.landing_id) == ([], first.click_id, "", "US", 5)
    assert (one.viewed_at, one.pressed_ms) == (NOON, 900)
    rest = reader.clicks(PERIOD, 10, one.click_id, with_page=True)
    assert [(click.campaign_id, click.pressed_ms) for click in rest] == [(1, 5_000), (9, None)]
    of_nine = ClickSpan(since=PERIOD.since, until=PERIOD.until, campaign_ids=(9,))
    assert [click.campaign_id for click in reader.clicks(of_nine, 10, with_page=False)] == [9]
    assert (reader.count(PERIOD), reader.count(of_nine)) == (3, 1)
    assert reader.clicks_of([first.click_id]) == [one]


def test_only_original_rows_are_shown_counted_and_earned_from(counted: Counted) -> None:
    click = counted.visit(external_id="x", landing_id=5)
    counted.press(click)
    counted.convert(click, 30)
    change(counted, MarkChange(click.click_id, gained="repeat"))
    assert len(counted.facts.clicks_page(ClickFilter(), 10)) == 1
    assert counted.facts.count_clicks(1, 0, NOON + DAY_MS) == 1
    assert len([row for rows in counted.facts.click_rows(1, 0, NOON + DAY_MS, ()) for row in rows]) == 1
    assert counted.facts.recent_clicks(10)[1].recent == 1
    assert len(counted.facts.find_page_events([click.click_id])[click.click_id]) == 2
    assert counted.facts.earned(1, 0, NOON + DAY_MS)[click.click_id][0].conversions == 1
    assert counted.facts.marks.earned(click.click_id, click.click_id)[click.click_id][0].revenue_micros == 30
    assert [one.landing_clicks for one in counted.facts.recent_landing_clicks(0)] == [1]


def test_the_click_log_is_filtered_by_the_marks_of_now(counted: Counted) -> None:
    lost, kept, gained = counted.visit(marks="repeat"), counted.visit(marks="repeat,no_view"), counted.visit()
    change(counted, MarkChange(lost.click_id, lost="repeat"), MarkChange(gained.click_id, "datacenter,repeat"))

    def found(mark: str) -> list[str]:
        return sorted(click.click_id for click in counted.facts.clicks_page(ClickFilter(mark=mark), 10))

    assert found("repeat") == sorted([kept.click_id, gained.click_id])
    assert found("") == [lost.click_id]
    assert found("no_view") == [kept.click_id]


def test_presses_and_views_that_did_not_come_are_seen_once_each(counted: Counted) -> None:
    pressed = counted.visit(at=NOON, landing_id=5)
    counted.visit(at=NOON + 1_000, landing_id=5)
    slow = counted.visit(at=NOON + 2_000, landing_id=5, campaign_id=9)
    counted.visit(at=NOON + 3_000)
    counted.press(pressed, at=NOON + 500)
    seen: list[list[str]] = []
    for since in range(NOON - 1, NOON + 200_000, 10_000):
        watch = LandingWatch(
            since=since, until=since + 10_000, campaign_ids=(9,), wait_ms=(90_000,), usual_wait_ms=60_000
        )
        seen.append(sorted(counted.facts.marks.watched(watch)))
    at = {number: ids for number, ids in enumerate(seen) if ids}
    assert list(at) == [0, 6, 9]
    assert (at[0], len(at[6]), at[9]) == ([pressed.click_id], 2, [slow.click_id])


def test_late_marks_are_written_together_with_how_far_they_are_judged(counted: Counted) -> None:
    click = counted.visit()
    marks = counted.facts.marks
    assert marks.judged_to() == 0
    assert marks.oldest_at(0) == NOON
    assert marks.oldest_at(NOON) is None
    assert marks.correct_late([MarkChange(click.click_id, "no_view")], NOON + 60_000, NOON + 70_000) == 1
    assert marks.judged_to() == NOON + 60_000
    assert marks.history(click.click_id) == [MarkCorrection(LATE, NOON + 70_000, "", "no_view")]


def test_first_views_are_known_by_landing_and_day(counted: Counted) -> None:
    click, other = counted.visit(landing_id=5), counted.visit(landing_id=6, screening="test")
    counted.press(click)
    counted.press(other)
    assert counted.facts.marks.first_views(NOON - DAY_MS, NOON + DAY_MS) == {(5, NOON // DAY_MS): NOON}
    assert counted.facts.marks.first_views(NOON + 1, NOON + DAY_MS) == {}


def test_deleting_old_clicks_keeps_the_marks_of_their_conversions(counted: Counted) -> None:
    old, sold = counted.visit(at=NOON - 9 * DAY_MS), counted.visit(at=NOON - 9 * DAY_MS)
    new = counted.visit()
    counted.convert(sold, 30)
    change(counted, *(MarkChange(click.click_id, gained="repeat") for click in (old, sold, new)))
    while counted.facts.delete_clicks(NOON - DAY_MS):
        pass
    counted.convert(sold, -30, conversions=-1)
    sums = counted.report().totals
    assert (sums.clicks, sums.clean_clicks, sums.confirmed) == (1, 0, 0)
    marks = counted.facts.marks
    assert [len(marks.history(click.click_id)) for click in (old, sold, new)] == [0, 1, 1]
    marks.undo("job")
    assert counted.report().totals.clean_clicks == 1


def test_conversions_handed_over_again_take_the_marks_of_the_clicks_that_are_there(counted: Counted) -> None:
    click = counted.visit()
    copy = counted.facts.find_clicks([click.click_id])[click.click_id]
    counted.facts.forget_conversions(outbox_taken=0, refilled_to=1)
    assert counted.facts.is_refilling()
    counted.convert(replace(copy, marks="repeat"), 30)
    assert not counted.facts.is_refilling()
    counted.convert(click, -30, conversions=-1)
    assert counted.report(D.DAY).totals.confirmed == 0
    change(counted, MarkChange(click.click_id, gained="repeat"))
    assert counted.report().totals.clean_clicks == 0


def test_corrections_survive_reopening(tmp_path: Path) -> None:
    counted = Counted(tmp_path, OPENERS["duckdb"])
    click = counted.visit()
    change(counted, MarkChange(click.click_id, gained="repeat"))
    counted.facts.close()
    counted.facts = OPENERS["duckdb"](tmp_path)
    assert marks_of_click(counted, click) == "repeat"
    assert counted.facts.verify().unreadable == ()
    counted.facts.close()
