"""Backtests over the API: started, worked off in steps, stopped, and what they say."""

from typing import TYPE_CHECKING, Any

import pytest

from clickloop.diagnosis.backtest.working import BacktestWorker, delete_old_backtests
from clickloop.people.user import Role
from clickloop.store.facts.facts import FactsError
from clickloop.web.api.diagnosis.check import route_settings

if TYPE_CHECKING:
    from tests.web.conftest import Instance

DAY = 86_400_000
TO_SECOND = {"rules": [{"name": "US", "conditions": [{"field": "country", "values": ["US"]}], "paths": [{"offers": [{"offer_id": 2}]}]}],
    "default_paths": [{"offers": [{"offer_id": 1}]}]}  # fmt: skip


@pytest.fixture
def visited(instance: "Instance") -> "Instance":
    """A tracker with six clicks: three from the US in the last week, one that converted, one older, one of a bot."""
    instance.set_up()
    instance.made("offers", {"name": "Second", "network_id": 1, "url": "https://network.example/2?sub1={clickid}"})
    own = instance.got("campaigns/1")
    path = own["flow"]["default_paths"][0]["id"]
    usual: dict[str, Any] = {"path_id": path, "flow_id": 1, "draw": 5, "cost_micros": 10_000, "cost_currency": "USD"}
    for country in ("US", "US", "DE"):
        instance.visit(country=country, **usual)
    instance.visit(country="US", at=instance.now - 8 * DAY, **usual)
    instance.visit(country="US", screening="crawler", **usual)
    return instance


def worker(instance: "Instance") -> BacktestWorker:
    context = instance.context
    return BacktestWorker(context.ledger, context.facts, lambda: route_settings(context), lambda: instance.now)


def started(instance: "Instance", body: dict[str, Any]) -> str:
    answer = instance.api.post("/api/v1/backtests", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"].endswith(answer.json()["backtest_id"])
    return str(answer.json()["backtest_id"])


def worked_off(instance: "Instance", body: dict[str, Any]) -> Any:
    backtest_id = started(instance, body)
    work = worker(instance)
    while work.step():
        pass
    return instance.got(f"backtests/{backtest_id}")


def test_a_changed_flow_says_who_would_go_elsewhere(visited: "Instance") -> None:
    done = worked_off(visited, {"campaign_id": 1, "flow": TO_SECOND})
    assert (done["state"], done["total"], done["done"], done["percent"]) == ("finished", 3, 3, 100)
    result = done["result"]
    assert (result["all"]["clicks"], result["moved"]["clicks"]) == (3, 2)
    assert result["moved"]["money"] == [{"currency": "USD", "cost": "0.02", "revenue": "0", "pending": "0"}]
    assert [(move["level"], move["from_name"], move["to_name"], move["clicks"]) for move in result["moves"]] == [
        ("rule", "", "US", 2),
        ("path", "Default path", "US, path 1 (new)", 2),
        ("path", "Default path", "Default path (new)", 1),
        ("offer", "Offer", "Second", 2),
    ]


def test_days_reach_further_back(visited: "Instance") -> None:
    assert worked_off(visited, {"campaign_id": 1, "flow": TO_SECOND, "days": 9})["result"]["all"]["clicks"] == 4


def test_the_saved_flow_moves_nobody(visited: "Instance") -> None:
    result = worked_off(visited, {"campaign_id": 1})["result"]
    assert (result["moved"]["clicks"], result["moves"]) == (0, [])


def test_a_faulty_flow_too_many_days_and_no_campaign_are_refused(visited: "Instance") -> None:
    faulty = {"campaign_id": 1, "flow": {"default_paths": [{"weight": -1}]}}
    assert visited.faults(visited.api.post("/api/v1/backtests", json=faulty)) == {
        "flow.default_paths[0].weight": "out_of_range"
    }
    assert list(visited.faults(visited.api.post("/api/v1/backtests", json={"campaign_id": 1, "days": 91}))) == ["days"]
    assert visited.api.post("/api/v1/backtests", json={"campaign_id": 9}).status_code == 404
    assert visited.api.get("/api/v1/backtests/nothing").status_code == 404


def test_a_sixth_unfinished_backtest_of_one_user_is_refused(visited: "Instance") -> None:
    for _ in range(5):
        started(visited, {"campaign_id": 1})
    answer = visited.api.post("/api/v1/backtests", json={"campaign_id": 1})
    assert (answer.status_code, "unfinished" in answer.json()["detail"]) == (409, True)
    assert len(visited.got("backtests?campaign_id=1")["items"]) == 5
    assert visited.got("backtests?campaign_id=2")["items"] == []


def test_a_stopped_backtest_stays_where_it_was_and_the_next_one_is_worked_off(visited: "Instance") -> None:
    first, second = started(visited, {"campaign_id": 1}), started(visited, {"campaign_id": 1})
    work = worker(visited)
    assert work.step(seconds=0)
    assert visited.got(f"backtests/{first}")["state"] == "running"
    assert visited.api.post(f"/api/v1/backtests/{first}/stop").json()["state"] == "stopped"
    while work.step():
        pass
    stopped, finished = visited.got(f"backtests/{first}"), visited.got(f"backtests/{second}")
    assert (stopped["state"], stopped["result"]) == ("stopped", None)
    assert finished["state"] == "finished"
    assert visited.api.post(f"/api/v1/backtests/{second}/stop").json()["state"] == "finished"


def test_a_restart_or_a_lost_store_begins_it_anew(visited: "Instance") -> None:
    backtest_id = started(visited, {"campaign_id": 1, "flow": TO_SECOND})
    worker(visited).step(seconds=0)
    work = worker(visited)
    work.step(seconds=0)

    class Away:
        """Facts that cannot be read."""

        def count_clicks(self, campaign_id: int, since: int, until: int) -> int:
            raise FactsError("the disk is gone")

    lost = BacktestWorker(visited.context.ledger, Away(), lambda: route_settings(visited.context), lambda: visited.now)  # type: ignore[arg-type]
    with pytest.raises(FactsError):
        lost.step()
    while work.step():
        pass
    assert visited.got(f"backtests/{backtest_id}")["result"]["all"]["clicks"] == 3


def test_an_ended_backtest_is_deleted_after_thirty_days(visited: "Instance") -> None:
    done = worked_off(visited, {"campaign_id": 1})
    delete_old_backtests(visited.context.ledger, visited.now + 29 * DAY)
    assert visited.got(f"backtests/{done['backtest_id']}")["state"] == "finished"
    delete_old_backtests(visited.context.ledger, visited.now + 31 * DAY)
    assert visited.got("backtests")["items"] == []


def test_whoever_may_look_may_try(visited: "Instance") -> None:
    answer = visited.api.post("/api/v1/backtests", json={"campaign_id": 1}, headers=visited.token_of(Role.VIEWER))
    assert answer.status_code == 202
