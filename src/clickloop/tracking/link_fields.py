"""The fields of a click that its link sets: external id, parameters and cost."""

from functools import lru_cache
from typing import Any

from clickloop.click.click import Flag
from clickloop.click.routing.route import Route
from clickloop.currency import may_mean
from clickloop.macro import unreplaced_macro
from clickloop.money import Amount, AmountFault, currency_of, read_amount
from clickloop.setup.cost_rule import rule_in, with_loss

# Limits the size of a click's record: a thousand clicks a second with long values would fill the disk.
MAX_VALUE_CHARACTERS = 1024
MAX_REMEMBERED_COST = 40


def click_from_link(
    currency: str, route: Route, parameters: dict[str, str], flags: tuple[Flag, ...], query_bytes: int
) -> dict[str, Any]:
    """Return the click fields that the link sets (external id, parameters, cost), flagging what is irregular.

    ``currency``: of a cost without one, if the campaign has none.
    """
    cost = parameters.pop("cost", "")
    click: dict[str, Any] = parameters
    if flags:
        click["flags"] = ",".join(flags)
    if query_bytes > MAX_VALUE_CHARACTERS:
        for field, value in list(parameters.items()):
            if len(value) > MAX_VALUE_CHARACTERS:
                click[field] = value[:MAX_VALUE_CHARACTERS]
                if field == "external_id":
                    add_flag(click, Flag.EXTERNAL_ID_CUT)
    external_id = parameters.get("external_id")
    if external_id and unreplaced_macro(external_id):
        add_flag(click, Flag.UNREPLACED_EXTERNAL_ID)
    fixed = route.campaign.cost_micros
    if fixed is not None:
        click["cost_micros"] = fixed
        click["cost_currency"] = route.campaign.cost_currency or currency
    elif cost:
        _set_cost(click, _read_cost(cost), route.campaign.cost_currency or currency)
        if (loss := route.campaign.loss_percent) and "cost_micros" in click:
            click["cost_micros"] = with_loss(click["cost_micros"], loss)
    if route.campaign.cost_rule:
        click["cost_rule"] = rule_in(route.campaign.cost_rule, currency)
    return click


@lru_cache(maxsize=4096)
def _read_known_cost(text: str) -> Amount | AmountFault:
    """Return the amount in a short cost. Sources send the same few bids again and again."""
    return read_amount(text)


def _read_cost(text: str) -> Amount | AmountFault:
    # Longer ones are not remembered: strangers could fill the memory with them.
    return _read_known_cost(text) if len(text) <= MAX_REMEMBERED_COST else read_amount(text)


def _set_cost(click: dict[str, Any], amount: Amount | AmountFault, default_currency: str) -> None:
    """Set the cost of a click. A cost in an unknown currency is ignored rather than guessed."""
    if isinstance(amount, AmountFault):
        add_flag(click, Flag.COST_UNREADABLE)
        return
    currency = currency_of(amount.currency) if amount.currency else default_currency
    if currency is None and not may_mean(amount.currency, default_currency):
        add_flag(click, Flag.COST_UNREADABLE)
        return
    click["cost_micros"] = amount.micros
    click["cost_currency"] = currency or default_currency
    if amount.ambiguous or currency is None:
        add_flag(click, Flag.COST_AMBIGUOUS)
    if amount.rounded:
        add_flag(click, Flag.COST_ROUNDED)


def add_flag(click: dict[str, Any], flag: Flag) -> None:
    """Add a flag to the fields of a click."""
    flags = click.get("flags")
    click["flags"] = f"{flags},{flag}" if flags else flag
