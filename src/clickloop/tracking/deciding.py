"""Decide which postbacks the changes of conversions create: each change and rule give one row in Conversions - Out."""

from collections.abc import Callable, Sequence
from typing import Self

import msgspec
from sqlalchemy import Connection

from clickloop.click.click_values import SetupNames
from clickloop.conversion.conversion import Change
from clickloop.macro import Chance, Values
from clickloop.postback.due import DuePostback, RuleContext, SkippedPostback, SkipReason, decide_postback
from clickloop.postback.postback_log import NewPostback
from clickloop.postback.rule import PostbackRule
from clickloop.postback.sending.address_guard import STRICT, AddressGuard, RefusedAddress
from clickloop.postback.values import ReadyRequest, change_values, ready_request
from clickloop.report.query import Dimension
from clickloop.setup.source_rows import row_macros
from clickloop.store.ledger.logs.conversions import RulesDecided, note_rules_decided
from clickloop.store.ledger.logs.postbacks import earlier_decisions, insert_postbacks
from clickloop.store.ledger.setup.names import RecordKind, names_of
from clickloop.store.ledger.setup.report_names import record_names
from clickloop.store.ledger.setup.rules import (
    CampaignContext,
    LiveRule,
    applicable_rules,
    campaign_contexts,
    count_shares,
)
from clickloop.store.ledger.setup.traffic_sources import parameters_of

NO_CAMPAIGN = CampaignContext("", "", False)

MacroRows = tuple[tuple[str, str], ...]
"""Lower-case parameter name and canonical macro of each row of a source."""


KnownDecisions = dict[tuple[str, int], list[SkipReason | None]]
"""Earlier decisions by conversion and rule, in order. None: a postback was created."""


class Decisions(msgspec.Struct, frozen=True):
    """The decisions for a batch of changes."""

    postbacks: list[NewPostback]
    rules: list[RulesDecided]
    counted: dict[int, int]
    """By rule, the number of conversions that its share counted in this batch."""


class SetupContext(msgspec.Struct, frozen=True):
    """The set-up that applies to a batch of changes, read once for all of them."""

    rules: tuple[LiveRule, ...]
    campaigns: dict[int, CampaignContext]
    sources: dict[int, str]
    rows: dict[int, MacroRows]
    offers: dict[int, str]
    networks: dict[int, str]

    landings: dict[int, str] = {}
    paths: dict[int, str] = {}

    def names_of(self, change: Change) -> SetupNames:
        """Return the names of the set-up records of a change's click."""
        click = change.after.click
        campaign = self.campaigns.get(click.campaign_id, NO_CAMPAIGN)
        return SetupNames(
            campaign_key=campaign.key,
            campaign_name=campaign.name,
            source_name=self.sources.get(click.source_id, ""),
            offer_name=self.offers.get(click.offer_id, ""),
            network_name=self.networks.get(click.network_id, ""),
            landing_name=self.landings.get(click.landing_id, ""),
            path_name=self.paths.get(click.path_id, ""),
        )


class PreparedRule(msgspec.Struct, frozen=True):
    """A rule for the clicks of one source, its request parsed with the source's parameter names."""

    rule: PostbackRule
    ready: ReadyRequest
    refused_address: str
    """The sentence with which the address guard refuses the receiver; empty: it is allowed."""

    @classmethod
    def of(cls, rule: PostbackRule, source_id: int, setup: SetupContext, guard: AddressGuard) -> Self:
        """Return the rule prepared for clicks of a source. ``setup`` must contain that source's rows."""
        ready = ready_request(rule.request, setup.rows.get(source_id, ()))
        judgement = guard.judge_target(ready.target)
        return cls(rule, ready, judgement.sentence if isinstance(judgement, RefusedAddress) else "")


class ApplicableRules:
    """The rules that apply to each change, prepared once per source and campaign."""

    def __init__(self, setup: SetupContext, guard: AddressGuard = STRICT) -> None:
        self._setup = setup
        self._guard = guard
        self._prepared: dict[tuple[int, int], list[PreparedRule]] = {}

    def of(self, change: Change) -> list[PreparedRule]:
        """Return the rules of a change's source, its campaign and the whole instance, in order."""
        click = change.after.click
        prepared = self._prepared.get((click.source_id, click.campaign_id))
        if prepared is None:
            prepared = self._prepared[click.source_id, click.campaign_id] = [
                PreparedRule.of(live.rule, click.source_id, self._setup, self._guard)
                for live in self._setup.rules
                if live.rule.source_id in (None, click.source_id) and live.rule.campaign_id in (None, click.campaign_id)
            ]
        return prepared


class ChangeValues:
    """The macro values of one change, computed once for all rules that report the same percentage of the payout."""

    def __init__(self, change: Change, setup: SetupContext) -> None:
        self.change = change
        self.trigger = change.kind.value
        self._names = setup.names_of(change)
        self._values: dict[int, Values] = {}

    def of(self, rule: PostbackRule, postback_id: str, ready: ReadyRequest) -> Values:
        """Return the values for a rule's postback with this request. Valid until the next call, which may reuse the object."""
        percent = rule.conditions.payout_percent
        values = self._values.get(percent)
        if values is None:
            base = next(iter(self._values.values()), None)
            values = self._values[percent] = change_values(self.change.after, percent, self._names, base)
        if ready.varies_by_rule:
            values.put("postback_id", postback_id)
            values.put("rule.name", rule.name)
        return values


def owe_postbacks(
    tx: Connection,
    changes: Sequence[Change],
    now_ms: int,
    new_id: Callable[[], str],
    chance: Chance | None = None,
    guard: AddressGuard = STRICT,
) -> int:
    """Decide each rule for each change, write the decisions, and return how many postbacks are owed, that is, due to be sent.

    Call it in the transaction that writes the changes (promise 3), once for each change, in their order; then wake delivery.
    """
    if not changes:
        return 0
    setup = read_setup_context(tx, changes)
    known = known_decisions(tx, changes) if setup.rules else {}
    decisions = decide_changes(changes, setup, known, now_ms, new_id, chance, guard)
    note_rules_decided(tx, decisions.rules)
    insert_postbacks(tx, decisions.postbacks, now_ms)
    count_shares(tx, decisions.counted)
    return sum(isinstance(postback.decision, DuePostback) for postback in decisions.postbacks)


def decide_changes(
    changes: Sequence[Change],
    setup: SetupContext,
    known: KnownDecisions,
    now_ms: int,
    new_id: Callable[[], str],
    chance: Chance | None = None,
    guard: AddressGuard = STRICT,
) -> Decisions:
    """Decide each rule for each change, in their order. Writes nothing, so dry runs use it too.

    ``known``: the earlier decisions; new ones are added to it.
    """
    counted = {live.rule.rule_id: live.counted for live in setup.rules}
    before = dict(counted)
    new: list[NewPostback] = []
    decided: list[RulesDecided] = []
    applicable = ApplicableRules(setup, guard)
    for change in changes:
        rules = applicable.of(change)
        decided.append(RulesDecided(change.after.conversion_id, change.after.version, len(rules)))
        values = ChangeValues(change, setup)
        for prepared in rules:
            rule = prepared.rule
            key = (change.after.conversion_id, rule.rule_id)
            earlier = _earlier(known.get(key, []), counted[rule.rule_id], setup, change)
            postback = decide_rule(values, prepared, earlier, now_ms, new_id(), chance)
            known.setdefault(key, []).append(
                postback.decision.reason if isinstance(postback.decision, SkippedPostback) else None
            )
            counted[rule.rule_id] += postback.decision.counted
            new.append(postback)
    more = {rule_id: number - before[rule_id] for rule_id, number in counted.items() if number != before[rule_id]}
    return Decisions(new, decided, more)


def decide_rule(
    values: ChangeValues,
    prepared: PreparedRule,
    earlier: RuleContext,
    now_ms: int,
    postback_id: str,
    chance: Chance | None = None,
) -> NewPostback:
    """Decide one rule for one change and return the row for Conversions - Out. Writes nothing, so dry runs use it too."""
    change, rule, ready = values.change, prepared.rule, prepared.ready
    if prepared.refused_address:
        earlier = msgspec.structs.replace(earlier, refused_address=prepared.refused_address)
    decision = decide_postback(
        change,
        rule,
        earlier,
        uses_external_id=ready.uses_external_id,
        now_ms=now_ms,
        resolve=lambda: ready.resolve(values.of(rule, postback_id, ready), now_ms, chance),
    )
    conversion = change.after
    click = conversion.click
    return NewPostback(
        postback_id=postback_id,
        conversion_id=conversion.conversion_id,
        version=conversion.version,
        rule_id=rule.rule_id,
        click_id=click.click_id,
        campaign_id=click.campaign_id,
        source_id=click.source_id,
        trigger=values.trigger,
        decision=decision,
        receiver=ready.receiver if isinstance(decision, DuePostback) else "",
    )


def read_setup_context(
    tx: Connection, changes: Sequence[Change], only: Sequence[LiveRule] | None = None
) -> SetupContext:
    """Return the rules that may apply to these changes, or ``only`` those, and the names of the set-up of their clicks."""
    clicks = [change.after.click for change in changes]
    source_ids = sorted({click.source_id for click in clicks})
    campaign_ids = sorted({click.campaign_id for click in clicks})
    rules = tuple(applicable_rules(tx, source_ids, campaign_ids) if only is None else only)
    if not rules:
        return SetupContext((), {}, {}, {}, {}, {})
    rows = {
        source_id: tuple(row_macros(parameters).items())
        for source_id, parameters in parameters_of(tx, source_ids).items()
    }
    return SetupContext(
        rules,
        campaign_contexts(tx, campaign_ids),
        names_of(tx, RecordKind.SOURCE, source_ids),
        rows,
        names_of(tx, RecordKind.OFFER, {click.offer_id for click in clicks}),
        names_of(tx, RecordKind.NETWORK, {click.network_id for click in clicks}),
        record_names(tx, Dimension.LANDING, {click.landing_id for click in clicks}),
        record_names(tx, Dimension.PATH, {click.path_id for click in clicks}),
    )


def known_decisions(tx: Connection, changes: Sequence[Change], version: int | None = None) -> KnownDecisions:
    """Return the decisions for the changes' conversions so far, or those before a version. New conversions have none."""
    older = sorted({change.after.conversion_id for change in changes if change.before is not None})
    known: KnownDecisions = {}
    for decided in earlier_decisions(tx, older):
        if version is not None and decided.version >= version:
            continue
        known.setdefault((decided.conversion_id, decided.rule_id), []).append(decided.reason)
    return known


def _earlier(decisions: list[SkipReason | None], counted: int, setup: SetupContext, change: Change) -> RuleContext:
    campaign = setup.campaigns.get(change.after.click.campaign_id, NO_CAMPAIGN)
    return RuleContext(
        owed=decisions.count(None),
        skipped=frozenset(reason for reason in decisions if reason is not None),
        counted=counted,
        source_rules_off=campaign.source_rules_off,
    )
