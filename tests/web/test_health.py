"""What /health tells: alarms of the core, which do not make the edge unwell."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from clickloop.alarms import Alarms
from clickloop.web.edge_process import HealthReader


def test_alarms_of_the_core_are_shown_while_clicks_can_be_taken(tmp_path: Path) -> None:
    Alarms(tmp_path).tell("audit", ["self-audit: something does not add up"])
    edge: Any = SimpleNamespace(routes={}, unrecorded=0, clock=lambda: 0)
    health = HealthReader(tmp_path)(edge)
    assert health.status == "ok"
    assert "self-audit: something does not add up" in health.alarms
