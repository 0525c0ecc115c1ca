"""How values look in JSON: money as decimal text, moments as ISO 8601, texts of strangers readable."""

from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from clickloop.campaign.fault import Fault, FaultCode, InvalidInputError
from clickloop.clock import iso_text
from clickloop.macro import Severity
from clickloop.money import AmountFault, Money, amount_text, currency_of, read_amount
from clickloop.octets import readable
from clickloop.report.check.finding import Finding

MASKED = (
    "It holds •••, which stands for a secret that is not shown: write the secret, or leave this part as it was shown."
)
"""What is wrong with a field in which a mask was sent back."""
EXPOSED = (
    "It holds a secret that you may not see, which would be sent to another host, or shown: write this part anew, or leave the host "
    "and the list of secrets as they are."
)
"""What is wrong with a part that somebody without the right to see secrets wants to keep while they change the rest."""

Moment = Annotated[str, Meta(description="ISO 8601, UTC, milliseconds.", examples=["2026-03-01T12:00:00.123Z"])]


class MoneyText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An amount of money as exact decimal text."""

    amount: Annotated[
        str, Meta(description="Decimal with at most 12 digits before and 6 after the point.", examples=["12.5"])
    ]
    currency: Annotated[str, Meta(description="ISO 4217; empty: that of the instance.", examples=["USD"])] = ""

    def own_faults(self) -> list[Fault]:
        """What is no amount, and what is no currency."""
        faults = []
        amount = read_amount(self.amount)
        if isinstance(amount, AmountFault) or amount.rounded:
            sentence = f"{self.amount[:40]!r} is not a decimal with at most 12 digits before and 6 after the point."
            faults.append(Fault("amount", FaultCode.NOT_AN_AMOUNT, sentence))
        elif amount.currency and not self.currency and currency_of(amount.currency) is None:
            sentence = f"{self.amount[:40]!r} names no currency of ISO 4217: give its code as the currency."
            faults.append(Fault("amount", FaultCode.NOT_A_CURRENCY, sentence))
        if self.currency and currency_of(self.currency) is None:
            sentence = f"{self.currency[:10]!r} is not a currency of ISO 4217."
            faults.append(Fault("currency", FaultCode.NOT_A_CURRENCY, sentence))
        return faults


class Advice(msgspec.Struct, frozen=True):
    """Something that will probably not do what was meant. It was saved all the same."""

    field: Annotated[str, Meta(description="Where it was found.", examples=["postback_url"])]
    code: Annotated[str, Meta(description="Stable code for programs.", examples=["unknown_macro"])]
    message: Annotated[str, Meta(description="One sentence for people.")]
    remedy: Annotated[str, Meta(description="What to do about it.")]


def money_text(micros: int, currency: str) -> MoneyText:
    """Money for JSON."""
    return MoneyText(amount_text(micros), currency)


def read_money(field: str, money: MoneyText) -> Money:
    """Money from JSON. Raises InvalidInputError."""
    faults = [replace(fault, field=f"{field}.{fault.field}") for fault in money.own_faults()]
    amount = read_amount(money.amount)
    if faults or isinstance(amount, AmountFault):
        raise InvalidInputError(tuple(faults))
    return Money(amount.micros, currency_of(money.currency or amount.currency) or "")


def moment_text(moment_ms: int) -> str:
    """A moment for JSON."""
    return iso_text(moment_ms)


def optional_moment_text(moment_ms: int | None) -> str | None:
    """A moment for JSON, or null."""
    return None if moment_ms is None else iso_text(moment_ms)


def shown(text: str) -> str:
    """A stranger's text for JSON: what was no UTF-8 becomes the replacement character."""
    return readable(text)


def copied_name(name: str) -> str:
    """What a copy is called at first; names have at most 200 characters."""
    behind = " (copy)"
    return name[: 200 - len(behind)] + behind


def warnings_of(findings: Iterable[Finding]) -> list[Advice]:
    """Return the errors and warnings among findings about a record, each once: what the check of the whole set-up says too."""
    return [
        Advice(shown(finding.place.field), finding.code, shown(finding.sentence), shown(finding.remedy))
        for finding in dict.fromkeys(findings)
        if finding.severity is not Severity.NOTE
    ]
