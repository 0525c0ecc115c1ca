"""Deciding which postbacks changes of conversions owe: every change with every rule gives one row in Conversions - Out."""

from collections.abc import Callable, Sequence
from typing import Self

import msgspec
from sqlalchemy import Connection

from clickloop.click.click_values import SetupNames
from clickloop.conversion.conversion import Change
from clickloop.macro import Chance, Values
from clickloop.postback.due import Earlier, Owed, Skipped, SkipReason, owe
from clickloop.postback.postback_log import NewPostback
from clickloop.postback.rule import Rule
from clickloop.postback.sending.address_guard import STRICT, AddressGuard, RefusedAddress
from clickloop.postback.values import ReadyRequest, change_values, ready_request
from clickloop.setup.source_rows import row_macros
from clickloop.store.ledger.logs.conversions import RulesDecided, note_rules_decided
from clickloop.store.ledger.logs.postbacks import decided_before, insert_postbacks
from clickloop.store.ledger.setup.names import Named, names_of
from clickloop.store.ledger.setup.rules import (
    CampaignAround,
    LiveRule,
    campaigns_around,
    count_shares,
    rules_that_apply,
)
from clickloop.store.ledger.setup.traffic_sources import parameters_of

NO_CAMPAIGN = CampaignAround("", "", False)

Rows = tuple[tuple[str, str], ...]
"""Lower-case parameter name and canonical macro of each row of a source."""


Known = dict[tuple[str, int], list[SkipReason | None]]
"""The earlier decisions by conversion and rule, in order; None: owed."""


class Decisions(msgspec.Struct, frozen=True):
    """What was decided for some changes."""

    postbacks: list[NewPostback]
    rules: list[RulesDecided]
    counted: dict[int, int]
    """By rule: over how many conversions its share was counted now."""


class Surroundings(msgspec.Struct, frozen=True):
    """The set-up around some changes, read once for all of them."""

    rules: tuple[LiveRule, ...]
    campaigns: dict[int, CampaignAround]
    sources: dict[int, str]
    rows: dict[int, Rows]
    offers: dict[int, str]
    networks: dict[int, str]

    def names_of(self, change: Change) -> SetupNames:
        """What the set-up around a change's click is called."""
        click = change.after.click
        campaign = self.campaigns.get(click.campaign_id, NO_CAMPAIGN)
        return SetupNames(
            campaign_key=campaign.key,
            campaign_name=campaign.name,
            source_name=self.sources.get(click.source_id, ""),
            offer_name=self.offers.get(click.offer_id, ""),
            network_name=self.networks.get(click.network_id, ""),
        )


class RuleHere(msgspec.Struct, frozen=True):
    """A rule as it is for the clicks of one source: its request read with the names of the source's parameters."""

    rule: Rule
    ready: ReadyRequest
    refused_address: str
    """Why the address guard refuses the receiver, as a sentence; empty: it does not."""

    @classmethod
    def of(cls, rule: Rule, source_id: int, around: Surroundings, guard: AddressGuard) -> Self:
        """``around``: the set-up around a change of that source."""
        ready = ready_request(rule.request, around.rows.get(source_id, ()))
        judgement = guard.judge_target(ready.target)
        return cls(rule, ready, judgement.sentence if isinstance(judgement, RefusedAddress) else "")


class RulesHere:
    """The rules that apply to changes, made ready once for all that are of one source and campaign."""

    def __init__(self, around: Surroundings, guard: AddressGuard = STRICT) -> None:
        self._around = around
        self._guard = guard
        self._found: dict[tuple[int, int], list[RuleHere]] = {}

    def of(self, change: Change) -> list[RuleHere]:
        """The rules of a change's source, of its campaign and of the whole instance, in order."""
        click = change.after.click
        found = self._found.get((click.source_id, click.campaign_id))
        if found is None:
            found = self._found[click.source_id, click.campaign_id] = [
                RuleHere.of(live.rule, click.source_id, self._around, self._guard)
                for live in self._around.rules
                if live.rule.source_id in (None, click.source_id) and live.rule.campaign_id in (None, click.campaign_id)
            ]
        return found


class ChangeTexts:
    """The macro values of one change, worked out once for all rules that report the same share of the payout."""

    def __init__(self, change: Change, around: Surroundings) -> None:
        self.change = change
        self.trigger = change.kind.value
        self._names = around.names_of(change)
        self._values: dict[int, Values] = {}

    def of(self, rule: Rule, postback_id: str, ready: ReadyRequest) -> Values:
        """The values for a rule's postback with this request. They hold until the next call."""
        percent = rule.conditions.payout_percent
        values = self._values.get(percent)
        if values is None:
            alike = next(iter(self._values.values()), None)
            values = self._values[percent] = change_values(self.change.after, percent, self._names, alike)
        if ready.names_itself:
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
    """Decides every rule for every change and writes the decisions; answers how many postbacks are owed.

    Call it in the transaction that writes the changes (promise 3), once for each change, in their order; then wake delivery.
    """
    if not changes:
        return 0
    around = read_surroundings(tx, changes)
    known = known_decisions(tx, changes) if around.rules else {}
    made = decide_changes(changes, around, known, now_ms, new_id, chance, guard)
    note_rules_decided(tx, made.rules)
    insert_postbacks(tx, made.postbacks, now_ms)
    count_shares(tx, made.counted)
    return sum(isinstance(postback.decision, Owed) for postback in made.postbacks)


def decide_changes(
    changes: Sequence[Change],
    around: Surroundings,
    known: Known,
    now_ms: int,
    new_id: Callable[[], str],
    chance: Chance | None = None,
    guard: AddressGuard = STRICT,
) -> Decisions:
    """Every rule decided for every change, in their order. Writes nothing: also for a dry run.

    ``known``: the earlier decisions, to which these are added.
    """
    counted = {live.rule.rule_id: live.counted for live in around.rules}
    before = dict(counted)
    new: list[NewPostback] = []
    decided: list[RulesDecided] = []
    here = RulesHere(around, guard)
    for change in changes:
        rules = here.of(change)
        decided.append(RulesDecided(change.after.conversion_id, change.after.version, len(rules)))
        texts = ChangeTexts(change, around)
        for ready in rules:
            rule = ready.rule
            key = (change.after.conversion_id, rule.rule_id)
            earlier = _earlier(known.get(key, []), counted[rule.rule_id], around, change)
            postback = decide_rule(texts, ready, earlier, now_ms, new_id(), chance)
            known.setdefault(key, []).append(
                postback.decision.reason if isinstance(postback.decision, Skipped) else None
            )
            counted[rule.rule_id] += postback.decision.counted
            new.append(postback)
    more = {rule_id: number - before[rule_id] for rule_id, number in counted.items() if number != before[rule_id]}
    return Decisions(new, decided, more)


def decide_rule(
    texts: ChangeTexts, here: RuleHere, earlier: Earlier, now_ms: int, postback_id: str, chance: Chance | None = None
) -> NewPostback:
    """One rule decided for one change, as a row of Conversions - Out. Writes nothing: also for a dry run."""
    change, rule, ready = texts.change, here.rule, here.ready
    if here.refused_address:
        earlier = msgspec.structs.replace(earlier, refused_address=here.refused_address)
    decision = owe(
        change,
        rule,
        earlier,
        uses_external_id=ready.uses_external_id,
        now_ms=now_ms,
        resolve=lambda: ready.resolve(texts.of(rule, postback_id, ready), now_ms, chance),
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
        trigger=texts.trigger,
        decision=decision,
        lane=ready.lane if isinstance(decision, Owed) else "",
    )


def read_surroundings(
    tx: Connection, changes: Sequence[Change], asked_for: Sequence[LiveRule] | None = None
) -> Surroundings:
    """The rules that may apply to these changes, and the names around their clicks. ``asked_for``: these rules instead."""
    clicks = [change.after.click for change in changes]
    source_ids = sorted({click.source_id for click in clicks})
    campaign_ids = sorted({click.campaign_id for click in clicks})
    rules = tuple(rules_that_apply(tx, source_ids, campaign_ids) if asked_for is None else asked_for)
    if not rules:
        return Surroundings((), {}, {}, {}, {}, {})
    rows = {
        source_id: tuple(row_macros(parameters).items())
        for source_id, parameters in parameters_of(tx, source_ids).items()
    }
    return Surroundings(
        rules,
        campaigns_around(tx, campaign_ids),
        names_of(tx, Named.SOURCE, source_ids),
        rows,
        names_of(tx, Named.OFFER, {click.offer_id for click in clicks}),
        names_of(tx, Named.NETWORK, {click.network_id for click in clicks}),
    )


def known_decisions(tx: Connection, changes: Sequence[Change], version: int | None = None) -> Known:
    """The decisions for these changes' conversions so far, or before a version. New conversions have none."""
    older = sorted({change.after.conversion_id for change in changes if change.before is not None})
    known: Known = {}
    for decided in decided_before(tx, older):
        if version is not None and decided.version >= version:
            continue
        known.setdefault((decided.conversion_id, decided.rule_id), []).append(decided.reason)
    return known


def _earlier(decisions: list[SkipReason | None], counted: int, around: Surroundings, change: Change) -> Earlier:
    campaign = around.campaigns.get(change.after.click.campaign_id, NO_CAMPAIGN)
    return Earlier(
        owed=decisions.count(None),
        skipped=frozenset(reason for reason in decisions if reason is not None),
        counted=counted,
        source_rules_off=campaign.source_rules_off,
    )
