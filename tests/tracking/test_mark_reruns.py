"""Reruns of marks: previewed, applied, undone; one at a time, resumed after a kill, never half of a batch."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clickloop.click.click import Click
from clickloop.clock import DAY_MS, HOUR_MS, SECOND_MS, iso_text
from clickloop.config import Settings
from clickloop.report.query import Report
from clickloop.setup.fault import InvalidInputError
from clickloop.setup.instance import IpStorage, startup_settings
from clickloop.setup.mark import Mark, MarkSetting
from clickloop.store.export_files import ExportFiles
from clickloop.store.ledger.jobs.jobs import JobState
from clickloop.store.ledger.jobs.mark_reruns import RerunStage
from clickloop.store.ledger.logs.audit_log import Action, ChangesFilter, changes_before
from clickloop.store.upload_files import UploadFiles
from clickloop.tracking.jobs.context import JobContext
from clickloop.tracking.marks.rerun_work import MarkRerunWorker, delete_old_previews
from clickloop.tracking.marks.reruns import (
    MarkRerunView,
    RerunOrder,
    RerunRefusedError,
    apply_mark_rerun,
    find_mark_rerun,
    list_mark_reruns,
    start_mark_rerun,
    stop_mark_rerun,
    undo_mark_rerun,
)
from clickloop.tracking.marks.rules import MarkRules
from tests.empty_stores import open_facts, open_ledger
from tests.store.facts.test_mark_facts import all_reports
from tests.store.facts.test_reports import NOON, Counted

PLAIN = startup_settings(Settings())
BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)
FREQUENT = (Mark.FREQUENT_IP, Mark.DATACENTER)


class Office:
    """Facts with clicks, the ledger, and the worker of reruns. Batches have two clicks."""

    def __init__(self, folder: Path) -> None:
        self.now = NOON + DAY_MS
        self.ledger = open_ledger(folder / "ledger.sqlite")
        self.counted = Counted(folder, lambda folder: open_facts(folder / "facts.duckdb"))
        self.context = JobContext(
            ledger=self.ledger,
            clock=lambda: self.now,
            uploads=UploadFiles(folder / "uploads", 1),
            exports=ExportFiles(folder / "exports"),
        )
        self.rules = MarkRules(instance=PLAIN, campaigns={})
        self.restart()

    def restart(self) -> None:
        """Start a worker without the state of the previous one."""
        self.worker = MarkRerunWorker(self.ledger, self.counted.facts, lambda: self.rules, self.tick, 2)

    def tick(self) -> int:
        self.now += SECOND_MS
        return self.now

    def visit(self, at: int = NOON, **fields: object) -> Click:
        usual: dict[str, Any] = {
            "ip": "198.51.100.7",
            "useragent": BROWSER,
            "asn": "1",
            "country": "US",
            "referrer": "https://a.example",
        }
        return self.counted.visit(at=at, **usual | fields)

    def start(self, *marks: Mark, campaign_ids: tuple[int, ...] = ()) -> str:
        order = RerunOrder(since=iso_text(NOON - DAY_MS), campaign_ids=list(campaign_ids), marks=list(marks))
        return start_mark_rerun(self.context, order, PLAIN).rerun_id

    def work(self) -> None:
        while self.worker.step():
            pass

    def preview(self, *marks: Mark, campaign_ids: tuple[int, ...] = ()) -> str:
        rerun_id = self.start(*marks, campaign_ids=campaign_ids)
        self.work()
        return rerun_id

    def apply(self, rerun_id: str) -> None:
        apply_mark_rerun(self.context, rerun_id)
        self.work()

    def undo(self, rerun_id: str) -> None:
        undo_mark_rerun(self.context, rerun_id)
        self.work()

    def view(self, rerun_id: str) -> MarkRerunView:
        found = find_mark_rerun(self.context, rerun_id)
        assert found is not None
        return found

    def marks(self, *clicks: Click) -> list[str]:
        found = self.counted.facts.find_clicks([click.click_id for click in clicks])
        return [found[click.click_id].marks for click in clicks]

    def reports(self) -> list[Report]:
        return all_reports(self.counted)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.counted.facts.close()
    made.ledger.close()


def a_few_clicks(office: Office) -> list[Click]:
    """Five clicks of a hosting company's network, one of which has the mark already, and two that have it wrongly."""
    clicks = [
        office.visit(NOON + place, asn="24940", cost_micros=10, cost_currency="USD", marks="datacenter" * (not place))
        for place in range(5)
    ]
    clicks += [office.visit(NOON + 10 + place, campaign_id=9, marks="datacenter,repeat") for place in range(2)]
    office.counted.convert(clicks[1], 500)
    office.counted.convert(clicks[5], 70, "rejected")
    office.counted.press(clicks[6])
    return clicks


def test_a_preview_says_what_would_change_and_changes_nothing(office: Office) -> None:
    clicks = a_few_clicks(office)
    before = office.reports()
    view = office.view(office.preview(Mark.DATACENTER))
    assert (view.stage, view.state, view.percent, view.done) == (RerunStage.PREVIEW, JobState.FINISHED, 100, 7)
    assert view.result is not None
    assert [(one.mark, one.before, one.gained, one.lost) for one in view.result.marks] == [(Mark.DATACENTER, 3, 4, 2)]
    assert (view.result.judged, view.result.changed) == (7, 6)
    assert (view.result.clean_before, view.result.clean_after) == (4, 0)
    first, second = view.result.campaigns
    assert (first.campaign_id, first.changed, first.newly_marked, first.newly_clean, first.conversions) == (
        1,
        4,
        4,
        0,
        1,
    )
    assert [(one.currency, one.cost, one.revenue) for one in first.money] == [("USD", "0.00004", "0.0005")]
    assert (second.campaign_id, second.changed, second.newly_clean) == (9, 2, 0)
    assert office.reports() == before
    assert office.marks(*clicks) == [click.marks for click in clicks]
    assert (view.can_apply, view.can_undo) == (True, False)


def test_applying_does_what_the_preview_said_and_undoing_gives_the_same_reports(office: Office) -> None:
    clicks = a_few_clicks(office)
    before = office.reports()
    rerun_id = office.preview(Mark.DATACENTER)
    office.apply(rerun_id)
    assert office.marks(*clicks) == ["datacenter"] * 5 + ["repeat"] * 2
    assert office.counted.report().totals.clean_clicks == 0
    applied = office.view(rerun_id)
    assert (applied.stage, applied.state, applied.done, applied.can_undo) == (
        RerunStage.APPLY,
        JobState.FINISHED,
        7,
        True,
    )
    assert office.counted.facts.marks.progress(rerun_id).changed == 6
    office.undo(rerun_id)
    assert office.reports() == before
    assert office.marks(*clicks) == [click.marks for click in clicks]
    undone = office.view(rerun_id)
    assert (undone.stage, undone.can_apply, undone.can_undo) == (RerunStage.UNDO, False, False)
    assert undone.undone_at is not None


def test_after_an_undo_later_conversions_fall_where_they_would_have(office: Office) -> None:
    click = office.visit(asn="24940")
    rerun_id = office.preview(Mark.DATACENTER)
    office.apply(rerun_id)
    marked = msgspec.structs.replace(click, marks="datacenter")
    office.counted.convert(marked, 40)
    office.undo(rerun_id)
    office.counted.convert(marked, 5)
    fresh = office.visit()
    office.counted.convert(fresh, 45)
    assert office.counted.report().totals.clean_clicks == 2


@pytest.mark.parametrize("stage", [RerunStage.APPLY, RerunStage.UNDO])
def test_a_killed_rerun_continues_after_the_last_batch_that_the_facts_have(office: Office, stage: RerunStage) -> None:
    clicks = a_few_clicks(office)
    before = office.reports()
    rerun_id = office.preview(Mark.DATACENTER)
    apply_mark_rerun(office.context, rerun_id)
    if stage is RerunStage.UNDO:
        office.work()
        undo_mark_rerun(office.context, rerun_id)
    steps = 0
    while office.worker.step(0):  # a batch and a restart
        office.restart()
        steps += 1
        assert steps < 20
    if stage is RerunStage.APPLY:
        assert office.marks(*clicks) == ["datacenter"] * 5 + ["repeat"] * 2
        assert office.counted.facts.marks.progress(rerun_id).judged == 7
        office.undo(rerun_id)
    assert office.reports() == before


def test_a_stopped_rerun_can_be_continued_or_undone(office: Office) -> None:
    a_few_clicks(office)
    before = office.reports()
    rerun_id = office.preview(Mark.DATACENTER)
    apply_mark_rerun(office.context, rerun_id)
    for _ in range(2):
        office.worker.step(0)
    stopped = stop_mark_rerun(office.context, rerun_id)
    assert stopped is not None
    assert (stopped.state, stopped.can_apply, stopped.can_undo) == (JobState.STOPPED, True, True)
    office.work()
    assert office.counted.facts.marks.progress(rerun_id).judged == 4
    office.apply(rerun_id)
    assert office.counted.facts.marks.progress(rerun_id).judged == 7
    office.undo(rerun_id)
    assert office.reports() == before


def test_one_rerun_runs_at_a_time_and_the_refusal_names_it(office: Office) -> None:
    a_few_clicks(office)
    first = office.preview(Mark.DATACENTER)
    running = office.start(Mark.REPEAT)
    for refused in (lambda: office.start(Mark.REPEAT), lambda: office.apply(first), lambda: office.undo(first)):
        with pytest.raises(RerunRefusedError, match=f"The rerun {running} is not finished") as refusal:
            refused()
        assert refusal.value.rerun_id == running


def test_the_rerun_applied_last_is_undone_first(office: Office) -> None:
    a_few_clicks(office)
    before = office.reports()
    older = office.preview(Mark.DATACENTER)
    newer = office.preview(Mark.REPEAT)
    office.apply(older)
    between = office.reports()
    office.apply(newer)
    view = office.view(older)
    assert (view.can_undo, view.why_not.startswith(f"Undo the rerun {newer} first: it was applied later")) == (
        False,
        True,
    )
    with pytest.raises(RerunRefusedError, match=f"Undo the rerun {newer} first"):
        undo_mark_rerun(office.context, older)
    office.undo(newer)
    assert office.reports() == between
    office.undo(older)
    assert office.reports() == before


def test_what_cannot_be_applied_or_undone_is_refused_with_a_sentence(office: Office) -> None:
    waiting = office.start(Mark.REPEAT)
    stop_mark_rerun(office.context, waiting)
    with pytest.raises(RerunRefusedError, match="preview is not finished"):
        apply_mark_rerun(office.context, waiting)
    with pytest.raises(RerunRefusedError, match="was not applied"):
        undo_mark_rerun(office.context, waiting)
    done = office.preview(Mark.REPEAT)
    office.apply(done)
    with pytest.raises(RerunRefusedError, match="applied already"):
        apply_mark_rerun(office.context, done)
    office.undo(done)
    with pytest.raises(RerunRefusedError, match="has been undone"):
        apply_mark_rerun(office.context, done)
    with pytest.raises(RerunRefusedError, match="undone already"):
        undo_mark_rerun(office.context, done)
    assert apply_mark_rerun(office.context, "0" * 26) is None
    assert undo_mark_rerun(office.context, "0" * 26) is None
    assert stop_mark_rerun(office.context, "0" * 26) is None


def test_a_preview_by_other_settings_is_not_applied(office: Office) -> None:
    a_few_clicks(office)
    before = office.reports()
    rerun_id = office.preview(Mark.DATACENTER)
    office.rules = MarkRules(instance=PLAIN, campaigns={9: (MarkSetting(Mark.DATACENTER, False),)})
    office.apply(rerun_id)
    view = office.view(rerun_id)
    assert view.state is JobState.FAILED
    assert view.error is not None
    assert "have changed since the preview" in view.error
    assert office.reports() == before


def test_a_mark_that_is_off_is_taken_from_the_clicks_of_its_campaign(office: Office) -> None:
    clicks = a_few_clicks(office)
    office.rules = MarkRules(instance=PLAIN, campaigns={1: (MarkSetting(Mark.DATACENTER, False),)})
    office.apply(office.preview(Mark.DATACENTER, campaign_ids=(1,)))
    assert office.marks(*clicks) == [""] * 5 + ["datacenter,repeat"] * 2


def test_rates_are_counted_over_all_campaigns_and_from_before_the_period(office: Office) -> None:
    busy = [
        office.visit(NOON - DAY_MS - 1_000 + place * 500, campaign_id=1 + place % 2, ip="192.0.2.9")
        for place in range(8)
    ]
    quiet = office.visit(NOON)
    office.rules = MarkRules(
        instance=msgspec.structs.replace(PLAIN, marks=(MarkSetting(Mark.FREQUENT_IP, True, 4),)), campaigns={}
    )
    rerun_id = office.preview(Mark.FREQUENT_IP, campaign_ids=(1,))
    apply_mark_rerun(office.context, rerun_id)
    while office.worker.step(0):
        office.restart()
    assert office.marks(*busy, quiet) == ["", "", "", "", "frequent_ip", "", "frequent_ip", "", ""]


def test_late_marks_are_judged_anew_by_the_thresholds_of_now(office: Office) -> None:
    seen = office.visit(NOON - HOUR_MS, landing_id=5)
    office.counted.press(seen, at=NOON + 900)  # its view comes at noon
    unseen = office.visit(NOON + HOUR_MS, landing_id=5)
    office.rules = MarkRules(instance=PLAIN, campaigns={1: (MarkSetting(Mark.FAST_CLICK, True, 1_000),)})
    office.apply(office.preview(Mark.FAST_CLICK, Mark.NO_VIEW))
    assert office.marks(seen, unseen) == ["fast_click", "no_view"]


def test_marks_by_address_stay_where_no_address_was_stored(office: Office) -> None:
    click = office.visit(ip="", marks="listed_ip,frequent_ip")
    office.apply(office.preview(Mark.LISTED_IP, Mark.FREQUENT_IP))
    assert office.marks(click) == ["listed_ip,frequent_ip"]
    order = RerunOrder(since=iso_text(NOON), marks=[Mark.REPEAT, Mark.DATACENTER])
    shortened = msgspec.structs.replace(PLAIN, ip_storage=IpStorage.SHORTENED)
    with pytest.raises(InvalidInputError, match="cannot be judged anew: repeat"):
        start_mark_rerun(office.context, order, shortened)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"since": "yesterday"}, "since"),
        ({"since": ""}, "since"),
        ({"until": "1999-01-01"}, "until"),
        ({"until": "2000-01-01"}, "until"),
        ({"marks": []}, "marks"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(office: Office, fields: dict[str, object], field: str) -> None:
    usual = {"since": "2026-01-01", "marks": ["repeat"]}
    order = RerunOrder(**usual | fields)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError) as refusal:
        start_mark_rerun(office.context, order, PLAIN)
    assert [fault.field for fault in refusal.value.faults] == [field]


def test_applying_and_undoing_are_in_the_log_of_changes(office: Office) -> None:
    a_few_clicks(office)
    rerun_id = office.preview(Mark.DATACENTER)
    office.apply(rerun_id)
    office.undo(rerun_id)
    with office.ledger.read() as tx:
        entries = [(one.noun, one.record_id, one.action) for one in changes_before(tx, ChangesFilter(), None, 10)]
    assert entries == [("marks/reruns", rerun_id, Action.UNDONE), ("marks/reruns", rerun_id, Action.RERUN)]


def test_previews_that_were_not_applied_are_deleted_after_a_month(office: Office) -> None:
    a_few_clicks(office)
    applied, unused = office.preview(Mark.DATACENTER), office.preview(Mark.REPEAT)
    office.apply(applied)
    delete_old_previews(office.ledger, office.now + 29 * DAY_MS)
    assert [view.rerun_id for view in list_mark_reruns(office.context, 10).items] == [unused, applied]
    delete_old_previews(office.ledger, office.now + 31 * DAY_MS)
    assert [view.rerun_id for view in list_mark_reruns(office.context, 10).items] == [applied]
