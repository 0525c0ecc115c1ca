"""Run backtests step by step, so that progress is visible and a stop takes effect. Reads the facts; writes only progress."""

from collections.abc import Callable, Collection, Generator
from typing import NamedTuple

import msgspec

from clickloop.clock import DAY_MS, Clock, steady_seconds
from clickloop.diagnosis.backtest.replay import BacktestFlows, Replay
from clickloop.diagnosis.backtest.result import BacktestResult
from clickloop.diagnosis.backtest.summary import PartNames, summed_up
from clickloop.diagnosis.condition_phrases import FlowNames
from clickloop.diagnosis.route.explaining import keyed_flow, with_ids
from clickloop.diagnosis.route.lookup import RouteSettings, flow_context, row_fields_of
from clickloop.diagnosis.route.recorded import KeptValues
from clickloop.machine.log import log
from clickloop.setup.catalog import Catalog, flows_by_campaign
from clickloop.setup.flow import FlowParts, part_labels, references_of
from clickloop.setup.routing_state import with_learned_weights
from clickloop.store.facts.facts import FactsReader
from clickloop.store.ledger.jobs.backtests import BACKTESTS, Backtest, delete_backtests_before
from clickloop.store.ledger.jobs.jobs import JobState
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.setup.campaigns import CAMPAIGNS
from clickloop.store.ledger.setup.catalog import read_catalog_of
from clickloop.store.ledger.setup.flows import flow_version, part_names
from clickloop.store.ledger.setup.names import RecordKind, names_of
from clickloop.store.ledger.setup.routing_states import latest_routing_state
from clickloop.store.ledger.setup.traffic_sources import SOURCES

KEEP_DAYS = 30
STEP_SECONDS = 0.5
"""Duration of a step, after which a stop takes effect."""


class _Run(NamedTuple):
    """A running backtest. ``batches`` yields after each batch of clicks."""

    backtest_id: str
    replay: Replay
    batches: Generator[None, None, None]
    parts: FlowParts


class BacktestWorker:
    """Runs one backtest after the other. One per ledger, in one thread.

    Its counts are in memory, so after a restart the backtest starts again.
    """

    def __init__(self, ledger: Ledger, facts: FactsReader, settings: Callable[[], RouteSettings], clock: Clock) -> None:
        self._ledger = ledger
        self._facts = facts
        self._settings = settings
        self._clock = clock
        self._run: _Run | None = None

    def step(self, seconds: float = STEP_SECONDS) -> bool:
        """Work on the oldest backtest for a moment; return False if there is none. Errors of a store propagate: call again later."""
        with self._ledger.read() as tx:
            backtest = next(iter(BACKTESTS.unfinished(tx, 1)), None)
        if backtest is None:
            self._drop()
            return False
        if self._run is None or self._run.backtest_id != backtest.backtest_id:
            self._drop()
            backtest = self._begin(backtest)
        try:
            self._work(backtest, seconds)
        except BaseException:
            self._drop()
            raise
        return True

    def _begin(self, backtest: Backtest) -> Backtest:
        """Compile the flow and count the clicks."""
        parts = with_ids(msgspec.json.decode(backtest.flow, type=FlowParts))
        replay = self._replay(backtest, parts)
        total = self._facts.count_clicks(backtest.campaign_id, backtest.since, backtest.until)
        self._run = _Run(backtest.backtest_id, replay, self._batches(backtest, replay), parts)
        return msgspec.structs.replace(backtest, state=JobState.RUNNING, total=total, done=0)

    def _replay(self, backtest: Backtest, parts: FlowParts) -> Replay:
        settings = self._settings()
        named = references_of(parts)
        with self._ledger.read() as tx:
            campaign = CAMPAIGNS.find(tx, backtest.campaign_id)
            source = SOURCES.find(tx, campaign.source_id) if campaign else None
            catalog = read_catalog_of(tx, settings.own_hosts, [backtest.campaign_id, *named.campaigns], named)
            state = latest_routing_state(tx)
        context = flow_context(catalog, FlowNames(), settings.fallback_url)
        flows = BacktestFlows(
            first=keyed_flow(with_learned_weights(parts, state), context.lists, context.why_not),
            others={
                campaign_id: keyed_flow(with_learned_weights(other, state), context.lists, context.why_not)
                for campaign_id, other in _other_flows(catalog).items()
                if campaign_id != backtest.campaign_id
            },
        )
        return Replay(flows, KeptValues(rows=row_fields_of(source), ip_storage=settings.ip_storage), self._compared)

    def _compared(self, flow_id: int, version: int) -> Collection[str]:
        """Return the fields that a version of a flow compared."""
        with self._ledger.read() as tx:
            parts = flow_version(tx, flow_id, version)
        if parts is None:
            return ()
        return {condition.field for rule in parts.rules if rule.active for condition in rule.conditions}

    def _batches(self, backtest: Backtest, replay: Replay) -> Generator[None, None, None]:
        """Decide the clicks day by day, so that a day's conversions fit into memory."""
        for since in range(backtest.since, backtest.until, DAY_MS):
            until = min(since + DAY_MS, backtest.until)
            earned = self._facts.earned(backtest.campaign_id, since, until)
            for rows in self._facts.click_rows(backtest.campaign_id, since, until, replay.columns):
                replay.add(rows, earned)
                yield
            yield

    def _work(self, backtest: Backtest, seconds: float) -> None:
        run = self._run
        assert run is not None, "a backtest is worked on that was not begun"
        ends = steady_seconds() + seconds
        is_over = False
        while not is_over and steady_seconds() < ends:
            is_over = next(run.batches, _OVER) is _OVER
        done = msgspec.structs.replace(backtest, done=run.replay.clicks, total=max(backtest.total, run.replay.clicks))
        if is_over:
            result = summed_up(run.replay, self._names(run))
            done = msgspec.structs.replace(
                done,
                state=JobState.FINISHED,
                total=done.done,
                finished_at=self._clock(),
                result=msgspec.json.encode(result),
            )
        with self._ledger.write() as tx:
            written = BACKTESTS.keep(tx, done)
        if is_over or not written:
            self._drop()
        if is_over and written:
            log("backtest ended", backtest_id=done.backtest_id, clicks=done.done)

    def _names(self, run: _Run) -> PartNames:
        """Return the names of all rules, paths, landings and offers that clicks went or would go to."""
        ends = [end for pair in run.replay.route_pairs() for end in pair]
        own = _own_names(run.parts)
        with self._ledger.read() as tx:
            stored = part_names(tx, {number for end in ends for number in (end.rule_id, end.path_id) if number > 0})
            landings = names_of(tx, RecordKind.LANDING, {end.landing_id for end in ends})
            offers = names_of(tx, RecordKind.OFFER, {end.offer_id for end in ends})
        return PartNames(parts=stored | own, landings=landings, offers=offers)

    def _drop(self) -> None:
        """Drop the running backtest, and end its reading of the facts."""
        run, self._run = self._run, None
        if run is not None:
            run.batches.close()


_OVER = object()


def _own_names(parts: FlowParts) -> dict[int, str]:
    """Return the labels of a flow's rules and paths. Unnamed new ones are marked as new."""
    new = {rule.id for rule in parts.rules if rule.id <= 0 and not rule.name}
    new |= {path.id for _, path in parts.paths() if path.id <= 0 and not path.name}
    return {number: f"{label} (new)" if number in new else label for number, label in part_labels(parts).items()}


def _other_flows(catalog: Catalog) -> dict[int, FlowParts]:
    flows = flows_by_campaign(catalog)
    return {campaign.id: flows[campaign.id].parts for campaign in catalog.campaigns if campaign.active}


def delete_old_backtests(ledger: Ledger, now_ms: int) -> None:
    """Delete backtests that ended ``KEEP_DAYS`` ago."""
    with ledger.write() as tx:
        delete_backtests_before(tx, now_ms - KEEP_DAYS * DAY_MS)


def result_of(backtest: Backtest) -> BacktestResult | None:
    """Return the result, or None if there is none yet."""
    return None if backtest.result is None else msgspec.json.decode(backtest.result, type=BacktestResult)
