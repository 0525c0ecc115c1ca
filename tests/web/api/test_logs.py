"""Clicks, notices, conversions, postbacks and the trace over the API."""

from typing import TYPE_CHECKING, Any

import pytest

from clickloop.conversion.conversion_input import ConversionInput
from clickloop.conversion.notice import Channel, RawNotice
from clickloop.diagnosis.trace.lookup import MAX_TRACED
from clickloop.record_id import RecordIds
from clickloop.text import escape_bytes
from clickloop.tracking.notices import convert, take_notices

new_id = RecordIds()

if TYPE_CHECKING:
    from tests.web.conftest import Instance


def reported(instance: "Instance", click_id: str, **fields: Any) -> Any:
    return instance.api.post("/api/v1/conversions", json={"click_id": click_id} | fields)


def test_a_report_makes_a_conversion_and_owes_the_sources_postback(instance: "Instance") -> None:
    instance.set_up()
    click_id = instance.visit()
    answer = reported(instance, click_id.upper(), payout="12.5", txid="T-1")
    assert answer.status_code == 201
    conversion = answer.json()["conversion"]
    assert conversion["payout"] == {"amount": "12.5", "currency": "USD"}
    assert (conversion["click_id"], conversion["txid"], conversion["status"]["key"]) == (click_id, "T-1", "sale")
    assert instance.owed == 1
    postback = instance.got(f"postbacks?click_id={click_id}")["items"][0]
    assert postback["state"] == "waiting"
    assert postback["request"]["url"] == "https://source.example/postback?id=w9Xk2-7fA&payout=12.5"


def test_the_same_report_again_is_a_repeat_that_sends_nothing(instance: "Instance") -> None:
    instance.set_up()
    click_id = instance.visit()
    reported(instance, click_id, payout="12.5", txid="T-1")
    answer = reported(instance, click_id, payout="12.5", txid="T-1")
    assert (answer.status_code, answer.json()["outcome"]) == (200, "repeated")
    assert len(instance.got("conversions")["items"]) == 1
    assert len(instance.got("postbacks")["items"]) == 1
    assert len(instance.got("notices")["items"]) == 2


def test_a_change_stands_in_the_history(instance: "Instance") -> None:
    instance.set_up()
    click_id = instance.visit()
    number = reported(instance, click_id, payout="12.5").json()["conversion"]["conversion_id"]
    instance.now += 1000
    assert reported(instance, click_id, status="rejected").json()["outcome"] == "changed"
    story = instance.got(f"conversions/{number}")
    assert [change["after"]["status"]["key"] for change in story["history"]] == ["sale", "rejected"]
    assert story["history"][0]["before"] is None
    assert story["conversion"]["version"] == 2


def test_a_report_for_a_click_on_its_way_waits(instance: "Instance") -> None:
    answer = reported(instance, instance.click_ids.new(instance.now))
    assert (answer.status_code, answer.json()["outcome"], answer.json()["conversion"]) == (202, "waiting", None)


@pytest.mark.parametrize(
    ("click_id", "code"),
    [
        ("abc", "malformed_click_id"),
        ("0" * 26, "forged_click_id"),
        ("{clickid}", "unreplaced_macro"),
        (" ", "required"),
    ],
)
def test_a_refused_report_names_its_reason(instance: "Instance", click_id: str, code: str) -> None:
    assert instance.faults(reported(instance, click_id)) == {"click_id": code}


def test_a_refused_report_is_kept_in_conversions_in(instance: "Instance") -> None:
    reported(instance, "abc", payout="5")
    notice = instance.got("notices?outcome=refused")["items"][0]
    assert (notice["channel"], notice["reason"], notice["query"]) == ("api", "malformed_click_id", "cid=abc&payout=5")
    assert notice["reason_text"]


def test_a_caller_of_the_api_is_told_of_his_slips(instance: "Instance") -> None:
    answer = reported(
        instance,
        instance.visit(),
        payout="NaN",
        currency="XXQ",
        params={"param21": "x"},
        events={"event1": "x"},
    )
    assert instance.faults(answer) == {
        "payout": "not_an_amount",
        "currency": "not_a_currency",
        "params.param21": "unknown_field",
        "events.event1": "not_an_amount",
    }
    assert instance.got("notices")["items"] == []


def test_a_report_by_hand_comes_in_by_that_door(instance: "Instance") -> None:
    assert reported(instance, instance.visit(), by_hand=True).json()["notice"]["channel"] == "hand"


def test_a_notice_runs_again_by_todays_words(instance: "Instance") -> None:
    notice = reported(instance, instance.visit(), status="topup").json()["notice"]["notice_id"]
    assert [word["word"] for word in instance.got("statuses")["unmapped_words"]] == ["topup"]
    instance.made("statuses", {"key": "upsell", "name": "Upsell", "counts_as": "confirmed", "words": ["topup"]})
    again = instance.api.post(f"/api/v1/notices/{notice}/rerun")
    assert (again.status_code, again.json()["runs"]) == (200, 2)
    assert instance.got("conversions")["items"][0]["status"]["key"] == "upsell"


def test_a_notice_that_is_not_there_cannot_run_again(instance: "Instance") -> None:
    assert instance.api.post("/api/v1/notices/abc/rerun").status_code == 404


@pytest.mark.parametrize("noun", ["clicks", "notices", "conversions", "postbacks"])
def test_log_pages_hold_everything_once_newest_first(instance: "Instance", noun: str) -> None:
    instance.set_up()
    for _ in range(5):
        reported(instance, instance.visit())
        instance.now += 1000
    everything = instance.got(noun)["items"]
    seen: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        page = instance.got(f"{noun}?limit=2&cursor={cursor}")
        seen += page["items"]
        cursor = page["next_cursor"]
    assert seen == everything
    assert len(seen) == 5
    moments = [item.get("at") or item["created_at"] for item in seen]
    assert moments == sorted(moments, reverse=True)


def test_a_cursor_of_another_list_is_refused(instance: "Instance") -> None:
    for _ in range(2):
        instance.visit()
    cursor = instance.got("clicks?limit=1")["next_cursor"]
    assert instance.faults(instance.api.get(f"/api/v1/notices?cursor={cursor}")) == {"cursor": "not_a_cursor"}


def test_logs_are_asked_for_by_period_and_owner(instance: "Instance") -> None:
    instance.set_up()
    reported(instance, instance.visit())
    for noun in ("clicks", "conversions", "postbacks", "notices"):
        assert len(instance.got(f"{noun}?since=2026-03-01T00:00:00Z&until=2026-03-02&campaign_id=1")["items"]) == 1
        assert instance.got(f"{noun}?since=2026-03-02")["items"] == []
        assert instance.got(f"{noun}?campaign_id=2")["items"] == []


def test_a_click_is_found_by_the_sources_id(instance: "Instance") -> None:
    click_id = instance.visit(external_id="a+b/c=")
    instance.visit()
    found = instance.api.get("/api/v1/clicks", params={"external_id": "a+b/c="}).json()["items"]
    assert [click["click_id"] for click in found] == [click_id]


def test_bytes_that_are_no_text_are_shown_replaced(instance: "Instance") -> None:
    click_id = instance.visit(external_id=escape_bytes(b"a\xff\x00<b>"), v3="x")
    click = instance.got(f"clicks/{click_id}")
    assert (click["external_id"], click["parameters"]) == ("a��<b>", {"v3": "x"})


def test_a_trace_tells_the_whole_story_in_order(instance: "Instance") -> None:
    instance.set_up()
    click_id = instance.visit(target="https://network.example/?sub1=x")
    reported(instance, click_id, payout="12.5", txid="T-1")
    instance.now += 1000
    reported(instance, click_id, status="rejected", txid="T-1")
    trace = instance.got(f"clicks/{click_id}/trace")
    assert [event["kind"] for event in trace["events"]] == [
        "click",
        "redirect",
        "notice",
        "conversion",
        "postback",
        "notice",
        "conversion",
        "postback",
    ]
    assert "was skipped" in trace["events"][-1]["sentence"]
    assert trace["click"]["external_id"] == "w9Xk2-7fA"


def test_a_refused_notice_stands_in_the_trace(instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/networks/1", json={"token": "hush"})
    click_id = instance.visit()
    notice_id = instance.context.record_ids()
    raw = RawNotice(notice_id=notice_id, at=instance.now, channel=Channel.S2S, query=f"cid={click_id}&token=guess")
    take_notices(instance.context.intake(), [raw], instance.now)
    event = instance.got(f"clicks/{click_id}/trace")["events"][-1]
    assert (event["kind"], event["id"]) == ("notice", notice_id)
    assert "refused" in event["sentence"]
    assert "guess" not in str(event)


def test_a_trace_of_an_id_without_a_click_is_a_404_until_something_came(instance: "Instance") -> None:
    click_id = instance.click_ids.new(instance.now)
    assert instance.api.get(f"/api/v1/clicks/{click_id}/trace").status_code == 404
    convert(instance.context.intake(), ConversionInput(click_id=click_id), Channel.API, instance.now)
    trace = instance.got(f"clicks/{click_id}/trace")
    assert (trace["click"], [event["kind"] for event in trace["events"]]) == (None, ["notice"])


def test_secrets_in_requests_are_masked(instance: "Instance") -> None:
    instance.set_up()
    request = {
        "url": "https://api.telegram.org/bot123456:AAbbCCddEEffGG/sendMessage?api_key=hush&text={payout}",
        "headers": [{"name": "Authorization", "value": "Bearer hush"}],
    }
    instance.made("postback-rules", {"name": "Telegram", "request": request})
    click_id = instance.visit()
    reported(instance, click_id)
    postbacks = instance.got("postbacks")["items"]
    for noun in ("postbacks", f"clicks/{click_id}/trace", f"postbacks/{postbacks[0]['postback_id']}"):
        text = str(instance.got(noun))
        assert "hush" not in text
        assert "AAbbCC" not in text


def test_a_skipped_postback_shows_its_reason_condition_by_condition(instance: "Instance") -> None:
    instance.set_up()
    reported(instance, instance.visit(external_id=""))
    postback = instance.got("postbacks?state=skipped&reason=no_external_id")["items"][0]
    story = instance.got(f"postbacks/{postback['postback_id']}")
    assert [finding["condition"] for finding in story["findings"] if not finding["met"]] == ["no_external_id"]
    assert postback["reason_text"]
    assert story["attempts"] == []


@pytest.mark.parametrize("noun", ["notices", "conversions", "postbacks"])
def test_a_record_of_an_unknown_id_is_a_404(instance: "Instance", noun: str) -> None:
    assert instance.api.get(f"/api/v1/{noun}/{'0' * 26}").status_code == 404


@pytest.mark.parametrize("noun", ["postbacks", "notices", "clicks"])
def test_a_filter_of_no_known_value_is_named_as_in_the_address_with_what_is_known(
    instance: "Instance", noun: str
) -> None:
    name = {"postbacks": "state", "notices": "outcome", "clicks": "screening"}[noun]
    answer = instance.api.get(f"/api/v1/{noun}?{name}=nope")
    assert instance.faults(answer) == {name: "not_allowed"}
    assert ", expected one of " in answer.json()["errors"][0]["message"]


def test_of_a_click_with_thousands_of_records_the_story_has_the_newest_and_counts_the_others(
    instance: "Instance",
) -> None:
    instance.set_up()
    click_id = instance.visit()
    raws = [
        RawNotice(
            notice_id=new_id(),
            at=instance.now + number,
            channel=Channel.S2S,
            query=f"cid={click_id}&txid=T{number % 300}&payout={number}&filler={'x' * 10_000}",
        )
        for number in range(700)
    ]
    take_notices(instance.context.intake(), raws, instance.now)
    trace = instance.got(f"clicks/{click_id}/trace")
    kinds = [event["kind"] for event in trace["events"]]
    assert (kinds.count("notice"), kinds.count("conversion"), kinds.count("click")) == (MAX_TRACED, MAX_TRACED + 1, 1)
    assert trace["left_out"].startswith(
        f"Not shown: {700 - MAX_TRACED} older incoming postbacks, {300 - MAX_TRACED} older conversions, "
    )
    newest = [event["id"] for event in trace["events"] if event["kind"] == "notice"]
    assert newest == [raw.notice_id for raw in raws[-MAX_TRACED:]]
    text = instance.api.get(f"/api/v1/clicks/{click_id}/trace?format=text").text
    assert trace["left_out"] in text
    assert len(instance.api.get(f"/api/v1/clicks/{click_id}/trace").content) < 2_000_000


def test_a_list_has_the_beginning_of_a_long_notice_and_the_notice_itself_and_the_export_have_more(
    instance: "Instance",
) -> None:
    instance.set_up()
    raw = RawNotice(notice_id=new_id(), at=instance.now, channel=Channel.S2S, query="a=" + "x" * 250_000)
    take_notices(instance.context.intake(), [raw], instance.now)
    listed = instance.got("notices")["items"][0]["query"]
    assert listed == "a=" + "x" * 1_998 + "… (248002 more characters)"
    assert len(instance.got(f"notices/{raw.notice_id}")["query"]) > 16_000
    assert len(instance.api.get("/api/v1/notices/export").content) > 16_000


def test_of_a_conversion_that_changed_a_thousand_times_the_newest_changes_are_told(instance: "Instance") -> None:
    instance.set_up()
    click_id = instance.visit()
    raws = [
        RawNotice(
            notice_id=new_id(),
            at=instance.now + number,
            channel=Channel.S2S,
            query=f"cid={click_id}&payout={number}",
        )
        for number in range(600)
    ]
    take_notices(instance.context.intake(), raws, instance.now)
    (one,) = instance.got("conversions")["items"]
    history = instance.got(f"conversions/{one['conversion_id']}")["history"]
    assert [change["version"] for change in history] == list(range(101, 601))
