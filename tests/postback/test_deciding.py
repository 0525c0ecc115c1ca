"""Deciding with a real ledger: each rule gives one row for each change, in the change's transaction."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, insert, select

from clickloop.conversion.conversion import Change
from clickloop.conversion.notice import Channel, RawNotice, RefusalReason
from clickloop.conversion.notice_log import NoticeOutcome, StoredNotice
from clickloop.conversion.status import CountsAs, Status
from clickloop.money import Money
from clickloop.postback.due import SkipReason
from clickloop.postback.postback_log import Postback, PostbackFilter
from clickloop.postback.rule import Conditions, RequestTemplate, Trigger
from clickloop.record_id import RecordIds
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.conversions import insert_changes, insert_conversions
from clickloop.store.ledger.logs.notices import insert_notices
from clickloop.store.ledger.logs.postbacks import postbacks_before
from clickloop.store.ledger.schema.tables import (
    campaigns,
    conversions,
    networks,
    notices,
    offers,
    postback_rules,
    source_parameters,
    traffic_sources,
)
from clickloop.store.ledger.setup.postback_rules import insert_rule
from clickloop.tracking.deciding import owe_postbacks
from tests.empty_stores import open_ledger

NOW = 1_800_000_000_000
IDS = RecordIds(lambda: NOW)
HOLD = Status("hold", "Hold", CountsAs.PENDING)


def _set_up(tx: Connection) -> None:
    dates = {"created_at": NOW, "updated_at": NOW}
    tx.execute(insert(traffic_sources).values(id=3, name="Clickadu", **dates))
    row = {"source_id": 3, "number": 1, "parameter": "ZoneId", "tracked": True}
    tx.execute(insert(source_parameters).values(**row))
    flags = {"refuse_duplicates": False, "test_only": False, "addresses": [], "postback_parameters": {}}
    tx.execute(insert(networks).values(id=2, name="Everflow", **flags, **dates))
    tx.execute(insert(offers).values(id=5, name="Gift card", network_id=2, url="https://o.example/", **dates))
    campaign = {"id": 7, "key": "15Gptd", "name": "Sweeps", "source_id": 3, "active": True, "source_rules_off": False}
    tx.execute(insert(campaigns).values(**campaign, **dates))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(tmp_path / "ledger.sqlite")
    with opened.write() as tx:
        _set_up(tx)
    yield opened
    opened.close()


def add_rule(ledger: Ledger, rule: Any) -> int:
    with ledger.write() as tx:
        return insert_rule(tx, rule, NOW)


def _store(tx: Connection, changes: Sequence[Change]) -> None:
    """Store the changes, as registering does before deciding."""
    if not tx.execute(select(notices.c.notice_id)).first():
        raw = RawNotice(notice_id="n" * 26, at=NOW, channel=Channel.S2S)
        insert_notices(tx, [StoredNotice(raw=raw, outcome=NoticeOutcome.REFUSED, reason=RefusalReason.NO_CLICK_ID)])
    known = set(tx.scalars(select(conversions.c.conversion_id)))
    for after in (change.after for change in changes):
        if after.conversion_id not in known:
            # These conversions only differ in their ids.
            insert_conversions(tx, [msgspec.structs.replace(after, txid=after.conversion_id)])
            known.add(after.conversion_id)
    if changes:
        insert_changes(tx, changes)


def owe(ledger: Ledger, *changes: Any) -> int:
    with ledger.write() as tx:
        _store(tx, changes)
        return owe_postbacks(tx, changes, NOW, IDS, lambda: 7)


def rows(ledger: Ledger) -> list[Postback]:
    """Return Conversions - Out, oldest first."""
    with ledger.read() as tx:
        return postbacks_before(tx, PostbackFilter(), None, 1_000)[::-1]


def test_a_new_conversion_creates_its_sources_postback_with_all_macros_filled_in(
    ledger: Ledger, rule: Any, change: Any
) -> None:
    url = "https://s.example/pb?id={externalid}&p={payout}&z={zoneid}&c={campaign.name}&o={offer.name}&n={network.name}"
    add_rule(ledger, rule(request=RequestTemplate(url=f"{url}&s={{trafficsource.name}}&i={{postback_id}}")))

    assert owe(ledger, change()) == 1

    (row,) = rows(ledger)
    assert row.request is not None
    assert row.request.url == (
        "https://s.example/pb?id=w9Xk2-7fA&p=12.5&z=4711&c=Sweeps&o=Gift%20card&n=Everflow&s=Clickadu&i="
        + row.postback_id
    )
    assert (row.state, row.trigger, row.receiver, row.next_attempt_at) == ("waiting", "new", "s.example:443", NOW)
    assert (row.campaign_id, row.source_id, row.click_id, row.version) == (7, 3, "c" * 26, 1)


def test_rules_of_the_source_the_campaign_and_the_instance_all_apply_and_no_others(
    ledger: Ledger, rule: Any, change: Any
) -> None:
    with ledger.write() as tx:
        tx.execute(insert(traffic_sources).values(id=4, name="Other", created_at=NOW, updated_at=NOW))
    wanted = [
        add_rule(ledger, rule()),
        add_rule(ledger, rule(source_id=None, campaign_id=7)),
        add_rule(ledger, rule(source_id=None)),
    ]
    add_rule(ledger, rule(source_id=4))
    with ledger.write() as tx:
        archived = insert_rule(tx, rule(), NOW, archived_at=NOW)

    assert owe(ledger, change()) == 3

    assert [row.rule_id for row in rows(ledger)] == wanted
    assert archived not in wanted


@pytest.mark.parametrize("host", ["127.0.0.1:9000", "[fd00::1]", "localhost", "a.example:6379"])
def test_a_rule_whose_receivers_address_is_refused_is_skipped_with_the_reason(
    host: str, ledger: Ledger, rule: Any, change: Any
) -> None:
    add_rule(ledger, rule(request=RequestTemplate(url=f"http://{host}/pb?id={{externalid}}")))

    assert owe(ledger, change()) == 0

    (row,) = rows(ledger)
    assert row.reason is SkipReason.ADDRESS_REFUSED
    assert any("CLICKLOOP_ALLOWED" in finding.detail for finding in row.findings)


def test_a_skipped_rule_gives_a_row_with_its_reason(ledger: Ledger, rule: Any, change: Any, conversion: Any) -> None:
    add_rule(ledger, rule())

    assert owe(ledger, change(conversion(external_id=""))) == 0

    (row,) = rows(ledger)
    assert (row.state, row.reason, row.request, row.receiver) == ("skipped", SkipReason.NO_EXTERNAL_ID, None, "")
    assert len(row.findings) == len(SkipReason) - 1  # all but that of views


def test_a_campaign_that_turned_off_its_sources_rules_skips_them(ledger: Ledger, rule: Any, change: Any) -> None:
    add_rule(ledger, rule())
    with ledger.write() as tx:
        tx.execute(campaigns.update().values(source_rules_off=True))

    assert owe(ledger, change()) == 0
    assert rows(ledger)[0].reason is SkipReason.RULE_OFF


def test_the_name_of_a_sources_parameter_is_a_macro_in_any_case(ledger: Ledger, rule: Any, change: Any) -> None:
    add_rule(ledger, rule(request=RequestTemplate(url="https://s.example/?z={ZONEID}")))

    owe(ledger, change())

    request = rows(ledger)[0].request
    assert request is not None
    assert request.url == "https://s.example/?z=4711"


def test_a_repeat_of_the_status_is_a_duplicate_and_a_change_follows_its_trigger(
    ledger: Ledger, rule: Any, change: Any, conversion: Any
) -> None:
    add_rule(ledger, rule())
    add_rule(ledger, rule(conditions=Conditions(trigger=Trigger.STATUS)))
    held, sold = conversion(status=HOLD), conversion(version=2)

    assert owe(ledger, change(held)) == 2
    assert owe(ledger, change(sold, before=held)) == 1

    later = [(row.trigger, row.reason) for row in rows(ledger) if row.version == 2]
    assert later == [("status", SkipReason.DUPLICATE), ("status", None)]


def test_changes_of_one_conversion_in_one_call_take_each_other_into_account(
    ledger: Ledger, rule: Any, change: Any, conversion: Any
) -> None:
    add_rule(ledger, rule(conditions=Conditions(statuses=("sale",))))
    held, sold, paid = conversion(status=HOLD), conversion(version=2), conversion(version=3, payout=Money(1, "USD"))

    assert owe(ledger, change(held), change(sold, before=held), change(paid, before=sold)) == 1

    reasons = [row.reason for row in rows(ledger)]
    assert reasons == [SkipReason.STATUS_NOT_SELECTED, None, SkipReason.DUPLICATE]


def test_a_share_is_counted_over_calls(ledger: Ledger, rule: Any, change: Any, conversion: Any) -> None:
    add_rule(ledger, rule(conditions=Conditions(every_nth=2)))

    owed = [owe(ledger, *(change(conversion(conversion_id=IDS())) for _ in range(count))) for count in (1, 1, 3)]

    assert owed == [1, 0, 2]
    with ledger.read() as tx:
        assert tx.scalar(select(postback_rules.c.counted)) == 5


def test_a_request_too_long_to_send_is_created_all_the_same_and_fails_at_its_attempt(
    ledger: Ledger, rule: Any, change: Any, conversion: Any
) -> None:
    add_rule(ledger, rule())

    assert owe(ledger, change(conversion(external_id="é" * 1_024 * 2))) == 1


def test_without_rules_or_changes_nothing_is_written(ledger: Ledger, change: Any) -> None:
    assert owe(ledger, change()) == 0
    assert owe(ledger) == 0
    assert rows(ledger) == []
