"""Offers in the panel: the network's URL template, payout, tags, filters."""

from typing import TYPE_CHECKING

import pytest

from clickloop.people.user import Role
from clickloop.setup.offer_cap import CapUnit, OfferCap
from clickloop.store.ledger.logs.cap_spans import CapSpan, insert_span

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

NEW = "/panel/offers/new"
URL = "https://network.example/click?offer=1&sub1={clickid}"


def form(**fields: str) -> list[tuple[str, str]]:
    """The fields of an offer's form."""
    usual = {
        "name": "Gift card",
        "network_id": "",
        "url": URL,
        "payout_kind": "automatic",
        "payout.amount": "",
        "currency": "",
        "tags": "",
    }
    return list((usual | fields).items())


def with_network(instance: "Instance") -> None:
    """A network with number 1 that takes the click ID in ``sub1``."""
    instance.made("networks", {"name": "Network", "offer_url_template": "{url}&sub1={clickid}"})


def test_an_empty_list_leads_to_the_networks_first(panel: "Panel", instance: "Instance") -> None:
    assert panel.page("/panel/offers").link("New network") == "/panel/networks/presets"
    with_network(instance)
    page = panel.page("/panel/offers")
    assert "New network" not in [link.text for link in page.links]
    assert page.link("New offer") == "/panel/offers/new"


def test_an_offer_is_made_as_the_form_says(panel: "Panel", instance: "Instance") -> None:
    with_network(instance)
    fields = [
        *form(network_id="1", payout_kind="fixed", currency="EUR", tags=" us, Mobile ,us"),
        ("payout.amount", "12,5"),
    ]
    assert panel.done(NEW, fields) == "/panel/offers/1?said=created"
    made = instance.got("offers/1")
    assert (made["network_id"], made["url"], made["tags"]) == (1, URL, ["us", "Mobile"])
    assert made["payout"] == {"amount": "12.5", "currency": "EUR"}


def test_a_new_offer_is_of_the_only_network_there_is(panel: "Panel", instance: "Instance") -> None:
    with_network(instance)
    assert panel.page(NEW).fields["network_id"] == "1"
    instance.made("networks", {"name": "Second"})
    page = panel.page(NEW)
    assert page.fields["network_id"] == ""
    assert list(page.options("network_id")) == ["", "1", "2"]


def test_an_automatic_payout_takes_the_fixed_one_away(panel: "Panel", instance: "Instance") -> None:
    instance.made("offers", {"name": "O", "url": URL, "payout": {"amount": "5"}})
    panel.done("/panel/offers/1", [*form(), ("payout.amount", "5")])
    assert instance.got("offers/1")["payout"] is None


def test_the_network_puts_in_what_it_needs(panel: "Panel", instance: "Instance") -> None:
    with_network(instance)
    link = "https://network.example/click?offer=7"
    page = panel.sent(NEW, [*form(network_id="1", url=link), ("fill_in", "1")])
    assert page.fields["url"] == "https://network.example/click?offer=7&sub1={clickid}"
    assert "Not saved yet" in page.notices[0]
    assert instance.got("offers")["items"] == []


def test_saving_a_new_offer_adds_our_click_id_if_it_is_missing_and_says_so_before_and_after(
    panel: "Panel", instance: "Instance"
) -> None:
    with_network(instance)
    fields = form(network_id="1", url="https://network.example/click?offer=7")
    typing = [*fields, ("field", "url"), ("is_new", "1")]
    words = panel.words(panel.post("/panel/macro-preview/offer", typing).text)
    assert "Saving adds the network’s click ID parameter: https://network.example/click?offer=7&sub1={clickid}" in words
    assert "does not contain" not in words
    path = panel.done(NEW, fields)
    assert path == "/panel/offers/1?said=filled-in"
    assert "The network’s click ID parameter was added to the URL." in panel.words(panel.get(path))
    assert instance.got("offers/1")["url"] == "https://network.example/click?offer=7&sub1={clickid}"


@pytest.mark.parametrize("url", [URL, "https://network.example/?a={clickid}", "https://network.example/{click_id}/x"])
def test_an_address_with_our_click_id_is_saved_as_it_is(panel: "Panel", instance: "Instance", url: str) -> None:
    with_network(instance)
    assert panel.done(NEW, form(network_id="1", url=url)) == "/panel/offers/1?said=created"
    assert instance.got("offers/1")["url"] == url


def test_the_url_of_an_existing_offer_is_never_added_to(panel: "Panel", instance: "Instance") -> None:
    with_network(instance)
    panel.done(NEW, form(network_id="1"))
    panel.done("/panel/offers/1", form(network_id="1", url="https://network.example/plain"))
    assert instance.got("offers/1")["url"] == "https://network.example/plain"


def test_an_offer_without_an_address_is_refused_and_nothing_is_added_to_it(
    panel: "Panel", instance: "Instance"
) -> None:
    with_network(instance)
    answer = panel.post(NEW, form(network_id="1", url=""))
    assert answer.status_code == 422
    assert "sub1={clickid}</textarea>" not in answer.text


def test_an_address_without_our_click_id_is_warned_of(panel: "Panel") -> None:
    panel.done(NEW, form(url="https://network.example/click?offer=7"))
    (warning,) = panel.page("/panel/offers/1").notices
    assert "does not contain" in warning


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://network.example/click?offer=7", "The offer URL does not contain {clickid}"),
        ("https://network.example/click?offer=7", "Add sub1={clickid} to the URL."),
        ("javascript:alert({clickid})", "must start with http:// or https://"),
        ("https://user:pw@network.example/?s={clickid}", "Remove them"),
        ("https://{clickid}.example/", "is in the scheme, user, host or port"),
    ],
)
def test_what_is_wrong_with_an_address_is_told_as_one_types(
    panel: "Panel", instance: "Instance", url: str, told: str
) -> None:
    instance.made("networks", {"name": "Network", "click_id_parameter": "sub1"})
    page = panel.sent("/panel/macro-preview/offer", [*form(network_id="1", url=url), ("field", "url")])
    assert told in page.text


def test_an_address_that_is_right_has_nothing_told_of_it(panel: "Panel") -> None:
    page = panel.sent("/panel/macro-preview/offer", [*form(url=URL), ("field", "url")])
    assert page.main.all(class_="findings") == []


@pytest.mark.parametrize("name", ["city", "region", "isp", "connection"])
def test_a_macro_without_a_value_is_not_offered_and_is_warned_of_when_used(panel: "Panel", name: str) -> None:
    macro = f"{{{name}}}"
    for path in (NEW, "/panel/postback-rules/new", "/panel/traffic-sources/new"):
        buttons = panel.page(path).buttons
        assert "{clickid}" in buttons
        assert macro not in buttons
    page = panel.sent("/panel/macro-preview/offer", [*form(url=f"{URL}&x={macro}"), ("field", "url")])
    assert "No geo base fills" in page.text
    assert [(mark.text, bool(mark.get("title"))) for mark in page.main.all("mark", class_="off")] == [(macro, True)]


def test_macros_of_the_address_are_offered_and_shown(panel: "Panel") -> None:
    panel.done(NEW, form(url=URL + "&x={nosuch}"))
    page = panel.page("/panel/offers/1")
    assert "{clickid}" in page.buttons
    assert "{payout}" not in page.buttons
    assert [mark.text for mark in page.main.all("mark", class_="unknown")] == ["{nosuch}"]


def test_the_examples_of_filters_fit_an_address_of_an_offer(panel: "Panel") -> None:
    text = panel.page(NEW).text
    assert "{country|lower}" in text
    assert "{payout|round:2}" not in text


def test_faults_stand_beside_their_fields(panel: "Panel") -> None:
    page = panel.sent(NEW, form(name="", url="ftp://x/{clickid}", currency="XXQ"), 422)
    assert page.errors.keys() == {"name", "url", "currency"}
    page = panel.sent(NEW, [*form(payout_kind="fixed"), ("payout.amount", "much")], 422)
    assert page.errors.keys() == {"payout.amount"}


def test_the_list_is_filtered_by_network_name_and_tag(panel: "Panel", instance: "Instance") -> None:
    with_network(instance)
    instance.made("offers", {"name": "Alpha", "url": URL, "network_id": 1, "tags": ["Größe"]})
    instance.made("offers", {"name": "Beta", "url": URL, "tags": ["us"]})
    for query in ("network_id=1&q=&tag=", "q=ALPH", "tag=Größe"):
        assert panel.page(f"/panel/offers?{query}").table.column("Name") == ["Alpha"]


def test_an_offer_is_archived_and_restored(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    assert panel.post("/panel/offers/1/archive").status_code == 422
    instance.made("offers", {"name": "Unused", "url": URL})
    assert panel.done("/panel/offers/2/archive") == "/panel/offers?said=archived"
    assert panel.done("/panel/offers/2/restore") == "/panel/offers/2?said=restored"


def test_an_offer_is_not_restored_into_an_archived_network(panel: "Panel", instance: "Instance") -> None:
    with_network(instance)
    instance.made("offers", {"name": "O", "url": URL, "network_id": 1})
    panel.done("/panel/offers/1/archive")
    panel.done("/panel/networks/1/archive")
    assert "is archived" in panel.sent("/panel/offers/1/restore", status=422).text


def test_a_viewer_changes_nothing(panel: "Panel", instance: "Instance") -> None:
    instance.made("offers", {"name": "O", "url": URL})
    panel.become(Role.VIEWER)
    assert {"Save", "Archive"}.isdisjoint(panel.page("/panel/offers/1").buttons)
    assert panel.post("/panel/offers/1", form()).status_code == 403


def test_a_cap_is_made_as_the_form_says_and_removed_by_an_empty_field(panel: "Panel", instance: "Instance") -> None:
    panel.done(NEW, form(name="Second"))
    cap = {"cap.amount": "100", "cap.of": "conversions", "cap.per": "week", "cap.statuses": "sale"}
    fields = [*form(), *cap.items(), ("cap.statuses", "hold"), ("cap.then_offer_id", "1"), ("cap.time_zone", "")]
    panel.done(NEW, fields)
    expected = {"amount": 100, "of": "conversions", "per": "week", "statuses": ["sale", "hold"], "time_zone": ""}
    assert instance.got("offers/2")["cap"] == {**expected, "then_offer_id": 1}
    page = panel.page("/panel/offers/2")
    assert page.fields["cap.amount"] == "100"
    assert page.fields["cap.then_offer_id"] == "1"
    assert "Cap: 0 of 100 conversions (sale, hold) a week" in page.text
    assert "100 conversions (sale, hold) a week" in panel.page("/panel/offers").text
    panel.done("/panel/offers/2", [*form(), *(cap | {"cap.amount": ""}).items()])
    assert instance.got("offers/2")["cap"] is None


@pytest.mark.parametrize("amount", ["0", "-3", "many", "1.5"])
def test_a_cap_that_is_none_is_refused_beside_its_field(panel: "Panel", amount: str) -> None:
    fields = [*form(), ("cap.amount", amount), ("cap.of", "clicks"), ("cap.per", "day")]
    page = panel.sent(NEW, fields, 422)
    assert list(page.errors) == ["cap.amount"]
    assert page.fields["cap.amount"] == amount


def test_the_page_of_an_offer_tells_since_when_its_cap_is_reached(panel: "Panel", instance: "Instance") -> None:
    panel.done(NEW, form(name="Second"))
    panel.done(
        NEW, [*form(), ("cap.amount", "1"), ("cap.of", "clicks"), ("cap.per", "day"), ("cap.then_offer_id", "1")]
    )
    cap = OfferCap(amount=1, of=CapUnit.CLICKS, then_offer_id=1)
    span = CapSpan(offer_id=2, cap=cap, instead_id=1, counted=1, reached_at=instance.now - 60_000)
    with instance.ledger.write() as tx:
        insert_span(tx, span)
    for _ in range(3):
        instance.visit(at=instance.now, offer_id=1, instead_of=2)
    text = panel.page("/panel/offers/2").text
    assert "Visitors now go to offer 1 'Second'. 3 visitors went" in text
    assert "3 visitors went to offer 1 Second since" in text
    assert "A reached cap is in force within a second" in text
    assert "reached" in panel.page("/panel/offers").text
