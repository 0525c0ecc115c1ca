"""Saving campaigns."""

import contextlib
import secrets
from collections.abc import Callable, Iterator

from msgspec import UNSET, UnsetType
from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.log_filter import MAX_ID
from clickloop.pasting import trimmed
from clickloop.saving.faults import raise_faults, reference_faults
from clickloop.saving.flows import loop_faults, parts_faults, save_parts, trimmed_parts
from clickloop.saving.record import Noun, SavingContext, View, add
from clickloop.setup.campaign import Campaign, CampaignChange, NewCampaign, campaign_faults, changed_campaign, new_key
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError, under
from clickloop.setup.flow import without_ids
from clickloop.setup.record import copied_name
from clickloop.store.ledger.logs.audit_entry import record_change
from clickloop.store.ledger.setup.campaigns import CAMPAIGNS
from clickloop.store.ledger.setup.flow_references import live_flow_with
from clickloop.store.ledger.setup.flows import (
    campaigns_with_flow,
    find_shared_flow,
    insert_own_flow,
    own_flow_id,
    own_flows,
    update_own_flow,
)
from clickloop.store.ledger.setup.postback_rules import insert_rule, stored_rules_after
from clickloop.store.ledger.setup.traffic_sources import SOURCES


def new_campaign(tx: Connection, new: NewCampaign) -> Campaign:
    """Return a campaign as requested, not saved, with a random key unless one is given. Raise InvalidInputError."""
    key = free_key(tx, secrets.choice) if new.key is UNSET else new.key
    return changed_campaign(Campaign(key=key, name=new.name, source_id=new.source_id), new)


@contextlib.contextmanager
def shorthand_fields(change: CampaignChange) -> Iterator[None]:
    """Name faults of the default path's offers as the request did, if it used the shorthand ``offers``."""
    try:
        yield
    except InvalidInputError as error:
        if change.offers is UNSET:
            raise
        faults = (
            FieldFault(fault.field.replace("flow.default_paths[0].offers", "offers", 1), fault.code, fault.message)
            for fault in error.faults
        )
        raise InvalidInputError(tuple(faults)) from None


def free_key(tx: Connection, choose: Callable[[str], str]) -> str:
    """Return a key that no campaign has; ``choose`` picks one letter of a text."""
    while True:
        key = new_key(choose)
        if CAMPAIGNS.find_by(tx, "key", key) is None:
            return key


def clone(context: SavingContext, campaign_id: int, name: str | UnsetType, view: View[Campaign]) -> Campaign:
    """Save a copy of a campaign, with a new key and copies of the campaign's postback rules, and return it.

    Raise UnknownRecordError, InvalidInputError.
    """
    with context.ledger.write() as tx:
        campaign = NOUN.get(tx, campaign_id)
        new_name = copied_name(campaign.name) if name is UNSET else name
        copy = replace(campaign, id=0, key=free_key(tx, secrets.choice), name=new_name, archived_at=None)
        copy = replace(copy, flow=without_ids(campaign.flow))
        copy = add(context, tx, NOUN, copy, view)
        for stored in stored_rules_after(tx, 0, MAX_ID, campaign_id=campaign_id):
            rule_id = insert_rule(tx, replace(stored.rule, campaign_id=copy.id), context.clock())
            record_change(tx, context, "postback-rules", rule_id)
    context.on_setup_changed()
    return copy


def _checked(_context: SavingContext, tx: Connection, campaign: Campaign) -> Campaign:
    campaign = replace(campaign, fallback_url=trimmed(campaign.fallback_url), flow=trimmed_parts(campaign.flow))
    faults = campaign_faults(campaign)
    source = SOURCES.find(tx, campaign.source_id)
    faults += reference_faults("source_id", "traffic source", campaign.source_id, source)
    flow_id = (own_flow_id(tx, campaign.id) or 0) if campaign.id else 0
    # A new campaign counts as number 0, which nothing leads to yet.
    followers = [campaign.id] if campaign.flow_id is None else []
    faults += [under("flow", fault) for fault in parts_faults(tx, campaign.flow, flow_id, followers)]
    if campaign.flow_id is not None:
        faults += _shared_flow_faults(tx, campaign, campaign.flow_id)
    holder = CAMPAIGNS.find_by(tx, "key", campaign.key)
    if holder not in (None, campaign.id):
        faults.append(FieldFault("key", FaultCode.TAKEN, f"Campaign {holder} already has the key {campaign.key}."))
    raise_faults(faults)
    return campaign


def _shared_flow_faults(tx: Connection, campaign: Campaign, flow_id: int) -> list[FieldFault]:
    flow = find_shared_flow(tx, flow_id)
    faults = reference_faults("flow_id", "flow", flow_id, flow)
    if flow is not None:
        found = loop_faults(tx, flow.parts, {campaign.id, *campaigns_with_flow(tx, flow_id)})
        faults += [FieldFault("flow_id", fault.code, fault.message) for fault in found[:1]]
    return faults


def _write(tx: Connection, campaign: Campaign, now_ms: int) -> Campaign:
    saved = CAMPAIGNS.write(tx, campaign, now_ms)
    flow_id = own_flow_id(tx, saved.id)
    if flow_id is None:
        flow_id = insert_own_flow(tx, saved.id, now_ms)
    elif own_flows(tx, [saved.id])[saved.id] == campaign.flow:
        return saved
    own_id = flow_id
    parts = save_parts(tx, own_id, campaign.flow, now_ms, lambda parts: update_own_flow(tx, own_id, parts, now_ms))
    return replace(saved, flow=parts)


def _in_use(tx: Connection, campaign_id: int) -> str | None:
    return live_flow_with(tx, "campaign", campaign_id)


NOUN = Noun(name="campaigns", one="campaign", find=CAMPAIGNS.find, checked=_checked, write=_write, in_use=_in_use)
