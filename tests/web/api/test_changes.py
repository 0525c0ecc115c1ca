"""Every endpoint that changes something adds an audit entry with the state before and after."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from clickloop.people.browser import Browser
from clickloop.people.user import Role
from clickloop.postback.delivery.breaker import Pause
from clickloop.postback.delivery.receiver_queue import ReceiverCondition
from clickloop.saving.access import SignedIn, sign_in
from clickloop.store.ledger.queue.receivers import save_condition
from clickloop.store.ledger.schema.tables import postback_rules
from clickloop.tracking.jobs.upload_work import UploadWorker
from clickloop.web.api.rights import READING
from tests.web.api.ending import converted, ended
from tests.web.api.test_mark_reruns import order, work_off
from tests.web.api.test_rights import WITHOUT_EFFECT, doors
from tests.web.conftest import PASSWORD

if TYPE_CHECKING:
    from clickloop.people.browser import Browser
from tests.web.conftest import Instance

Case = Callable[["Instance"], tuple[str, Any]]
"""Prepares an instance for an endpoint; returns the endpoint's path and body."""

LEAVES_NONE = {
    ("POST", "/api/v1/test-clicks"),  # a link is made and nothing stored
    ("POST", "/api/v1/alarms/test"),  # a message is sent
    ("POST", "/api/v1/health/facts"),  # reads
    ("POST", "/api/v1/marks/reruns"),  # previews
    ("POST", "/api/v1/costs/preview"),  # reads
    ("POST", "/api/v1/settling-pauses"),  # a backup's lease, which ends by itself
    ("PUT", "/api/v1/settling-pauses/{pause_id}"),
    ("DELETE", "/api/v1/settling-pauses/{pause_id}"),
}
"""Endpoints that do not change the set-up."""
ONLY_IN_TROUBLE = {
    ("POST", "/api/v1/delivery/release"),
    ("POST", "/api/v1/health/clock"),
    ("POST", "/api/v1/health/damages/confirm"),
}
"""Endpoints that add an entry if there is something to release or confirm, tested with the health page and the delivery hold."""


def plain(path: str, body: Any = None) -> Case:
    return lambda _instance: (path, body)


def archived(path: str) -> Case:
    def case(instance: "Instance") -> tuple[str, Any]:
        noun, number = path.split("/")[0], path.split("/")[1]
        if noun != "campaigns":
            instance.api.delete("/api/v1/campaigns/1")
        if noun == "networks":
            instance.api.delete("/api/v1/offers/1")
        assert instance.api.delete(f"/api/v1/{noun}/{number}").status_code == 200
        return path, None

    return case


def unused(noun: str) -> Case:
    def case(instance: "Instance") -> tuple[str, Any]:
        if noun != "campaigns":
            instance.api.delete("/api/v1/campaigns/1")
        if noun == "networks":
            instance.api.delete("/api/v1/offers/1")
        return f"{noun}/1", None

    return case


def paused_rule(instance: "Instance") -> tuple[str, Any]:
    with instance.ledger.write() as tx:
        tx.execute(update(postback_rules).values(paused_at=instance.now))
    return "postback-rules/1/resume", None


def by_hand(instance: "Instance") -> tuple[str, Any]:
    return "conversions", {"click_id": instance.visit(), "payout": "3", "by_hand": True}


def a_conversion(instance: "Instance") -> str:
    return str(converted(instance)["conversion_id"])


def corrected(instance: "Instance") -> tuple[str, Any]:
    return f"conversions/{a_conversion(instance)}", {"payout": "99"}


def a_notice(instance: "Instance") -> tuple[str, Any]:
    a_conversion(instance)
    return f"notices/{instance.got('notices')['items'][0]['notice_id']}/rerun", None


def upload(instance: "Instance", query: str = "") -> str:
    content = f"clickid,payout\n{instance.visit()},5\n"
    answer = instance.api.post(
        f"/api/v1/conversions/uploads{query}", content=content.encode(), headers={"content-type": "text/csv"}
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["upload_id"])


def an_upload(instance: "Instance") -> tuple[str, Any]:
    upload(instance)
    return "", None


def a_preview(instance: "Instance") -> tuple[str, Any]:
    preview = upload(instance, "?preview=1")
    work = UploadWorker(instance.context.intake(), instance.context.uploads, lambda: instance.now)
    while work.step().more:
        pass
    return f"conversions/uploads/{preview}/register", None


def waiting_upload(instance: "Instance") -> tuple[str, Any]:
    return f"conversions/uploads/{upload(instance)}/cancel", None


def waiting_export(instance: "Instance") -> tuple[str, Any]:
    export = instance.api.post("/api/v1/exports", json={"noun": "clicks"}).json()
    return f"exports/{export['export_id']}/stop", None


def ended_postback(instance: "Instance") -> tuple[str, Any]:
    return f"postbacks/{ended(instance, converted(instance))}/resend", {"request": "as_it_was"}


def ended_postbacks(instance: "Instance") -> tuple[str, Any]:
    ended(instance, converted(instance))
    return "postbacks/resend", {"state": "failed"}


def waiting_postback(instance: "Instance") -> tuple[str, Any]:
    return f"postbacks/{converted(instance)['postback_id']}/cancel", None


def waiting_postbacks(instance: "Instance") -> tuple[str, Any]:
    converted(instance)
    return "postbacks/cancel", {"source_id": 1}


def running_resend(instance: "Instance") -> tuple[str, Any]:
    path, body = ended_postbacks(instance)
    job = instance.api.post(f"/api/v1/{path}", json=body).json()
    return f"postbacks/resends/{job['resend_id']}/stop", None


def running_cancel(instance: "Instance") -> tuple[str, Any]:
    path, body = waiting_postbacks(instance)
    job = instance.api.post(f"/api/v1/{path}", json=body).json()
    return f"postbacks/cancels/{job['cancel_id']}/stop", None


def running_rerun(instance: "Instance") -> tuple[str, Any]:
    job = instance.api.post("/api/v1/notices/rerun", json={"outcome": "refused"}).json()
    return f"notices/reruns/{job['rerun_id']}/stop", None


def previewed_marks(instance: "Instance") -> tuple[str, Any]:
    instance.visit(ip="192.0.2.1")
    job = instance.api.post("/api/v1/marks/reruns", json=order()).json()
    work_off(instance)
    return f"marks/reruns/{job['rerun_id']}/apply", None


def applying_marks(instance: "Instance") -> tuple[str, Any]:
    path, _ = previewed_marks(instance)
    assert instance.api.post(f"/api/v1/{path}").status_code == 202
    return path.replace("/apply", "/stop"), None


def applied_marks(instance: "Instance") -> tuple[str, Any]:
    path, _ = applying_marks(instance)
    work_off(instance)
    return path.replace("/stop", "/undo"), None


def paused_receiver(path: str) -> Case:
    def case(instance: "Instance") -> tuple[str, Any]:
        pause = Pause(opened_at=instance.now, probe_at=instance.now + 30_000, probes=1, why="9 of 10 failed.")
        with instance.ledger.write() as tx:
            save_condition(tx, "source.example:443", ReceiverCondition(pause=pause))
        return path, None

    return case


def a_user(path: str, body: Any = None) -> Case:
    def case(instance: "Instance") -> tuple[str, Any]:
        ben = instance.user(Role.WORKER, "ben")
        return path.format(ben.id), body

    return case


def own(path: str, body: Any = None) -> Case:
    def case(instance: "Instance") -> tuple[str, Any]:
        ben = instance.user(Role.OWNER, "ben")
        assert isinstance(sign_in(instance.context.access, "ben", PASSWORD, Browser(address="192.0.2.1")), SignedIn)
        instance.api.headers.update(instance.token_of(Role.OWNER, ben.id))
        sessions = instance.got("profile/sessions")["items"]
        return path.format(session=sessions[0]["id"]), body

    return case


COST = {"campaign_id": 1, "from": "2026-03-01", "amount": {"amount": "3"}}


def entered_cost(instance: "Instance") -> tuple[str, Any]:
    instance.api.post("/api/v1/costs", json=COST)
    return "costs/1/undo", None


def uploaded_costs(instance: "Instance") -> tuple[str, Any]:
    table = b"date,campaign,cost\n2026-03-01,1,3\n"
    answer = instance.api.post("/api/v1/costs/uploads", content=table, headers={"content-type": "text/csv"})
    assert answer.status_code == 202, answer.text
    return "", None


def undone_costs(instance: "Instance") -> tuple[str, Any]:
    uploaded_costs(instance)
    return f"costs/uploads/{instance.got('costs')['items'][0]['upload_id']}/undo", None


def kept_rate(instance: "Instance") -> tuple[str, Any]:
    instance.api.post("/api/v1/rates", json=RATES)
    return "rates/EUR/2026-03-01", None


RATES = {"rates": [{"currency": "EUR", "day": "2026-03-01", "rate": "1.08"}]}
URL = "https://network.example/?sub1={clickid}"
ROUTING: dict[str, dict[str, Any]] = {
    "landings": {"name": "x", "url": "https://landing.example/"},
    "lists": {"name": "x", "entries": ["a"]},
    "flows": {"name": "x"},
    "views": {"name": "x"},
}


def of_routing(noun: str, path: str = "", body: Any = None, *, is_archived: bool = False) -> Case:
    """Make a record of a kind that the usual set-up has none of, archived if asked for, and request a path under it."""

    def case(instance: "Instance") -> tuple[str, Any]:
        number = instance.made(noun, ROUTING[noun])["id"]
        if is_archived:
            instance.api.delete(f"/api/v1/{noun}/{number}")
        return f"{noun}/{number}{path}", body

    return case


def of_black_list(path: str) -> Case:
    """Add a value to a black list, and request a path under it."""

    def case(instance: "Instance") -> tuple[str, Any]:
        body = {"name": "x", "kind": "black", "source_id": 1, "dimension": "country"}
        number = instance.made("lists", body)["id"]
        assert instance.api.post(f"/api/v1/lists/{number}/entries", json={"values": ["DE"]}).status_code == 200
        return f"lists/{number}{path}", {"values": ["FR" if path == "/entries" else "DE"]}

    return case


CASES: dict[tuple[str, str], tuple[Case, str, str]] = {
    ("POST", "/api/v1/lists/{number}/entries"): (of_black_list("/entries"), "changed", "lists"),
    ("POST", "/api/v1/lists/{number}/entries/remove"): (of_black_list("/entries/remove"), "changed", "lists"),
    **{
        ("POST", f"/api/v1/{noun}/{{number}}/clone"): (of_routing(noun, "/clone", {}), "created", noun)
        for noun in ("landings", "flows")
    },
    **dict(
        case
        for noun in ROUTING
        for case in (
            (("POST", f"/api/v1/{noun}"), (plain(noun, ROUTING[noun]), "created", noun)),
            (("PATCH", f"/api/v1/{noun}/{{number}}"), (of_routing(noun, body={"name": "y"}), "changed", noun)),
            (("DELETE", f"/api/v1/{noun}/{{number}}"), (of_routing(noun), "archived", noun)),
            (
                ("POST", f"/api/v1/{noun}/{{number}}/restore"),
                (of_routing(noun, "/restore", is_archived=True), "restored", noun),
            ),
        )
    ),
    ("POST", "/api/v1/landings/{number}/clone"): (of_routing("landings", "/clone", {}), "created", "landings"),
    ("POST", "/api/v1/flows/{number}/clone"): (of_routing("flows", "/clone", {}), "created", "flows"),
    ("POST", "/api/v1/traffic-sources"): (plain("traffic-sources", {"name": "x"}), "created", "traffic-sources"),
    ("PATCH", "/api/v1/traffic-sources/{number}"): (
        plain("traffic-sources/1", {"name": "x"}),
        "changed",
        "traffic-sources",
    ),
    ("DELETE", "/api/v1/traffic-sources/{number}"): (unused("traffic-sources"), "archived", "traffic-sources"),
    ("POST", "/api/v1/traffic-sources/{number}/restore"): (
        archived("traffic-sources/1/restore"),
        "restored",
        "traffic-sources",
    ),
    ("POST", "/api/v1/networks"): (plain("networks", {"name": "x"}), "created", "networks"),
    ("PATCH", "/api/v1/networks/{number}"): (plain("networks/1", {"name": "x"}), "changed", "networks"),
    ("DELETE", "/api/v1/networks/{number}"): (unused("networks"), "archived", "networks"),
    ("POST", "/api/v1/networks/{number}/restore"): (archived("networks/1/restore"), "restored", "networks"),
    ("POST", "/api/v1/offers"): (plain("offers", {"name": "x", "url": URL}), "created", "offers"),
    ("PATCH", "/api/v1/offers/{number}"): (plain("offers/1", {"name": "x"}), "changed", "offers"),
    ("DELETE", "/api/v1/offers/{number}"): (unused("offers"), "archived", "offers"),
    ("POST", "/api/v1/offers/{number}/restore"): (archived("offers/1/restore"), "restored", "offers"),
    ("POST", "/api/v1/campaigns"): (plain("campaigns", {"name": "x", "source_id": 1}), "created", "campaigns"),
    ("PATCH", "/api/v1/campaigns/{number}"): (plain("campaigns/1", {"active": False}), "changed", "campaigns"),
    ("DELETE", "/api/v1/campaigns/{number}"): (unused("campaigns"), "archived", "campaigns"),
    ("POST", "/api/v1/campaigns/{number}/reset-uniqueness"): (
        plain("campaigns/1/reset-uniqueness"),
        "changed",
        "campaigns",
    ),
    ("POST", "/api/v1/campaigns/{number}/restore"): (archived("campaigns/1/restore"), "restored", "campaigns"),
    ("POST", "/api/v1/campaigns/{number}/clone"): (plain("campaigns/1/clone", {}), "created", "campaigns"),
    ("POST", "/api/v1/statuses"): (
        plain("statuses", {"key": "x", "name": "X", "counts_as": "pending"}),
        "created",
        "statuses",
    ),
    ("PATCH", "/api/v1/statuses/{key}"): (plain("statuses/hold", {"name": "x"}), "changed", "statuses"),
    ("DELETE", "/api/v1/statuses/{key}"): (plain("statuses/hold"), "removed", "statuses"),
    ("POST", "/api/v1/postback-rules"): (
        plain("postback-rules", {"name": "x", "request": {"url": "https://x.example/"}}),
        "created",
        "postback-rules",
    ),
    ("PATCH", "/api/v1/postback-rules/{number}"): (
        plain("postback-rules/1", {"active": False}),
        "changed",
        "postback-rules",
    ),
    ("DELETE", "/api/v1/postback-rules/{number}"): (plain("postback-rules/1"), "archived", "postback-rules"),
    ("POST", "/api/v1/postback-rules/{number}/restore"): (
        archived("postback-rules/1/restore"),
        "restored",
        "postback-rules",
    ),
    ("POST", "/api/v1/postback-rules/{number}/clone"): (plain("postback-rules/1/clone"), "created", "postback-rules"),
    ("POST", "/api/v1/postback-rules/{number}/resume"): (paused_rule, "resumed", "postback-rules"),
    ("POST", "/api/v1/conversions"): (by_hand, "converted", "conversions"),
    ("PATCH", "/api/v1/conversions/{conversion_id}"): (corrected, "converted", "conversions"),
    ("POST", "/api/v1/notices/{notice_id}/rerun"): (a_notice, "rerun", "notices"),
    ("POST", "/api/v1/notices/rerun"): (plain("notices/rerun", {"outcome": "refused"}), "rerun", "notices/reruns"),
    ("POST", "/api/v1/conversions/uploads"): (an_upload, "uploaded", "conversions/uploads"),
    ("POST", "/api/v1/conversions/uploads/{upload_id}/register"): (a_preview, "uploaded", "conversions/uploads"),
    ("POST", "/api/v1/conversions/uploads/{upload_id}/cancel"): (waiting_upload, "cancelled", "conversions/uploads"),
    ("POST", "/api/v1/exports"): (plain("exports", {"noun": "clicks"}), "exported", "exports"),
    ("POST", "/api/v1/exports/{export_id}/stop"): (waiting_export, "cancelled", "exports"),
    ("POST", "/api/v1/postbacks/{postback_id}/resend"): (ended_postback, "resent", "postbacks"),
    ("POST", "/api/v1/postbacks/resend"): (ended_postbacks, "resent", "postbacks/resends"),
    ("POST", "/api/v1/postbacks/{postback_id}/cancel"): (waiting_postback, "cancelled", "postbacks"),
    ("POST", "/api/v1/postbacks/cancel"): (waiting_postbacks, "cancelled", "postbacks/cancels"),
    ("POST", "/api/v1/notices/reruns/{rerun_id}/stop"): (running_rerun, "changed", "notices/reruns"),
    ("POST", "/api/v1/marks/reruns/{rerun_id}/apply"): (previewed_marks, "rerun", "marks/reruns"),
    ("POST", "/api/v1/marks/reruns/{rerun_id}/undo"): (applied_marks, "undone", "marks/reruns"),
    ("POST", "/api/v1/marks/reruns/{rerun_id}/stop"): (applying_marks, "changed", "marks/reruns"),
    ("POST", "/api/v1/postbacks/resends/{resend_id}/stop"): (running_resend, "changed", "postbacks/resends"),
    ("POST", "/api/v1/postbacks/cancels/{cancel_id}/stop"): (running_cancel, "changed", "postbacks/cancels"),
    ("POST", "/api/v1/receivers/{receiver}/probe"): (
        paused_receiver("receivers/source.example:443/probe"),
        "probed",
        "receivers",
    ),
    ("POST", "/api/v1/receivers/{receiver}/resume"): (
        paused_receiver("receivers/source.example:443/resume"),
        "resumed",
        "receivers",
    ),
    ("PATCH", "/api/v1/receivers/{receiver}"): (
        plain("receivers/source.example:443", {"per_minute": 60}),
        "changed",
        "receivers",
    ),
    ("POST", "/api/v1/users"): (plain("users", {"name": "x", "role": "viewer"}), "created", "users"),
    ("PATCH", "/api/v1/users/{number}"): (a_user("users/{}", {"role": "viewer"}), "changed", "users"),
    ("DELETE", "/api/v1/users/{number}"): (a_user("users/{}"), "disabled", "users"),
    ("POST", "/api/v1/users/{number}/link"): (a_user("users/{}/link"), "link_made", "users"),
    ("POST", "/api/v1/users/{number}/sign-out"): (a_user("users/{}/sign-out"), "signed_out", "users"),
    ("POST", "/api/v1/tokens"): (plain("tokens", {"name": "x"}), "created", "tokens"),
    ("DELETE", "/api/v1/tokens/{number}"): (
        lambda instance: (f"tokens/{instance.made('tokens', {'name': 'y'})['id']}", None),
        "revoked",
        "tokens",
    ),
    ("PATCH", "/api/v1/profile"): (own("profile", {"time_zone": "Asia/Tokyo"}), "changed", "users"),
    ("POST", "/api/v1/profile/password"): (
        own("profile/password", {"current": PASSWORD, "password": "another long password"}),
        "password_set",
        "users",
    ),
    ("DELETE", "/api/v1/profile/sessions"): (own("profile/sessions"), "signed_out", "users"),
    ("DELETE", "/api/v1/profile/sessions/{number}"): (own("profile/sessions/{session}"), "signed_out", "users"),
    ("PATCH", "/api/v1/settings"): (plain("settings", {"currency": "EUR"}), "changed", "settings"),
    ("POST", "/api/v1/rates"): (plain("rates", RATES), "created", "rates"),
    ("POST", "/api/v1/costs"): (plain("costs", COST), "created", "costs"),
    ("POST", "/api/v1/costs/{number}/undo"): (entered_cost, "undone", "costs"),
    ("POST", "/api/v1/costs/uploads"): (uploaded_costs, "uploaded", "costs/uploads"),
    ("POST", "/api/v1/costs/uploads/{upload_id}/undo"): (undone_costs, "undone", "costs/uploads"),
    ("DELETE", "/api/v1/rates/{currency}/{day}"): (kept_rate, "removed", "rates"),
}


def test_every_endpoint_that_changes_something_is_covered(instance: "Instance") -> None:
    changing = {(method, path) for method, path, _ in doors(instance) if method not in READING}
    assert changing - WITHOUT_EFFECT - LEAVES_NONE - ONLY_IN_TROUBLE == CASES.keys()


@pytest.mark.parametrize("endpoint", CASES, ids=" ".join)
def test_a_change_adds_an_audit_entry(instance: "Instance", endpoint: tuple[str, str]) -> None:
    instance.set_up()
    case, action, noun = CASES[endpoint]
    path, body = case(instance)
    if path:
        answer = instance.api.request(endpoint[0], f"/api/v1/{path}", json=body)
        assert answer.status_code < 300, answer.text
    line = instance.got("changes?limit=1")["items"][0]
    assert (line["action"], line["noun"]) == (action, noun)
    assert line["record_id"]


@pytest.mark.parametrize(
    "endpoint",
    [endpoint for endpoint, (_, action, _) in CASES.items() if action in ("changed", "archived", "restored")],
    ids=" ".join,
)
def test_an_audit_entry_has_the_record_before_and_after(instance: "Instance", endpoint: tuple[str, str]) -> None:
    instance.set_up()
    path, body = CASES[endpoint][0](instance)
    instance.now += 1000
    answer = instance.api.request(endpoint[0], f"/api/v1/{path}", json=body).json()
    line = instance.got("changes?limit=1")["items"][0]
    assert line["before"] is not None
    assert line["before"] != line["after"]
    if "id" in answer:
        told = {name: answer[name] for name in ("id", "name", "archived_at") if name in answer}
        assert line["after"].items() >= told.items()


def test_conversions_reported_by_programs_are_in_conversions_in_only(instance: "Instance") -> None:
    instance.set_up()
    before = instance.got("changes")
    instance.made("conversions", {"click_id": instance.visit(), "payout": "3"})
    assert instance.got("changes") == before
