"""Names that reports show: of records of every kind, also of what is archived or was removed from its flow."""

from pathlib import Path

import pytest
from sqlalchemy import insert

from clickloop.report.query import Dimension
from clickloop.store.ledger.schema.tables import campaigns, flow_parts, flows, landings, traffic_sources
from clickloop.store.ledger.setup.report_names import newest_record_names, record_names
from tests.empty_stores import open_ledger

TIMES = {"created_at": 0, "updated_at": 0}
PARTS: dict[str, list[object]] = {"rules": [], "default_paths": []}


def test_flows_rules_paths_and_landings_have_names(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    with ledger.write() as tx:
        tx.execute(insert(traffic_sources).values(id=1, name="S", cost_model="link", **TIMES))
        tx.execute(
            insert(campaigns).values(
                id=1, key="aB3xY9", name="Sweeps", source_id=1, active=True, source_rules_off=False, **TIMES
            )
        )
        tx.execute(
            insert(landings).values(
                id=3, name="Quiz", url="https://l.example/", buttons=1, append_click_id=True, archived_at=1, **TIMES
            )
        )
        tx.execute(insert(flows).values(id=1, campaign_id=1, parts=PARTS, **TIMES))
        tx.execute(insert(flows).values(id=2, name="Shared", parts=PARTS, **TIMES))
        tx.execute(insert(flow_parts).values(id=1, flow_id=1, kind="rule", name="Germany"))
        tx.execute(insert(flow_parts).values(id=2, flow_id=1, kind="path", name="Removed", archived_at=1))
    with ledger.read() as tx:
        assert record_names(tx, Dimension.FLOW, [1, 2, 9]) == {1: "Sweeps", 2: "Shared"}
        assert record_names(tx, Dimension.RULE, [1, 2]) == {1: "Germany"}
        assert record_names(tx, Dimension.PATH, [1, 2]) == {2: "Removed"}
        assert record_names(tx, Dimension.LANDING, [0, 3]) == {3: "Quiz"}
        assert newest_record_names(tx, Dimension.FLOW, 10) == {2: "Shared", 1: "Sweeps"}
        assert record_names(tx, Dimension.LANDING, [0]) == {}
    ledger.close()


@pytest.mark.parametrize("dimension", [dimension for dimension in Dimension if dimension.is_number])
def test_every_dimension_of_numbers_can_be_named(tmp_path: Path, dimension: Dimension) -> None:
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    with ledger.read() as tx:
        assert record_names(tx, dimension, [1]) == newest_record_names(tx, dimension, 1) == {}
    ledger.close()
