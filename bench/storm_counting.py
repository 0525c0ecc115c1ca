"""What a storm came to, counted in the ledger, in the facts and at the receivers; and each promise that does not hold."""

from collections import Counter, defaultdict
from pathlib import Path

import duckdb
import msgspec
from sqlalchemy import Connection, text

from bench.flaky import Arrival, Kind
from clickloop.clock import wall_clock
from clickloop.diagnosis.doctor import Verdict, examine
from clickloop.diagnosis.self_audit import audit_everything
from clickloop.machine.secret_box import secret_box_of
from clickloop.store.ledger.ledger import Ledger

RULES = 2
"""Of each source: one for all conversions, one for every second of them."""
_DOCTORED = frozenset(("ledger", "audit", "postbacks", "notices", "journal"))
"""What the doctor must find well; a disk that is nearly full is not the storm's fault."""

Attempts = dict[tuple[str, int], str]
"""By postback and number, the attempt's result."""


class Counted(msgspec.Struct, frozen=True):
    """What the world outside saw."""

    accepted: dict[str, str]
    """By txid, the click id of each notice that was answered 200."""
    small: int
    """How many of them are skipped by one of the rules."""
    arrivals: list[Arrival]


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted. ``broken``: each promise that does not hold, as a sentence."""

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
    """Requests that had left when a process was killed, and whose outcome was not written."""
    answered: int
    """So many of them had been answered."""
    duplicates: int
    audited: int
    mismatches: int
    broken: tuple[str, ...]


class _Ledgers(msgspec.Struct, frozen=True):
    """What the ledger says."""

    conversions: dict[str, str]
    """Click id by txid."""
    rows: int
    """Of conversions."""
    states: dict[str, str]
    """State by postback."""
    skipped: dict[str, int]
    attempts: Attempts
    pairs: int
    """Distinct pairs of conversion and rule among the postbacks."""
    unexplained: int
    """Failed postbacks without a failed attempt that says why."""


class _Received(msgspec.Struct, frozen=True):
    """What the receivers got, beside what the ledger knows of it."""

    in_flight: int
    answered: int
    duplicates: int
    broken: tuple[str, ...]


def count(folder: Path, counted: Counted) -> Figures:
    """Counts in the folder of a tracker that has been stopped."""
    ledger = Ledger.open(folder / "ledger.sqlite", secret_box_of(folder))
    try:
        with ledger.read() as tx:
            found = _read(tx)
        audited = audit_everything(ledger)
    finally:
        ledger.close()
    with duckdb.connect(str(folder / "facts.duckdb"), read_only=True) as facts:
        (in_facts,) = facts.execute("SELECT coalesce(sum(conversions), 0)::BIGINT FROM facts").fetchone() or (0,)
    received = _compare(found, counted.arrivals)
    states = Counter(found.states.values())
    doctored = [
        f"{one.place}: {one.sentence}" for one in examine(folder, wall_clock()) if _is_ill(one.place, one.verdict)
    ]
    wanted = len(counted.accepted)
    promises = (
        (found.rows == wanted, f"{found.rows} conversions are registered, {wanted} were answered 200."),
        (found.conversions == counted.accepted, "The conversions are not those that were answered 200."),
        (in_facts == wanted, f"The facts know {in_facts} conversions, {wanted} were answered 200."),
        (
            len(found.states) == found.pairs == RULES * wanted,
            f"{len(found.states)} postbacks are there for {found.pairs} pairs.",
        ),
        (
            not states["waiting"] + states["sending"] + states["cancelled"],
            f"Not all postbacks are final: {dict(states)}.",
        ),
        (found.skipped == {"below_minimum": counted.small}, f"Postbacks were skipped for {found.skipped}."),
        (not found.unexplained, f"{found.unexplained} failed postbacks do not say why."),
        (not audited.mismatches, f"The self-audit finds {len(audited.mismatches)} mismatches."),
        (not doctored, " ".join(doctored)),
    )
    return Figures(
        conversions=found.rows,
        in_facts=int(in_facts),
        postbacks=len(found.states),
        delivered=states["delivered"],
        failed=states["failed"],
        skipped=found.skipped,
        unfinished=states["waiting"] + states["sending"],
        arrived=len(counted.arrivals),
        answers=Counter(arrival.kind.value for arrival in counted.arrivals if arrival.kind is not Kind.OK),
        in_flight=received.in_flight,
        answered=received.answered,
        duplicates=received.duplicates,
        audited=audited.changes,
        mismatches=len(audited.mismatches),
        broken=tuple(sentence for holds, sentence in promises if not holds) + received.broken,
    )


def _is_ill(place: str, verdict: Verdict) -> bool:
    return place in _DOCTORED and verdict is Verdict.FAULT


def _read(tx: Connection) -> _Ledgers:
    conversions = tx.execute(text("SELECT txid, click_id FROM conversions")).all()
    postbacks = tx.execute(text("SELECT postback_id, state, reason FROM postbacks")).all()
    attempts = tx.execute(text("SELECT postback_id, number, result FROM attempts")).all()
    unexplained = (
        "SELECT count(*) FROM postbacks AS p WHERE state = 'failed' AND NOT EXISTS (SELECT 1 FROM attempts AS a "
        "WHERE a.postback_id = p.postback_id AND a.result = 'failed' AND coalesce(a.error, '') <> '')"
    )
    return _Ledgers(
        conversions={row.txid: row.click_id for row in conversions},
        rows=len(conversions),
        states={row.postback_id: row.state for row in postbacks},
        skipped=dict(Counter(row.reason for row in postbacks if row.reason is not None)),
        attempts={(row.postback_id, row.number): row.result for row in attempts},
        pairs=tx.scalar(text("SELECT count(*) FROM (SELECT DISTINCT conversion_id, rule_id FROM postbacks)")) or 0,
        unexplained=tx.scalar(text(unexplained)) or 0,
    )


def _compare(found: _Ledgers, arrivals: list[Arrival]) -> _Received:
    """An attempt that was on its way when a process was killed is recorded as unknown, and it alone may be made again after a 200."""
    times = Counter((arrival.postback_id, arrival.attempt) for arrival in arrivals)
    unrecorded = sum(key not in found.attempts for key in times)
    twice = sum(number > 1 for number in times.values())
    unknown = [one for one in arrivals if found.attempts.get((one.postback_id, one.attempt)) == "unknown"]
    in_flight, answered = len(unknown), sum(one.answered for one in unknown)
    taken: dict[str, list[int]] = defaultdict(list)
    for arrival in arrivals:
        if arrival.kind is Kind.OK and arrival.answered:
            taken[arrival.postback_id].append(arrival.attempt)
    duplicates = sum(len(numbers) - 1 for numbers in taken.values())
    unexcused = sum(
        found.attempts.get((postback_id, number)) != "unknown"
        for postback_id, numbers in taken.items()
        for number in sorted(numbers)[:-1]
    )
    untaken = sum(state == "delivered" and postback_id not in taken for postback_id, state in found.states.items())
    unowed = sum(found.states.get(postback_id) not in {"delivered", "failed"} for postback_id, _ in times)
    promises = (
        (not unrecorded, f"{unrecorded} requests arrived that no attempt in the ledger tells of."),
        (not twice, f"{twice} attempts arrived more than once."),
        (not unexcused, f"{unexcused} postbacks were sent again although their 200 had been written down."),
        (
            duplicates <= in_flight,
            f"{duplicates} duplicates, but only {in_flight} requests were on their way at kills.",
        ),
        (not untaken, f"{untaken} postbacks are said to be delivered that no receiver took."),
        (not unowed, f"{unowed} requests arrived for what was not owed."),
    )
    return _Received(in_flight, answered, duplicates, tuple(sentence for holds, sentence in promises if not holds))
