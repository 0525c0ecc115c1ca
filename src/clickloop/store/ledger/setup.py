"""Saving what the user sets up: the checks that need the ledger, and all rows of one record in the caller's transaction.

Each ``save_…`` writes a new record (``id`` 0) or rewrites an old one, and answers it as saved; it raises ``InvalidInputError``
with every fault it finds, having written nothing, and ``StaleRecordError`` where the record has another version than was read. Each
``archive_…`` refuses while something live needs the record.
"""

from collections.abc import Callable, Sequence

from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.campaign.campaign import MAX_OFFERS, Campaign, campaign_faults, new_key
from clickloop.campaign.fault import Fault, FaultCode, InvalidInputError
from clickloop.campaign.network import Network, network_faults
from clickloop.campaign.offer import Offer, offer_faults
from clickloop.campaign.traffic_source import POSTBACK_RULE_NAME, TrafficSource, source_faults
from clickloop.conversion.network_words import network_word_faults, normalized_words
from clickloop.pasting import trimmed
from clickloop.postback.address_guard import STRICT, AddressGuard
from clickloop.postback.checking import check_request
from clickloop.postback.rule import RequestTemplate, Rule
from clickloop.setup.source_rows import FixedRow
from clickloop.store.ledger import campaigns, networks, offers, postback_rules, traffic_sources
from clickloop.store.ledger.statuses import status_rows
from clickloop.store.ledger.versions import next_version


def save_source(
    tx: Connection,
    source: TrafficSource,
    postback_url: str | None,
    now_ms: int,
    guard: AddressGuard = STRICT,
    found: Sequence[Fault] = (),
) -> TrafficSource:
    """Saves a source with its rows and its postback URL (None: left as it is; empty: taken away). ``found``: faults of what was
    given for it, to be told with the others."""
    rows = tuple(replace(row, placeholder=trimmed(row.placeholder)) for row in source.parameters)
    source = replace(source, parameters=rows)
    postback_url = None if postback_url is None else trimmed(postback_url)
    faults = [*found, *source_faults(source)]
    faults += _name_faults("traffic source", source.id, traffic_sources.find_source_named(tx, source.name))
    if postback_url:
        faults += request_faults(RequestTemplate(url=postback_url), guard, "postback_url")
    _raise(faults)
    used = {*source.used_numbers, *(row.number for row in source.parameters if row.number > FixedRow.COST)}
    source = replace(
        source, used_numbers=tuple(sorted(used)), updated_at=now_ms, created_at=source.created_at or now_ms
    )
    if source.id:
        source = replace(source, version=traffic_sources.update_source(tx, source))
        traffic_sources.delete_parameters(tx, source.id)
    else:
        source = replace(source, version=next_version(0, now_ms))
        source = replace(source, id=traffic_sources.insert_source(tx, source))
    traffic_sources.insert_parameters(tx, source.id, source.parameters)
    _save_postback_url(tx, source.id, postback_url, now_ms)
    return source


def postback_url_of(rule: postback_rules.KeptRule | None) -> str:
    """The traffic source postback URL that a source's first rule holds; empty when there is none."""
    return "" if rule is None or rule.archived_at is not None else rule.rule.request.url


def save_rule(tx: Connection, kept: postback_rules.KeptRule, rule: Rule, now_ms: int, archived_at: int | None) -> None:
    """Rewrite a rule that was read as ``kept``. Raise StaleRecordError.

    A source's first rule holds the source's postback URL, so the source gets a new version with it.
    """
    postback_rules.update_rule(tx, rule, kept.version, now_ms, archived_at)
    if rule.source_id is not None:
        first = postback_rules.first_rules_of_sources(tx, [rule.source_id])[rule.source_id]
        if first.rule.rule_id == rule.rule_id:
            traffic_sources.renew_source_version(tx, rule.source_id, now_ms)


def request_faults(request: RequestTemplate, guard: AddressGuard, url_field: str) -> list[Fault]:
    """The faults of a rule's request, under the name that its URL has for the user."""
    return [
        Fault(found.field.replace("request.url", url_field), found.fault, found.sentence)
        for found in check_request(request, guard)
    ]


def archive_source(tx: Connection, source: TrafficSource, now_ms: int) -> TrafficSource:
    """Takes a source out of use. Raises InvalidInputError while a live campaign needs it."""
    _refuse_in_use("campaign", campaigns.live_campaign_of_source(tx, source.id))
    source = replace(source, archived_at=now_ms, updated_at=now_ms)
    return replace(source, version=traffic_sources.update_source(tx, source))


def save_network(tx: Connection, network: Network, now_ms: int) -> Network:
    """Save a network. Raise InvalidInputError."""
    macros = {name: trimmed(macro) for name, macro in network.postback_parameters.items()}
    network = replace(network, offer_url_template=trimmed(network.offer_url_template), postback_parameters=macros)
    faults = network_faults(network)
    faults += network_word_faults(network.status_words, [row.status.key for row in status_rows(tx)])
    faults += _name_faults("network", network.id, networks.find_network_named(tx, network.name))
    _raise(faults)
    words = normalized_words(network.status_words)
    network = replace(network, status_words=words, updated_at=now_ms, created_at=network.created_at or now_ms)
    if network.id:
        return replace(network, version=networks.update_network(tx, network))
    network = replace(network, version=next_version(0, now_ms))
    return replace(network, id=networks.insert_network(tx, network))


def archive_network(tx: Connection, network: Network, now_ms: int) -> Network:
    """Takes a network out of use. Raises InvalidInputError while a live offer needs it."""
    _refuse_in_use("offer", offers.live_offer_of_network(tx, network.id))
    network = replace(network, archived_at=now_ms, updated_at=now_ms)
    return replace(network, version=networks.update_network(tx, network))


def save_offer(tx: Connection, offer: Offer, now_ms: int) -> Offer:
    """Saves an offer; its network must exist and be live."""
    offer = replace(offer, url=trimmed(offer.url))
    faults = offer_faults(offer)
    if offer.network_id is not None:
        network = networks.find_network(tx, offer.network_id)
        faults += _reference_faults("network_id", "network", offer.network_id, network)
    _raise(faults)
    offer = replace(offer, updated_at=now_ms, created_at=offer.created_at or now_ms)
    if offer.id:
        return replace(offer, version=offers.update_offer(tx, offer))
    offer = replace(offer, version=next_version(0, now_ms))
    return replace(offer, id=offers.insert_offer(tx, offer))


def archive_offer(tx: Connection, offer: Offer, now_ms: int) -> Offer:
    """Takes an offer out of use. Raises InvalidInputError while a live campaign needs it."""
    _refuse_in_use("campaign", offers.live_campaign_with_offer(tx, offer.id))
    offer = replace(offer, archived_at=now_ms, updated_at=now_ms)
    return replace(offer, version=offers.update_offer(tx, offer))


def save_campaign(tx: Connection, campaign: Campaign, now_ms: int) -> Campaign:
    """Saves a campaign with its offers; its source and offers must exist and be live, its key be nobody else's."""
    campaign = replace(campaign, fallback_url=trimmed(campaign.fallback_url))
    faults = campaign_faults(campaign)
    source = traffic_sources.find_source(tx, campaign.source_id)
    faults += _reference_faults("source_id", "traffic source", campaign.source_id, source)
    shares = campaign.offers[:MAX_OFFERS]
    live = offers.live_offer_ids(tx, [share.offer_id for share in shares])
    for position, share in enumerate(shares):
        if share.offer_id not in live:
            sentence = f"There is no live offer {share.offer_id}."
            faults.append(Fault(f"offers[{position}].offer_id", FaultCode.NOT_FOUND, sentence))
    holder = campaigns.find_campaign_keyed(tx, campaign.key)
    if holder not in (None, campaign.id):
        faults.append(Fault("key", FaultCode.TAKEN, f"Campaign {holder} has the key {campaign.key}."))
    _raise(faults)
    campaign = replace(campaign, updated_at=now_ms, created_at=campaign.created_at or now_ms)
    if campaign.id:
        campaign = replace(campaign, version=campaigns.update_campaign(tx, campaign))
        campaigns.delete_shares(tx, campaign.id)
    else:
        campaign = replace(campaign, version=next_version(0, now_ms))
        campaign = replace(campaign, id=campaigns.insert_campaign(tx, campaign))
    if campaign.offers:
        campaigns.insert_shares(tx, campaign.id, campaign.offers)
    return campaign


def free_key(tx: Connection, choose: Callable[[str], str]) -> str:
    """A key that no campaign has; ``choose`` draws one letter of a text."""
    while True:
        key = new_key(choose)
        if campaigns.find_campaign_keyed(tx, key) is None:
            return key


def archive_campaign(tx: Connection, campaign: Campaign, now_ms: int) -> Campaign:
    """Takes a campaign out of use; its link leads nowhere from then on."""
    campaign = replace(campaign, archived_at=now_ms, updated_at=now_ms)
    return replace(campaign, version=campaigns.update_campaign(tx, campaign))


def _save_postback_url(tx: Connection, source_id: int, url: str | None, now_ms: int) -> None:
    """The URL stands in the source's first rule, which is made with the source and archived while there is no URL."""
    kept = postback_rules.first_rules_of_sources(tx, [source_id]).get(source_id)
    if kept is None:
        rule = Rule(rule_id=0, name=POSTBACK_RULE_NAME, source_id=source_id, request=RequestTemplate(url=url or ""))
        postback_rules.insert_rule(tx, rule, now_ms, archived_at=None if url else now_ms)
    elif url is not None and url != postback_url_of(kept):
        rule = replace(kept.rule, request=replace(kept.rule.request, url=url))
        postback_rules.update_rule(tx, rule, kept.version, now_ms, archived_at=None if url else now_ms)


def _name_faults(what: str, own_id: int, holder: int | None) -> list[Fault]:
    if holder is None or holder == own_id:
        return []
    return [Fault("name", FaultCode.TAKEN, f"The {what} {holder} has this name: choose another one.")]


def _reference_faults(field: str, what: str, number: int, found: Network | TrafficSource | None) -> list[Fault]:
    if found is None:
        return [Fault(field, FaultCode.NOT_FOUND, f"There is no {what} {number}.")]
    if found.archived_at is not None:
        return [Fault(field, FaultCode.ARCHIVED, f"The {what} {number} is archived: choose a live one.")]
    return []


def _refuse_in_use(what: str, name: str | None) -> None:
    if name is not None:
        sentence = f"The {what} {name!r} still uses it: change or archive that one first."
        raise InvalidInputError((Fault("", FaultCode.IN_USE, sentence),))


def _raise(faults: list[Fault]) -> None:
    if faults:
        raise InvalidInputError(tuple(faults))
