"""Conversions - In in the panel: the log, one notice as it was understood, and running them again."""

from typing import TYPE_CHECKING, Any

import pytest

from clickloop.campaign.user import Role
from clickloop.conversion.notice import Door, RawNotice, RefusalReason
from clickloop.conversion.understanding import Meaning
from clickloop.tracking.bulk import work_off_next
from clickloop.tracking.notices import take_notices

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel


def arrived(instance: "Instance", query: str, **more: Any) -> str:
    """The id of a notice that came by a postback."""
    notice_id = instance.context.record_ids()
    raw = RawNotice(notice_id=notice_id, at=instance.now, door=Door.S2S, query=query, **more)
    take_notices(instance.context.desk(), [raw], instance.now)
    return notice_id


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("outcome=refused", [1]),
        ("reason=malformed_click_id", [1]),
        ("network_id=1", [0]),
        ("campaign_id=1&outcome=new", [0]),
        ("period=today", [0, 1]),
        ("period=yesterday", []),
        ("flagged=true", []),
        ("status_word=Lead", [0]),
    ],
)
def test_the_log_is_narrowed_by_its_address(panel: "Panel", instance: "Instance", query: str, found: list[int]) -> None:
    instance.set_up()
    ids = [arrived(instance, f"cid={instance.visit()}&status=lead"), arrived(instance, "cid=abc")]
    html = panel.get(f"/panel/notices?{query}")
    assert [number for number, one in enumerate(ids) if one in html] == found


def test_the_log_tells_the_reason_in_a_sentence_and_the_query_as_text(panel: "Panel", instance: "Instance") -> None:
    arrived(instance, "cid=<script>alert(1)</script>&token=hush")
    html = panel.get("/panel/notices")
    assert RefusalReason.MALFORMED_CLICK_ID.sentence in panel.words(html)
    assert "<script>alert" not in html
    assert "hush" not in html


def test_a_notices_page_tells_how_each_parameter_was_understood(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    click_id = instance.visit()
    query = f"cid={click_id}&subid=other&payout=NaN&token=hush&foo=bar&event1=x&status="
    html = panel.get(f"/panel/notices/{arrived(instance, query)}")
    words = panel.words(html)
    for told in (Meaning.CLICK_ID, Meaning.SECOND, Meaning.PAYOUT, Meaning.TOKEN, Meaning.UNKNOWN, Meaning.EMPTY):
        assert told.sentence in words
    assert "The payout said that it is no number." in words
    assert "hush" not in html
    assert f'href="/panel/clicks/{click_id}"' in html


def test_a_notice_runs_again_by_a_button(panel: "Panel", instance: "Instance") -> None:
    notice_id = arrived(instance, f"cid={instance.visit()}&status=topup")
    instance.made("statuses", {"key": "upsell", "name": "Upsell", "counts_as": "confirmed", "words": ["topup"]})
    path = panel.done(f"/panel/notices/{notice_id}/rerun")
    assert path == f"/panel/notices/{notice_id}?said=rerun"
    assert instance.got("conversions")["items"][0]["status"]["key"] == "upsell"


def test_a_viewer_runs_nothing_again(panel: "Panel", instance: "Instance") -> None:
    notice_id = arrived(instance, "cid=abc")
    panel.become(Role.VIEWER)
    assert "Reprocess<" not in panel.get(f"/panel/notices/{notice_id}")
    assert panel.post(f"/panel/notices/{notice_id}/rerun").status_code == 403


def test_running_again_by_filter_shows_first_what_would_change(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    for _ in range(3):
        arrived(instance, f"cid={instance.visit()}&status=topup&payout=5")
    instance.made("statuses", {"key": "upsell", "name": "Upsell", "counts_as": "confirmed", "words": ["topup"]})
    assert 'value="topup"' in panel.get("/panel/notices/rerun?status_word=topup")

    preview = panel.post("/panel/notices/rerun", {"status_word": "topup", "outcome": "", "since": ""})

    words = panel.words(preview.text)
    assert "3 incoming postbacks match." in words
    assert "Other → Upsell" in words
    assert {one["status"]["key"] for one in instance.got("conversions")["items"]} == {"other"}


def test_running_again_by_filter_is_a_job_whose_progress_survives_the_page(
    panel: "Panel", instance: "Instance"
) -> None:
    instance.set_up()
    arrived(instance, f"cid={instance.visit()}&status=topup")
    instance.made("statuses", {"key": "upsell", "name": "Upsell", "counts_as": "confirmed", "words": ["topup"]})
    fields = {"status_word": "topup", "start": "1", "key": "k1"}
    path = panel.done("/panel/notices/rerun", fields)
    assert panel.done("/panel/notices/rerun", fields) == path, "the same form twice is one job"
    html = panel.get(path)
    assert f'data-refresh="{path}"' in html
    assert '<noscript><meta http-equiv="refresh"' in html

    while work_off_next(instance.context.desk(), instance.now):
        pass

    html = panel.get(path)
    assert "finished" in html
    assert "refresh" not in html
    assert instance.got("conversions")["items"][0]["status"]["key"] == "upsell"
    assert path in panel.get("/panel/notices/rerun")


def test_running_everything_again_is_refused(panel: "Panel") -> None:
    answer = panel.post("/panel/notices/rerun", {"outcome": ""})
    assert answer.status_code == 422
    assert "Nothing narrows it down" in panel.words(answer.text)
