"""The pages about people and the instance: profile, users, tokens, log of changes, settings, statuses."""

import re
from typing import TYPE_CHECKING

import pytest

from clickloop.people.user import Role
from clickloop.tracking.jobs.bulk_work import run_next_batch
from clickloop.web.panel.setup.record_difference import FieldDifference, differences
from tests.web.conftest import PASSWORD

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

PAGES = ("profile", "users", "users/new", "tokens", "changes", "settings", "statuses", "statuses/new", "statuses/sale")


@pytest.mark.parametrize("path", PAGES)
def test_each_page_opens(panel: "Panel", path: str) -> None:
    assert panel.page(f"/panel/{path}").heading


def test_the_time_zone_of_the_profile_is_that_of_every_page(panel: "Panel") -> None:
    assert panel.done("/panel/profile", {"time_zone": "Asia/Tokyo"}) == "/panel/profile?said=saved"
    assert "2026-03-01 21:00" in panel.page("/panel/profile").text
    assert panel.post("/panel/profile", {"time_zone": "Mars"}).status_code == 422


def test_the_password_is_changed_with_the_old_one(panel: "Panel", instance: "Instance") -> None:
    wrong = {"current": "wrong", "password": "another long password", "again": "another long password"}
    assert "not your current password" in panel.sent("/panel/profile/password", wrong, 422).errors["current"][0]
    differ = {**wrong, "again": "something else"}
    assert "do not match" in panel.sent("/panel/profile/password", differ, 422).errors["again"][0]
    assert panel.get("/panel/profile")


def test_a_new_user_gets_a_link_that_is_shown_once(panel: "Panel", instance: "Instance") -> None:
    page = panel.sent("/panel/users/new", {"name": "ben", "role": "worker", "time_zone": ""})
    assert re.search(r"https?://[^<\"]+/panel/welcome\?key=[\w-]+", page.text)
    number = instance.got("users")["items"][-1]["id"]
    assert "welcome?key" not in panel.page(f"/panel/users/{number}").html
    assert panel.done(f"/panel/users/{number}/disable") == f"/panel/users/{number}?said=disabled"
    assert "Enable" in panel.page(f"/panel/users/{number}").buttons
    assert panel.done(f"/panel/users/{number}/enable") == f"/panel/users/{number}?said=enabled"
    assert panel.post(f"/panel/users/{number}/link").status_code == 200
    assert panel.done(f"/panel/users/{number}", {"name": "benjamin", "role": "viewer"}).endswith("said=saved")


def test_the_last_owner_is_told_why_he_stays(panel: "Panel", instance: "Instance") -> None:
    assert "last active owner" in panel.sent("/panel/users/1/disable", status=422).text


def test_an_admin_sees_that_he_cannot_change_an_owner(panel: "Panel", instance: "Instance") -> None:
    panel.become(Role.ADMIN)
    assert "Only owners can change" in panel.get("/panel/users/1")
    assert panel.post("/panel/users/1", {"name": "x"}).status_code == 403


def test_the_secret_of_a_token_is_shown_once(panel: "Panel", instance: "Instance") -> None:
    page = panel.sent("/panel/tokens", {"name": "script", "role": "viewer"})
    secret = re.search(r"clk_[0-9a-f]{64}", page.text)
    assert secret is not None
    assert secret[0] not in panel.page("/panel/tokens").html
    headers = {"authorization": f"Bearer {secret[0]}"}
    assert instance.api.get("/api/v1/profile", headers=headers).json()["role"] == "viewer"
    number = instance.got("tokens")["items"][-1]["id"]
    assert panel.done(f"/panel/tokens/{number}/revoke") == "/panel/tokens?said=revoked"
    assert instance.api.get("/api/v1/profile", headers=headers).status_code == 401


def test_the_log_tells_each_change_as_a_difference(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/offers/1", json={"name": "<script>alert(1)</script>"})
    page = panel.page("/panel/changes?noun=offers&record_id=1")
    assert page.main.all("script") == []
    assert "name Offer <script>alert(1)</script>" in page.text
    assert "Nothing matches" in panel.page("/panel/changes?noun=settings").text
    assert panel.get("/panel/changes?noun=&record_id=&user_id=&action=")
    assert panel.get("/panel/changes?user_id=x&action=y&noun=z")


def test_a_difference_names_nested_fields_and_leaves_out_what_is_the_same() -> None:
    before = {"id": 1, "updated_at": "1", "rows": [{"a": 1}, {"a": 2}], "words": ["x", "y"], "on": True, "gone": "g"}
    after = {"id": 1, "updated_at": "2", "rows": [{"a": 1}, {"a": 3}], "words": ["x"], "on": False, "new": None}
    assert differences(before, after) == (
        FieldDifference("rows[row 2].a", "2", "3"),
        FieldDifference("words", "y", ""),
        FieldDifference("on", "yes", "no"),
        FieldDifference("gone", "g", ""),
    )
    assert differences(None, {"id": 1, "empty": ""}) == (FieldDifference("id", "", "1"),)


def test_rows_are_compared_by_what_they_are_of() -> None:
    zone = {"number": 1, "parameter": "zone", "placeholder": "{zone}", "tracked": True}
    site = {"number": 2, "parameter": "site", "placeholder": "{site}", "tracked": True}
    cost = {"number": 0, "parameter": "cost", "placeholder": "", "tracked": True}
    gone = FieldDifference("parameters[V1]", "parameter zone, placeholder {zone}, tracked yes", "")
    assert differences({"parameters": [cost, zone, site]}, {"parameters": [cost, site]}) == (gone,)
    changed = FieldDifference("parameters[cost].placeholder", "", "{bid}")
    assert differences({"parameters": [cost]}, {"parameters": [{**cost, "placeholder": "{bid}"}]}) == (changed,)
    one, other = {"offer_id": 1, "weight": 100}, {"offer_id": 2, "weight": 50}
    lighter = FieldDifference("offers[offer 2].weight", "50", "7")
    assert differences({"offers": [one, other]}, {"offers": [{**other, "weight": 7}, one]}) == (lighter,)


def test_rows_that_are_of_the_same_are_compared_by_their_place() -> None:
    twice = [{"name": "X-A", "value": "1"}, {"name": "X-A", "value": "2"}]
    other = [{"name": "X-A", "value": "1"}, {"name": "X-A", "value": "3"}]
    assert differences({"headers": twice}, {"headers": other}) == (FieldDifference("headers[row 2].value", "2", "3"),)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("offers/1", {"name": "Offer"}),
        ("networks/1", {"name": "Network"}),
        ("campaigns/1", {"name": "Campaign"}),
        ("traffic-sources/1", {"name": "Source"}),
        ("postback-rules/1", {"active": True}),
        ("statuses/sale", {"counts_as": "confirmed"}),
        ("settings", {}),
    ],
)
def test_a_save_that_changes_nothing_is_no_line_in_the_log(
    instance: "Instance", path: str, body: dict[str, str]
) -> None:
    instance.set_up()
    lines = len(instance.got("changes")["items"])
    instance.now += 1000
    assert instance.api.patch(f"/api/v1/{path}", json=body).status_code == 200
    assert len(instance.got("changes")["items"]) == lines


def test_a_secret_that_became_another_one_is_a_line_though_it_is_not_shown(instance: "Instance") -> None:
    rule = {"name": "R", "request": {"url": "https://a.example/?key=first", "secrets": ["first"]}}
    number = instance.made("postback-rules", rule)["id"]
    changed = {"request": {"url": "https://a.example/?key=second", "secrets": ["second"]}}
    assert instance.api.patch(f"/api/v1/postback-rules/{number}", json=changed).status_code == 200
    assert instance.got("changes")["items"][0]["action"] == "changed"


def settings_form(**changes: str) -> dict[str, str]:
    return {
        "public_url": "https://go.example.com",
        "domains": "",
        "currency": "USD",
        "fallback_url": "",
        "time_zone": "UTC",
        "click_keep_days": "0",
        "ip_storage": "full",
        **changes,
    }


def test_only_what_differs_is_saved_and_can_be_given_back(panel: "Panel", instance: "Instance") -> None:
    assert panel.done("/panel/settings", settings_form()) == "/panel/settings?said=saved"
    assert instance.got("settings")["saved"] == []
    panel.done("/panel/settings", settings_form(domains="a.example\nb.example", click_keep_days="90"))
    assert instance.got("settings")["saved"] == ["domains", "click_keep_days"]
    assert instance.got("settings")["domains"] == ["a.example", "b.example"]
    words = panel.words(panel.get("/panel/settings"))
    assert words.count("Reset") == 2
    panel.done("/panel/settings", {**settings_form(), "as_started": "domains"})
    assert instance.got("settings")["saved"] == ["click_keep_days"]


def test_a_setting_that_cannot_hold_is_told_beside_its_field(panel: "Panel", instance: "Instance") -> None:
    page = panel.sent("/panel/settings", settings_form(currency="XXQ", public_url="nowhere"), 422)
    assert page.errors.keys() == {"currency", "public_url"}
    assert instance.got("settings")["saved"] == []


def test_a_word_is_mapped_by_one_click_and_its_notices_run_again(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.made("conversions", {"click_id": instance.visit(), "payout": "3", "status": "Fancy <b>"})
    assert "fancy <b>" in panel.page("/panel/statuses").text.lower()
    word = instance.got("statuses")["unmapped_words"][0]["word"]
    place = panel.done("/panel/statuses/map", {"word": word, "key": "sale"})
    offered = panel.page(place).text
    assert "now means Sale" in offered
    assert "Reprocess earlier conversions" in offered
    place = panel.done("/panel/statuses/rerun", {"word": word})
    assert panel.page(place).refreshes
    while run_next_batch(instance.context.intake(), instance.now):
        pass
    assert "1 incoming postback was reprocessed" in panel.words(panel.get(place))
    assert instance.got("conversions")["items"][0]["status"]["key"] == "sale"


def test_a_status_is_made_changed_and_removed(panel: "Panel", instance: "Instance") -> None:
    form = {"key": "deposit", "name": "Deposit", "counts_as": "confirmed", "words": "ftd2\nfirst deposit"}
    assert panel.done("/panel/statuses/new", form) == "/panel/statuses?said=created"
    assert instance.got("statuses/deposit")["words"] == ["first deposit", "ftd2"]
    assert panel.post("/panel/statuses/new", form).status_code == 422
    panel.done("/panel/statuses/deposit", {"name": "First deposit", "counts_as": "pending", "words": ""})
    assert instance.got("statuses/deposit")["words"] == []
    assert panel.done("/panel/statuses/deposit/remove") == "/panel/statuses?said=removed"
    assert panel.post("/panel/statuses/sale/remove").status_code == 422
    assert panel.get("/panel/statuses/nowhere", 404)


def test_a_viewer_sees_statuses_without_buttons(panel: "Panel") -> None:
    panel.become(Role.VIEWER)
    assert "New status" not in [link.text for link in panel.page("/panel/statuses").links]
    assert {"Save", "Remove"}.isdisjoint(panel.page("/panel/statuses/sale").buttons)
    assert PASSWORD not in panel.page("/panel/profile").html
