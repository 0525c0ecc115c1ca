"""Macro values from a click."""

from clickloop.click.click import Click
from clickloop.click.click_values import SetupNames, click_values, setup_values
from clickloop.setup.source_rows import V_ROWS

SETUP = SetupNames("aB3xY9", "Campaign", "Source", "Offer", "Network", "Landing")
CLICK = Click(
    click_id="c" * 26,
    at=1_800_000_000_999,
    campaign_id=7,
    source_id=3,
    landing_id=2,
    offer_id=1,
    network_id=5,
    external_id="w9Xk2",
    cost_micros=12_500,
    cost_currency="USD",
    country="DE",
    unique=True,
    v1="4711",
    v30="last",
)
EMPTY = Click(click_id="c" * 26, at=0, campaign_id=0, source_id=0)


def value(name: str, click: Click = CLICK) -> str:
    return click_values([name], click, SETUP)[name]


def test_ids_and_names_come_from_the_set_up() -> None:
    names = ["campaign.id", "campaign.name", "campaign.key", "trafficsource.id", "trafficsource.name", "offer.name"]
    assert [value(name) for name in names] == ["7", "Campaign", "aB3xY9", "3", "Source", "Offer"]


def test_a_missing_id_is_empty() -> None:
    assert [value(name, EMPTY) for name in ("offer.id", "network.id", "landing.id")] == ["", "", ""]


def test_every_parameter_row_has_a_macro() -> None:
    values = click_values([f"token{number}" for number in V_ROWS], CLICK, SETUP)
    assert (len(values), values["token1"], values["token30"], values["token2"]) == (30, "4711", "last", "")


def test_money_and_times_are_plain_numbers() -> None:
    assert (value("cost"), value("click_time")) == ("0.0125", "1800000000")


def test_an_unknown_cost_is_empty_rather_than_zero() -> None:
    assert value("cost", EMPTY) == ""


def test_the_visitor_has_readable_values() -> None:
    assert (value("country"), value("country.name"), value("unique"), value("unique", EMPTY)) == (
        "DE",
        "Germany",
        "1",
        "0",
    )


def test_a_macro_that_no_click_can_fill_is_left_out() -> None:
    assert click_values(["payout", "txid", "clickid"], CLICK, SETUP) == {"clickid": "c" * 26}


def test_values_shared_by_all_clicks_contain_nothing_about_the_visitor() -> None:
    constant = setup_values(CLICK, SETUP)
    assert constant["campaign.name"] == "Campaign"
    assert not constant.keys() & {"clickid", "externalid", "cost", "ip", "country", "unique", "click_time", "token1"}
