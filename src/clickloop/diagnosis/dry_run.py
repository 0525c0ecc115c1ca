"""Dry runs: simulate a conversion and its postbacks by the same code as in production, in a read transaction.

Nothing is sent or stored: a simulated notice goes through ``preview_registration``, its postbacks through ``decide_changes``.
"""

import msgspec
from sqlalchemy import Connection

from clickloop.click.click import Click
from clickloop.click.routing.routes import Routes
from clickloop.click_id import ClickId, ClickIds
from clickloop.conversion.arrival_order import notice_id_of_order
from clickloop.conversion.conversion import Change, Conversion
from clickloop.conversion.conversion_input import ConversionInput, raw_notice_of
from clickloop.conversion.notice import Channel, Notice, read_notice
from clickloop.conversion.payout import named_currency
from clickloop.diagnosis.caps.status import instead_sentences
from clickloop.diagnosis.macro_origin import OriginContext, origins_of
from clickloop.diagnosis.simulated_click import (
    UNUSED_KEY,
    SimulatedClick,
    SimulationSetup,
    TrackerHost,
    after_landing,
    ignored_parameters,
    narrowed,
    record_visit,
    redirect_of,
)
from clickloop.diagnosis.simulation import (
    DestinationKind,
    NoticeEffect,
    Redirect,
    SimulatedRule,
    Simulation,
    SimulationFault,
)
from clickloop.postback.due import DuePostback
from clickloop.postback.postback_log import NewPostback
from clickloop.postback.sending.client import first_hop
from clickloop.postback.sending.dns_check import DnsCheck
from clickloop.postback.values import ready_request
from clickloop.setup.routing_state import NO_STATE, RoutingState, with_learned_flows
from clickloop.store.ledger.logs.conversions import changes_of_conversions, conversions_of_click, find_conversion
from clickloop.store.ledger.logs.notices import find_notice
from clickloop.store.ledger.setup.campaigns import CAMPAIGNS
from clickloop.store.ledger.setup.catalog import read_catalog
from clickloop.store.ledger.setup.offers import OFFERS
from clickloop.store.ledger.setup.routing_states import latest_routing_state
from clickloop.store.ledger.setup.rules import rule_terms_of
from clickloop.store.ledger.setup.traffic_sources import SOURCES
from clickloop.tracking.click_progress import ClickLookupResult
from clickloop.tracking.deciding import ChangeValues, SetupContext, decide_changes, known_decisions, read_setup_context
from clickloop.tracking.notices import Intake
from clickloop.tracking.registering import parse_raw_notice, preview_registration, terms_for


def simulate_visit(
    intake: Intake, place: TrackerHost, invented: SimulatedClick, data: ConversionInput, now_ms: int
) -> Simulation | SimulationFault:
    """Simulate a visitor and a conversion of theirs; ``data`` may omit the click id."""
    with intake.ledger.read() as tx:
        campaign = CAMPAIGNS.find(tx, invented.campaign_id)
        if campaign is None or campaign.archived_at is not None:
            return SimulationFault.NO_SUCH_CAMPAIGN
        source = SOURCES.find(tx, campaign.source_id)
        assert source is not None, f"campaign {campaign.id} names a traffic source that is not in the ledger"
        state = latest_routing_state(tx)
        catalog = with_learned_flows(read_catalog(tx, place.own_hosts), state)
        # An offer that was asked for is tried even if its cap is reached. The weights are in the catalog already.
        caps = RoutingState(state.version, state.capped) if invented.offer_id is None else NO_STATE
        setting = SimulationSetup(campaign, source, catalog, Routes(catalog, place.fallback_url, caps), place, caps)
        click_ids = ClickIds(UNUSED_KEY)
        click = record_visit(setting, invented, click_ids, intake.currency, now_ms)
        only = narrowed(setting, click, invented.offer_id)
        if only is None:
            return SimulationFault.OFFER_NOT_SERVED
        click = record_visit(only, invented, click_ids, intake.currency, now_ms)
        redirect = redirect_of(setting, only, click)
        if click.instead_of:
            sentences = instead_sentences(tx, [(click.instead_of, click.offer_id)], now_ms, is_now=True)
            redirect = msgspec.structs.replace(redirect, cap=sentences[click.instead_of])
        click = after_landing(only, click)
        data = msgspec.structs.replace(data, click_id=click.click_id)
        simulation = _simulate(intake, tx, click, data, click_ids, redirect, now_ms, invented=True)
        return msgspec.structs.replace(simulation, not_taken=ignored_parameters(setting, invented.parameters or {}))


def simulate_click(
    intake: Intake, click_id: ClickId, data: ConversionInput, now_ms: int
) -> Simulation | SimulationFault:
    """Simulate a conversion of a recorded click, in addition to those that it has."""
    found = intake.clicks.find_clicks([click_id.text]).get(click_id.text)
    with intake.ledger.read() as tx:
        conversions = conversions_of_click(tx, click_id.text)
        click = conversions[0].click if conversions else found
        if click is None:
            return SimulationFault.NO_SUCH_CLICK
        data = msgspec.structs.replace(data, click_id=click.click_id)
        return _simulate(intake, tx, click, data, intake.click_ids, None, now_ms, invented=False)


def simulate_conversion(
    intake: Intake, conversion_id: str, data: ConversionInput | None, now_ms: int
) -> Simulation | SimulationFault:
    """Simulate today's rules for the last change of a stored conversion; or, with ``data``, for another notice of it."""
    with intake.ledger.read() as tx:
        conversion = find_conversion(tx, conversion_id)
        if conversion is None:
            return SimulationFault.NO_SUCH_CONVERSION
        if data is not None:
            data = msgspec.structs.replace(data, click_id=conversion.click.click_id, txid=conversion.txid)
            return _simulate(intake, tx, conversion.click, data, intake.click_ids, None, now_ms, invented=False)
        last = changes_of_conversions(tx, [conversion_id])[-1]
        notice = find_notice(tx, last.notice_id)
        change = last.as_change(notice)
        return Simulation(
            invented=False,
            click=conversion.click,
            redirect=_recorded(tx, conversion.click),
            notice_effect=NoticeEffect(outcome=notice.outcome if notice else "", change=change.kind, stored=True),
            conversion=last.after,
            rules=_rules(intake, tx, change, None, now_ms, version=last.version),
        )


def _simulate(
    intake: Intake,
    tx: Connection,
    click: Click,
    data: ConversionInput,
    click_ids: ClickIds,
    redirect: Redirect | None,
    now_ms: int,
    *,
    invented: bool,
) -> Simulation:
    """Simulate a notice of this conversion, and the postbacks that it would create."""
    reading = parse_raw_notice(raw_notice_of(data, Channel.API, intake.new_id(), now_ms), click_ids)
    found = intake.landing_clicks.add_to(ClickLookupResult({click.click_id: click}))
    foreseen = preview_registration(
        tx, [reading], found, intake.new_id, intake.currency, now_ms, intake.is_clock_trusted
    )
    notice, change = foreseen.notices[0], foreseen.changes[0] if foreseen.changes else None
    return Simulation(
        invented=invented,
        click=click,
        redirect=redirect or _recorded(tx, click),
        notice_effect=NoticeEffect(
            outcome=notice.outcome, reason=notice.reason, flags=notice.flags, change=change.kind if change else ""
        ),
        conversion=foreseen.conversions[0],
        rules=_rules(intake, tx, change, reading.notice, now_ms) if change else (),
    )


def _rules(
    intake: Intake, tx: Connection, change: Change, notice: Notice | None, now_ms: int, version: int | None = None
) -> tuple[SimulatedRule, ...]:
    """Decide each rule that applies to a change as ``owe_postbacks`` would. ``notice``: the simulated notice that made it."""
    setup = read_setup_context(tx, [change])
    decisions = decide_changes(
        [change], setup, known_decisions(tx, [change], version), now_ms, intake.new_id, guard=intake.guard
    )
    click = change.after.click
    source = SOURCES.find(tx, click.source_id)
    campaign = CAMPAIGNS.find(tx, click.campaign_id)
    fixed_cost = campaign is not None and campaign.click_cost_micros is not None
    context = OriginContext(
        rows={row.number: row for row in source.parameters} if source else {},
        fixed_cost=fixed_cost,
        conversion=change.after,
        named_currency=_named_currency(tx, change.after, notice),
        terms=terms_for(tx, click, intake.currency),
    )
    terms = rule_terms_of(tx, [live.rule.rule_id for live in setup.rules])
    values_of_change = ChangeValues(change, setup)
    return tuple(
        _rule(
            postback,
            setup,
            values_of_change,
            context,
            now_ms,
            intake.dns_refusal,
            paused=terms[postback.rule_id].paused,
        )
        for postback in decisions.postbacks
    )


def _rule(
    postback: NewPostback,
    setup: SetupContext,
    values_of_change: ChangeValues,
    context: OriginContext,
    now_ms: int,
    dns_refusal: DnsCheck,
    *,
    paused: bool,
) -> SimulatedRule:
    """Return a decision with its request, or with the one that it would make if the rule were not skipped."""
    rule = next(live.rule for live in setup.rules if live.rule.rule_id == postback.rule_id)
    decision = postback.decision
    ready = ready_request(rule.request, setup.rows.get(postback.source_id, ()))
    values = values_of_change.of(rule, postback.postback_id, ready)
    request = decision.request if isinstance(decision, DuePostback) else ready.resolve(values, now_ms, None)
    hop = first_hop(request)
    shown = {name: values[name] or (str(now_ms // 1000) if name == "now" else "") for name in ready.names}
    parts = (ready.url, *(value for _, value in ready.headers), ready.body)
    return SimulatedRule(
        rule=rule,
        paused=paused,
        reason=None if isinstance(decision, DuePostback) else decision.reason,
        findings=decision.findings,
        not_before=decision.not_before if isinstance(decision, DuePostback) else None,
        request=request,
        unsendable=hop if isinstance(hop, str) else dns_refusal(hop.target),
        macros=origins_of(
            ready.names,
            shown,
            msgspec.structs.replace(context, payout_percent=rule.conditions.payout_percent),
        ),
        left_untouched=tuple(dict.fromkeys(text for part in parts for text in part.unknown)),
    )


def _named_currency(tx: Connection, conversion: Conversion, notice: Notice | None) -> str:
    """Return the currency named by the notice that set a conversion's payout: the simulated one, or a stored one."""
    if not conversion.payout_order:
        return ""
    if notice is None or notice.arrival_order != conversion.payout_order:
        stored = find_notice(tx, notice_id_of_order(conversion.payout_order))
        notice = read_notice(stored.raw) if stored else None
    return named_currency(notice) if notice else ""


def _recorded(tx: Connection, click: Click) -> Redirect:
    """Return where the visitor of a recorded click went."""
    to = (
        DestinationKind.OFFER
        if click.offer_id
        else DestinationKind.FALLBACK
        if click.target
        else DestinationKind.NOWHERE
    )
    offer = OFFERS.find(tx, click.offer_id) if click.offer_id else None
    name = offer.name if offer else ""
    return Redirect(to=to, url=click.target, offer_id=click.offer_id, offer_name=name, recorded=True)
