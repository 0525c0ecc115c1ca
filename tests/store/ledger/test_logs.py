"""Notices, conversions and statuses in the ledger: paging, filters, damaged rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from clickloop.click.click import Click
from clickloop.clock import iso_text
from clickloop.conversion.conversion import Conversion
from clickloop.conversion.conversion_log import ConversionFilter
from clickloop.conversion.notice import Channel, RawNotice, RefusalReason
from clickloop.conversion.notice_log import NoticeFilter, NoticeOutcome, StoredNotice
from clickloop.conversion.status import SALE, CountsAs, Status, StatusWords
from clickloop.money import Money
from clickloop.record_id import base32_tail, base32_time
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.conversions import (
    clicks_of_conversions,
    clicks_with_conversions,
    conversions_before,
    conversions_of_click,
    find_conversion,
    insert_conversions,
)
from clickloop.store.ledger.logs.notices import (
    find_notice,
    insert_notices,
    notices_before,
    notices_of_click,
    waiting_notices_of_clicks,
)
from clickloop.store.ledger.setup.statuses import (
    delete_status,
    delete_words_of,
    insert_status,
    insert_words,
    is_status_used,
    status_rows,
    status_table,
    update_status,
)
from clickloop.store.ledger.setup.versions import StaleRecordError
from tests.empty_stores import open_ledger

NOW = 1_772_366_400_000
VIP = Status("vip", "VIP", CountsAs.CONFIRMED)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return open_ledger(tmp_path / "ledger.sqlite")


def _id(number: int) -> str:
    return base32_time(NOW + number) + base32_tail(number)


def _notice(number: int, **values: Any) -> StoredNotice:
    raw = RawNotice(notice_id=_id(number), at=NOW + number, channel=Channel.S2S)
    refused = {"outcome": NoticeOutcome.REFUSED, "reason": RefusalReason.NO_CLICK_ID}
    return StoredNotice(raw=raw, **(values if "outcome" in values else refused | values))


def _conversion(number: int, click: int = 1, **values: Any) -> Conversion:
    made: dict[str, Any] = {
        "conversion_id": _id(number),
        "click": Click(
            click_id=f"c{click}", at=NOW, campaign_id=click, source_id=click, offer_id=click, network_id=click
        ),
        "txid": f"t{number}",
        "status": SALE,
        "status_word": "",
        "payout": Money(1, "USD"),
        "first_of_click": True,
        "converted_at": NOW,
        "created_at": NOW + number,
        "updated_at": NOW,
        "version": 1,
    }
    return Conversion(**(made | values))


def test_the_log_pages_newest_first_without_gaps(ledger: Ledger) -> None:
    stored = [_notice(number) for number in range(25)]
    seen: list[StoredNotice] = []
    with ledger.write() as tx:
        insert_notices(tx, stored)
        while page := notices_before(tx, NoticeFilter(), seen[-1].raw.notice_id if seen else None, 10):
            seen += page
    assert seen == stored[::-1]


def test_a_notice_reads_as_it_was_stored(ledger: Ledger) -> None:
    waiting = _notice(
        1, click_id="c", status_word="x", outcome=NoticeOutcome.WAITING, look_again_at=5, flags=("a", "b")
    )
    with ledger.write() as tx:
        insert_notices(tx, [waiting])
        assert find_notice(tx, _id(1)) == waiting
        assert notices_of_click(tx, "c", 100) == [waiting]
        assert find_notice(tx, _id(2)) is None


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (NoticeFilter(), [2, 1, 0]),
        (NoticeFilter(click_id="c"), [1]),
        (NoticeFilter(click_id=" C "), [1]),
        (NoticeFilter(click_id=""), [2, 1, 0]),
        (NoticeFilter(status_word=" Word1"), [1]),
        (NoticeFilter(outcome=NoticeOutcome.REFUSED), [2, 0]),
        (NoticeFilter(reason=RefusalReason.WRONG_TOKEN), [2]),
        (NoticeFilter(campaign_id=3), [2]),
        (NoticeFilter(network_id=4), [2]),
        (NoticeFilter(conversion_id="v"), [1]),
        (NoticeFilter(flagged=True), [1]),
        (NoticeFilter(flagged=False), [2, 0]),
        (NoticeFilter(since=iso_text(NOW + 1)), [2, 1]),
        (NoticeFilter(until=iso_text(NOW + 1)), [0]),
        (NoticeFilter(since="2000-01-01", until="2999-01-01"), [2, 1, 0]),
        (NoticeFilter(until=iso_text(NOW + 2), outcome=NoticeOutcome.REFUSED), [0]),
    ],
)
def test_the_log_of_notices_filters(ledger: Ledger, wanted: NoticeFilter, found: list[int]) -> None:
    stored = [
        _notice(0),
        _notice(
            1, click_id="c", outcome=NoticeOutcome.NEW, conversion_id="v", flags=("query_cut",), status_word="word1"
        ),
        _notice(2, reason=RefusalReason.WRONG_TOKEN, campaign_id=3, network_id=4),
    ]
    with ledger.write() as tx:
        insert_notices(tx, stored)
        assert [stored.index(notice) for notice in notices_before(tx, wanted, None, 10)] == found


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (ConversionFilter(), [1, 0]),
        (ConversionFilter(click_id="c2"), [1]),
        (ConversionFilter(campaign_id=1), [0]),
        (ConversionFilter(source_id=2), [1]),
        (ConversionFilter(offer_id=2, network_id=2), [1]),
        (ConversionFilter(network_id=3), []),
        (ConversionFilter(status="hold"), [1]),
        (ConversionFilter(txid="t0"), [0]),
        (ConversionFilter(flagged=True), [1]),
        (ConversionFilter(flagged=False), [0]),
        (ConversionFilter(since=iso_text(NOW + 1), until=iso_text(NOW + 2)), [1]),
        (ConversionFilter(until=iso_text(NOW + 1)), [0]),
    ],
)
def test_the_log_of_conversions_filters(ledger: Ledger, wanted: ConversionFilter, found: list[int]) -> None:
    hold = Status("hold", "Hold", CountsAs.PENDING)
    stored = [_conversion(0), _conversion(1, click=2, status=hold, flags=("unknown_currency",))]
    with ledger.write() as tx:
        insert_conversions(tx, stored)
        assert [stored.index(conversion) for conversion in conversions_before(tx, wanted, None, 10)] == found


def test_conversions_are_paged_and_found_by_id_and_by_click(ledger: Ledger) -> None:
    stored = [_conversion(0), _conversion(1, first_of_click=False)]
    with ledger.write() as tx:
        insert_conversions(tx, stored)
        assert conversions_before(tx, ConversionFilter(), _id(1), 10) == stored[:1]
        assert find_conversion(tx, _id(1)) == stored[1]
        assert find_conversion(tx, _id(2)) is None
        assert conversions_of_click(tx, "c1") == stored


@pytest.mark.parametrize("column", ["click", "parameters"])
def test_a_damaged_conversion_does_not_fail_the_page(ledger: Ledger, column: str) -> None:
    stored = [_conversion(0), _conversion(1, first_of_click=False)]
    with ledger.write() as tx:
        insert_conversions(tx, stored)
        tx.exec_driver_sql(f"UPDATE conversions SET {column} = x'7b' WHERE conversion_id = ?", (_id(0),))
        for page in (conversions_before(tx, ConversionFilter(), None, 10), conversions_of_click(tx, "c1")[::-1]):
            assert page[0] == stored[1]
            assert (page[1].conversion_id, page[1].click.click_id, page[1].payout) == (_id(0), "c1", Money(1, "USD"))


def test_a_damaged_notice_does_not_fail_the_page(ledger: Ledger) -> None:
    stored = [_notice(number, click_id="c") for number in range(2)]
    with ledger.write() as tx:
        insert_notices(tx, stored)
        tx.exec_driver_sql("UPDATE notices SET raw = x'7b' WHERE notice_id = ?", (_id(0),))
        assert notices_before(tx, NoticeFilter(), None, 10) == stored[::-1]
        assert notices_of_click(tx, "c", 100) == stored


def test_a_conversion_has_the_current_name_of_its_status(ledger: Ledger) -> None:
    with ledger.write() as tx:
        insert_conversions(tx, [_conversion(0)])
        assert update_status(tx, Status("sale", "Verkauf", CountsAs.PENDING), 1, NOW) == NOW
        assert find_conversion(tx, _id(0)) == _conversion(0, status=Status("sale", "Verkauf", CountsAs.CONFIRMED))


def test_a_status_can_be_added_and_removed_while_no_conversion_needs_it(ledger: Ledger) -> None:
    with ledger.write() as tx:
        insert_status(tx, VIP)
        insert_words(tx, "vip", ["  VIP-Sale ", "vip-sale", "", "big"])
        assert status_rows(tx)[-1] == StatusWords(VIP, ("big", "vip-sale"), 1)
        delete_words_of(tx, "vip")
        assert not is_status_used(tx, "vip")
        assert [delete_status(tx, "vip", version) for version in (2, 1, 1)] == [False, True, False]
        with pytest.raises(StaleRecordError):
            update_status(tx, VIP, 1, NOW)


def test_a_status_with_conversions_is_in_use(ledger: Ledger) -> None:
    with ledger.write() as tx:
        insert_conversions(tx, [_conversion(0)])
        assert is_status_used(tx, "sale")


def test_a_word_can_be_moved_to_another_status(ledger: Ledger) -> None:
    with ledger.write() as tx:
        (owner,) = [row.status.key for row in status_rows(tx) if "lead" in row.words]
        delete_words_of(tx, owner)
        insert_words(tx, "sale", ["lead"])
        assert status_table(tx).of_word("Lead") == SALE


def plans(ledger: Ledger, query: Callable[[Connection], object]) -> str:
    """Return the query plans of the statements that ``query`` executes, one step per line."""
    statements: list[tuple[str, Any]] = []

    def note(_c: object, _cursor: object, statement: str, values: Any, _x: object, _many: bool) -> None:
        statements.append((statement, values))

    with ledger.read() as tx:
        event.listen(ledger.engine, "before_cursor_execute", note)
        query(tx)
        event.remove(ledger.engine, "before_cursor_execute", note)
        found = [tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).all() for text, values in statements]
    return "\n".join(str(row[-1]) for plan in found for row in plan)


def test_queries_by_click_use_the_indexes_of_first_conversions_and_waiting_notices(ledger: Ledger) -> None:
    ids = ["c" * 26]
    assert "ix_conversions_first_of_click (click_id=?)" in plans(ledger, lambda tx: clicks_of_conversions(tx, ids))
    assert "ix_conversions_first_of_click (click_id=?)" in plans(ledger, lambda tx: clicks_with_conversions(tx, ids))
    assert "ix_notices_waiting_click (click_id=?)" in plans(ledger, lambda tx: waiting_notices_of_clicks(tx, ids))
