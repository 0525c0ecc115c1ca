"""Saving networks."""

from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.conversion.network_words import network_word_faults, normalized_words
from clickloop.pasting import trimmed
from clickloop.postback.masking import MASK, MASKED_SENTENCE
from clickloop.saving.faults import name_faults, raise_faults
from clickloop.saving.preset_records import network_of_preset
from clickloop.saving.record import Noun, SavingContext
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.setup.network import Network, NetworkChange, NewNetwork, network_faults
from clickloop.setup.record import with_changes
from clickloop.store.ledger.setup.networks import NETWORKS
from clickloop.store.ledger.setup.offers import live_offer_of_network
from clickloop.store.ledger.setup.statuses import status_rows


def new_network(tx: Connection, new: NewNetwork) -> Network:
    """Return a network as requested, not saved. Raise InvalidInputError for an unknown preset."""
    plain = Network(name=new.name, postback_parameters={"cid": "", "payout": "", "txid": ""})
    network = network_of_preset(new.preset) if new.preset else plain
    return changed_network(with_known_words(tx, network), new)


def changed_network(network: Network, change: NetworkChange) -> Network:
    """Return a network with a change. A masked token, as it was shown, leaves the token unchanged. Raise InvalidInputError."""
    token = change.token
    if token == MASK and network.token:
        token = network.token
    elif isinstance(token, str) and MASK in token:
        raise InvalidInputError((FieldFault("token", FaultCode.MASKED, MASKED_SENTENCE),))
    return with_changes(network, change, token=token)


def with_known_words(tx: Connection, network: Network) -> Network:
    """Return a network without status words for statuses that do not exist here, such as a preset may have."""
    known = {row.status.key for row in status_rows(tx)}
    return replace(network, status_words={word: key for word, key in network.status_words.items() if key in known})


def _checked(_context: SavingContext, tx: Connection, network: Network) -> Network:
    macros = {name: trimmed(macro) for name, macro in network.postback_parameters.items()}
    network = replace(network, offer_url_template=trimmed(network.offer_url_template), postback_parameters=macros)
    faults = network_faults(network)
    faults += network_word_faults(network.status_words, [row.status.key for row in status_rows(tx)])
    faults += name_faults("network", network.id, NETWORKS.find_by(tx, "name", network.name))
    raise_faults(faults)
    return replace(network, status_words=normalized_words(network.status_words))


def _in_use(tx: Connection, network_id: int) -> str | None:
    offer = live_offer_of_network(tx, network_id)
    return None if offer is None else f"offer {offer!r}"


NOUN = Noun(name="networks", one="network", find=NETWORKS.find, checked=_checked, write=NETWORKS.write, in_use=_in_use)
