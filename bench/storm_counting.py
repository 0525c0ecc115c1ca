"""Counts the results of a storm in the ledger, in the facts and at the receivers, and checks each promise."""

from collections import Counter, defaultdict
from pathlib import Path

import duckdb
import msgspec
from sqlalchemy import Connection, text

from bench.flaky import AnswerKind, ReceivedRequest
from clickloop.clock import wall_clock
from clickloop.diagnosis.doctor import examine
from clickloop.diagnosis.doctor_finding import DoctorVerdict
from clickloop.diagnosis.self_audit import audit_everything
from clickloop.machine.secret_box import secret_box_of
from clickloop.store.ledger.ledger import Ledger

RULES = 2
"""Rules of each source: one for all conversions, one for every second of them."""
_DOCTOR_AREAS = frozenset(("ledger", "audit", "postbacks", "notices", "journal"))
"""Areas in which the doctor may find no fault. A disk that is nearly full is not caused by the storm."""

Attempts = dict[tuple[str, int], str]
"""Result of each attempt, by postback and number."""


class Observations(msgspec.Struct, frozen=True):
    """The observations of networks and receivers."""

    accepted: dict[str, str]
    """Click id of each notice answered with 200, by txid."""
    small: int
    """Number of them that one of the rules skips."""
    arrivals: list[ReceivedRequest]


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The counts. ``broken``: a sentence for each broken promise."""

    conversions: int
    in_facts: int
    postbacks: int
    delivered: int
    failed: int
    skipped: dict[str, int]
    unfinished: int
    arrived: int
    answers: dict[str, int]
    in_flight: int
    """Requests sent when a process was killed, whose outcome was not recorded."""
    answered: int
    """Number of them that had been answered."""
    duplicates: int
    audited: int
    mismatches: int
    broken: tuple[str, ...]


class _LedgerContents(msgspec.Struct, frozen=True):
    """The contents of the ledger."""

    conversions: dict[str, str]
    """Click id by txid."""
    rows: int
    """Number of conversions."""
    states: dict[str, str]
    """State by postback."""
    skipped: dict[str, int]
    attempts: Attempts
    pairs: int
    """Number of distinct pairs of conversion and rule among the postbacks."""
    unexplained: int
    """Number of failed postbacks without a failed attempt that says why."""


class _Received(msgspec.Struct, frozen=True):
    """The receivers' requests, compared with the ledger."""

    in_flight: int
    answered: int
    duplicates: int
    broken: tuple[str, ...]


def count(folder: Path, observations: Observations) -> Figures:
    """Count in the folder of a stopped tracker."""
    ledger = Ledger.open(folder / "ledger.sqlite", secret_box_of(folder))
    try:
        with ledger.read() as tx:
            found = _read(tx)
        audited = audit_everything(ledger)
    finally:
        ledger.close()
    with duckdb.connect(str(folder / "facts.duckdb"), read_only=True) as facts:
        (in_facts,) = facts.execute("SELECT coalesce(sum(conversions), 0)::BIGINT FROM facts").fetchone() or (0,)
    received = _compare(found, observations.arrivals)
    states = Counter(found.states.values())
    doctor_faults = [
        f"{one.place}: {one.sentence}" for one in examine(folder, wall_clock()) if _is_fault(one.place, one.verdict)
    ]
    expected = len(observations.accepted)
    promises = (
        (found.rows == expected, f"{found.rows} conversions are registered, {expected} were answered 200."),
        (found.conversions == observations.accepted, "The conversions are not those that were answered 200."),
        (in_facts == expected, f"The facts know {in_facts} conversions, {expected} were answered 200."),
        (
            len(found.states) == found.pairs == RULES * expected,
            f"{len(found.states)} postbacks exist for {found.pairs} pairs.",
        ),
        (
            not states["waiting"] + states["sending"] + states["cancelled"],
            f"Not all postbacks are final: {dict(states)}.",
        ),
        (found.skipped == {"below_minimum": observations.small}, f"Postbacks were skipped for {found.skipped}."),
        (not found.unexplained, f"{found.unexplained} failed postbacks do not say why."),
        (not audited.mismatches, f"The self-audit finds {len(audited.mismatches)} mismatches."),
        (not doctor_faults, " ".join(doctor_faults)),
    )
    return Figures(
        conversions=found.rows,
        in_facts=int(in_facts),
        postbacks=len(found.states),
        delivered=states["delivered"],
        failed=states["failed"],
        skipped=found.skipped,
        unfinished=states["waiting"] + states["sending"],
        arrived=len(observations.arrivals),
        answers=Counter(arrival.kind.value for arrival in observations.arrivals if arrival.kind is not AnswerKind.OK),
        in_flight=received.in_flight,
        answered=received.answered,
        duplicates=received.duplicates,
        audited=audited.changes,
        mismatches=len(audited.mismatches),
        broken=tuple(sentence for holds, sentence in promises if not holds) + received.broken,
    )


def _is_fault(place: str, verdict: DoctorVerdict) -> bool:
    return place in _DOCTOR_AREAS and verdict is DoctorVerdict.FAULT


def _read(tx: Connection) -> _LedgerContents:
    conversions = tx.execute(text("SELECT txid, click_id FROM conversions")).all()
    postbacks = tx.execute(text("SELECT postback_id, state, reason FROM postbacks")).all()
    attempts = tx.execute(text("SELECT postback_id, number, result FROM attempts")).all()
    unexplained = (
        "SELECT count(*) FROM postbacks AS p WHERE state = 'failed' AND NOT EXISTS (SELECT 1 FROM attempts AS a "
        "WHERE a.postback_id = p.postback_id AND a.result = 'failed' AND coalesce(a.error, '') <> '')"
    )
    return _LedgerContents(
        conversions={row.txid: row.click_id for row in conversions},
        rows=len(conversions),
        states={row.postback_id: row.state for row in postbacks},
        skipped=dict(Counter(row.reason for row in postbacks if row.reason is not None)),
        attempts={(row.postback_id, row.number): row.result for row in attempts},
        pairs=tx.scalar(text("SELECT count(*) FROM (SELECT DISTINCT conversion_id, rule_id FROM postbacks)")) or 0,
        unexplained=tx.scalar(text(unexplained)) or 0,
    )


def _compare(found: _LedgerContents, arrivals: list[ReceivedRequest]) -> _Received:
    """Compare requests with attempts. Only an attempt in flight at a kill, recorded as unknown, may be repeated after a 200."""
    times = Counter((arrival.postback_id, arrival.attempt) for arrival in arrivals)
    unrecorded = sum(key not in found.attempts for key in times)
    twice = sum(number > 1 for number in times.values())
    unknown = [one for one in arrivals if found.attempts.get((one.postback_id, one.attempt)) == "unknown"]
    in_flight, answered = len(unknown), sum(one.answered for one in unknown)
    accepted: dict[str, list[int]] = defaultdict(list)
    for arrival in arrivals:
        if arrival.kind is AnswerKind.OK and arrival.answered:
            accepted[arrival.postback_id].append(arrival.attempt)
    duplicates = sum(len(numbers) - 1 for numbers in accepted.values())
    unjustified = sum(
        found.attempts.get((postback_id, number)) != "unknown"
        for postback_id, numbers in accepted.items()
        for number in sorted(numbers)[:-1]
    )
    not_received = sum(
        state == "delivered" and postback_id not in accepted for postback_id, state in found.states.items()
    )
    unexpected_requests = sum(found.states.get(postback_id) not in {"delivered", "failed"} for postback_id, _ in times)
    promises = (
        (not unrecorded, f"{unrecorded} requests arrived without an attempt in the ledger."),
        (not twice, f"{twice} attempts arrived more than once."),
        (not unjustified, f"{unjustified} postbacks were sent again although their 200 was recorded."),
        (
            duplicates <= in_flight,
            f"{duplicates} duplicates, but only {in_flight} requests were in flight at kills.",
        ),
        (not not_received, f"{not_received} postbacks are marked as delivered that no receiver accepted."),
        (not unexpected_requests, f"{unexpected_requests} requests arrived for postbacks that were not due."),
    )
    return _Received(in_flight, answered, duplicates, tuple(sentence for holds, sentence in promises if not holds))
