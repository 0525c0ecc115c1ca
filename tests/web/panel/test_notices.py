"""Conversions - In in the panel: the log, one notice as it was read, and reprocessing."""

from typing import TYPE_CHECKING, Any

import pytest

from clickloop.conversion.notice import Channel, RawNotice, RefusalReason
from clickloop.conversion.parameter_meaning import ParameterMeaning
from clickloop.people.user import Role
from clickloop.tracking.jobs.bulk_work import run_next_batch
from clickloop.tracking.notices import take_notices
from tests.web.panel.page import Page

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel


def arrived(instance: "Instance", query: str, **more: Any) -> str:
    """The ID of a notice that came by a postback."""
    notice_id = instance.context.record_ids()
    raw = RawNotice(notice_id=notice_id, at=instance.now, channel=Channel.S2S, query=query, **more)
    take_notices(instance.context.intake(), [raw], instance.now)
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
    addresses = panel.page(f"/panel/notices?{query}").addresses
    assert [number for number, one in enumerate(ids) if f"/panel/notices/{one}" in addresses] == found


def test_the_log_tells_the_reason_in_a_sentence_and_the_query_as_text(panel: "Panel", instance: "Instance") -> None:
    arrived(instance, "cid=<script>alert(1)</script>&token=hush")
    page = panel.page("/panel/notices")
    assert RefusalReason.MALFORMED_CLICK_ID.sentence in page.text
    assert page.main.all("script") == []
    assert "hush" not in page.html


def test_each_filter_that_is_set_can_be_removed_alone(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    html = panel.get("/panel/notices?outcome=refused&network_id=1&conversion_id=abc")
    words = Page(html).text
    for chip in ("Outcome: Refused", "Network: Network", "Conversion ID: abc"):
        assert chip in words
    assert 'href="/panel/notices?conversion_id=abc&amp;network_id=1"' in html
    assert 'href="/panel/notices?network_id=1&amp;outcome=refused"' in html


@pytest.mark.parametrize("flagged", ["true", "false"])
def test_running_again_what_the_log_shows_takes_no_notice_that_it_does_not_show(
    panel: "Panel", instance: "Instance", flagged: str
) -> None:
    instance.set_up()
    arrived(instance, f"cid={instance.visit()}&status=lead&payout=5")
    odd = arrived(instance, f"cid={instance.visit()}&status=lead&payout=NaN")
    conversion_id = instance.got(f"notices/{odd}")["conversion_id"]
    query = f"flagged={flagged}&conversion_id={conversion_id}"
    assert conversion_id in panel.get(f"/panel/notices/rerun?{query}")
    fields = {"flagged": flagged, "conversion_id": conversion_id}
    told = Page(panel.post("/panel/notices/rerun", fields).text).text
    assert ("1 incoming postback matches" if flagged == "true" else "0 incoming postbacks match") in told


def test_a_notices_page_tells_how_each_parameter_was_understood(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    click_id = instance.visit()
    query = f"cid={click_id}&subid=other&payout=NaN&token=hush&foo=bar&event1=x&status="
    page = panel.page(f"/panel/notices/{arrived(instance, query)}")
    for told in (
        ParameterMeaning.CLICK_ID,
        ParameterMeaning.SECOND,
        ParameterMeaning.PAYOUT,
        ParameterMeaning.TOKEN,
        ParameterMeaning.UNKNOWN,
        ParameterMeaning.EMPTY,
    ):
        assert told.sentence in page.text
    assert "The payout was a word such as NaN, not a number." in page.text
    assert "hush" not in page.html
    assert f"/panel/clicks/{click_id}" in page.addresses


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
    assert panel.page("/panel/notices/rerun?status_word=topup").fields["status_word"] == "topup"

    preview = panel.sent("/panel/notices/rerun", {"status_word": "topup", "outcome": "", "since": ""})

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
    refreshes = panel.page(path).refreshes
    assert (refreshes[0], len(refreshes)) == (path, 2)

    while run_next_batch(instance.context.intake(), instance.now):
        pass

    page = panel.page(path)
    assert "finished" in page.text
    assert page.refreshes == []
    assert instance.got("conversions")["items"][0]["status"]["key"] == "upsell"
    assert path in panel.page("/panel/notices/rerun").addresses


def test_running_everything_again_is_refused(panel: "Panel") -> None:
    assert "Give at least one filter" in panel.sent("/panel/notices/rerun", {"outcome": ""}, 422).text
