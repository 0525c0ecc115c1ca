"""Money in requests and responses: exact decimal text with a currency."""

from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from clickloop.money import AmountFault, Money, amount_text, currency_of, read_amount
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError


class MoneyText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An amount of money as exact decimal text."""

    amount: Annotated[
        str, Meta(description="Decimal with at most 12 digits before and 6 after the point.", examples=["12.5"])
    ]
    currency: Annotated[
        str, Meta(description="ISO 4217 code. Leave empty to use the instance's currency.", examples=["USD"])
    ] = ""

    def own_faults(self) -> list[FieldFault]:
        """Return the faults of amount and currency."""
        faults = []
        amount = read_amount(self.amount)
        if isinstance(amount, AmountFault) or amount.rounded:
            sentence = f"{self.amount[:40]!r} is not a decimal with at most 12 digits before and 6 after the point."
            faults.append(FieldFault("amount", FaultCode.NOT_AN_AMOUNT, sentence))
        elif amount.currency and not self.currency and currency_of(amount.currency) is None:
            sentence = f"{self.amount[:40]!r} contains no ISO 4217 currency. Enter its code as the currency."
            faults.append(FieldFault("amount", FaultCode.NOT_A_CURRENCY, sentence))
        if self.currency and currency_of(self.currency) is None:
            sentence = f"{self.currency[:10]!r} is not an ISO 4217 currency."
            faults.append(FieldFault("currency", FaultCode.NOT_A_CURRENCY, sentence))
        return faults


def money_text(micros: int, currency: str) -> MoneyText:
    return MoneyText(amount_text(micros), currency)


def read_money(field: str, money: MoneyText) -> Money:
    """Return money from JSON. Raise InvalidInputError."""
    faults = [replace(fault, field=f"{field}.{fault.field}") for fault in money.own_faults()]
    amount = read_amount(money.amount)
    if faults or isinstance(amount, AmountFault):
        raise InvalidInputError(tuple(faults))
    return Money(amount.micros, currency_of(money.currency or amount.currency) or "")
