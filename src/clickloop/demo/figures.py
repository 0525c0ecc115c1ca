"""Compares what the simulated partners observed with what the tracker reports, check by check. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal
from math import sqrt

from clickloop.conversion.notice import NoticeFlag
from clickloop.demo.check import Check, check, check_number
from clickloop.demo.observed import ObservedTraffic, SentNotice
from clickloop.demo.plan import ConversionStep, Fate
from clickloop.demo.reported import TrackerData
from clickloop.demo.standins import ReceivedPostback
from clickloop.postback.state import PostbackState
from clickloop.text import escape_bytes, readable


def check_figures(seen: ObservedTraffic, data: TrackerData) -> tuple[Check, ...]:
    """Return all checks of the tracker's data against the partners' observations."""
    return (*_click_checks(seen, data), *_conversion_checks(seen, data), *_postback_checks(seen, data))


def expected_conversions(seen: ObservedTraffic) -> dict[tuple[str, str], ConversionStep]:
    """Return the last step sent for each conversion, by click id and transaction id."""
    return {(sent.click_id, sent.step.txid): sent.step for sent in seen.sent_steps}


def expected_fates(seen: ObservedTraffic) -> Counter[tuple[int, str, str]]:
    """Return the expected number of postbacks in Conversions - Out, by rule, state and reason."""
    fates: list[tuple[int, Fate | None]] = []
    for sent in seen.sent_steps:
        fates.append((seen.source_rule_id, sent.step.source))
        fates.append((seen.own_rule_id, sent.step.own))
    return Counter((rule_id, fate.state, fate.reason) for rule_id, fate in fates if fate is not None)


def _click_checks(seen: ObservedTraffic, data: TrackerData) -> list[Check]:
    visits = seen.visits
    redirected = [visit for visit in visits if visit.status_code == 302 and visit.click_id]
    external_ids = {visit.click_id: visit.visitor.external_id for visit in visits}
    costs = {visit.click_id: int(Decimal(visit.visitor.cost).scaleb(6)) for visit in visits}
    return [
        check_number("Visitors redirected", len(redirected), len(visits)),
        check(
            "Redirects received by the network",
            Counter(arrival.click_id for arrival in seen.arrivals),
            Counter(visit.click_id for visit in redirected),
        ),
        check_number("Unique click IDs", len({visit.click_id for visit in redirected}), len(visits)),
        check(
            "External IDs at the network, byte for byte",
            Counter((arrival.click_id, arrival.external_id) for arrival in seen.arrivals),
            Counter(external_ids.items()),
        ),
        _offer_split(seen),
        check(
            "Clicks recorded, with external IDs",
            Counter((click.click_id, click.external_id) for click in data.clicks),
            Counter((click_id, readable(escape_bytes(raw))) for click_id, raw in external_ids.items()),
        ),
        check_number(
            "Clicks counted",
            sum(not click.screening for click in data.clicks),
            sum(visit.visitor.screening is None for visit in visits),
        ),
        check(
            "Clicks recorded but not counted, by reason",
            Counter(click.screening for click in data.clicks if click.screening),
            Counter(str(visit.visitor.screening) for visit in visits if visit.visitor.screening),
            show_content=True,
        ),
        check(
            "Cost of each click",
            {click.click_id: click.cost.micros for click in data.clicks},
            costs,
            f"{_money(sum(costs.values()))} USD",
        ),
    ]


def _conversion_checks(seen: ObservedTraffic, data: TrackerData) -> list[Check]:
    due = expected_conversions(seen)
    names = {conversion.status.key: conversion.status.counts_as for conversion in data.conversions}
    confirmed = [conversion for conversion in data.conversions if conversion.status.counts_as == "confirmed"]
    return [
        Check(
            "Incoming postbacks answered correctly",
            all(_is_answered_correctly(sent) for sent in seen.sent),
            _first_failure(seen.sent, _is_answered_correctly) or f"{len(seen.sent):,}",
        ),
        check(
            "Conversions - In, by outcome and reason",
            Counter(_outcome_text(notice.outcome, notice.reason) for notice in data.notices),
            Counter(_outcome_text(sent.outcome, sent.reason) for sent in seen.sent),
            f"{len(data.notices):,}",
        ),
        check(
            "Incoming postbacks flagged for status or payout",
            Counter(flag for notice in data.notices for flag in notice.flags if flag in _FLAGS),
            Counter(_STATUS_FLAG for sent in seen.sent_steps if sent.step.status == "other")
            + Counter(_PAYOUT_FLAG for sent in seen.sent_steps if sent.step.cents is None),
            show_content=True,
        ),
        check(
            "Conversions by status and payout",
            Counter(
                (found.click_id, found.txid, found.status.key, found.payout.micros, found.payout.currency)
                for found in data.conversions
            ),
            Counter(
                (click_id, txid, step.status, step.micros, step.currency) for (click_id, txid), step in due.items()
            ),
        ),
        check(
            "What each status counts as",
            names,
            {key: _COUNTS_AS[key] for key in {step.status for step in due.values()}},
            ", ".join(f"{key} → {counts_as}" for key, counts_as in sorted(names.items())),
        ),
        check(
            "Confirmed revenue = the network's records",
            _revenue((found.payout.currency, found.payout.micros) for found in confirmed),
            _revenue((step.currency, step.micros) for step in due.values() if step.status == "sale"),
            show_content=True,
        ),
    ]


_STATUS_FLAG = NoticeFlag.UNKNOWN_STATUS.value
_PAYOUT_FLAG = NoticeFlag.PAYOUT_UNREPLACED_MACRO.value
_FLAGS = (_STATUS_FLAG, _PAYOUT_FLAG)
_COUNTS_AS = {"hold": "pending", "sale": "confirmed", "rejected": "rejected", "other": "pending"}


def _postback_checks(seen: ObservedTraffic, data: TrackerData) -> list[Check]:
    txids = {conversion.conversion_id: conversion.txid for conversion in data.conversions}
    rows = {postback.postback_id: postback for postback in data.postbacks}
    external_ids = seen.external_ids
    payouts = {
        (sent.click_id, sent.step.txid): sent.step.micros
        for sent in seen.sent_steps
        if sent.step.source in (Fate(PostbackState.DELIVERED), Fate(PostbackState.FAILED))
    }
    accepted = {call.postback_id: call for call in seen.calls if call.accepted}
    own_calls = {call.postback_id: call for call in seen.own_calls if call.accepted}
    calls = (*seen.calls, *seen.own_calls)
    skipped = {row.postback_id for row in data.postbacks if row.state is PostbackState.SKIPPED}
    fates = Counter((row.rule_id, row.state, row.reason or "") for row in data.postbacks)

    def conversion_of(call: ReceivedPostback) -> tuple[str, str]:
        row = rows.get(call.postback_id)
        return (row.click_id, txids.get(row.conversion_id, "")) if row else ("", "")

    return [
        check("Conversions - Out, by rule, state and reason", fates, expected_fates(seen), f"{len(data.postbacks):,}"),
        check("Postbacks delivered = accepted by the source", _delivered(data, seen.source_rule_id), set(accepted)),
        check("Postbacks delivered = accepted by your own system", _delivered(data, seen.own_rule_id), set(own_calls)),
        check(
            "External IDs at the source, byte for byte",
            Counter((conversion_of(call)[0], call.external_id) for call in seen.calls),
            Counter((id_, external_ids.get(id_, b"?")) for id_, _ in map(conversion_of, seen.calls)),
        ),
        check(
            "Payouts sent to the source",
            Counter((conversion_of(call), _micros(call.payout)) for call in accepted.values()),
            Counter((conversion_of(call), payouts.get(conversion_of(call))) for call in accepted.values()),
        ),
        check(
            "Statuses sent to your own system",
            Counter((call.click_id, call.txid, call.status) for call in own_calls.values()),
            Counter(
                (sent.click_id, sent.step.txid, sent.step.status)
                for sent in seen.sent_steps
                if sent.step.own == Fate(PostbackState.DELIVERED)
            ),
        ),
        check_number("Requests sent for skipped postbacks", sum(call.postback_id in skipped for call in calls), 0),
        check(
            "Attempts recorded = requests received",
            Counter({row.postback_id: row.attempts for row in data.postbacks if row.attempts}),
            Counter(call.postback_id for call in calls),
            f"{len(calls):,}",
        ),
        check_number(
            "Retries that differed from the first attempt",
            len({(call.postback_id, call.request) for call in calls}) - len({call.postback_id for call in calls}),
            0,
        ),
    ]


def _delivered(data: TrackerData, rule_id: int) -> set[str]:
    rows = (row for row in data.postbacks if row.rule_id == rule_id and row.state is PostbackState.DELIVERED)
    return {row.postback_id for row in rows}


def _is_answered_correctly(sent: SentNotice) -> bool:
    expected = f"refused; reason={sent.reason}" if sent.reason else "accepted"
    return 200 <= sent.status_code < 300 and sent.outcome_header in (None, expected)


def _first_failure(sent: Iterable[SentNotice], is_right: Callable[[SentNotice], bool]) -> str:
    return next(
        (f"{one.name} was answered {one.status_code} {one.outcome_header or ''}" for one in sent if not is_right(one)),
        "",
    )


def _outcome_text(outcome: str, reason: str | None) -> str:
    return f"{outcome} {reason}" if reason else str(outcome)


def _offer_split(seen: ObservedTraffic) -> Check:
    """Check each offer's share against its weight. A deviation beyond 5 sigma happens once in two million runs."""
    arrived = Counter(arrival.offer for arrival in seen.arrivals)
    passed = True
    for number, weight in enumerate(seen.weights, 1):
        share = weight / sum(seen.weights)
        deviation = sqrt(len(seen.arrivals) * share * (1 - share))
        passed = passed and abs(arrived[str(number)] - len(seen.arrivals) * share) <= 5 * deviation
    weights = " : ".join(map(str, seen.weights))
    counts = " : ".join(f"{arrived[str(number)]:,}" for number in range(1, len(seen.weights) + 1))
    return Check(f"Offers chosen by weight {weights}", passed, counts)


def _revenue(earned: Iterable[tuple[str, int]]) -> dict[str, str]:
    """Return the total in each currency, formatted."""
    sums: Counter[str] = Counter()
    for currency, micros in earned:
        sums[currency] += micros
    return {currency: _money(micros) for currency, micros in sums.items()}


def _micros(text: str) -> int | None:
    """Return a receiver's amount in millionths, or None if it is not a number."""
    return int(Decimal(text).scaleb(6)) if text.replace(".", "", 1).isdecimal() else None


def _money(micros: int) -> str:
    return f"{Decimal(micros).scaleb(-6):,.2f}"
