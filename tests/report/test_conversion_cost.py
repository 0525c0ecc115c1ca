"""What conversions cost by the campaign's rule, which travels on their click; changes of a conversion change its cost."""

from typing import Any

import pytest

from clickloop.click.click import Click
from clickloop.conversion.conversion import Change, Conversion
from clickloop.conversion.status import CountsAs, Status
from clickloop.money import Money
from clickloop.report.cost.conversion_cost import conversion_cost
from clickloop.report.fact import facts_of_change
from clickloop.setup.cost_rule import ConversionCost, rule_in, rule_text, with_loss

SALE = Status("sale", "Sale", CountsAs.CONFIRMED)
HOLD = Status("hold", "Hold", CountsAs.PENDING)
M = 1_000_000


def a_conversion(rule: str, status: Status = SALE, micros: int = 10 * M, version: int = 1) -> Conversion:
    return Conversion(
        conversion_id="c",
        click=Click(click_id="k", at=1, campaign_id=1, source_id=1, cost_rule=rule),
        txid="",
        status=status,
        status_word="",
        payout=Money(micros, "EUR"),
        first_of_click=True,
        converted_at=1,
        created_at=1,
        updated_at=1,
        version=version,
    )


def rule(model: str = "", currency: str = "USD", **cost: Any) -> str:
    return rule_in(rule_text(model, ConversionCost(**cost) if cost else None, currency), "UAH")


@pytest.mark.parametrize(
    ("text", "status", "cost"),
    [
        (rule(), SALE, None),
        (rule("per_click"), SALE, None),
        (rule("per_click", amount="1.5"), SALE, Money(1_500_000, "USD")),
        (rule(amount="1.5"), HOLD, None),
        (rule(amount="1.5", statuses=("hold", "lead")), HOLD, Money(1_500_000, "USD")),
        (rule(amount="1.5", statuses=("hold", "lead")), SALE, None),
        (rule(currency="", amount="2"), SALE, Money(2 * M, "UAH")),
        (rule("none", percent=40), SALE, Money(4 * M, "EUR")),
        (";nonsense", SALE, None),
        (";per_conversion x USD", SALE, None),
    ],
)
def test_a_conversion_costs_what_the_rule_on_its_click_says(text: str, status: Status, cost: Money | None) -> None:
    assert conversion_cost(a_conversion(text, status)) == cost


def test_a_share_of_the_payout_is_rounded_half_up() -> None:
    assert conversion_cost(a_conversion(rule(percent=50), micros=3)) == Money(2, "EUR")


def test_a_changed_conversion_takes_its_old_cost_back() -> None:
    before, after = a_conversion(rule(percent=40)), a_conversion(rule(percent=40), micros=20 * M, version=2)
    facts = facts_of_change(Change(before=before, after=after, at=2, notice_id="n"))
    assert [fact.cost_micros for fact in facts] == [-4 * M, 8 * M]
    rejected = facts_of_change(Change(before=after, after=a_conversion(rule(percent=40), HOLD), at=3, notice_id="n"))
    assert [fact.cost_micros for fact in rejected] == [-8 * M, 0]


@pytest.mark.parametrize(("loss", "micros"), [(0, 100), (50, 200), (10, 111), (90, 1000)])
def test_lost_clicks_raise_the_cost_of_those_that_arrive(loss: int, micros: int) -> None:
    assert with_loss(100, loss) == micros
