"""The log of postbacks (Conversions - Out): paging, filters and fields."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy.exc import IntegrityError

from clickloop.clock import iso_text
from clickloop.postback.due import ConditionResult, DuePostback, SkippedPostback, SkipReason
from clickloop.postback.postback_log import NewPostback, PostbackFilter
from clickloop.postback.rule import PostbackRequest, PostbackRule, RequestTemplate
from clickloop.postback.state import PostbackState
from clickloop.record_id import RecordIds
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.postbacks import (
    earlier_decisions,
    find_postback,
    insert_postbacks,
    postbacks_before,
    postbacks_of_click,
)
from clickloop.store.ledger.setup.postback_rules import insert_rule
from tests.empty_stores import open_ledger

NOW = 1_800_000_000_000
IDS = RecordIds(lambda: NOW)
FINDINGS = (
    ConditionResult(SkipReason.RULE_OFF, True),
    ConditionResult(SkipReason.BELOW_MINIMUM, False, "1 of at least 2"),
)
CLICK = "c" * 26
USUAL = NewPostback(
    postback_id="",
    conversion_id="a" * 26,
    version=1,
    rule_id=1,
    click_id=CLICK,
    campaign_id=7,
    source_id=3,
    trigger="new",
    decision=DuePostback(PostbackRequest(url="https://source.example/pb?id=1"), NOW, FINDINGS),
    receiver="source.example:443",
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(tmp_path / "ledger.sqlite")
    with opened.write() as tx:
        insert_rule(
            tx,
            PostbackRule(rule_id=0, name="Rule", request=RequestTemplate(url="https://source.example/")),
            NOW,
        )
    yield opened
    opened.close()


def owe(ledger: Ledger, **given: Any) -> str:
    """Insert a postback like ``USUAL``. Return its id."""
    new = msgspec.structs.replace(USUAL, postback_id=IDS(), **given)
    with ledger.write() as tx:
        insert_postbacks(tx, [new], NOW)
    return new.postback_id


def test_a_change_is_decided_once_for_a_rule(ledger: Ledger) -> None:
    original = owe(ledger)

    with pytest.raises(IntegrityError):
        owe(ledger)
    assert owe(ledger, resend=1, original_id=original)


def test_a_skipped_postback_is_stored_with_reason_and_findings(ledger: Ledger) -> None:
    postback_id = owe(ledger, decision=SkippedPostback(SkipReason.BELOW_MINIMUM, FINDINGS), receiver="")

    with ledger.read() as tx:
        row = find_postback(tx, postback_id)
        (decided,) = earlier_decisions(tx, ["a" * 26])

    assert row is not None
    assert (row.state, row.reason, row.findings, row.request) == ("skipped", SkipReason.BELOW_MINIMUM, FINDINGS, None)
    assert decided.reason is SkipReason.BELOW_MINIMUM


def test_the_log_pages_newest_first(ledger: Ledger) -> None:
    owed = [owe(ledger, version=version) for version in range(1, 6)]
    with ledger.read() as tx:
        first = postbacks_before(tx, PostbackFilter(), None, 2)
        rest = postbacks_before(tx, PostbackFilter(), first[-1].postback_id, 10)

    assert [row.postback_id for row in (*first, *rest)] == owed[::-1]


@pytest.mark.parametrize(
    "wanted",
    [
        PostbackFilter(state=PostbackState.SKIPPED),
        PostbackFilter(reason=SkipReason.RULE_OFF),
        PostbackFilter(click_id="d" * 26),
        PostbackFilter(conversion_id="b" * 26),
        PostbackFilter(campaign_id=8),
        PostbackFilter(source_id=4),
        PostbackFilter(rule_id=99),
    ],
)
def test_the_log_can_be_narrowed_by_each_filter(wanted: PostbackFilter, ledger: Ledger) -> None:
    owe(ledger)
    other = owe(
        ledger,
        conversion_id="b" * 26,
        decision=SkippedPostback(SkipReason.RULE_OFF, ()),
        click_id="d" * 26,
        campaign_id=8,
        source_id=4,
        rule_id=99,
    )

    with ledger.read() as tx:
        found = postbacks_before(tx, wanted, None, 10)

    assert [row.postback_id for row in found] == [other]


def test_the_log_can_be_narrowed_to_a_period(ledger: Ledger) -> None:
    owe(ledger)

    with ledger.read() as tx:
        inside = postbacks_before(tx, PostbackFilter(since=iso_text(NOW), until=iso_text(NOW + 1)), None, 10)
        outside = postbacks_before(tx, PostbackFilter(since=iso_text(NOW + 1)), None, 10)

    assert (len(inside), len(outside)) == (1, 0)


def test_a_clicks_postbacks_come_in_order(ledger: Ledger) -> None:
    owed = [owe(ledger, version=1), owe(ledger, version=2)]
    owe(ledger, conversion_id="b" * 26, click_id="d" * 26)

    with ledger.read() as tx:
        assert [row.postback_id for row in postbacks_of_click(tx, CLICK, 100)] == owed
        assert [row.postback_id for row in postbacks_of_click(tx, CLICK, 1)] == owed[-1:]
