"""The figures: what the stand-ins saw against what the tracker tells, check by check. Pure."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from decimal import Decimal
from math import sqrt

import msgspec

from clickloop.conversion.notice import NoticeFlag, RefusalReason
from clickloop.conversion.notice_log import Outcome
from clickloop.demo.plan import Fate, Step, Visitor
from clickloop.demo.standins import Arrival, Call
from clickloop.postback.state import PostbackState
from clickloop.text import readable, text_of


class Visit(msgspec.Struct, frozen=True):
    """A visitor, how he was answered, and the click id that he was sent on with; empty: he was not."""

    visitor: Visitor
    status_code: int
    click_id: str
    cookie: str


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that was sent, what is to become of it, and the tracker's answer. ``said``: X-Clickloop-Outcome, if the door gives it."""

    name: str
    outcome: Outcome
    reason: RefusalReason | None
    status_code: int
    said: str | None = None


class Promise(msgspec.Struct, frozen=True):
    """A step that was reported for a click, in the order of reporting."""

    click_id: str
    step: Step


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """The books of the stand-ins."""

    visits: tuple[Visit, ...]
    arrivals: tuple[Arrival, ...]
    sent: tuple[Sent, ...]
    promises: tuple[Promise, ...]
    calls: tuple[Call, ...]
    own_calls: tuple[Call, ...]
    source_rule_id: int
    own_rule_id: int
    weights: tuple[int, ...]
    """Of the offers, in the order of their numbers."""


class ToldMoney(msgspec.Struct, frozen=True):
    """Money as the API tells it."""

    amount: str
    currency: str

    @property
    def micros(self) -> int:
        """The amount in millionths."""
        return int(Decimal(self.amount or "0").scaleb(6))


class ToldClick(msgspec.Struct, frozen=True):
    """A click as the API tells it."""

    click_id: str
    external_id: str
    cost: ToldMoney
    screening: str
    device: str
    country: str


class ToldNotice(msgspec.Struct, frozen=True):
    """A notice as the API tells it."""

    notice_id: str
    door: str
    outcome: str
    reason: str | None
    flags: list[str]


class ToldStatus(msgspec.Struct, frozen=True):
    """A status of a conversion as the API tells it."""

    key: str
    name: str
    counts_as: str


class ToldConversion(msgspec.Struct, frozen=True):
    """A conversion as the API tells it."""

    conversion_id: str
    click_id: str
    txid: str
    status: ToldStatus
    payout: ToldMoney


class ToldPostback(msgspec.Struct, frozen=True):
    """A postback as the API tells it."""

    postback_id: str
    conversion_id: str
    version: int
    rule_id: int
    rule_name: str
    click_id: str
    state: PostbackState
    reason: str | None
    attempts: int


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """All that the tracker tells."""

    clicks: tuple[ToldClick, ...]
    notices: tuple[ToldNotice, ...]
    conversions: tuple[ToldConversion, ...]
    postbacks: tuple[ToldPostback, ...]


class Check(msgspec.Struct, frozen=True):
    """One comparison: ``found`` says what was compared when it holds, and what differs when it does not."""

    name: str
    holds: bool
    found: str


def check_figures(seen: Seen, told: Told) -> tuple[Check, ...]:
    """Every comparison of what the stand-ins saw with what the tracker tells."""
    return (*_click_checks(seen, told), *_conversion_checks(seen, told), *_postback_checks(seen, told))


def due_conversions(seen: Seen) -> dict[tuple[str, str], Step]:
    """The last step of each conversion that was reported, by click id and transaction id."""
    return {(promise.click_id, promise.step.txid): promise.step for promise in seen.promises}


def due_fates(seen: Seen) -> Counter[tuple[int, str, str]]:
    """How many postbacks are to stand in Conversions - Out, by rule, state and reason."""
    fates: list[tuple[int, Fate | None]] = []
    for promise in seen.promises:
        fates.append((seen.source_rule_id, promise.step.source))
        fates.append((seen.own_rule_id, promise.step.own))
    return Counter((rule_id, fate.state, fate.reason) for rule_id, fate in fates if fate is not None)


def _click_checks(seen: Seen, told: Told) -> list[Check]:
    visits = seen.visits
    redirected = [visit for visit in visits if visit.status_code == 302 and visit.click_id]
    external_ids = {visit.click_id: visit.visitor.external_id for visit in visits}
    costs = {visit.click_id: int(Decimal(visit.visitor.cost).scaleb(6)) for visit in visits}
    return [
        _same_number("Visitors redirected", len(redirected), len(visits)),
        _same(
            "Redirects seen by the network",
            Counter(arrival.click_id for arrival in seen.arrivals),
            Counter(visit.click_id for visit in redirected),
        ),
        _same_number("Click ids, each one unique", len({visit.click_id for visit in redirected}), len(visits)),
        _same(
            "External ids at the network, byte for byte",
            Counter((arrival.click_id, arrival.external_id) for arrival in seen.arrivals),
            Counter(external_ids.items()),
        ),
        _fair_split(seen),
        _same(
            "Clicks recorded, with their external ids",
            Counter((click.click_id, click.external_id) for click in told.clicks),
            Counter((click_id, readable(text_of(octets))) for click_id, octets in external_ids.items()),
        ),
        _same_number(
            "Clicks counted",
            sum(not click.screening for click in told.clicks),
            sum(visit.visitor.screening is None for visit in visits),
        ),
        _same(
            "Clicks recorded and not counted, by reason",
            Counter(click.screening for click in told.clicks if click.screening),
            Counter(str(visit.visitor.screening) for visit in visits if visit.visitor.screening),
            named=True,
        ),
        _same(
            "Cost of each click",
            {click.click_id: click.cost.micros for click in told.clicks},
            costs,
            f"{_money(sum(costs.values()))} USD",
        ),
    ]


def _conversion_checks(seen: Seen, told: Told) -> list[Check]:
    due = due_conversions(seen)
    names = {conversion.status.key: conversion.status.counts_as for conversion in told.conversions}
    confirmed = [conversion for conversion in told.conversions if conversion.status.counts_as == "confirmed"]
    return [
        Check(
            "Notices answered, each with its right outcome",
            all(_well_answered(sent) for sent in seen.sent),
            _first_wrong(seen.sent, _well_answered) or f"{len(seen.sent):,}",
        ),
        _same(
            "Conversions - In, by outcome and reason",
            Counter(_outcome_text(notice.outcome, notice.reason) for notice in told.notices),
            Counter(_outcome_text(sent.outcome, sent.reason) for sent in seen.sent),
            f"{len(told.notices):,}",
        ),
        _same(
            "Notices flagged for status word or payout",
            Counter(flag for notice in told.notices for flag in notice.flags if flag in _FLAGS),
            Counter(_WORD_FLAG for promise in seen.promises if promise.step.status == "other")
            + Counter(_PAYOUT_FLAG for promise in seen.promises if promise.step.cents is None),
            named=True,
        ),
        _same(
            "Conversions, with status and payout",
            Counter(
                (found.click_id, found.txid, found.status.key, found.payout.micros, found.payout.currency)
                for found in told.conversions
            ),
            Counter(
                (click_id, txid, step.status, step.micros, step.currency) for (click_id, txid), step in due.items()
            ),
        ),
        _same(
            "What each status counts as",
            names,
            {key: _COUNTS_AS[key] for key in {step.status for step in due.values()}},
            ", ".join(f"{key} {counts_as}" for key, counts_as in sorted(names.items())),
        ),
        _same(
            "Revenue confirmed, as in the network's books",
            _revenue((found.payout.currency, found.payout.micros) for found in confirmed),
            _revenue((step.currency, step.micros) for step in due.values() if step.status == "sale"),
            named=True,
        ),
    ]


_WORD_FLAG = NoticeFlag.UNKNOWN_STATUS.value
_PAYOUT_FLAG = NoticeFlag.PAYOUT_UNREPLACED_MACRO.value
_FLAGS = (_WORD_FLAG, _PAYOUT_FLAG)
_COUNTS_AS = {"hold": "pending", "sale": "confirmed", "rejected": "rejected", "other": "pending"}


def _postback_checks(seen: Seen, told: Told) -> list[Check]:
    txids = {conversion.conversion_id: conversion.txid for conversion in told.conversions}
    rows = {postback.postback_id: postback for postback in told.postbacks}
    external_ids = {visit.click_id: visit.visitor.external_id for visit in seen.visits}
    payouts = {
        (promise.click_id, promise.step.txid): promise.step.micros
        for promise in seen.promises
        if promise.step.source in (Fate(PostbackState.DELIVERED), Fate(PostbackState.FAILED))
    }
    taken = {call.postback_id: call for call in seen.calls if call.taken}
    own_taken = {call.postback_id: call for call in seen.own_calls if call.taken}
    calls = (*seen.calls, *seen.own_calls)
    skipped = {row.postback_id for row in told.postbacks if row.state is PostbackState.SKIPPED}
    fated = Counter((row.rule_id, row.state, row.reason or "") for row in told.postbacks)
    delivered = {rule_id: _ids(told, rule_id) for rule_id in (seen.source_rule_id, seen.own_rule_id)}

    def click_of(call: Call) -> str:
        row = rows.get(call.postback_id)
        return row.click_id if row else ""

    def conversion_of(call: Call) -> tuple[str, str]:
        row = rows.get(call.postback_id)
        return (row.click_id, txids.get(row.conversion_id, "")) if row else ("", "")

    return [
        _same("Conversions - Out, by rule, state and reason", fated, due_fates(seen), f"{len(told.postbacks):,}"),
        _same("Postbacks delivered = distinct ids the source took", delivered[seen.source_rule_id], set(taken)),
        _same("Postbacks delivered = distinct ids the own system took", delivered[seen.own_rule_id], set(own_taken)),
        _same(
            "External ids at the source, byte for byte",
            Counter((click_of(call), call.external_id) for call in seen.calls),
            Counter((click_of(call), external_ids.get(click_of(call), b"?")) for call in seen.calls),
        ),
        _same(
            "Payouts told to the source",
            Counter((conversion_of(call), _micros(call.payout)) for call in taken.values()),
            Counter((conversion_of(call), payouts.get(conversion_of(call))) for call in taken.values()),
        ),
        _same(
            "Statuses told to the own system",
            Counter((call.click_id, call.txid, call.status) for call in own_taken.values()),
            Counter(
                (promise.click_id, promise.step.txid, promise.step.status)
                for promise in seen.promises
                if promise.step.own == Fate(PostbackState.DELIVERED)
            ),
        ),
        _same_number("Requests for what was skipped", sum(call.postback_id in skipped for call in calls), 0),
        _same(
            "Attempts recorded = requests seen",
            Counter({row.postback_id: row.attempts for row in told.postbacks if row.attempts}),
            Counter(call.postback_id for call in calls),
            f"{len(calls):,}",
        ),
        _same_number(
            "Requests that differed from their first attempt",
            len({(call.postback_id, call.request) for call in calls}) - len({call.postback_id for call in calls}),
            0,
        ),
    ]


def _ids(told: Told, rule_id: int) -> set[str]:
    return {
        row.postback_id for row in told.postbacks if row.rule_id == rule_id and row.state is PostbackState.DELIVERED
    }


def _well_answered(sent: Sent) -> bool:
    expected = f"refused; reason={sent.reason}" if sent.reason else "accepted"
    return 200 <= sent.status_code < 300 and sent.said in (None, expected)


def _first_wrong(sent: Iterable[Sent], is_right: Callable[[Sent], bool]) -> str:
    return next(
        (f"{one.name} was answered {one.status_code} {one.said or ''}" for one in sent if not is_right(one)), ""
    )


def _outcome_text(outcome: str, reason: str | None) -> str:
    return f"{outcome} {reason}" if reason else str(outcome)


def _fair_split(seen: Seen) -> Check:
    """Each offer's share against its weight; further off than five standard deviations comes once in two million runs."""
    arrived = Counter(arrival.offer for arrival in seen.arrivals)
    holds = True
    for number, weight in enumerate(seen.weights, 1):
        share = weight / sum(seen.weights)
        deviation = sqrt(len(seen.arrivals) * share * (1 - share))
        holds = holds and abs(arrived[str(number)] - len(seen.arrivals) * share) <= 5 * deviation
    weights = " : ".join(map(str, seen.weights))
    counts = " : ".join(f"{arrived[str(number)]:,}" for number in range(1, len(seen.weights) + 1))
    return Check(f"Offers chosen by weight {weights}", holds, counts)


def _revenue(earned: Iterable[tuple[str, int]]) -> dict[str, str]:
    """Text of the sum in each currency."""
    sums: Counter[str] = Counter()
    for currency, micros in earned:
        sums[currency] += micros
    return {currency: _money(micros) for currency, micros in sums.items()}


def _micros(text: str) -> int | None:
    """An amount as a receiver read it, in millionths; None for what is none."""
    return int(Decimal(text).scaleb(6)) if text.replace(".", "", 1).isdecimal() else None


def _money(micros: int) -> str:
    return f"{Decimal(micros).scaleb(-6):,.2f}"


def _same_number(name: str, found: int, expected: int) -> Check:
    return Check(name, found == expected, f"{found:,}" if found == expected else f"{found:,}, expected {expected:,}")


def _same(name: str, found: object, expected: object, size: str = "", *, named: bool = False) -> Check:
    """Whether two collections are equal: their size, or their content when ``named``, or the first few differences."""
    if found == expected:
        return Check(name, True, size or (_listed(found) if named else f"{_size(found):,}"))
    here, there = _entries(found), _entries(expected)
    more = [f"unexpected {entry}" for entry in sorted(map(str, here - there))]
    less = [f"missing {entry}" for entry in sorted(map(str, there - here))]
    return Check(name, False, f"{len(more)} unexpected, {len(less)} missing: {'; '.join([*more[:2], *less[:2]])}")


def _entries(collection: object) -> set[Hashable]:
    return set(collection.items()) if isinstance(collection, dict) else set(collection)  # type: ignore[call-overload]


def _size(collection: object) -> int:
    if isinstance(collection, Counter):
        return collection.total()
    return len(collection)  # type: ignore[arg-type]


def _listed(collection: object) -> str:
    entries = sorted(collection.items()) if isinstance(collection, dict) else ()
    return ", ".join(f"{value} {name}" for name, value in entries) or "none"
