"""Read the input of the check, for everything or for one campaign, and run it. Read-only."""

import msgspec
from sqlalchemy import Connection

from clickloop.clock import DAY_MS
from clickloop.diagnosis.check.caps import CapEvidence
from clickloop.diagnosis.check.chain import Chain, CheckedFlow, CheckedRule, CheckedView
from clickloop.diagnosis.check.check import CheckResult, check_chain
from clickloop.diagnosis.check.evidence import (
    LANDING_DAYS,
    RECENT_CLICKS,
    RECENT_DAYS,
    REFUSED_DAYS,
    CampaignEvidence,
    CheckEvidence,
)
from clickloop.diagnosis.check.finding import CheckFinding, worst_first
from clickloop.diagnosis.check.holdups import REFUSED_DAYS as HELD_DAYS
from clickloop.diagnosis.check.holdups import ArchivedRule, Holdups, SlowReceiver
from clickloop.diagnosis.check.learning import LearningEvidence, learning_splits
from clickloop.diagnosis.check.static import static_findings
from clickloop.learning.evidence import ItemCounts
from clickloop.learning.learner import delay_in, delays_of
from clickloop.postback.delivery.receiver_queue import StoredReceiver
from clickloop.report.evidence import ClickEvidence
from clickloop.setup.campaign import Campaign
from clickloop.setup.cap_period import most_in_a_period
from clickloop.setup.catalog import Catalog
from clickloop.setup.flow import references_of
from clickloop.setup.offer_cap import CapUnit
from clickloop.store.facts.facts import FactsReader
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.cap_counts import conversions_by_hour, statuses_of_offer
from clickloop.store.ledger.logs.evidence import (
    address_refused_since,
    conversions_since,
    delivered_since,
    refused_since,
    rules_since,
    statuses_since,
)
from clickloop.store.ledger.queue.holding import paused_rules
from clickloop.store.ledger.queue.receivers import receiver_backlogs, stored_receivers
from clickloop.store.ledger.setup.campaigns import CAMPAIGNS, campaigns_after
from clickloop.store.ledger.setup.catalog import read_catalog, read_catalog_of
from clickloop.store.ledger.setup.flows import find_shared_flow, shared_flows_after
from clickloop.store.ledger.setup.landings import LANDINGS, landings_after
from clickloop.store.ledger.setup.lists import LISTS, lists_after
from clickloop.store.ledger.setup.networks import NETWORKS, networks_of_offers
from clickloop.store.ledger.setup.offers import OFFERS, offers_after
from clickloop.store.ledger.setup.postback_rules import first_rules_of_sources, stored_rules_after
from clickloop.store.ledger.setup.rules import rule_terms_of
from clickloop.store.ledger.setup.settings import read_instance
from clickloop.store.ledger.setup.statuses import status_rows, unmapped_words
from clickloop.store.ledger.setup.traffic_sources import SOURCES, sources_after
from clickloop.store.ledger.setup.views import scheduled_views
from clickloop.tracking.learning.path_learner import count_splits

_ALL = 1_000_000  # more than can exist
_MAX_WORDS = 20  # a longer list is of no use


class TrackerUrls(msgspec.Struct, frozen=True, kw_only=True):
    """The tracker's addresses: scheme and host of its links, the instance's fallback URL, and all its hosts."""

    base_url: str
    fallback_url: str
    own_hosts: tuple[str, ...]


def check_all(
    ledger: Ledger, facts: FactsReader, urls: TrackerUrls, now_ms: int, campaign_id: int | None = None
) -> CheckResult | None:
    """Check everything that is live, or what one campaign needs. None: there is no live campaign with that id."""
    with ledger.read() as tx:
        chain = _read_everything(tx, urls) if campaign_id is None else _read_for_campaign(tx, urls, campaign_id)
        if chain is None:
            return None
        evidence = _read_evidence(tx, facts, chain, now_ms, campaign_id)
    evidence = msgspec.structs.replace(evidence, learning=_learning_evidence(facts, chain, now_ms))
    return check_chain(chain, evidence)


def _learning_evidence(facts: FactsReader, chain: Chain, now_ms: int) -> tuple[LearningEvidence, ...]:
    """Return what the visits of learning paths came to, without payouts."""
    splits = learning_splits(chain)
    if not splits:
        return ()
    delays, counts = count_splits(facts, splits, {}, now_ms)
    found = []
    for split in splits:
        of_items = [counts.get((split.path_id, split.kind, id_), ItemCounts()) for id_, _ in split.items]
        ages = [delay_in(split, id_, delays_of(split, delays)) for id_, _ in split.items]
        found.append(
            LearningEvidence(
                path_id=split.path_id,
                kind=split.kind,
                visits=sum(one.visits for one in of_items),
                successes=sum(one.successes for one in of_items),
                shortest_delay_ms=min(ages),
            )
        )
    return tuple(found)


def find_setup_problems(ledger: Ledger, urls: TrackerUrls) -> tuple[CheckFinding, ...]:
    """Return the findings about the set-up alone, the worst first. Fast, for use within other pages."""
    with ledger.read() as tx:
        chain = _read_everything(tx, urls)
    return worst_first(static_findings(chain))


def find_campaign_setup_problems(ledger: Ledger, urls: TrackerUrls, campaign_id: int) -> tuple[CheckFinding, ...]:
    """Return the findings about the set-up that one live campaign needs, the worst first. Reads nothing of other campaigns."""
    with ledger.read() as tx:
        chain = _read_for_campaign(tx, urls, campaign_id)
    return worst_first(static_findings(chain)) if chain else ()


def _read_for_campaign(tx: Connection, urls: TrackerUrls, campaign_id: int) -> Chain | None:
    """Read the part of the chain that a campaign needs. None: there is no live campaign with that id."""
    campaign = CAMPAIGNS.find(tx, campaign_id)
    if campaign is None or campaign.archived_at is not None:
        return None
    source = SOURCES.find(tx, campaign.source_id)
    catalog = read_catalog_of(tx, urls.own_hosts, [campaign_id])
    flow = _flow_of(tx, campaign, catalog)
    named = references_of(flow.parts)
    offers = OFFERS.live(tx, named.offers)
    rules = [
        stored.rule
        for stored in (
            *stored_rules_after(tx, 0, _ALL, of_instance=True),
            *stored_rules_after(tx, 0, _ALL, source_id=campaign.source_id),
            *stored_rules_after(tx, 0, _ALL, campaign_id=campaign_id),
        )
    ]
    terms = rule_terms_of(tx, [rule.rule_id for rule in rules])
    first = first_rules_of_sources(tx, [campaign.source_id])
    networks = networks_of_offers(tx, [offer.id for offer in offers])
    saved = read_instance(tx)
    return Chain(
        campaigns=(campaign,),
        sources={source.id: source} if source and source.archived_at is None else {},
        networks={network.id: network for network in networks if network.archived_at is None},
        offers={offer.id: offer for offer in offers},
        rules=tuple(
            CheckedRule(rule, terms[rule.rule_id].paused) for rule in sorted(rules, key=lambda rule: rule.rule_id)
        ),
        first_rules={number: stored.rule.rule_id for number, stored in first.items() if stored.archived_at is None},
        statuses=tuple(status_rows(tx)),
        flows=(flow,),
        landings={landing.id: landing for landing in LANDINGS.live(tx, named.landings)},
        lists={one.id: one for one in LISTS.live(tx, named.lists)},
        catalog=catalog,
        fallback_url=urls.fallback_url,
        base_url=urls.base_url,
        marks=saved.marks or (),
        ip_lists=saved.ip_lists or (),
    )


def _read_everything(tx: Connection, urls: TrackerUrls) -> Chain:
    sources = {source.id: source for source in sources_after(tx, 0, _ALL)}
    rules = [stored.rule for stored in stored_rules_after(tx, 0, _ALL)]
    terms = rule_terms_of(tx, [rule.rule_id for rule in rules])
    first = first_rules_of_sources(tx, list(sources))
    campaigns = tuple(campaigns_after(tx, 0, _ALL))
    catalog = read_catalog(tx, urls.own_hosts)
    saved = read_instance(tx)
    return Chain(
        campaigns=campaigns,
        sources=sources,
        networks={network.id: network for network in NETWORKS.after(tx, 0, _ALL)},
        offers={offer.id: offer for offer in offers_after(tx, 0, _ALL)},
        rules=tuple(CheckedRule(rule, terms[rule.rule_id].paused) for rule in rules),
        first_rules={number: stored.rule.rule_id for number, stored in first.items() if stored.archived_at is None},
        statuses=tuple(status_rows(tx)),
        flows=(
            *(_flow_of(tx, campaign, catalog) for campaign in campaigns if campaign.flow_id is None),
            *(CheckedFlow(id=one.id, name=one.name, parts=one.parts) for one in shared_flows_after(tx, 0, _ALL)),
        ),
        landings={landing.id: landing for landing in landings_after(tx, 0, _ALL)},
        lists={one.id: one for one in lists_after(tx, 0, _ALL)},
        catalog=catalog,
        fallback_url=urls.fallback_url,
        base_url=urls.base_url,
        marks=saved.marks or (),
        ip_lists=saved.ip_lists or (),
        views=tuple(
            CheckedView(id=view.id, name=view.name, rule_id=view.schedule.rule_id)
            for view in scheduled_views(tx)
            if view.schedule is not None and view.schedule.active
        ),
    )


def _flow_of(tx: Connection, campaign: Campaign, catalog: Catalog) -> CheckedFlow:
    """Return the flow that a live campaign's visitors follow: its own, or the shared one."""
    shared = find_shared_flow(tx, campaign.flow_id) if campaign.flow_id is not None else None
    if shared is not None:
        return CheckedFlow(id=shared.id, name=shared.name, parts=shared.parts)
    number = next((one.flow_id for one in catalog.campaigns if one.id == campaign.id), 0)
    return CheckedFlow(id=number, campaign_id=campaign.id, parts=campaign.flow)


def _read_evidence(
    tx: Connection, facts: FactsReader, chain: Chain, now_ms: int, campaign_id: int | None
) -> CheckEvidence:
    since = now_ms - RECENT_DAYS * DAY_MS
    recent = facts.recent_clicks(RECENT_CLICKS, campaign_id)
    conversions = conversions_since(tx, since, campaign_id)
    delivered = delivered_since(tx, since, campaign_id)
    return CheckEvidence(
        campaigns=tuple(
            CampaignEvidence(
                campaign_id=campaign.id,
                clicks=recent.get(campaign.id, ClickEvidence()),
                conversions=conversions.get(campaign.id, (0, 0))[0],
                last_conversion_at=conversions[campaign.id][1] if campaign.id in conversions else None,
                last_delivered_at=delivered.get(campaign.id),
            )
            for campaign in chain.campaigns
        ),
        rules=tuple(rules_since(tx, since, campaign_id)),
        refused=tuple(refused_since(tx, now_ms - REFUSED_DAYS * DAY_MS, campaign_id)),
        words={unmapped.word: unmapped.conversions for unmapped in unmapped_words(tx, _MAX_WORDS, campaign_id)},
        statuses=statuses_since(tx, since, campaign_id),
        landings=tuple(facts.recent_landing_clicks(now_ms - LANDING_DAYS * DAY_MS, campaign_id)),
        caps=_read_caps(tx, facts, chain, since),
        holdups=_read_holdups(tx, now_ms, campaign_id),
        checked_at=now_ms,
    )


def _read_caps(tx: Connection, facts: FactsReader, chain: Chain, since: int) -> dict[int, CapEvidence]:
    """Read what offers with a cap got: of all campaigns, as caps count."""
    caps = {offer.id: offer.cap for offer in chain.offers.values() if offer.cap is not None}
    visits = facts.offer_visits.by_hour(caps, since) if caps else {}
    found = {}
    for offer_id, cap in caps.items():
        hours = visits.get(offer_id, {})
        statuses = statuses_of_offer(tx, offer_id, since)
        match cap.of:
            case CapUnit.CONVERSIONS:
                counted = conversions_by_hour(tx, offer_id, cap, since)
            case CapUnit.CLICKS:
                counted = {hour: one.visits for hour, one in hours.items()}
            case CapUnit.UNIQUE_CLICKS:
                counted = {hour: one.unique for hour, one in hours.items()}
        found[offer_id] = CapEvidence(
            visits=sum(one.visits for one in hours.values()),
            conversions=sum(statuses.values()),
            statuses=statuses,
            best=most_in_a_period(cap, counted),
        )
    return found


def _read_holdups(tx: Connection, now_ms: int, campaign_id: int | None) -> Holdups:
    """Read the causes of held-up postbacks; for one campaign, only receivers that its postbacks wait for."""
    known = {receiver.receiver: receiver for receiver in stored_receivers(tx)}
    waiting = {backlog.receiver: backlog for backlog in receiver_backlogs(tx, now_ms, campaign_id)}
    paused = {name for name, receiver in known.items() if receiver.pause is not None} if campaign_id is None else set()
    receivers = []
    for name in sorted(waiting.keys() | paused):
        receiver, backlog = known.get(name) or StoredReceiver(receiver=name), waiting.get(name)
        receivers.append(
            SlowReceiver(
                receiver=name,
                waiting=backlog.waiting if backlog else 0,
                paused_at=receiver.pause.opened_at if receiver.pause else None,
                why=receiver.pause.why if receiver.pause else "",
                next_probe_at=receiver.pause.probe_at if receiver.pause else None,
                held_until=receiver.held_until,
                due=backlog.due if backlog else 0,
                due_since=backlog.due_since if backlog else None,
            )
        )
    return Holdups(
        receivers=tuple(receivers),
        archived=tuple(
            ArchivedRule(rule_id=rule.rule_id, name=rule.name, waiting=rule.waiting)
            for rule in paused_rules(tx)
            if rule.archived and campaign_id is None
        ),
        address_refused=address_refused_since(tx, now_ms - HELD_DAYS * DAY_MS, campaign_id),
    )
