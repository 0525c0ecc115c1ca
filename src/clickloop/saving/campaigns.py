"""Saving campaigns."""

import secrets
from collections.abc import Callable

from msgspec import UNSET, UnsetType
from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.log_filter import MAX_ID
from clickloop.pasting import trimmed
from clickloop.saving.faults import raise_faults, reference_faults
from clickloop.saving.record import Noun, SavingContext, View, add
from clickloop.setup.campaign import MAX_OFFERS, Campaign, NewCampaign, campaign_faults, changed_campaign, new_key
from clickloop.setup.fault import FaultCode, FieldFault
from clickloop.setup.record import copied_name
from clickloop.store.ledger.logs.audit_entry import record_change
from clickloop.store.ledger.setup.campaigns import CAMPAIGNS, delete_shares, insert_shares
from clickloop.store.ledger.setup.offers import live_offer_ids
from clickloop.store.ledger.setup.postback_rules import insert_rule, stored_rules_after
from clickloop.store.ledger.setup.traffic_sources import SOURCES


def new_campaign(tx: Connection, new: NewCampaign) -> Campaign:
    """Return a campaign as requested, not saved, with a random key unless one is given. Raise InvalidInputError."""
    key = free_key(tx, secrets.choice) if new.key is UNSET else new.key
    return changed_campaign(Campaign(key=key, name=new.name, source_id=new.source_id), new)


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
        copy = add(context, tx, NOUN, copy, view)
        for stored in stored_rules_after(tx, 0, MAX_ID, campaign_id=campaign_id):
            rule_id = insert_rule(tx, replace(stored.rule, campaign_id=copy.id), context.clock())
            record_change(tx, context, "postback-rules", rule_id)
    context.on_setup_changed()
    return copy


def _checked(_context: SavingContext, tx: Connection, campaign: Campaign) -> Campaign:
    campaign = replace(campaign, fallback_url=trimmed(campaign.fallback_url))
    faults = campaign_faults(campaign)
    source = SOURCES.find(tx, campaign.source_id)
    faults += reference_faults("source_id", "traffic source", campaign.source_id, source)
    shares = campaign.offers[:MAX_OFFERS]
    live = live_offer_ids(tx, [share.offer_id for share in shares])
    for position, share in enumerate(shares):
        if share.offer_id not in live:
            sentence = f"There is no live offer {share.offer_id}."
            faults.append(FieldFault(f"offers[{position}].offer_id", FaultCode.NOT_FOUND, sentence))
    holder = CAMPAIGNS.find_by(tx, "key", campaign.key)
    if holder not in (None, campaign.id):
        faults.append(FieldFault("key", FaultCode.TAKEN, f"Campaign {holder} already has the key {campaign.key}."))
    raise_faults(faults)
    return campaign


def _write(tx: Connection, campaign: Campaign, now_ms: int) -> Campaign:
    saved = CAMPAIGNS.write(tx, campaign, now_ms)
    if campaign.id:
        delete_shares(tx, saved.id)
    if saved.offers:
        insert_shares(tx, saved.id, saved.offers)
    return saved


NOUN = Noun(name="campaigns", one="campaign", find=CAMPAIGNS.find, checked=_checked, write=_write)
