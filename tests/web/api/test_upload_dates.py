"""Dates of an uploaded table as spreadsheets write them: read where there is one reading, refused line by line where there are two."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.web.api.test_uploads import DOOR, taken, upload, work

if TYPE_CHECKING:
    from tests.web.conftest import Instance

OLD_CLICK_AT = 1_735_689_600_000  # 2025-01-01


def _set_up(instance: "Instance") -> None:
    instance.set_up()
    answer = instance.api.patch("/api/v1/networks/1", json={"click_lifetime_days": 3650})
    assert answer.status_code == 200, answer.text


def _file(instance: "Instance", *dates: str, header: str = "cid;Payout;Order Number;Conversion Date") -> str:
    lines = [f"{instance.visit(at=OLD_CLICK_AT)};5;{number};{date}" for number, date in enumerate(dates)]
    return "\n".join([header, *lines, ""])


def _times(instance: "Instance") -> list[str]:
    """When the conversions of the orders 0, 1, 2 … happened, to the minute."""
    found = sorted(instance.got("conversions")["items"], key=lambda one: int(one["txid"]))
    return [one["converted_at"][:16] for one in found]


def _lines(instance: "Instance", done: Any) -> list[Any]:
    items: list[Any] = instance.got(f"conversions/uploads/{done['upload_id']}/lines")["items"]
    return items


@pytest.mark.parametrize(
    ("date", "at"),
    [
        ("30/11/2025", "2025-11-30T00:00"),
        ("11/30/2025", "2025-11-30T00:00"),
        ("30.11.2025 14:05", "2025-11-30T14:05"),
        ("05.06.2025 14:05", "2025-06-05T14:05"),
        ("11/30/2025 2:05 PM", "2025-11-30T14:05"),
        ("45991.5868055556", "2025-11-30T14:05"),
        ("45991,5", "2025-11-30T12:00"),
        ("2025-11-30 14:05:09 UTC", "2025-11-30T14:05"),
        ("30-Nov-2025", "2025-11-30T00:00"),
        ('="30.11.2025"', "2025-11-30T00:00"),
    ],
)
def test_a_date_with_one_reading_is_the_time_of_the_conversion(instance: "Instance", date: str, at: str) -> None:
    _set_up(instance)
    done = taken(instance, _file(instance, date))
    assert (done["counts"]["new"], done["flagged"], done["unused_columns"]) == (1, 0, [])
    assert _times(instance) == [at]


@pytest.mark.parametrize("header", ["at", "Date", "Transaction Time", "conversion_time", "ConvertedAt"])
def test_networks_name_the_column_in_many_ways(instance: "Instance", header: str) -> None:
    _set_up(instance)
    taken(instance, _file(instance, "30.11.2025", header=f"cid;payout;txid;{header}"))
    assert _times(instance) == ["2025-11-30T00:00"]


def test_a_date_with_two_readings_makes_its_line_unreadable_and_says_what_to_do(instance: "Instance") -> None:
    _set_up(instance)
    done = taken(instance, _file(instance, "05/06/2025", "06-05-2025 14:05", "05/05/2025", "2025-06-05"))
    assert (done["counts"]["new"], done["counts"]["unreadable"]) == (2, 2)
    assert (done["reasons"], done["date_order"]) == ({"ambiguous_date": 2}, None)
    first = _lines(instance, done)[0]
    assert (first["verdict"], first["reason"]) == ("unreadable", "ambiguous_date")
    assert "Choose the order when you upload the file" in first["message"]
    assert "Line 2, character" in first["message"]


@pytest.mark.parametrize(
    ("proof", "order", "at"),
    [
        ("30/11/2025", "day_first", "2025-06-05T14:05"),
        ("13/01/2026", "day_first", "2025-06-05T14:05"),
        ("11/30/2025", "month_first", "2025-05-06T14:05"),
        ("02/12/2026", "month_first", "2025-05-06T14:05"),  # 2 December 2026 lies in the future
    ],
)
@pytest.mark.parametrize("proof_first", [True, False])
def test_another_line_proves_the_order_of_the_column(
    instance: "Instance", proof: str, order: str, at: str, proof_first: bool
) -> None:
    _set_up(instance)
    dates = [proof, "05/06/2025 14:05"] if proof_first else ["05/06/2025 14:05", proof]
    done = taken(instance, _file(instance, *dates))
    assert (done["counts"]["new"], done["date_order"]) == (2, order)
    assert _times(instance)[1 if proof_first else 0] == at


def test_lines_that_prove_both_orders_prove_none(instance: "Instance") -> None:
    _set_up(instance)
    done = taken(instance, _file(instance, "30/11/2025", "05/06/2025", "11/30/2025"))
    assert (done["counts"]["new"], done["counts"]["unreadable"], done["date_order"]) == (2, 1, None)


@pytest.mark.parametrize(("order", "at"), [("day_first", "2025-06-05"), ("month_first", "2025-05-06")])
def test_the_order_can_be_chosen(instance: "Instance", order: str, at: str) -> None:
    _set_up(instance)
    done = taken(instance, _file(instance, "05/06/2025"), f"?dates={order}")
    assert (done["counts"]["new"], done["date_order"]) == (1, order)
    assert _times(instance) == [f"{at}T00:00"]


def test_the_order_can_be_chosen_when_a_preview_is_registered(instance: "Instance") -> None:
    _set_up(instance)
    preview = taken(instance, _file(instance, "05/06/2025"), "?preview=1")
    assert preview["counts"]["unreadable"] == 1
    instance.api.post(f"{DOOR}/{preview['upload_id']}/register?dates=day_first")
    work(instance)
    assert _times(instance) == ["2025-06-05T00:00"]


def test_a_preview_whose_order_is_proven_is_registered_in_that_order(instance: "Instance") -> None:
    _set_up(instance)
    preview = taken(instance, _file(instance, "05/06/2025", "11/30/2025"), "?preview=1")
    instance.api.post(f"{DOOR}/{preview['upload_id']}/register")
    work(instance)
    assert _times(instance) == ["2025-05-06T00:00", "2025-11-30T00:00"]


def test_lines_without_a_header_are_read_in_the_chosen_order(instance: "Instance") -> None:
    _set_up(instance)
    line = f"{instance.visit(at=OLD_CLICK_AT)}:payout=5:txid=0:at=05/06/2025 14:05\n"
    assert taken(instance, line)["reasons"] == {"ambiguous_date": 1}
    assert taken(instance, line, "?dates=month_first")["counts"]["new"] == 1
    assert _times(instance) == ["2025-05-06T14:05"]


def test_an_unknown_order_is_refused(instance: "Instance") -> None:
    _set_up(instance)
    assert upload(instance, "cid\n", "?dates=year_first").status_code == 422


def test_a_click_date_is_no_time_of_a_conversion(instance: "Instance") -> None:
    _set_up(instance)
    done = taken(instance, _file(instance, "05/06/2025", header="cid;payout;txid;Click Date"))
    assert (done["counts"]["new"], done["unused_columns"]) == (1, ["Click Date"])
