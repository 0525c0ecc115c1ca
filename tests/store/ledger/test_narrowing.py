"""The stores accept every field of every log's filter."""

import enum
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection

from clickloop.click.click_log import ClickFilter
from clickloop.conversion.conversion_log import ConversionFilter
from clickloop.conversion.notice_log import NoticeFilter
from clickloop.log_filter import LogFilter, fields_of, type_of
from clickloop.postback.postback_log import PostbackFilter
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.conversions import conversions_before
from clickloop.store.ledger.logs.notices import count_notices
from clickloop.store.ledger.logs.postbacks import postbacks_before
from clickloop.store.ledger.queue.resends import StateScope, count_matching, count_superseded

F = TypeVar("F", bound=LogFilter)


_VALUES: dict[type, Sequence[Any]] = {int: [0, 7], bool: [True, False], str: ["", "x"]}


def each(kind: type[F]) -> list[F]:
    """Return filters with one field each, with every value of a closed list."""
    found = [kind(since="2026-03-01"), kind(until="2026-03-01")]
    for field in fields_of(kind)[:-2]:
        value_type = type_of(field)
        values: Sequence[Any] = list(value_type) if issubclass(value_type, enum.Enum) else _VALUES[value_type]
        found += [kind(**{field.name: value}) for value in values]
    return found


@pytest.fixture(scope="module")
def tx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    ledger = Ledger.open(tmp_path_factory.mktemp("ledger") / "ledger.sqlite")
    with ledger.read() as tx:
        yield tx
    ledger.close()


@pytest.mark.parametrize("wanted", each(NoticeFilter), ids=repr)
def test_a_filter_of_notices(tx: Connection, wanted: NoticeFilter) -> None:
    assert count_notices(tx, wanted) == 0


@pytest.mark.parametrize("wanted", each(ConversionFilter), ids=repr)
def test_a_filter_of_conversions(tx: Connection, wanted: ConversionFilter) -> None:
    assert conversions_before(tx, wanted, None, 10) == []


@pytest.mark.parametrize("wanted", each(PostbackFilter), ids=repr)
def test_a_filter_of_postbacks(tx: Connection, wanted: PostbackFilter) -> None:
    assert postbacks_before(tx, wanted, None, 10) == []
    assert [count_matching(tx, wanted, pool) for pool in StateScope] == [{}, {}]
    assert count_superseded(tx, wanted) == 0


def test_a_filter_of_clicks(tmp_path: Path) -> None:
    facts = DuckDbFacts.open(tmp_path / "facts.duckdb")
    assert [facts.clicks_page(wanted, 10) for wanted in each(ClickFilter)] == [[]] * len(each(ClickFilter))
    facts.close()
