"""Forms read as the API's Structs."""

import msgspec
import pytest

from clickloop.postback.rule_change import RuleChange
from clickloop.setup.campaign import NewCampaign
from clickloop.setup.fault import InvalidInputError
from clickloop.setup.network import NetworkChange
from clickloop.setup.traffic_source import SourceChange
from clickloop.web.panel.frame.form import MAX_ROWS, Form, messages_by_path


def test_paths_make_nested_records() -> None:
    form = Form([("conditions.delay_seconds", "30"), ("request.url", "https://a.example/"), ("request.method", "POST")])
    read = form.read(RuleChange)
    assert msgspec.to_builtins(read) == {
        "conditions": {"delay_seconds": 30},
        "request": {"url": "https://a.example/", "method": "POST"},
    }


def test_rows_stand_in_the_order_of_their_numbers_and_empty_ones_fall_out() -> None:
    form = Form(
        [
            ("parameters[7].parameter", "second"),
            ("parameters[2].parameter", "first"),
            ("parameters[3].parameter", ""),
            ("parameters[3].tracked", "on"),
        ]
    )
    assert [row.parameter for row in form.read(SourceChange).parameters] == ["first", "second"]  # type: ignore[union-attr]


@pytest.mark.parametrize(("sent", "meant"), [(["", "on"], True), ([""], False)])
def test_a_box_is_the_last_of_its_two_fields(sent: list[str], meant: bool) -> None:
    pairs = [("parameters[0].parameter", "zone")] + [("parameters[0].tracked", value) for value in sent]
    assert Form(pairs).read(SourceChange).parameters[0].tracked is meant  # type: ignore[index]


def test_boxes_of_one_name_are_a_list() -> None:
    form = Form([("conditions.statuses", ""), ("conditions.statuses", "sale"), ("conditions.statuses", "hold")])
    assert form.read(RuleChange).conditions.statuses == ("sale", "hold")  # type: ignore[union-attr]


def test_no_box_of_a_list_is_an_empty_list() -> None:
    assert Form([("conditions.statuses", "")]).read(RuleChange).conditions.statuses == ()  # type: ignore[union-attr]


def test_lines_of_a_text_are_a_list() -> None:
    form = Form([("addresses", "203.0.113.0/24\r\n\r\n 198.51.100.7/32 ")])
    assert form.read(NetworkChange).addresses == ("203.0.113.0/24", "198.51.100.7/32")


def test_rows_of_names_and_values_are_pairs() -> None:
    form = Form(
        [
            ("postback_parameters[0].name", "cid"),
            ("postback_parameters[0].value", "{sub1}"),
            ("postback_parameters[1].name", ""),
            ("postback_parameters[1].value", ""),
        ]
    )
    assert form.read(NetworkChange).postback_parameters == {"cid": "{sub1}"}


@pytest.mark.parametrize(("amount", "meant"), [("", None), ("0.05", {"amount": "0.05", "currency": "EUR"})])
def test_an_amount_that_is_left_empty_is_none(amount: str, meant: object) -> None:
    form = Form(
        [("name", "C"), ("source_id", "1"), ("cost.amount", amount), ("cost.currency", "EUR" if amount else "")]
    )
    assert msgspec.to_builtins(form.read(NewCampaign).cost) == meant


def test_what_is_no_number_is_a_fault_of_its_field() -> None:
    with pytest.raises(InvalidInputError) as caught:
        Form([("name", "C"), ("source_id", "one")]).read(NewCampaign)
    assert list(messages_by_path(caught.value.faults)) == ["source_id"]


def test_faults_are_found_by_the_name_of_the_field() -> None:
    with pytest.raises(InvalidInputError) as caught:
        Form([("offers[4].offer_id", "x"), ("name", "C"), ("source_id", "1")]).read(NewCampaign)
    assert list(messages_by_path(caught.value.faults)) == ["offers[0].offer_id"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "[0]",
        "[0].x",
        "a.b.c.d.e.f",
        "parameters[999999999999].parameter",
        "parameters.parameter",
        "name[0]",
        "name.x",
        "..",
        "a[x]",
    ],
)
def test_no_name_of_a_field_breaks_the_reading(name: str) -> None:
    form = Form([("name", "Source"), (name, "x"), (name, "y")])
    try:
        form.read(SourceChange)
    except InvalidInputError as refused:
        assert refused.faults  # noqa: PT017 – either is fine, a breakage is not


def test_rows_are_bounded() -> None:
    form = Form([(f"parameters[{number}].parameter", "x") for number in range(5000)])
    assert len(form.tree["parameters"]) == MAX_ROWS
