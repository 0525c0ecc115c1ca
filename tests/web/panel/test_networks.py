"""Networks in the panel: presets, the link builder, what is to be copied, the token and who may see it."""

from typing import TYPE_CHECKING

import pytest

from clickloop.campaign.user import Role
from clickloop.preset.preset import network_presets

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
    assert 'href="/panel/networks/presets"' in panel.get("/panel/networks")


def test_presets_are_found_by_name(panel: "Panel") -> None:
    html = panel.get("/panel/networks/presets?q=affise")
    assert 'href="/panel/networks/new?preset=affise"' in html
    assert "Everflow" not in html


def test_a_preset_fills_the_form_and_nothing_is_saved_yet(panel: "Panel", instance: "Instance") -> None:
    html = panel.get(f"{NEW}?preset=affise")
    assert "{url}&amp;sub1={clickid}" in html
    assert 'value="{transactionid}"' in html
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
    words = panel.words(panel.get("/panel/networks/1"))
    assert "https://go.example.com/postback?cid={s1}&payout={pay}&txid={id}&param1={geo}" in words
    assert '<img src="https://go.example.com/pixel.gif?cid={s1}&amp;payout={pay}' in words
    assert "https://network.example/click?offer=1&s1={clickid}" in words


def test_what_to_copy_is_shown_before_it_is_saved(panel: "Panel", instance: "Instance") -> None:
    answer = panel.post(NEW, [*FORM, ("token", "abcd"), *ROWS, ("preview", "1")])
    assert answer.status_code == 200
    shown = "postback?cid={s1}&payout={pay}&txid={id}&param1={geo}&token=abcd"
    assert shown in panel.words(answer.text)
    assert shown in panel.words(panel.post("/panel/networks/preview", [*FORM, ("token", "abcd"), *ROWS]).text)
    assert instance.got("networks")["items"] == []


def test_a_network_without_macro_for_the_status_has_a_url_for_each(panel: "Panel") -> None:
    preset = next(one for one in network_presets().values() if one.statuses_by_url)
    words = panel.words(panel.get(f"{NEW}?preset={preset.key}"))
    assert all(f"&status={word}" in words for word in preset.statuses_by_url)


def test_an_open_network_is_warned_of_and_one_with_a_token_is_not(panel: "Panel", instance: "Instance") -> None:
    instance.made("networks", {"name": "Open", "postback_parameters": {"cid": "{s}"}})
    instance.made("networks", {"name": "Closed", "postback_parameters": {"cid": "{s}"}, "token": "t0ken"})
    assert "The network is open" in panel.get("/panel/networks/1")
    assert "The network is open" not in panel.get("/panel/networks/2")


def test_a_generated_token_stands_in_the_form_and_in_the_url_and_is_not_saved_yet(
    panel: "Panel", instance: "Instance"
) -> None:
    instance.made("networks", {"name": "Open", "postback_parameters": {"cid": "{s}"}})
    html = panel.post("/panel/networks/1", [*FORM, ("token", ""), *ROWS, ("generate_token", "1")]).text
    token = html.split('name="token" value="')[1].split('"')[0]
    assert len(token) >= 32
    assert f"token={token}" in panel.words(html)
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
    assert [panel.get(path).count('data-copy="p') for path in pages] == [2, 2]
    panel.become(Role.WORKER)
    for path in pages:
        html = panel.get(path)
        assert 'data-copy="p' not in html
        assert html.count("The token is hidden from your role; ask an admin for this address.") == 2


def test_a_pixel_with_a_token_is_warned_of(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    told = "holds its token: whoever sees the page can read it"
    pages = ("/panel/networks/1", "/panel/campaigns/1")
    assert [told in panel.get(path) for path in pages] == [False, False]
    assert instance.got("campaigns/1/codes")["networks"][0]["warnings"] == []
    instance.api.patch("/api/v1/networks/1", json={"token": "t0ken-of-theirs"})
    assert [told in panel.get(path) for path in pages] == [True, True]
    (warning,) = instance.got("campaigns/1/codes")["networks"][0]["warnings"]
    assert (warning["field"], warning["code"]) == ("pixel_code", "token_in_page")
    assert told in panel.post("/panel/networks/preview", [("token", "just-typed"), *macros("{s1}")]).text


def test_every_fault_stands_beside_its_field(panel: "Panel") -> None:
    fields = [("name", ""), ("token", ""), ("offer_url_template", "x{url}"), ("addresses", "here"), ("currency", "XXQ")]
    answer = panel.post(NEW, [*fields, *macros("{s1}")])
    assert answer.status_code == 422
    for path in ("name", "offer_url_template", "currency"):
        assert f'id="fault-{path}"' in answer.text
    assert "is not an address or a network in CIDR form" in panel.words(answer.text)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (macros("{s1}", "", "", "", "", "param1={a}", "param1={b}"), "'param1' is in two rows"),
        (macros("{s1}", "", "", "", "", "={a}"), "is assigned to no parameter"),
        (macros("x" * 1001), "at most 1000 are kept"),
    ],
)
def test_rows_that_contradict_each_other_are_refused(panel: "Panel", rows: list[tuple[str, str]], told: str) -> None:
    answer = panel.post(NEW, [*FORM, ("token", ""), *rows])
    assert answer.status_code == 422
    assert told in panel.words(answer.text)


def test_loading_a_preset_over_own_changes_shows_the_difference_first(panel: "Panel") -> None:
    fields = [*FORM, ("token", ""), *ROWS, ("load", "affise")]
    asked = panel.words(panel.post(NEW, [*fields, ("load_preset", "1")]).text)
    assert "Macro for our payout {pay} {sum}" in asked
    assert "Click-id parameter s1 sub1" in asked
    taken = panel.post(NEW, [*fields, ("take_preset", "1")]).text
    assert 'value="{transactionid}"' in taken
    assert 'value="Offers Inc"' in taken
    kept = panel.post(NEW, [*fields, ("back_to_form", "1")]).text
    assert 'value="{pay}"' in kept


def test_the_words_that_a_network_sent_are_told_with_our_statuses(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    for word in ("Approved", "approved ", "", "gizmo"):
        instance.made("conversions", {"click_id": instance.visit(), "payout": "1", "status": word})
    html = panel.get("/panel/networks/1")
    words = panel.words(html)
    assert "approved ×2 → Sale" in words
    assert "no word ×1 → Sale" in words
    assert "gizmo ×1 → not mapped" in words
    assert 'name="status_words[0].name" value="gizmo"' in html
    assert 'title="No status has this word' in html
    instance.made("networks", {"name": "Silent"})
    assert "Recent words" not in panel.get("/panel/networks/2")


def words_of(*rows: tuple[str, str, str]) -> list[tuple[str, str]]:
    """The rows of words: each a word, the key of a status, and whether we offered it."""
    fields = [("has_status_words", "1")]
    for at, row in enumerate(rows):
        fields += [
            (f"status_words[{at}].{name}", value) for name, value in zip(("name", "value", "offered"), row, strict=True)
        ]
    return fields


def test_the_words_of_a_preset_stand_in_the_form_with_our_statuses(panel: "Panel") -> None:
    html = panel.get(f"{NEW}?preset=affise")
    assert 'name="status_words[0].name" value="1"' in html
    assert '<option value="sale" selected>' in html


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
        ([("7", "", "")], "Choose what '7' means"),
        ([("", "sale", "")], "A status is chosen, but the word is missing"),
        ([("7", "gone", "")], "There is no status 'gone'"),
    ],
)
def test_words_that_contradict_each_other_are_refused(
    panel: "Panel", rows: list[tuple[str, str, str]], told: str
) -> None:
    answer = panel.post(NEW, [*FORM, ("token", ""), *ROWS, *words_of(*rows)])
    assert answer.status_code == 422
    assert told in panel.words(answer.text)


def test_a_word_that_was_mapped_since_offers_to_run_its_notices_again(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.made("conversions", {"click_id": instance.visit(), "payout": "1", "status": "7"})
    assert "Networks sent these words, but no status has them" in panel.words(panel.get("/panel/statuses"))
    instance.api.patch("/api/v1/networks/1", json={"status_words": {"7": "sale"}})
    assert 'href="/panel/notices/rerun?network_id=1&amp;status_word=7"' in panel.get("/panel/networks/1")
    assert "Network : mapped there to Sale, reprocess" in panel.words(panel.get("/panel/statuses"))


def test_a_network_that_an_offer_needs_is_not_archived(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    answer = panel.post("/panel/networks/1/archive")
    assert answer.status_code == 422
    assert "still uses it" in answer.text


def test_an_archived_network_is_restored(panel: "Panel", instance: "Instance") -> None:
    instance.made("networks", {"name": "N"})
    panel.done("/panel/networks/1/archive")
    assert "N" in panel.words(panel.get("/panel/networks?archived=true"))
    assert panel.done("/panel/networks/1/restore") == "/panel/networks/1?said=restored"
    assert [one["id"] for one in instance.got("networks")["items"]] == [1]


def test_the_list_is_searched_by_name(panel: "Panel", instance: "Instance") -> None:
    instance.made("networks", {"name": "Alpha 100%"})
    instance.made("networks", {"name": "Beta"})
    html = panel.get("/panel/networks?q=alpha+100%25")
    assert "/panel/networks/1" in html
    assert "/panel/networks/2" not in html


def test_a_viewer_has_no_buttons_and_changes_nothing(panel: "Panel", instance: "Instance") -> None:
    instance.made("networks", {"name": "N"})
    panel.become(Role.VIEWER)
    html = panel.get("/panel/networks/1")
    assert ">Save</button></div>" not in html
    assert "Archive" not in html
    assert panel.post("/panel/networks/1", FORM).status_code == 403
