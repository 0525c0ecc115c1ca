"""Concurrent edits of one record in two tabs."""

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest

from clickloop.setup.fault import InvalidInputError
from clickloop.setup.offer import OfferChange
from clickloop.web.api.setup import offers as api
from clickloop.web.panel.frame.edit_conflict import SEEN_FIELD, RecordEdit, conflict_in, current_version, save_edit
from clickloop.web.panel.frame.form import Form
from tests.web.panel.page import Page

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

_MARK = re.compile(rf'name="{SEEN_FIELD}" value="([^"]*)"')

EDITORS = {
    "offers/1": ("name", {"name": "Offer", "network_id": "1", "url": "https://network.example/?sub1={clickid}"}),
    "campaigns/1": ("name", {"name": "Campaign", "source_id": "1", "offers[0].offer_id": "1"}),
    "landings/1": ("name", {"name": "Landing", "url": "https://pages.example/", "buttons": "1"}),
    "lists/1": ("name", {"name": "List", "entries": "1\n2", "notes": ""}),
    "flows/2": ("name", {"name": "Flow", "tags": "a"}),
    "campaigns/1/flow": ("redirect_domain", {"redirect": "307", "flow_id": ""}),
    "traffic-sources/1": ("name", {"name": "Source", "cost_model": "cpc"}),
    "networks/1": ("name", {"name": "Network", "postback_parameters[0].name": "cid"}),
    "postback-rules/1": ("name", {"name": "Rule", "request.url": "https://source.example/?id={externalid}"}),
    "statuses/sale": ("name", {"name": "Sale", "counts_as": "confirmed"}),
    "users/2": ("name", {"name": "ben", "role": "worker", "time_zone": ""}),
    "settings": ("fallback_url", {"public_url": "https://go.example.com", "currency": "USD", "fallback_url": ""}),
}
"""By path, the field that both tabs change, and all fields of the form."""


@pytest.fixture
def worked(panel: "Panel", instance: "Instance") -> "Panel":
    """A panel with one record of each kind."""
    instance.set_up()
    instance.made("landings", {"name": "Landing", "url": "https://pages.example/"})
    instance.made("lists", {"name": "List", "entries": ["1"]})
    instance.made("flows", {"name": "Flow"})
    panel.post("/panel/users/new", {"name": "ben", "role": "worker", "time_zone": ""})
    return panel


def mark_in(html: str) -> str:
    """Return the record version in a page's form."""
    found = _MARK.search(html)
    assert found is not None, "the form has no version field"
    return unescape(found[1])


def save(panel: "Panel", path: str, mark: str, word: str) -> tuple[int, str]:
    """Save ``word`` in the changed field and return status and page."""
    field, fields = EDITORS[path]
    value = f"https://{word.lower()}.example/" if field.endswith("url") else word
    value = f"{word.lower()}.example" if field.endswith("domain") else value
    answer = panel.post(f"/panel/{path}", {**fields, field: value, SEEN_FIELD: mark})
    return answer.status_code, answer.text


@pytest.mark.parametrize("path", EDITORS)
def test_a_save_over_what_another_tab_saved_is_asked_about_and_done_knowingly(worked: "Panel", path: str) -> None:
    mark = mark_in(worked.get(f"/panel/{path}"))
    assert save(worked, path, mark, "First")[0] == 303
    status, html = save(worked, path, mark, "Second")
    told = Page(html).text.lower()
    assert status == 409
    assert "saved a change 2026-03-01" in told
    assert "owner" in told
    assert "first" in told
    assert "first" in worked.get(f"/panel/{path}").lower()
    assert save(worked, path, mark_in(html), "Second")[0] == 303
    assert "second" in worked.get(f"/panel/{path}").lower()


@pytest.mark.parametrize("path", EDITORS)
def test_the_same_sent_twice_contradicts_nothing(worked: "Panel", path: str) -> None:
    mark = mark_in(worked.get(f"/panel/{path}"))
    assert [save(worked, path, mark, "Once")[0] for _ in range(2)] == [303, 303]


def test_a_form_with_a_fault_goes_on_carrying_what_it_showed_first(worked: "Panel") -> None:
    mark = mark_in(worked.get("/panel/offers/1"))
    assert mark_in(worked.post("/panel/offers/1", {"name": "", SEEN_FIELD: mark}).text) == mark


@pytest.mark.parametrize(
    ("path", "button"),
    [
        ("traffic-sources/1", "add_row"),
        ("networks/1", "generate_token"),
        ("campaigns/1", "add_row"),
        ("postback-rules/1", "add_header"),
        ("offers/1", "fill_in"),
    ],
)
def test_other_buttons_of_a_form_keep_the_mark(worked: "Panel", path: str, button: str) -> None:
    fields = {**EDITORS[path][1], SEEN_FIELD: "0123.5", button: "1"}
    assert mark_in(worked.post(f"/panel/{path}", fields).text) == "0123.5"


def test_pausing_a_campaign_in_another_tab_does_not_stand_against_its_form(worked: "Panel") -> None:
    mark = mark_in(worked.get("/panel/campaigns/1"))
    worked.done("/panel/campaigns/1/pause")
    assert save(worked, "campaigns/1", mark, "Renamed")[0] == 303


def test_who_changed_it_is_not_guessed_where_the_log_does_not_say(worked: "Panel", instance: "Instance") -> None:
    mark = mark_in(worked.get("/panel/traffic-sources/1"))
    instance.now += 1000
    instance.api.patch("/api/v1/postback-rules/1", json={"request": {"url": "https://other.example/?{externalid}"}})
    fields = {"name": "Source", "postback_url": "https://mine.example/?{externalid}", SEEN_FIELD: mark}
    told = worked.words(worked.post("/panel/traffic-sources/1", fields).text)
    assert "Someone saved a change while this form was open" in told
    assert "https://other.example/?{externalid}" in told


@pytest.mark.parametrize("mark", ["x", ".", "..", "x.y", "x.99999999999999999999", "ü"])
def test_no_mark_breaks_the_saving(worked: "Panel", mark: str) -> None:
    assert save(worked, "offers/1", mark, "Renamed")[0] in (303, 409)


def test_a_new_record_carries_no_mark(worked: "Panel") -> None:
    assert SEEN_FIELD not in worked.get("/panel/offers/new")


def test_what_is_saved_between_the_comparison_and_the_transaction_is_not_lost(
    worked: "Panel", instance: "Instance"
) -> None:
    """The page was read before the other save, and compared with what was read then."""
    seen = api.read_offer(instance.context, 1)
    form = Form([("name", "Mine"), (SEEN_FIELD, current_version(instance.context, seen, {"name"}))])
    edited = RecordEdit(api.NOUN, 1, seen, {"name"}, lambda: api.read_offer(instance.context, 1))
    api.change_offer(instance.context, 1, OfferChange(name="Theirs"))
    with pytest.raises(InvalidInputError) as refused:
        save_edit(instance.context, form, edited, OfferChange, api.change_offer)
    found = conflict_in(refused.value.faults)
    assert found is not None
    assert [(one.before, one.after) for one in found.differences] == [("Theirs", "Mine")]
    assert api.read_offer(instance.context, 1).name == "Theirs"


def test_a_change_of_other_fields_in_between_is_kept_and_the_form_saved(worked: "Panel", instance: "Instance") -> None:
    seen = api.read_offer(instance.context, 1)
    form = Form([("name", "Mine"), (SEEN_FIELD, current_version(instance.context, seen, {"name"}))])
    edited = RecordEdit(api.NOUN, 1, seen, {"name"}, lambda: api.read_offer(instance.context, 1))
    api.change_offer(instance.context, 1, OfferChange(currency="EUR"))
    saved = save_edit(instance.context, form, edited, OfferChange, api.change_offer)
    assert (saved.name, saved.currency) == ("Mine", "EUR")
