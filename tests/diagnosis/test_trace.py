"""The trace: the events of a click in one timeline, and as text."""

import msgspec
import pytest
from msgspec.structs import replace

from clickloop.click.click import Click
from clickloop.click.click_values import SetupNames
from clickloop.click.marks.mark_correction import LATE, MarkCorrection
from clickloop.click.page.page_event import PageEvent, PageEventKind
from clickloop.conversion.conversion import Conversion
from clickloop.conversion.conversion_log import RecordedChange
from clickloop.conversion.notice import Channel, RawNotice, RefusalReason
from clickloop.conversion.notice_log import NoticeOutcome, StoredNotice
from clickloop.conversion.status import SALE
from clickloop.diagnosis.trace.corrections import with_corrections
from clickloop.diagnosis.trace.text import one_line, trace_text
from clickloop.diagnosis.trace.trace import EventKind, Trace, TracedPageEvent, trace_click
from clickloop.money import Money
from clickloop.postback.due import ConditionResult, SkipReason
from clickloop.postback.pause_reason import PauseReason
from clickloop.postback.postback_log import Postback, PostbackAttempt
from clickloop.postback.rule import PostbackRequest
from clickloop.postback.state import PostbackState
from tests.steps import executed_lines

NOW = 1_772_366_400_000
TOKEN = "s3cret-token"
CLICK = Click(
    click_id="c" * 26,
    at=NOW,
    campaign_id=7,
    source_id=3,
    offer_id=5,
    network_id=2,
    external_id="w9Xk2",
    target="https://offer.example/?sub1=" + "c" * 26,
    ip="203.0.113.7",
    v3="4711",
)
CONVERSION = Conversion(
    conversion_id="0" * 26,
    click=CLICK,
    txid="T-1",
    status=SALE,
    status_word="approved",
    payout=Money(12_500_000, "USD"),
    first_of_click=True,
    converted_at=NOW + 1000,
    created_at=NOW + 1000,
    updated_at=NOW + 1000,
    version=1,
)
NAMES = SetupNames(campaign_name="Sweeps", source_name="Clickadu", offer_name="Gift card", network_name="Everflow")


NOTICE = StoredNotice(
    raw=RawNotice(notice_id="n" * 26, at=NOW + 1000, channel=Channel.S2S, method="GET", query="cid=1&token=abc", ip=""),
    outcome=NoticeOutcome.NEW,
)
CHANGE = RecordedChange(version=1, at=NOW + 1000, notice_id="n" * 26, before=None, after=CONVERSION)
POSTBACK = Postback(
    postback_id="p" * 26,
    conversion_id="0" * 26,
    version=1,
    rule_id=4,
    rule_name="Telegram",
    resend=0,
    original_id=None,
    click_id=CLICK.click_id,
    campaign_id=7,
    source_id=3,
    trigger="new",
    state=PostbackState.WAITING,
    hold=None,
    reason=None,
    findings=(),
    request=PostbackRequest(url=f"https://bot.example/{TOKEN}/send", secrets=(TOKEN,)),
    receiver="bot.example:443",
    attempts=0,
    next_attempt_at=None,
    created_at=NOW + 1000,
    finished_at=None,
    last_status_code=None,
    last_error=None,
    last_answer=None,
    last_duration_ms=None,
)
ATTEMPT = PostbackAttempt(
    number=1,
    started_at=NOW + 1100,
    finished_at=NOW + 1135,
    result="again",
    status_code=500,
    answer=b"oops",
    error=None,
    duration_ms=35,
)


def story(
    notice: StoredNotice = NOTICE, postback: Postback = POSTBACK, attempt: PostbackAttempt | None = None
) -> Trace:
    """Return the trace of a click with one notice, one change, one postback and one attempt."""
    attempts = {"p" * 26: [attempt]} if attempt else {}
    return trace_click(CLICK.click_id, CLICK, [notice], [CHANGE], [postback], attempts, NAMES)


def sentence(trace: Trace, kind: EventKind) -> str:
    return next(event.sentence for event in trace.events if event.kind is kind)


def test_events_of_one_millisecond_are_in_the_order_of_cause_and_effect() -> None:
    trace = story(
        replace(NOTICE, runs=2, run_at=NOW + 1000), replace(POSTBACK, created_at=NOW), replace(ATTEMPT, started_at=NOW)
    )
    later = story(replace(NOTICE, runs=2, run_at=NOW + 5000), attempt=replace(ATTEMPT, started_at=NOW + 1000))
    kinds = [event.kind for event in later.events]
    assert kinds[:2] == [EventKind.CLICK, EventKind.REDIRECT]
    assert kinds[2:] == [
        EventKind.NOTICE,
        EventKind.CONVERSION,
        EventKind.POSTBACK,
        EventKind.ATTEMPT,
        EventKind.RERUN,
    ]
    assert [event.kind for event in trace.events][-3:] == [EventKind.NOTICE, EventKind.RERUN, EventKind.CONVERSION]


def test_names_are_next_to_numbers_and_parameters_under_their_rows() -> None:
    text = trace_text(story())
    for line in ("campaign: Sweeps (7)", "traffic source: Clickadu (3)", "offer: Gift card (5)", "parameters: V3 4711"):
        assert line in text


@pytest.mark.parametrize("outcome", NoticeOutcome)
@pytest.mark.parametrize("channel", Channel)
def test_each_notice_names_its_channel_and_outcome(outcome: NoticeOutcome, channel: Channel) -> None:
    reason = RefusalReason.WRONG_TOKEN if outcome is NoticeOutcome.REFUSED else None
    raw = replace(NOTICE.raw, channel=channel)
    event = sentence(
        story(replace(NOTICE, raw=raw, outcome=outcome, reason=reason, runs=3, run_at=NOW + 1)), EventKind.NOTICE
    )
    assert event.startswith(
        ("The network's postback ", "The postback pixel ", "An API request ", "A manual entry ", "An uploaded line ")
    )
    assert event.endswith(".")
    assert (RefusalReason.WRONG_TOKEN.sentence in event) == (outcome is NoticeOutcome.REFUSED)


@pytest.mark.parametrize("state", [state for state in PostbackState if state is not PostbackState.SKIPPED])
def test_each_state_of_a_postback_has_words(state: PostbackState) -> None:
    assert sentence(story(postback=replace(POSTBACK, state=state, resend=1)), EventKind.POSTBACK).startswith(
        "'Telegram' (resend 1"
    )


@pytest.mark.parametrize("hold", list(PauseReason))
def test_a_postback_on_hold_says_why(hold: PauseReason) -> None:
    event = sentence(story(postback=replace(POSTBACK, state=PostbackState.PAUSED, hold=hold)), EventKind.POSTBACK)

    assert event == f"'Telegram' is on hold. {hold.sentence}"


@pytest.mark.parametrize(
    ("state", "expected"),
    [(PostbackState.WAITING, True), (PostbackState.SENDING, True), (PostbackState.DELIVERED, False)],
)
def test_a_postback_that_waits_behind_an_earlier_change_names_it(state: PostbackState, expected: bool) -> None:
    first = replace(POSTBACK, postback_id="a" * 26, state=state)
    second = replace(POSTBACK, postback_id="b" * 26, version=2)
    trace = trace_click(CLICK.click_id, CLICK, [], [], [first, second], {}, NAMES)
    sentences = [event.sentence for event in trace.events if event.id == second.postback_id]

    assert (f"Postback {first.postback_id} for an earlier change must be sent first." in sentences[0]) is expected


def test_an_attempt_of_a_resend_names_the_number_that_the_receiver_sees() -> None:
    request = PostbackRequest(url="https://bot.example/", earlier_attempts=3)
    event = sentence(story(postback=replace(POSTBACK, request=request, resend=1), attempt=ATTEMPT), EventKind.ATTEMPT)

    assert event.startswith("Attempt 1 (for the receiver 4) of 'Telegram'")


@pytest.mark.parametrize("result", [None, "delivered", "again", "failed", "unknown"])
def test_each_result_of_an_attempt_has_words(result: str | None) -> None:
    event = sentence(story(attempt=replace(ATTEMPT, result=result)), EventKind.ATTEMPT)
    assert event.startswith("Attempt 1 of 'Telegram' ")


def test_a_skipped_postback_lists_unmet_conditions_and_compared_values() -> None:
    findings = (
        ConditionResult(SkipReason.RULE_OFF, True),
        ConditionResult(SkipReason.BELOW_MINIMUM, False, "1 of at least 5"),
        ConditionResult(SkipReason.NOT_SAMPLED, True, "number 1 of every 2"),
    )
    text = trace_text(
        story(
            postback=replace(POSTBACK, state=PostbackState.SKIPPED, reason=SkipReason.BELOW_MINIMUM, findings=findings)
        )
    )
    assert f"not met  {SkipReason.BELOW_MINIMUM.sentence} 1 of at least 5. (below_minimum)" in text
    assert f"met      {SkipReason.NOT_SAMPLED.met_sentence} number 1 of every 2." in text
    assert "met      1 of 3 conditions" in text


def test_a_receiver_that_repeats_a_secret_does_not_bring_it_into_the_trace() -> None:
    trace = story(attempt=replace(ATTEMPT, answer=f"bad token {TOKEN}".encode(), error=f"no {TOKEN}"))
    assert TOKEN not in trace_text(trace)
    assert TOKEN not in msgspec.json.encode(trace.events).decode()
    assert "token=abc" not in trace_text(trace)


def test_an_answer_of_many_lines_is_cut_to_one_and_nothing_in_it_moves_the_cursor() -> None:
    answer = b"<html>\r\n\r\n   <b>\x1b[31mred\x07\xe2\x80\xae" + b"x" * 900
    (line,) = [
        line for line in trace_text(story(attempt=replace(ATTEMPT, answer=answer))).splitlines() if "answer:" in line
    ]
    assert "<html> ⏎ <b>\\x1b[31mred\\x07\\u202exxx" in line
    assert line.endswith("more characters)")
    assert len(line) < 300
    assert line.isprintable()


def test_a_short_text_stays_as_it_is() -> None:
    assert one_line(" OK\n") == "OK"
    assert one_line("x" * 201) == "x" * 200 + "… (1 more characters)"


def test_a_click_that_has_not_arrived_is_reported_as_missing() -> None:
    trace = trace_click("c" * 26, None, [replace(NOTICE, outcome=NoticeOutcome.WAITING)], [], [], {})
    assert "its click has not arrived" in trace_text(trace)


def test_a_story_with_twice_as_many_waiting_postbacks_takes_twice_as_many_steps() -> None:
    def steps(count: int) -> int:
        waiting = [replace(POSTBACK, conversion_id=f"c{number % 50}", version=number) for number in range(count)]
        return executed_lines(lambda: trace_click(CLICK.click_id, CLICK, [], [], waiting, {}, NAMES))

    assert steps(1_600) < 10 * steps(200)  # 64 times as many where each is compared with all


def test_landing_views_landing_clicks_and_events_are_in_the_timeline() -> None:
    landing = replace(
        CLICK, offer_id=0, network_id=0, landing_id=4, path_id=8, rule_id=6, target="https://landing.example/"
    )
    names = SetupNames(landing_name="Quiz", path_name="Germany", rule_name="DE")
    events = [
        PageEvent(event_id="v", at=NOW + 10, kind=PageEventKind.LANDING_VIEW, click_id=CLICK.click_id, loaded_ms=640),
        PageEvent(
            event_id="k",
            at=NOW + 20,
            kind=PageEventKind.LANDING_CLICK,
            click_id=CLICK.click_id,
            button=2,
            offer_id=5,
            target="https://offer.example/",
            found_by="referrer",
            events={1: 2_500_000},
        ),
        PageEvent(
            event_id="r", at=NOW + 30, kind=PageEventKind.LANDING_CLICK, click_id=CLICK.click_id, flags="repeated"
        ),
        PageEvent(event_id="e", at=NOW + 40, kind=PageEventKind.EVENT, click_id=CLICK.click_id, events={30: -1}),
    ]
    traced = [TracedPageEvent(event, "Gift card" if event.offer_id else "") for event in events]
    trace = trace_click(landing.click_id, landing, (), (), (), {}, names, traced)
    assert [(event.kind, event.id) for event in trace.events[2:]] == [
        (EventKind.LANDING_VIEW, "v"),
        (EventKind.LANDING_CLICK, "k"),
        (EventKind.LANDING_CLICK, "r"),
        (EventKind.PAGE_EVENT, "e"),
    ]
    assert trace.events[1].sentence == "The visitor was redirected to the landing."
    assert {detail.name: detail.value for detail in trace.events[1].details} == {
        "rule": "DE (6)",
        "path": "Germany (8)",
        "landing": "Quiz (4)",
        "target": "https://landing.example/",
    }
    press = trace.events[3]
    assert press.sentence == "The visitor pressed button 2 of the landing and was redirected to the offer."
    assert {detail.name: detail.value for detail in press.details} == {
        "offer": "Gift card (5)",
        "target": "https://offer.example/",
        "click id from": "cid in the referrer",
        "events": "event1 2.5",
    }
    assert trace.events[4].sentence.endswith("not counted: repeated.")
    assert "landing click  The visitor pressed button 2" in trace_text(trace)


def test_a_notice_whose_click_is_known_waits_for_earlier_landing_clicks() -> None:
    waiting = replace(NOTICE, outcome=NoticeOutcome.WAITING, campaign_id=7)
    trace = trace_click(CLICK.click_id, CLICK, [waiting], (), (), {})
    assert trace.events[-1].sentence == "The network's postback waits for earlier landing clicks to arrive."


def test_a_page_tracked_directly_is_told_as_what_it_is() -> None:
    direct = msgspec.structs.replace(CLICK, target="", offer_id=0, path_id=8)
    view = PageEvent(event_id="v", at=NOW, kind=PageEventKind.LANDING_VIEW, click_id=CLICK.click_id)
    trace = trace_click(direct.click_id, direct, (), (), (), {}, NAMES, [TracedPageEvent(view, "")])
    sentences = [event.sentence for event in trace.events]
    assert sentences[:2] == ["A visitor opened a page with the script.", "The visitor stayed on the page."]
    trace = trace_click(direct.click_id, direct, (), (), (), {}, NAMES, ())
    assert [event.sentence for event in trace.events] == [
        "A visitor followed the campaign link.",
        "The visitor was not redirected.",
    ]


def test_corrections_of_marks_are_in_the_timeline_with_their_origin() -> None:
    corrections = [
        MarkCorrection(LATE, NOW + 120_000, "repeat", "repeat,fast_click"),
        MarkCorrection("r" * 26, NOW + 500, "datacenter", "frequent_ip,repeat"),
    ]
    marked = replace(CLICK, marks="frequent_ip,repeat,fast_click")
    trace = with_corrections(trace_click(CLICK.click_id, marked, [NOTICE], [CHANGE], [], {}), corrections)
    kinds = [event.kind for event in trace.events]

    assert kinds.index(EventKind.MARKS) == kinds.index(EventKind.NOTICE) - 1
    assert kinds[-1] is EventKind.MARKS
    text = trace_text(trace)
    assert "marks          Judged anew: gained frequent IP, repeat; lost data center." in text
    assert f"rerun: {'r' * 26}" in text
    assert "marks          Judged late: gained fast click." in text
    assert "origin: late marks, by what the visitor did on the landing" in text
    assert "rerun: late" not in text
    assert "marks now: frequent IP: " in text


def test_a_click_whose_marks_never_changed_has_no_such_event() -> None:
    assert with_corrections(story(), []) == story()
