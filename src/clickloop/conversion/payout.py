"""The payout that a notice names, and its currency."""

from clickloop.conversion.notice import Notice, NoticeFlag
from clickloop.conversion.terms import NoticeTerms
from clickloop.currency import may_mean
from clickloop.macro import unreplaced_macro
from clickloop.money import AmountFault, Money, currency_of, read_amount


def payout_of(notice: Notice, terms: NoticeTerms, flags: list[NoticeFlag]) -> tuple[Money | None, bool]:
    """Return the amount that the notice names, and whether it names a currency; None if there is no readable amount.

    An unknown currency stays empty rather than guessed.
    """
    if not notice.payout_text:
        return None, False
    amount = read_amount(notice.payout_text)
    if isinstance(amount, AmountFault):
        flags.append(NoticeFlag(f"payout_{amount}"))
        return None, False
    if amount.ambiguous:
        flags.append(NoticeFlag.PAYOUT_AMBIGUOUS)
    if amount.rounded:
        flags.append(NoticeFlag.PAYOUT_ROUNDED)
    named = named_currency(notice)
    if notice.currency_text and not named:
        flags.append(NoticeFlag.CURRENCY_UNREPLACED_MACRO)
    if named and amount.currency and not _agree(named, amount.currency):
        flags.append(NoticeFlag.CURRENCY_CONFLICT)
    named = named or amount.currency
    if not named:
        return Money(amount.micros, terms.default_currency), False
    currency = currency_of(named)
    if currency is None and may_mean(named, terms.default_currency):
        # "10 kr" for an offer in SEK: the sign can mean the currency that an amount without a sign would have.
        flags.append(NoticeFlag.PAYOUT_AMBIGUOUS)
        return Money(amount.micros, terms.default_currency), True
    if currency is None:
        flags.append(NoticeFlag.UNKNOWN_CURRENCY)
    return Money(amount.micros, currency or ""), True


def _agree(named: str, written: str) -> bool:
    """Return whether the currency parameter can mean the currency written in the payout."""
    code = currency_of(named) or ""
    return code == written or may_mean(written, code)


def named_currency(notice: Notice) -> str:
    """Return the currency parameter of a notice as it came; empty if there is none, or it is an unreplaced macro."""
    return "" if unreplaced_macro(notice.currency_text) else notice.currency_text


def default_payout(terms: NoticeTerms) -> Money:
    """Return the payout of a conversion whose notices named no readable one: the offer's fixed payout, or zero."""
    return Money(terms.offer.payout_micros or 0, terms.default_currency)
