"""Conversions of the big data: notices, processed by the product's own code, and the outcomes of the postbacks."""

import heapq
import random
from collections.abc import Collection, Iterable, Iterator
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import bindparam, insert, select, update

from bench.big_clicks import ClickPlan
from bench.big_setup import BigSetup
from clickloop.click.click import Click
from clickloop.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from clickloop.conversion.notice import Channel, RawNotice
from clickloop.record_id import RecordIds
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.schema.tables import attempts, postbacks, receivers
from clickloop.tracking.notices import Intake, take_notices

NOTICES_PER_BATCH = 100
DEAD_RECEIVER = "postback.kadam.example:443"
"""The receiver that is paused."""
_SECOND_TXID = 0.05
_LATER_CHANGE = 0.12
_REPEAT = 0.02
_REFUSED = 0.06
_WAITING_FOR_MS = 12 * HOUR_MS
"""Minimum delay of waiting postbacks after the data's end, so that a server on the folder has nothing to send."""


class KnownClicks:
    """The clicks that convert, for look-ups by the intake."""

    def __init__(self) -> None:
        self.clicks: dict[str, Click] = {}

    def find_clicks(self, click_ids: Collection[str]) -> dict[str, Click]:
        """Return the known clicks among these ids."""
        return {click_id: self.clicks[click_id] for click_id in click_ids if click_id in self.clicks}


class StoryClock:
    """A clock that shows the story's current time, in Unix milliseconds."""

    def __init__(self) -> None:
        self.now_ms = 0

    def __call__(self) -> int:
        return self.now_ms


class Story:
    """Reports conversions to the tracker in chronological order, as networks do."""

    def __init__(
        self, intake: Intake, known: KnownClicks, clock: StoryClock, clicks: ClickPlan, setup: BigSetup
    ) -> None:
        self._intake = intake
        self._known = known
        self._clock = clock
        self._until_at = clicks.until_at
        self._chance = random.Random(clicks.seed + 1)
        self._ids = RecordIds(clock, self._chance.randbytes)
        self._offers = {offer.offer_id: offer for offer in setup.offers}
        self._scheduled: list[tuple[int, int, str, str]] = []
        self._number = 0

    def add_click(self, click: Click) -> None:
        """Add a click that will convert."""
        self._known.clicks[click.click_id] = click
        for txid in range(2 if self._chance.random() < _SECOND_TXID else 1):
            self._schedule_conversion(click, txid)

    def send_until(self, to_at: int) -> None:
        """Send all notices up to a moment, in small batches."""
        batch: list[RawNotice] = []
        while self._scheduled and self._scheduled[0][0] < to_at:
            at, _, query, channel = heapq.heappop(self._scheduled)
            self._clock.now_ms = at
            batch.append(
                RawNotice(notice_id=self._ids(), at=at, channel=Channel(channel), query=query, ip="198.51.100.7")
            )
            if len(batch) == NOTICES_PER_BATCH:
                take_notices(self._intake, batch, at)
                batch = []
        if batch:
            take_notices(self._intake, batch, self._clock.now_ms)

    def _schedule_conversion(self, click: Click, number: int) -> None:
        chance, offer = self._chance, self._offers[click.offer_id]
        lag = chance.expovariate(1 / (25 * MINUTE_MS)) if chance.random() < 0.75 else chance.random() * 2 * DAY_MS
        at = min(click.at + SECOND_MS + int(lag), self._until_at - 1)
        status = chance.choices(("", "approved", "hold", "declined", "lead", "trial-2"), (30, 28, 22, 7, 11, 2))[0]
        cents = max(10, round(offer.payout_cents * chance.choice((0.8, 1, 1, 1, 1.25))))
        parameters = {"cid": click.click_id, "txid": f"{offer.network_id}-{self._number}", "token": offer.token}
        parameters["payout"] = f"{cents // 100}.{cents % 100:02d}" if chance.random() < 0.85 else ""
        parameters["currency"] = offer.currency if chance.random() < 0.5 else ""
        channel = chance.choices((Channel.S2S, Channel.PIXEL), (96, 4))[0]
        self._schedule(at, parameters | {"status": status}, channel)
        if chance.random() < _LATER_CHANGE:
            later = "approved" if chance.random() < 0.6 else "declined"
            self._schedule(at + int(chance.uniform(0.2, 6) * DAY_MS), parameters | {"status": later}, Channel.S2S)
        if chance.random() < _REPEAT:
            self._schedule(at + 5 * MINUTE_MS, parameters | {"status": status}, Channel.S2S)
        if chance.random() < _REFUSED:
            self._schedule(at, parameters | self._invalid_parameters(click), Channel.S2S)

    def _schedule(self, at: int, parameters: dict[str, str], channel: Channel) -> None:
        if at < self._until_at:
            query = urlencode({name: value for name, value in parameters.items() if value})
            heapq.heappush(self._scheduled, (at, self._number, query, channel.value))
        self._number += 1

    def _invalid_parameters(self, click: Click) -> dict[str, str]:
        """Return random parameters for which a notice is refused."""
        forged = click.click_id[:-3] + ("abc" if not click.click_id.endswith("abc") else "abd")
        return self._chance.choice(
            ({"cid": "{subid}"}, {"cid": ""}, {"cid": "12345"}, {"cid": forged}, {"cid": forged}, {"token": "old-one"})
        )


def finish_postbacks(ledger: Ledger, clicks: ClickPlan) -> None:
    """Give every waiting postback an outcome and attempts. A few keep waiting, until far into the future."""
    chance = random.Random(clicks.seed + 2)
    with ledger.write() as tx:
        pause = {"opened_at": clicks.until_at - 2 * DAY_MS, "probe_at": clicks.until_at + 365 * DAY_MS}
        tx.execute(
            insert(receivers).values(receiver=DEAD_RECEIVER, probes=7, why="The receiver did not answer.", **pause)
        )
    columns = (postbacks.c.postback_id, postbacks.c.created_at, postbacks.c.receiver)
    with ledger.read() as tx:
        owed = tx.execute(
            select(*columns).where(postbacks.c.state == "waiting").order_by(postbacks.c.postback_id)
        ).all()
    for start in range(0, len(owed), 5_000):
        outcomes, attempt_rows = [], []
        for postback_id, created_at, receiver in owed[start : start + 5_000]:
            outcome = _outcome_of(postback_id, created_at, receiver, chance, clicks.until_at)
            attempt_rows += outcome.pop("made")
            outcomes.append(outcome)
        with ledger.write() as tx:
            tx.execute(_FINISH, outcomes)
            tx.execute(insert(attempts), attempt_rows)


def _outcome_of(
    postback_id: str, created_at: int, receiver: str, chance: random.Random, until_at: int
) -> dict[str, Any]:
    """Return the outcome of a postback, with its attempts under ``made``."""
    drawn, age = chance.random(), until_at - created_at
    if receiver == DEAD_RECEIVER and age < 2 * DAY_MS:
        state, results = "waiting", ["again"] * chance.randint(0, 1)
    elif age < HOUR_MS and drawn < 0.4:
        state, results = "waiting", ["again"] * chance.randint(1, 3)
    elif drawn < 0.012 and age > 4 * DAY_MS:
        state, results = "failed", ["again"] * 12 + ["failed"]
    elif drawn < 0.02 and age > HOUR_MS:
        state, results = "failed", ["again", "again", "failed"]
    elif drawn < 0.023:
        state, results = "cancelled", ["again"]
    else:
        state, results = "delivered", ["again"] * (chance.random() < 0.06) + ["delivered"]
    waits = state == "waiting"
    attempt_rows = list(_attempts(postback_id, created_at, results, chance))
    finished_at = attempt_rows[-1]["finished_at"] if attempt_rows else created_at
    return {
        "of_id": postback_id,
        "new_state": state,
        "new_next_attempt_at": until_at + _WAITING_FOR_MS + chance.randrange(DAY_MS) if waits else None,
        "new_finished_at": None if waits else min(finished_at, until_at),
        "new_attempts": len(attempt_rows),
        "made": attempt_rows,
    }


def _attempts(postback_id: str, at: int, results: Iterable[str], chance: random.Random) -> Iterator[dict[str, Any]]:
    for number, result in enumerate(results, 1):
        took = 20 + int(chance.expovariate(1 / 120))
        at += 50 if number == 1 else 5_000 * 3 ** min(number, 9)
        code, error = (
            (200, None) if result == "delivered" else chance.choice(((500, None), (404, None), (None, _TIMEOUT)))
        )
        yield {
            "postback_id": postback_id,
            "number": number,
            "started_at": at,
            "finished_at": at + took,
            "result": result,
            "status_code": code,
            "answer": b"OK" if code == 200 else b"Internal error" if code else None,
            "error": error,
            "duration_ms": took,
        }


_TIMEOUT = "timeout: The receiver did not answer within the deadline."
_FINISH = (
    update(postbacks)
    .where(postbacks.c.postback_id == bindparam("of_id"))
    .values(
        state=bindparam("new_state"),
        next_attempt_at=bindparam("new_next_attempt_at"),
        finished_at=bindparam("new_finished_at"),
        attempts=bindparam("new_attempts"),
    )
)
