"""Networks in the panel: presets, postback parameters, codes to copy, the token and who may see it."""

from typing import TYPE_CHECKING

import pytest

from clickloop.people.user import Role
from clickloop.setup.preset.preset import network_presets

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

NEW = "/panel/networks/new"
NAMES = ("cid", "payout", "currency", "status", "txid")


def macros(*values: str) -> list[tuple[str, str]]:
    """The rows of the link builder: our usual parameters in order, and further ones as ``name=macro``."""
    fields: list[tuple[str, str]] = []
    for at, value in enumerate(values):
        name, macro = (NAMES[at], value) if at < len(NAMES) else tuple(value.split("=", 1))
        fields += [(f"postback_parameters[{at}].name", name), (f"postback_parameters[{at}].value", macro)]
    return fields


FORM = [
    ("name", "Offers Inc"),
    ("preset", ""),
    ("click_id_parameter", "s1"),
    ("offer_url_template", "{url}&s1={clickid}"),
    ("currency", "EUR"),
    ("addresses", "203.0.113.0/24\r\n198.51.100.7"),
    ("refuse_duplicates", ""),
    ("refuse_duplicates", "on"),
    ("test_only", ""),
    ("click_lifetime_days", "30"),
]
ROWS = macros("{s1}", "{pay}", "", "", "{id}", "param1={geo}")


def test_an_empty_list_leads_to_the_presets(panel: "Panel") -> None:
    assert "/panel/networks/presets" in panel.page("/panel/networks").addresses


def test_presets_are_found_by_name(panel: "Panel") -> None:
    page = panel.page("/panel/networks/presets?q=affise")
    assert "/panel/networks/new?preset=affise" in page.addresses
    assert "Everflow" not in page.text


def test_a_preset_fills_the_form_and_nothing_is_saved_yet(panel: "Panel", instance: "Instance") -> None:
    fields = panel.page(f"{NEW}?preset=affise").fields
    assert fields["offer_url_template"] == "{url}&sub1={clickid}"
    assert "{transactionid}" in fields.values()
    assert instance.got("networks")["items"] == []


def test_a_network_is_made_as_the_form_says(panel: "Panel", instance: "Instance") -> None:
    assert panel.done(NEW, [*FORM, ("token", "t0ken-of-theirs"), *ROWS]) == "/panel/networks/1?said=created"
    made = instance.got("networks/1")
    assert made["postback_parameters"] == {"cid": "{s1}", "payout": "{pay}", "txid": "{id}", "param1": "{geo}"}
    assert made["addresses"] == ["203.0.113.0/24", "198.51.100.7"]
    assert (made["refuse_duplicates"], made["test_only"], made["click_lifetime_days"]) == (True, False, 30)
    assert (made["offer_url_template"], made["currency"], made["token"]) == (
        "{url}&s1={clickid}",
        "EUR",
        "t0ken-of-theirs",
    )


def test_a_saved_network_shows_what_to_copy(panel: "Panel") -> None:
    panel.done(NEW, [*FORM, ("token", ""), *ROWS])
    page = panel.page("/panel/networks/1")
    s2s, pixel = page.to_copy.values()
    assert s2s == "https://go.example.com/postback?cid={s1}&payout={pay}&txid={id}&param1={geo}"
    assert pixel.startswith('<img src="https://go.example.com/pixel.gif?cid={s1}&amp;payout={pay}')
    assert "https://network.example/click?offer=1&s1={clickid}" in page.text


def test_what_to_copy_is_shown_before_it_is_saved(panel: "Panel", instance: "Instance") -> None:
    shown = "https://go.example.com/postback?cid={s1}&payout={pay}&txid={id}&param1={geo}&token=abcd"
    assert shown in panel.sent(NEW, [*FORM, ("token", "abcd"), *ROWS, ("preview", "1")]).to_copy.values()
    assert shown in panel.sent("/panel/networks/preview", [*FORM, ("token", "abcd"), *ROWS]).to_copy.values()
    assert instance.got("networks")["items"] == []


def test_a_network_without_macro_for_the_status_has_a_url_for_each(panel: "Panel") -> None:
    preset = next(one for one in network_presets().values() if one.statuses_by_url)
    text = panel.page(f"{NEW}?preset={preset.key}").text
    assert all(f"&status={word}" in text for word in preset.statuses_by_url)


def test_an_open_network_is_warned_of_and_one_with_a_token_is_not(panel: "Panel", instance: "Instance") -> None:
    instance.made("networks", {"name": "Open", "postback_parameters": {"cid": "{s}"}})
    instance.made("networks", {"name": "Closed", "postback_parameters": {"cid": "{s}"}, "token": "t0ken"})
    assert "no token and no list of allowed IP addresses" in panel.page("/panel/networks/1").text
    assert "no token and no list of allowed IP addresses" not in panel.page("/panel/networks/2").text


def test_a_generated_token_stands_in_the_form_and_in_the_url_and_is_not_saved_yet(
    panel: "Panel", instance: "Instance"
) -> None:
    instance.made("networks", {"name": "Open", "postback_parameters": {"cid": "{s}"}})
    page = panel.sent("/panel/networks/1", [*FORM, ("token", ""), *ROWS, ("generate_token", "1")])
    token = page.fields["token"]
    assert len(token) >= 32
    assert all(f"token={token}" in text for text in page.to_copy.values())
    assert instance.got("networks/1")["token"] == ""


def test_somebody_who_sees_no_secrets_sees_a_mask_and_keeps_the_token(panel: "Panel", instance: "Instance") -> None:
    instance.made("networks", {"name": "N", "postback_parameters": {"cid": "{s}"}, "token": "t0ken-of-theirs"})
    panel.become(Role.WORKER)
    html = panel.get("/panel/networks/1")
    assert "t0ken-of-theirs" not in html
    assert "token=•••" in html
    panel.done("/panel/networks/1", [*FORM, ("token", "•••"), *ROWS])
    assert instance.got("networks/1")["token"] == "t0ken-of-theirs"


def test_what_is_masked_is_not_offered_to_be_copied(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/networks/1", json={"token": "t0ken-of-theirs"})
    pages = ("/panel/networks/1", "/panel/campaigns/1")
    for path in pages:
        assert len([name for name in panel.page(path).to_copy if name.startswith("p")]) == 2
    panel.become(Role.WORKER)
    for path in pages:
        page = panel.page(path)
        assert not [name for name in page.to_copy if name.startswith("p")]
        assert page.text.count("Your role cannot see the token. Ask an admin for this URL.") == 2


def test_a_pixel_with_a_token_is_warned_of(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    told = "contains its token, visible to anyone who opens the page"
    pages = ("/panel/networks/1", "/panel/campaigns/1")
    assert [told in panel.page(path).text for path in pages] == [False, False]
    assert instance.got("campaigns/1/codes")["networks"][0]["warnings"] == []
    instance.api.patch("/api/v1/networks/1", json={"token": "t0ken-of-theirs"})
    assert [told in panel.page(path).text for path in pages] == [True, True]
    (warning,) = instance.got("campaigns/1/codes")["networks"][0]["warnings"]
    assert (warning["field"], warning["code"]) == ("pixel_code", "token_in_page")
    assert told in panel.sent("/panel/networks/preview", [("token", "just-typed"), *macros("{s1}")]).text


def test_every_fault_stands_beside_its_field(panel: "Panel") -> None:
    fields = [("name", ""), ("token", ""), ("offer_url_template", "x{url}"), ("addresses", "here"), ("currency", "XXQ")]
    errors = panel.sent(NEW, [*fields, *macros("{s1}")], 422).errors
    assert errors.keys() == {"name", "offer_url_template", "currency", ""}
    assert "is not an IP address or a CIDR range" in errors[""][0]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (macros("{s1}", "", "", "", "", "param1={a}", "param1={b}"), "'param1' is in two rows"),
        (macros("{s1}", "", "", "", "", "={a}"), "Choose a parameter for the macro"),
        (macros("x" * 1001), "The maximum is 1000"),
    ],
)
def test_rows_that_contradict_each_other_are_refused(panel: "Panel", rows: list[tuple[str, str]], told: str) -> None:
    assert told in panel.sent(NEW, [*FORM, ("token", ""), *rows], 422).text


def test_loading_a_preset_over_own_changes_shows_the_difference_first(panel: "Panel") -> None:
    fields = [*FORM, ("token", ""), *ROWS, ("load", "affise")]
    differences = panel.sent(NEW, [*fields, ("load_preset", "1")]).table.rows
    assert ["Macro for our payout", "{pay}", "{sum}"] in differences
    assert ["Click ID parameter", "s1", "sub1"] in differences
    taken = panel.sent(NEW, [*fields, ("take_preset", "1")]).fields
    assert "{transactionid}" in taken.values()
    assert taken["name"] == "Offers Inc"
    assert "{pay}" in panel.sent(NEW, [*fields, ("back_to_form", "1")]).fields.values()


def test_the_words_that_a_network_sent_are_told_with_our_statuses(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    for word in ("Approved", "approved ", "", "gizmo"):
        instance.made("conversions", {"click_id": instance.visit(), "payout": "1", "status": word})
    page = panel.page("/panel/networks/1")
    assert "approved ×2 → Sale" in page.text
    assert "no word ×1 → Sale" in page.text
    assert "gizmo ×1 → not mapped" in page.text
    assert page.fields["status_words[0].name"] == "gizmo"
    assert any(hint.startswith("No status has this word") for hint in page.hints)
    instance.made("networks", {"name": "Silent"})
    assert "Recent words" not in panel.page("/panel/networks/2").text


def words_of(*rows: tuple[str, str, str]) -> list[tuple[str, str]]:
    """The rows of words: each a word, the key of a status, and whether we offered it."""
    fields = [("has_status_words", "1")]
    for at, row in enumerate(rows):
        fields += [
            (f"status_words[{at}].{name}", value) for name, value in zip(("name", "value", "offered"), row, strict=True)
        ]
    return fields


def test_the_words_of_a_preset_stand_in_the_form_with_our_statuses(panel: "Panel") -> None:
    fields = panel.page(f"{NEW}?preset=affise").fields
    assert (fields["status_words[0].name"], fields["status_words[0].value"]) == ("1", "sale")


def test_words_are_saved_changed_and_removed(panel: "Panel", instance: "Instance") -> None:
    panel.done(NEW, [*FORM, ("token", ""), *ROWS, *words_of(("7", "sale", ""), (" Void ", "rejected", ""))])
    assert instance.got("networks/1")["status_words"] == {"7": "sale", "void": "rejected"}
    panel.done("/panel/networks/1", [*FORM, ("token", ""), *ROWS, *words_of(("7", "hold", ""))])
    assert instance.got("networks/1")["status_words"] == {"7": "hold"}
    panel.done("/panel/networks/1", [*FORM, ("token", ""), *ROWS, *words_of()])
    assert instance.got("networks/1")["status_words"] == {}


def test_an_offered_word_that_is_left_unmapped_is_not_saved(panel: "Panel", instance: "Instance") -> None:
    panel.done(NEW, [*FORM, ("token", ""), *ROWS, *words_of(("7", "", "1"), ("8", "sale", "1"))])
    assert instance.got("networks/1")["status_words"] == {"8": "sale"}


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([("7", "sale", ""), ("7 ", "hold", "")], "'7' is in two rows"),
        ([("A", "sale", ""), ("a", "sale", "")], "'a' is in two rows"),
        ([("7", "", "")], "Choose a status for '7'"),
        ([("", "sale", "")], "Enter the word for the chosen status"),
        ([("7", "gone", "")], "The status 'gone' does not exist"),
    ],
)
def test_words_that_contradict_each_other_are_refused(
    panel: "Panel", rows: list[tuple[str, str, str]], told: str
) -> None:
    assert told in panel.sent(NEW, [*FORM, ("token", ""), *ROWS, *words_of(*rows)], 422).text


def test_a_word_that_was_mapped_since_offers_to_run_its_notices_again(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.made("conversions", {"click_id": instance.visit(), "payout": "1", "status": "7"})
    assert "Networks sent these words, but they are not mapped to a status" in panel.page("/panel/statuses").text
    instance.api.patch("/api/v1/networks/1", json={"status_words": {"7": "sale"}})
    assert "/panel/notices/rerun?network_id=1&status_word=7" in panel.page("/panel/networks/1").addresses
    assert "Network: mapped there to Sale, reprocess" in panel.page("/panel/statuses").text


def test_a_network_that_an_offer_needs_is_not_archived(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    assert "still uses it" in panel.sent("/panel/networks/1/archive", status=422).text


def test_an_archived_network_is_restored(panel: "Panel", instance: "Instance") -> None:
    instance.made("networks", {"name": "N"})
    panel.done("/panel/networks/1/archive")
    assert panel.page("/panel/networks?archived=true").table.column("Name") == ["N"]
    assert panel.done("/panel/networks/1/restore") == "/panel/networks/1?said=restored"
    assert [one["id"] for one in instance.got("networks")["items"]] == [1]


def test_the_list_is_searched_by_name(panel: "Panel", instance: "Instance") -> None:
    instance.made("networks", {"name": "Alpha 100%"})
    instance.made("networks", {"name": "Beta"})
    assert panel.page("/panel/networks?q=alpha+100%25").table.column("Name") == ["Alpha 100%"]


def test_a_viewer_has_no_buttons_and_changes_nothing(panel: "Panel", instance: "Instance") -> None:
    instance.made("networks", {"name": "N"})
    panel.become(Role.VIEWER)
    page = panel.page("/panel/networks/1")
    assert {"Save", "Archive"}.isdisjoint(page.buttons)
    assert panel.post("/panel/networks/1", FORM).status_code == 403
