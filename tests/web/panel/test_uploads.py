"""Uploads in the panel: files, previews, registering."""

from typing import TYPE_CHECKING, Any

from clickloop.clock import wall_clock
from clickloop.people.user import Role
from clickloop.saving.access import csrf_token
from clickloop.tracking.jobs.upload_work import UploadWorker
from tests.web.panel.page import Page

if TYPE_CHECKING:
    from tests.web.panel.conftest import Panel


def sent(panel: "Panel", file: bytes = b"", name: str = "sales.csv", **fields: str) -> Any:
    """The form as a browser sends it: its word first, the button last."""
    parts: list[tuple[str, Any]] = [("csrf", (None, csrf_token(panel.secret)))]
    preview = fields.pop("preview", None)
    parts += [(field, (None, value)) for field, value in fields.items()]
    parts.append(("file", (name if file else "", file, "text/csv")))
    if preview:
        parts.append(("preview", (None, preview)))
    return panel.client.post("/panel/uploads", files=parts)


def work_off(panel: "Panel") -> None:
    """Process the uploads as the core does."""
    context = panel.instance.context
    work = UploadWorker(context.intake(), context.uploads, wall_clock)
    while work.step().more:
        pass
    work.close()


def test_a_file_is_previewed_line_by_line_and_registered_from_there(panel: "Panel") -> None:
    instance = panel.instance
    instance.set_up()
    good, forged = instance.visit(), "01kaqj6z8m4x2c9v7b5n3t1w0y"
    file = f"clickid,payout\n{good},5\n{forged},7\n".encode()
    place = sent(panel, file, postbacks="on", preview="1").headers["location"]
    work_off(panel)
    words = panel.page(place).text
    assert "Preview of sales.csv" in words
    assert "2 new 5.00 USD Sale A new conversion." in words
    assert "Total payout 5.00 USD" in words
    assert "3 refused The click ID is not from this tracker" in words
    assert instance.got("conversions")["items"] == []

    registered = panel.done(f"{place}/register", {"postbacks": "on"})
    work_off(panel)
    assert "Postbacks are sent." in panel.page(registered).text
    (conversion,) = instance.got("conversions")["items"]
    assert conversion["click_id"] == good


def test_written_lines_are_taken_like_a_file(panel: "Panel") -> None:
    panel.instance.set_up()
    click_id = panel.instance.visit()
    place = sent(panel, lines=f"{click_id}:5:sale\r\n{click_id}:6:hold").headers["location"]
    work_off(panel)
    words = panel.page(place).text
    assert "Lines 2 Flagged 1 New 1 Changed 1" in words
    assert "Postbacks are skipped." in words
    (postback,) = {one["reason"] for one in panel.instance.got("postbacks")["items"]}
    assert postback == "disabled_by_notice"


def test_a_table_whose_money_is_not_understood_is_registered_from_its_preview_alone(panel: "Panel") -> None:
    instance = panel.instance
    instance.set_up()
    file = f"cid;Geld;Nummer\n{instance.visit()};5 €;7\n".encode("cp1252")
    refused = sent(panel, file)
    assert refused.status_code == 422
    assert "Unused columns: Geld, Nummer" in Page(refused.text).text
    place = sent(panel, file, preview="1").headers["location"]
    work_off(panel)
    words = panel.page(place).text
    assert "No payout column was found." in words
    assert "No transaction ID column was found." in words
    assert "Unused columns: Geld, Nummer" in words
    assert "It was read as windows-1252" in words
    registered = panel.done(f"{place}/register", {})
    work_off(panel)
    assert "Unused columns: Geld, Nummer" in panel.page(registered).text
    assert len(instance.got("conversions")["items"]) == 1


def test_a_large_file_is_taken_in_pieces_whole(panel: "Panel") -> None:
    line = b"01kaqj6z8m4x2c9v7b5n3t1w0y:1:sale\n"
    file = line * (3_000_000 // len(line))
    place = sent(panel, file, "big.txt").headers["location"]
    assert panel.instance.context.uploads.size(place.rpartition("/")[2]) == len(file)


def test_the_result_is_downloaded_as_a_file(panel: "Panel") -> None:
    place = sent(panel, lines="nonsense:5").headers["location"]
    work_off(panel)
    answer = panel.client.get(f"{place}/result")
    assert "attachment" in answer.headers["content-disposition"]
    assert "malformed_click_id" in answer.text


def test_neither_file_nor_lines_is_told_and_so_are_both(panel: "Panel") -> None:
    nothing = sent(panel, lines="")
    both = sent(panel, b"x:1\n", lines="y:1")
    assert (nothing.status_code, both.status_code) == (422, 422)
    assert "Choose a file or enter lines." in Page(nothing.text).text
    assert "not both" in Page(both.text).text


def test_a_file_that_is_none_is_refused_beside_its_field(panel: "Panel") -> None:
    answer = sent(panel, bytes(range(256)) * 100)
    assert answer.status_code == 422
    assert Page(answer.text).errors.keys() == {"file"}


def test_a_file_that_is_too_large_is_refused_with_the_most_that_is_taken(panel: "Panel") -> None:
    answer = sent(panel, b"a:1\n" * 1_200_000)
    assert answer.status_code == 422
    assert "the limit is 4 MiB" in Page(answer.text).text


def test_a_file_without_the_forms_word_is_not_taken(panel: "Panel") -> None:
    parts: list[tuple[str, Any]] = [("file", ("a.csv", b"x:1\n", "text/csv"))]
    assert panel.client.post("/panel/uploads", files=parts).status_code == 403
    late = [*parts, ("csrf", (None, csrf_token(panel.secret)))]
    assert panel.client.post("/panel/uploads", files=late).status_code == 403
    assert panel.instance.got("conversions/uploads")["items"] == []


def test_a_body_that_is_no_form_is_refused(panel: "Panel") -> None:
    for kind in ("multipart/form-data; boundary=x", "multipart/form-data", "text/plain"):
        answer = panel.client.post("/panel/uploads", content=b"nothing of a form", headers={"content-type": kind})
        assert answer.status_code in (400, 403)


def test_an_upload_under_way_shows_itself_again_and_can_be_stopped(panel: "Panel") -> None:
    place = sent(panel, lines="x:1").headers["location"]
    assert panel.page(place).refreshes[0] == place
    assert panel.page("/panel/uploads").refreshes
    panel.done(f"{place}/cancel")
    page = panel.page(place)
    assert "stopped" in page.text
    assert page.refreshes == []


def test_the_name_of_a_file_is_shown_as_text(panel: "Panel") -> None:
    sent(panel, b"x:1\n", "<img src=x onerror=alert(1)>.csv")
    page = panel.page("/panel/uploads")
    assert page.main.all("img") == []
    assert "<img src=x onerror=alert(1)>.csv" in page.text


def test_somebody_who_may_only_look_uploads_nothing(panel: "Panel") -> None:
    panel.become(Role.VIEWER)
    assert sent(panel, lines="x:1").status_code == 403
    assert panel.page("/panel/uploads").buttons == []


def test_the_lines_of_one_verdict_are_found_however_many_others_come_before(panel: "Panel") -> None:
    panel.instance.set_up()
    click_id = panel.instance.visit()
    good = "\r\n".join(f"{click_id}:{number}:sale" for number in range(1, 150))
    place = sent(panel, lines=f"{good}\r\nno click id:5", preview="1").headers["location"]
    work_off(panel)
    assert "150 refused" not in panel.page(place).text
    words = panel.page(f"{place}?verdict=refused").text
    assert "Refused lines" in words
    assert "150 refused" in words


def test_a_preview_in_which_nothing_would_be_registered_says_so(panel: "Panel") -> None:
    panel.instance.set_up()
    place = sent(panel, lines="01kaqj6z8m4x2c9v7b5n3t1w0y:5", preview="1").headers["location"]
    work_off(panel)
    words = panel.page(place).text
    assert "There is nothing to register" in words
    assert "Register these conversions" not in words


def test_a_preview_shows_payouts_and_statuses_as_read_and_their_sums(panel: "Panel") -> None:
    instance = panel.instance
    instance.set_up()
    one, other, third = instance.visit(), instance.visit(), instance.visit()
    file = f"clickid;payout;currency;status\n{one};1.234,50;EUR;hold\n{other};(5.00);;\n{third};12,5;EUR;zzz\n".encode()
    place = sent(panel, file, postbacks="on", preview="1").headers["location"]
    work_off(panel)
    words = panel.words(panel.get(place))
    assert "2 new 1,234.50 EUR Hold" in words
    assert "3 new −5.00 USD Sale" in words
    assert "4 new 12.50 EUR Other" in words
    assert "Total payout 1,247.00 EUR" in words
    assert "Total payout −5.00 USD" in words
    lines = instance.got(f"conversions/uploads/{place.rpartition('/')[2]}/lines")
    assert lines["payouts"] == [{"amount": "1247", "currency": "EUR"}, {"amount": "-5", "currency": "USD"}]
    registered = panel.done(f"{place}/register", {"postbacks": "on"})
    work_off(panel)
    assert "Total payout" not in panel.get(registered)
