"""The requests and messages of ``clickloop resend``, ``cancel`` and ``rerun``."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clickloop.machine.core_client import CoreAddress, write_core_address
from tests.cli.test_cli import Core, run

JOB = {"resend_id": "j1", "matched": 4, "matched_by_state": {}, "done": 4, "made": 3, "left_out": {}, "finished": True}


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    made = Core()
    write_core_address(tmp_path, CoreAddress(made.url, "clk_local"))
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_one_postback_is_resent(tmp_path: Path, core: Core) -> None:
    core.answer = {"postback_id": "b", "original_id": "a", "receiver": "r.example:443"}
    status, out, _ = run(tmp_path, "resend", "b/x", "--anew")
    assert (status, out) == (0, "Resending a to r.example:443 as b.\n")
    assert core.requests[0][:2] == ("POST", "/api/v1/postbacks/b%2Fx/resend")
    assert core.requests[0][3] == {"request": "anew"}


OPTIONS: list[tuple[tuple[str, str], tuple[str, Any]]] = [
    (("--state", "failed"), ("state", "failed")),
    (("--reason", "rule_off"), ("reason", "rule_off")),
    (("--status", "sale"), ("status", "sale")),
    (("--source", "3"), ("source_id", 3)),
    (("--campaign", "4"), ("campaign_id", 4)),
    (("--rule", "5"), ("rule_id", 5)),
    (("--since", "2026-03-01"), ("since", "2026-03-01")),
    (("--until", "2026-03-02"), ("until", "2026-03-02")),
]


@pytest.mark.parametrize(("option", "field"), OPTIONS)
def test_each_option_filters_a_resend(
    tmp_path: Path, core: Core, option: tuple[str, str], field: tuple[str, Any]
) -> None:
    core.answer = JOB | {"left_out": {"nothing_was_sent": 1}}
    status, out, _ = run(tmp_path, "resend", *option)
    assert status == 0
    assert out == "4 of 4 processed, 3 resent.\n1 left out: nothing_was_sent.\n"
    assert core.requests[0][3] == {"request": "as_it_was", "preview": False, field[0]: field[1]}


def test_a_preview_counts(tmp_path: Path, core: Core) -> None:
    core.answer = JOB | {"resend_id": None, "matched_by_state": {"failed": 3, "delivered": 1}, "finished": False}
    assert run(tmp_path, "resend", "--rule", "1", "--preview")[1] == "4 postbacks match: 1 delivered, 3 failed.\n"
    assert core.requests[0][3]["preview"]


def test_a_refused_resend_prints_the_reason(tmp_path: Path, core: Core) -> None:
    core.status = 409
    core.answer = {"detail": "It is still waiting."}
    assert run(tmp_path, "resend", "abc") == (1, "", "It is still waiting.\n")


def test_a_key_keeps_a_command_from_sending_twice(tmp_path: Path, core: Core) -> None:
    core.answer = JOB
    assert run(tmp_path, "resend", "--state", "failed", "--key", "monday")[0] == 0
    assert core.headers["idempotency-key"] == "monday"
    assert run(tmp_path, "resend", "--state", "failed")[0] == 0
    assert "idempotency-key" not in core.headers


def test_a_resend_prints_the_apis_response_with_json(tmp_path: Path, core: Core) -> None:
    core.answer = JOB
    status, out, _ = run(tmp_path, "resend", "--click", "01abc", "--json")
    assert (status, json.loads(out)) == (0, JOB)
    assert core.requests[0][3] == {"request": "as_it_was", "preview": False, "click_id": "01abc"}
    core.answer = {"postback_id": "b"}
    assert json.loads(run(tmp_path, "resend", "b", "--json")[1]) == {"postback_id": "b"}


def test_no_match_is_reported_once(tmp_path: Path, core: Core) -> None:
    core.answer = JOB | {"matched": 0, "done": 0, "made": 0}
    assert run(tmp_path, "resend", "--rule", "9")[1] == "No postbacks match. Nothing was resent.\n"


def test_a_postback_and_a_filter_exclude_each_other(tmp_path: Path, core: Core) -> None:
    assert run(tmp_path, "resend", "abc", "--rule", "9")[0] == 1
    assert core.requests == []


def test_one_notice_is_reprocessed(tmp_path: Path, core: Core) -> None:
    core.answer = {"notice_id": "n", "outcome": "refused", "reason": "expired_click"}
    assert run(tmp_path, "rerun", "n")[1] == "n: refused, expired_click.\n"


def test_many_notices_are_reprocessed_by_filter(tmp_path: Path, core: Core) -> None:
    core.answer = {"rerun_id": "j", "matched": 2, "done": 2, "made": 1, "owed": 0, "finished": True}
    out = run(tmp_path, "rerun", "--status-word", "Wow", "--network", "2", "--outcome", "new")[1]
    assert out == "2 of 2 reprocessed, 1 with a different result.\n"
    assert core.requests[0][3] == {"status_word": "Wow", "network_id": 2, "outcome": "new", "preview": False}


def test_a_preview_of_a_rerun_shows_each_change(tmp_path: Path, core: Core) -> None:
    standing = {"status": {"name": "Other"}, "payout": {"amount": "5", "currency": "USD"}}
    after = standing | {"status": {"name": "Sale"}}
    changes = [
        {"notice_id": "n", "before": standing, "after": after},
        {"notice_id": "m", "before": None, "after": after},
    ]
    counts = {"rerun_id": None, "matched": 2, "done": 2, "made": 2, "owed": 1, "finished": False}
    core.answer = counts | {"conversions": changes}
    assert run(tmp_path, "rerun", "--reason", "expired_click", "--preview")[1].splitlines() == [
        "2 incoming postbacks match. 2 tried, 2 with a different result.",
        "n: Other, 5 USD -> Sale, 5 USD",
        "m: none -> Sale, 5 USD",
        "1 postback would be created.",
    ]


CANCELLED = {"cancel_id": "j2", "matched": 4, "done": 4, "made": 3, "finished": True}


def test_one_postback_is_forced_past_a_newer_change(tmp_path: Path, core: Core) -> None:
    core.answer = {"postback_id": "b", "original_id": "a", "receiver": "r.example:443"}
    assert run(tmp_path, "resend", "b", "--force")[0] == 0
    assert core.requests[0][3] == {"request": "as_it_was", "force": True}
    assert run(tmp_path, "resend", "--state", "failed", "--force")[0] == 1


def test_one_postback_is_cancelled(tmp_path: Path, core: Core) -> None:
    core.answer = {"postback_id": "b", "state": "cancelled"}
    assert run(tmp_path, "cancel", "b/x")[:2] == (0, "Postback b is cancelled.\n")
    assert core.requests[0][:2] == ("POST", "/api/v1/postbacks/b%2Fx/cancel")


def test_many_postbacks_are_cancelled_by_filter(tmp_path: Path, core: Core) -> None:
    core.answer = CANCELLED
    status, out, _ = run(tmp_path, "cancel", "--rule", "5", "--state", "paused")
    assert (status, out) == (0, "4 of 4 processed, 3 cancelled.\n")
    assert core.requests[0][1] == "/api/v1/postbacks/cancel"
    assert core.requests[0][3] == {"rule_id": 5, "state": "paused", "preview": False}


def test_a_preview_of_a_cancel_counts(tmp_path: Path, core: Core) -> None:
    core.answer = CANCELLED | {"cancel_id": None, "finished": False}
    assert run(tmp_path, "cancel", "--source", "1", "--preview")[1] == "4 waiting postbacks match.\n"


def test_a_cancel_without_matches_and_a_stopped_one_are_reported(tmp_path: Path, core: Core) -> None:
    core.answer = CANCELLED | {"matched": 0, "done": 0, "made": 0}
    assert run(tmp_path, "cancel", "--rule", "9")[1] == "No waiting postbacks match. Nothing was cancelled.\n"
    core.answer = CANCELLED | {"stopped": True}
    assert run(tmp_path, "cancel", "--rule", "9")[1].endswith("Stopped. The rest is unchanged.\n")
    assert run(tmp_path, "cancel", "b", "--rule", "9")[0] == 1
