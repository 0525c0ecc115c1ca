"""The address guard: whether anything may be sent to an address, a host or a URL's target. Pure decisions, no look-ups.

The same judgement is passed three times: on a target when a rule is saved, on it again when an attempt is made and at every
redirect, and on the address itself when a name has been resolved and when its socket is opened (``dialing``).
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
    Block,
    Network,
    Refusal,
    block_of,
    hidden_address,
    packed_address,
)
from clickloop.postback.sending.target import Target, TargetFault

_REMEMBERED = 16_384
"""Judgements kept; of what they depend on, only the tracker's own hosts change while it runs."""
_ANYWHERE = (bytes(4), bytes(16))


class Listen(msgspec.Struct, frozen=True):
    """Where this tracker listens. Zeros as octets mean every address of this machine."""

    packed: bytes
    port: int

    @property
    def everywhere(self) -> bool:
        """Whether it listens on every address of this machine."""
        return self.packed in _ANYWHERE


class Policy(msgspec.Struct, frozen=True):
    """What the operator allows beyond the internet, and what is this tracker itself."""

    allowed_networks: tuple[Network, ...] = ()
    allowed_ports: frozenset[int] = frozenset()
    own_hosts: frozenset[str] = frozenset()
    """Hosts that reach this tracker, lower case, with port if any."""
    own_listens: tuple[Listen, ...] = ()


class Allowed(msgspec.Struct, frozen=True):
    """It may be sent to; a name still has to be resolved and its addresses judged."""


class RefusedAddress(msgspec.Struct, frozen=True):
    """Nothing is sent there."""

    reason: Refusal
    subject: str
    """The address, name or port that was looked at."""
    source: str = ""
    """The block it lies in, and the document that says so."""

    @property
    def sentence(self) -> str:
        """Why, and how an operator who means it can allow it."""
        source = f" ({self.source})" if self.source else ""
        return f"{self.subject} {self.reason.sentence}{source}.{self._remedy}"

    @property
    def _remedy(self) -> str:
        match self.reason:
            case Refusal.OWN | Refusal.NOT_AN_ADDRESS:
                return ""
            case Refusal.SERVICE_PORT:
                return " If it is a receiver of yours, set CLICKLOOP_ALLOWED_PORTS and restart."
            case Refusal.METADATA:
                return " Only its exact address in CLICKLOOP_ALLOWED_ADDRESSES would allow it."
            case Refusal.LOOPBACK:
                return " If a receiver of yours is there, set CLICKLOOP_ALLOWED_ADDRESSES=127.0.0.0/8 and restart."
        return " If a receiver of yours is there, name its network in CLICKLOOP_ALLOWED_ADDRESSES and restart."


Judgement = Allowed | RefusedAddress
ALLOWED = Allowed()


def policy_of(settings: Settings) -> Policy:
    """What the settings allow. Raises SettingError for texts that cannot be read."""
    own_hosts = {settings.listen, settings.panel_listen, urlsplit(settings.base_url()).netloc.lower()}
    listens = (listen_address(settings.listen, "listen"), listen_address(settings.panel_listen, "panel_listen"))
    return Policy(
        allowed_networks=networks_of(settings.allowed_addresses, "allowed_addresses"),
        allowed_ports=ports_of(settings.allowed_ports, "allowed_ports"),
        own_hosts=frozenset(own_hosts),
        own_listens=tuple(Listen(packed, port) for host, port in listens if (packed := packed_address(host))),
    )


def judge(address: str | bytes, port: int, policy: Policy) -> Judgement:
    """Whether a connection to this port of this address may be opened.

    ``address``: text in usual notation (four decimal numbers, or IPv6 without brackets and zone), or its 4 or 16 octets.
    """
    packed = packed_address(address)
    if packed is None:
        return RefusedAddress(Refusal.NOT_AN_ADDRESS, repr(address)[:100])
    for listen in policy.own_listens:
        if listen.port == port and _reaches(packed, listen):
            return RefusedAddress(Refusal.OWN, f"{_text(packed)} port {port}")
    return _refused_address(packed, policy) or _refused_port(port, policy) or ALLOWED


def judge_target(target: Target, policy: Policy) -> Judgement:
    """Whether a request to this target may be made. A name is judged by what it says; its addresses are judged when dialed."""
    host = target.host
    if policy.own_hosts and not policy.own_hosts.isdisjoint((host, target.authority, target.lane)):
        return RefusedAddress(Refusal.OWN, target.authority)
    packed = packed_address(host)
    if packed is not None:
        return judge(packed, target.port, policy)
    return _refused_name(host, target.port, policy) or _refused_port(target.port, policy) or ALLOWED


class AddressGuard:
    """A policy with the judgements that were passed by it, so that judging again costs a look-up. Threads may share it."""

    def __init__(self, policy: Policy = Policy()) -> None:  # noqa: B008 – it is frozen
        self.policy = policy
        self.judge: Callable[[str, int], Judgement] = lru_cache(_REMEMBERED)(self._judge)
        """``judge`` for an address in text form, remembered."""
        self._judge_host: Callable[[str, str, int], Judgement] = lru_cache(_REMEMBERED)(self._host)

    def know_own_hosts(self, hosts: frozenset[str]) -> None:
        """Sets which hosts reach this tracker; judgements of hosts are passed anew."""
        if hosts != self.policy.own_hosts:
            self.policy = msgspec.structs.replace(self.policy, own_hosts=hosts)
            self._judge_host = lru_cache(_REMEMBERED)(self._host)

    def judge_target(self, target: Target | TargetFault) -> Judgement:
        """``judge_target``, remembered. What is no target is allowed here: sending refuses it by itself."""
        if isinstance(target, TargetFault):
            return ALLOWED
        return self._judge_host(target.scheme, target.host, target.port)

    def _judge(self, address: str, port: int) -> Judgement:
        return judge(address, port, self.policy)

    def _host(self, scheme: str, host: str, port: int) -> Judgement:
        return judge_target(Target(scheme, host, port, "/", ""), self.policy)


STRICT = AddressGuard()
"""Allows the internet and nothing else."""


def _refused_address(packed: bytes, policy: Policy) -> RefusedAddress | None:
    """Why an address is refused. An IPv4 address that is hidden in another has to be allowed too."""
    block = block_of(packed)
    if block is not None and not _is_allowed(packed, block, policy):
        return RefusedAddress(block.reason, _text(packed), f"{block.network}: {block.source}")
    hidden = hidden_address(packed, block)
    refused = _refused_address(hidden, policy) if hidden is not None else None
    if refused is None:
        return None
    return RefusedAddress(Refusal.DISGUISED, _text(packed), f"it hides {refused.subject}, {refused.source}")


def _is_allowed(packed: bytes, block: Block, policy: Policy) -> bool:
    """Whether the operator allows an address of a block; one of the metadata addresses has to be named exactly."""
    address = ipaddress.ip_address(packed)
    exactly = block.reason is Refusal.METADATA
    return any(
        address in network and (not exactly or network.prefixlen == network.max_prefixlen)
        for network in policy.allowed_networks
    )


def _refused_name(host: str, port: int, policy: Policy) -> RefusedAddress | None:
    """Why a name is refused before anybody resolves it. Local names may be resolved where the operator allows any address."""
    if host in METADATA_NAMES:
        named = any(
            network.prefixlen == network.max_prefixlen and _is_metadata(network) for network in policy.allowed_networks
        )
        return None if named else RefusedAddress(Refusal.METADATA, host)
    if host in LOOPBACK_NAMES or host.endswith(".localhost"):
        judgements = [judge(address, port, policy) for address in ("127.0.0.1", "::1")]
        refused = judgements[0] if ALLOWED not in judgements else ALLOWED
        if isinstance(refused, Allowed) or refused.reason is Refusal.SERVICE_PORT:
            return None  # the port is told of as such
        return RefusedAddress(refused.reason, host, refused.source)
    if not policy.allowed_networks and host.endswith(LOCAL_ENDINGS):
        return RefusedAddress(Refusal.LOCAL_NAME, host)
    return None


def _is_metadata(network: Network) -> bool:
    block = block_of(network.network_address.packed)
    return block is not None and block.reason is Refusal.METADATA


def _refused_port(port: int, policy: Policy) -> RefusedAddress | None:
    service = SERVICE_PORTS.get(port)
    if service is None or port in policy.allowed_ports:
        return None
    return RefusedAddress(Refusal.SERVICE_PORT, f"{port}", service)


def _reaches(packed: bytes, listen: Listen) -> bool:
    """Whether an address reaches where we listen, as far as that is known without asking the system."""
    if packed == listen.packed:
        return True
    listener = ipaddress.ip_address(listen.packed)
    if listen.everywhere:
        return packed in _ANYWHERE or ipaddress.ip_address(packed).is_loopback
    return packed in _ANYWHERE and listener.is_loopback  # connecting to zeros is connecting to oneself


def _text(packed: bytes) -> str:
    return str(ipaddress.ip_address(packed))
