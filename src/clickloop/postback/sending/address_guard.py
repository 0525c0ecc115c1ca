"""The address guard: whether requests may be sent to an address, a host or a URL's target. Pure decisions, no lookups.

It is applied three times: to the target when a rule is saved; to the target again at each attempt and redirect; and to the
address itself when a name has been resolved and when its socket is opened (``dialing``).
"""

import ipaddress
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import urlsplit

import msgspec

from clickloop.config import Settings, listen_address, networks_of, ports_of
from clickloop.postback.sending.address_ranges import (
    LOCAL_ENDINGS,
    LOOPBACK_NAMES,
    METADATA_NAMES,
    SERVICE_PORTS,
    AddressRefusal,
    Block,
    Network,
    block_of,
    hidden_address,
    packed_address,
)
from clickloop.postback.sending.target import RequestTarget, TargetFault

_MAX_CACHED = 16_384
"""Cached judgements. Of what they depend on, only the tracker's own hosts change while it runs."""
_EVERY_ADDRESS = (bytes(4), bytes(16))


class ListenAddress(msgspec.Struct, frozen=True):
    """An address that this tracker listens on. All zeros mean every address of this machine."""

    packed: bytes
    port: int

    @property
    def everywhere(self) -> bool:
        return self.packed in _EVERY_ADDRESS


class Policy(msgspec.Struct, frozen=True):
    """The operator's exceptions from the public internet only, and the tracker's own addresses."""

    allowed_networks: tuple[Network, ...] = ()
    allowed_ports: frozenset[int] = frozenset()
    own_hosts: frozenset[str] = frozenset()
    """Hosts of this tracker, lower case, with port if any."""
    own_listens: tuple[ListenAddress, ...] = ()


class Allowed(msgspec.Struct, frozen=True):
    """Requests may be sent there. A name still has to be resolved and its addresses judged."""


class RefusedAddress(msgspec.Struct, frozen=True):
    """Nothing may be sent there."""

    reason: AddressRefusal
    subject: str
    """The address, name or port in question."""
    source: str = ""
    """The block that contains it, and the document that defines the block."""

    @property
    def sentence(self) -> str:
        """Return the reason, and how the operator can allow it."""
        source = f" ({self.source})" if self.source else ""
        return f"{self.subject} {self.reason.sentence}{source}.{self._remedy}"

    @property
    def _remedy(self) -> str:
        match self.reason:
            case AddressRefusal.OWN | AddressRefusal.NOT_AN_ADDRESS:
                return ""
            case AddressRefusal.SERVICE_PORT:
                return " To allow it, add it to CLICKLOOP_ALLOWED_PORTS and restart."
            case AddressRefusal.METADATA:
                return " To allow it, add its exact address to CLICKLOOP_ALLOWED_ADDRESSES and restart."
            case AddressRefusal.LOOPBACK:
                return " To allow it, set CLICKLOOP_ALLOWED_ADDRESSES=127.0.0.0/8 and restart."
        return " To allow it, add its network to CLICKLOOP_ALLOWED_ADDRESSES and restart."


Judgement = Allowed | RefusedAddress
ALLOWED = Allowed()


def policy_of(settings: Settings) -> Policy:
    """Return the policy in the settings. Raise SettingError if one is malformed."""
    own_hosts = {settings.listen, settings.panel_listen, urlsplit(settings.base_url()).netloc.lower()}
    listens = (listen_address(settings.listen, "listen"), listen_address(settings.panel_listen, "panel_listen"))
    return Policy(
        allowed_networks=networks_of(settings.allowed_addresses, "allowed_addresses"),
        allowed_ports=ports_of(settings.allowed_ports, "allowed_ports"),
        own_hosts=frozenset(own_hosts),
        own_listens=tuple(ListenAddress(packed, port) for host, port in listens if (packed := packed_address(host))),
    )


def judge(address: str | bytes, port: int, policy: Policy) -> Judgement:
    """Return whether a connection to this port of this address may be opened.

    ``address``: text in the usual notation (four decimal numbers, or IPv6 without brackets and zone), or its 4 or 16 bytes.
    """
    packed = packed_address(address)
    if packed is None:
        return RefusedAddress(AddressRefusal.NOT_AN_ADDRESS, repr(address)[:100])
    for listen in policy.own_listens:
        if listen.port == port and _reaches(packed, listen):
            return RefusedAddress(AddressRefusal.OWN, f"{_text(packed)} port {port}")
    return _refused_address(packed, policy) or _refused_port(port, policy) or ALLOWED


def judge_target(target: RequestTarget, policy: Policy) -> Judgement:
    """Return whether a request to this target may be made. A name's addresses are judged only when dialed."""
    host = target.host
    if policy.own_hosts and not policy.own_hosts.isdisjoint((host, target.authority, target.receiver)):
        return RefusedAddress(AddressRefusal.OWN, target.authority)
    packed = packed_address(host)
    if packed is not None:
        return judge(packed, target.port, policy)
    return _refused_name(host, target.port, policy) or _refused_port(target.port, policy) or ALLOWED


class AddressGuard:
    """A policy with a cache of its judgements. Thread-safe."""

    def __init__(self, policy: Policy = Policy()) -> None:  # noqa: B008 – it is frozen
        self.policy = policy
        self.judge: Callable[[str, int], Judgement] = lru_cache(_MAX_CACHED)(self._judge)
        """``judge`` for an address as text, cached."""
        self._judge_host: Callable[[str, str, int], Judgement] = lru_cache(_MAX_CACHED)(self._host)

    def know_own_hosts(self, hosts: frozenset[str]) -> None:
        """Set the tracker's own hosts, and drop the cached judgements of hosts."""
        if hosts != self.policy.own_hosts:
            self.policy = msgspec.structs.replace(self.policy, own_hosts=hosts)
            self._judge_host = lru_cache(_MAX_CACHED)(self._host)

    def judge_target(self, target: RequestTarget | TargetFault) -> Judgement:
        """``judge_target``, cached. A fault is allowed here, because sending rejects it itself."""
        if isinstance(target, TargetFault):
            return ALLOWED
        return self._judge_host(target.scheme, target.host, target.port)

    def _judge(self, address: str, port: int) -> Judgement:
        return judge(address, port, self.policy)

    def _host(self, scheme: str, host: str, port: int) -> Judgement:
        return judge_target(RequestTarget(scheme, host, port, "/", ""), self.policy)


STRICT = AddressGuard()
"""Allows the public internet only."""


def _refused_address(packed: bytes, policy: Policy) -> RefusedAddress | None:
    """Return why an address is refused, or None. An IPv4 address embedded in it must be allowed, too."""
    block = block_of(packed)
    if block is not None and not _is_allowed(packed, block, policy):
        return RefusedAddress(block.reason, _text(packed), f"{block.network}: {block.source}")
    hidden = hidden_address(packed, block)
    refused = _refused_address(hidden, policy) if hidden is not None else None
    if refused is None:
        return None
    return RefusedAddress(AddressRefusal.DISGUISED, _text(packed), f"it embeds {refused.subject}, {refused.source}")


def _is_allowed(packed: bytes, block: Block, policy: Policy) -> bool:
    """Return whether the operator allows an address of a block. Metadata addresses must be listed exactly."""
    address = ipaddress.ip_address(packed)
    exactly = block.reason is AddressRefusal.METADATA
    return any(
        address in network and (not exactly or network.prefixlen == network.max_prefixlen)
        for network in policy.allowed_networks
    )


def _refused_name(host: str, port: int, policy: Policy) -> RefusedAddress | None:
    """Return why a name is refused before it is resolved, or None. Local names pass if the operator allows any network."""
    if host in METADATA_NAMES:
        named = any(
            network.prefixlen == network.max_prefixlen and _is_metadata(network) for network in policy.allowed_networks
        )
        return None if named else RefusedAddress(AddressRefusal.METADATA, host)
    if host in LOOPBACK_NAMES or host.endswith(".localhost"):
        judgements = [judge(address, port, policy) for address in ("127.0.0.1", "::1")]
        refused = judgements[0] if ALLOWED not in judgements else ALLOWED
        if isinstance(refused, Allowed) or refused.reason is AddressRefusal.SERVICE_PORT:
            return None  # reported as a refused port instead
        return RefusedAddress(refused.reason, host, refused.source)
    if not policy.allowed_networks and host.endswith(LOCAL_ENDINGS):
        return RefusedAddress(AddressRefusal.LOCAL_NAME, host)
    return None


def _is_metadata(network: Network) -> bool:
    block = block_of(network.network_address.packed)
    return block is not None and block.reason is AddressRefusal.METADATA


def _refused_port(port: int, policy: Policy) -> RefusedAddress | None:
    service = SERVICE_PORTS.get(port)
    if service is None or port in policy.allowed_ports:
        return None
    return RefusedAddress(AddressRefusal.SERVICE_PORT, f"{port}", service)


def _reaches(packed: bytes, listen: ListenAddress) -> bool:
    """Return whether an address reaches our listener, as far as can be told without a system call."""
    if packed == listen.packed:
        return True
    listener = ipaddress.ip_address(listen.packed)
    if listen.everywhere:
        return packed in _EVERY_ADDRESS or ipaddress.ip_address(packed).is_loopback
    return packed in _EVERY_ADDRESS and listener.is_loopback  # connecting to zeros connects to this machine


def _text(packed: bytes) -> str:
    return str(ipaddress.ip_address(packed))
