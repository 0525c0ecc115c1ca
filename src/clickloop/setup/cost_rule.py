"""A campaign's cost rule: the cost of clicks and conversions besides the cost in the link. It travels on each click. Pure.

A conversion costs what the campaign said at the time of its click, however the campaign is changed later.
"""

import re
from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.money import MAX_MICROS, AmountFault, read_amount
from clickloop.setup.fault import FaultCode, FieldFault

MAX_STATUSES = 50
PER_CONVERSION, REVENUE_SHARE = "per_conversion", "revenue_share"
_INSTANCE = "*"
_KEY = re.compile(r"[A-Za-z0-9_.-]{1,32}")


class ConversionCost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The cost of a conversion: a fixed amount, or a share of its payout."""

    amount: Annotated[
        str,
        Meta(
            description="Cost of a conversion, in the source's cost currency. Leave empty for a share of the payout.",
            examples=["1.5"],
        ),
    ] = ""
    percent: Annotated[int, Meta(ge=0, le=100, description="Share of the payout in percent; 0: amount applies.")] = 0
    statuses: Annotated[
        tuple[str, ...],
        Meta(
            description="Keys of the statuses whose conversions cost. Leave empty for all that count as confirmed.",
            examples=[["sale"]],
        ),
    ] = ()

    def own_faults(self) -> list[FieldFault]:
        """Return what is wrong with it."""
        faults = []
        amount = read_amount(self.amount) if self.amount else None
        if bool(self.percent) == bool(self.amount):
            sentence = "Enter an amount per conversion or a share of the payout in percent, not both."
            faults.append(FieldFault("amount", FaultCode.REQUIRED, sentence))
        elif amount is not None and (
            isinstance(amount, AmountFault) or amount.rounded or amount.currency or not 0 <= amount.micros <= MAX_MICROS
        ):
            sentence = (
                "Enter a decimal of 0 or more, with at most 6 digits after the point, in the source's cost currency."
            )
            faults.append(FieldFault("amount", FaultCode.NOT_AN_AMOUNT, sentence))
        if len(self.statuses) > MAX_STATUSES or not all(_KEY.fullmatch(key) for key in self.statuses):
            sentence = f"Enter at most {MAX_STATUSES} keys of statuses, such as sale."
            faults.append(FieldFault("statuses", FaultCode.NOT_ALLOWED, sentence))
        return faults


def with_loss(micros: int, loss_percent: int) -> int:
    """Return what a click that arrives costs if a part of those that were paid for is lost on the way, rounded half up."""
    arriving = 100 - loss_percent
    return (2 * micros * 100 + arriving) // (2 * arriving) if loss_percent else micros


def rule_text(click_model: str, conversion: ConversionCost | None, currency: str) -> str:
    """Return the rule of a campaign: ``per_click``, or ``per_click;per_conversion 1500000 USD sale``; empty: the cost in the link.

    ``currency`` empty: the instance's, which ``rule_in`` fills in.
    """
    if conversion is None:
        return click_model
    statuses = ",".join(conversion.statuses)
    if conversion.percent:
        return f"{click_model};{REVENUE_SHARE} {conversion.percent} - {statuses}".rstrip()
    amount = read_amount(conversion.amount)
    micros = 0 if isinstance(amount, AmountFault) else amount.micros
    return f"{click_model};{PER_CONVERSION} {micros} {currency or _INSTANCE} {statuses}".rstrip()


def rule_in(rule: str, currency: str) -> str:
    """Return a rule as it travels on clicks, with the instance's currency."""
    return rule.replace(f" {_INSTANCE}", f" {currency}", 1)
