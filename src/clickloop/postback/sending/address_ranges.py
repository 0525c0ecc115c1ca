"""The addresses and ports that are refused unless the operator allows them: one table, each row with its source.

A block is listed if IANA's special-purpose registries do not call it globally reachable, if it embeds an IPv4 address in an IPv6
address, or if a cloud serves secrets there. Of IPv6 only 2000::/3, the public internet, is open at all.
Registries: https://www.iana.org/assignments/iana-ipv4-special-registry and …/iana-ipv6-special-registry.
"""

import ipaddress
import socket

import msgspec

from clickloop.explained import Explained

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class AddressRefusal(Explained):
    """The reason why an address is refused. The sentence is a predicate; its subject is the address."""

    UNSPECIFIED = "unspecified", "means this machine or its own network"
    LOOPBACK = "loopback", "is this machine itself"
    PRIVATE = "private", "belongs to a private network"
    SHARED = "shared", "belongs to a provider's internal network"
    LINK_LOCAL = "link_local", "belongs to this machine's local link"
    METADATA = "metadata", "is a cloud metadata service, which hands out this machine's secrets"
    MULTICAST = "multicast", "is a multicast address"
    DOCUMENTATION = "documentation", "is reserved for examples in documentation"
    RESERVED = "reserved", "is reserved"
    DISGUISED = "disguised", "is an IPv6 address that embeds an IPv4 address"
    NOT_GLOBAL = "not_global", "is not in the public IPv6 address space"
    SERVICE_PORT = "service_port", "is the port of a service that cannot receive postbacks"
    OWN = "own", "is this tracker itself"
    LOCAL_NAME = "local_name", "is a name that exists only in local networks"
    NOT_AN_ADDRESS = "not_an_address", "is not an address"


class Block(msgspec.Struct, frozen=True):
    """A range of refused addresses. ``hides``: where its addresses embed an IPv4 address, if they do."""

    network: Network
    reason: AddressRefusal
    source: str
    """Its name, and the document that defines it."""
    hides: str = ""
    """``tail``: the last four bytes; ``6to4``: bytes 2 to 5; ``teredo``: the last four, inverted; empty if none."""

    def covers(self, packed: bytes) -> bool:
        """Return whether it contains an address of 4 or 16 bytes."""
        if len(packed) * 8 != self.network.max_prefixlen:
            return False
        shift = self.network.max_prefixlen - self.network.prefixlen
        return int.from_bytes(packed) >> shift == int(self.network.network_address) >> shift


_ROWS: tuple[tuple[str, AddressRefusal, str, str], ...] = (
    # Metadata services, apart from the blocks that contain them: an allowlist must name each of these exactly.
    (
        "169.254.169.254",
        AddressRefusal.METADATA,
        "instance metadata of AWS, Azure, Google Cloud, Oracle, OpenStack and others",
        "",
    ),
    ("169.254.169.253", AddressRefusal.METADATA, "AWS: the resolver of a VPC", ""),
    ("169.254.170.2", AddressRefusal.METADATA, "AWS: credentials of ECS tasks", ""),
    ("169.254.170.23", AddressRefusal.METADATA, "AWS: credentials of EKS pods", ""),
    ("169.254.0.23", AddressRefusal.METADATA, "Tencent Cloud: instance metadata", ""),
    ("169.254.42.42", AddressRefusal.METADATA, "Scaleway: instance metadata", ""),
    ("100.100.100.200", AddressRefusal.METADATA, "Alibaba Cloud: instance metadata", ""),
    ("168.63.129.16", AddressRefusal.METADATA, "Azure: the host's wire server, in public address space", ""),
    ("192.0.0.192", AddressRefusal.METADATA, "Oracle Cloud classic: instance metadata", ""),
    ("fd00:ec2::254", AddressRefusal.METADATA, "AWS: instance metadata", ""),
    ("fd00:ec2::253", AddressRefusal.METADATA, "AWS: the resolver of a VPC", ""),
    ("fd00:ec2::23", AddressRefusal.METADATA, "AWS: credentials of EKS pods", ""),
    ("fd20:ce::254", AddressRefusal.METADATA, "Google Cloud: instance metadata", ""),
    ("fd00:c1::a9fe:a9fe", AddressRefusal.METADATA, "Oracle Cloud: instance metadata", ""),
    ("fd00:42::42", AddressRefusal.METADATA, "Scaleway: instance metadata", ""),
    ("fe80::a9fe:a9fe", AddressRefusal.METADATA, "OpenStack: instance metadata", ""),
    # IPv4: IANA's special-purpose registry.
    ("0.0.0.0/8", AddressRefusal.UNSPECIFIED, "this network, RFC 791", ""),
    ("10.0.0.0/8", AddressRefusal.PRIVATE, "private use, RFC 1918", ""),
    ("100.64.0.0/10", AddressRefusal.SHARED, "carrier-grade NAT, RFC 6598", ""),
    ("127.0.0.0/8", AddressRefusal.LOOPBACK, "loopback, RFC 1122", ""),
    ("169.254.0.0/16", AddressRefusal.LINK_LOCAL, "link-local, RFC 3927", ""),
    ("172.16.0.0/12", AddressRefusal.PRIVATE, "private use, RFC 1918", ""),
    ("192.0.0.0/24", AddressRefusal.RESERVED, "IETF protocol assignments, RFC 6890", ""),
    ("192.0.2.0/24", AddressRefusal.DOCUMENTATION, "TEST-NET-1, RFC 5737", ""),
    ("192.88.99.0/24", AddressRefusal.RESERVED, "former 6to4 relay anycast, RFC 7526", ""),
    ("192.168.0.0/16", AddressRefusal.PRIVATE, "private use, RFC 1918", ""),
    ("198.18.0.0/15", AddressRefusal.RESERVED, "benchmarking, RFC 2544", ""),
    ("198.51.100.0/24", AddressRefusal.DOCUMENTATION, "TEST-NET-2, RFC 5737", ""),
    ("203.0.113.0/24", AddressRefusal.DOCUMENTATION, "TEST-NET-3, RFC 5737", ""),
    ("224.0.0.0/4", AddressRefusal.MULTICAST, "multicast, RFC 5771", ""),
    ("255.255.255.255", AddressRefusal.RESERVED, "limited broadcast, RFC 919", ""),
    ("240.0.0.0/4", AddressRefusal.RESERVED, "future use, RFC 1112", ""),
    # IPv6: embedded addresses, then the registry, then everything outside 2000::/3.
    ("::", AddressRefusal.UNSPECIFIED, "unspecified, RFC 4291", ""),
    ("::1", AddressRefusal.LOOPBACK, "loopback, RFC 4291", ""),
    ("::/96", AddressRefusal.DISGUISED, "IPv4-compatible, RFC 4291", "tail"),
    ("::ffff:0:0/96", AddressRefusal.DISGUISED, "IPv4-mapped, RFC 4291", "tail"),
    ("::ffff:0:0:0/96", AddressRefusal.DISGUISED, "IPv4-translated, RFC 2765", "tail"),
    ("64:ff9b::/96", AddressRefusal.DISGUISED, "NAT64, RFC 6052", "tail"),
    ("64:ff9b:1::/48", AddressRefusal.DISGUISED, "local-use NAT64, RFC 8215", "tail"),
    ("2002::/16", AddressRefusal.DISGUISED, "6to4, RFC 3056", "6to4"),
    ("2001::/32", AddressRefusal.DISGUISED, "Teredo, RFC 4380", "teredo"),
    ("2001::/23", AddressRefusal.RESERVED, "IETF protocol assignments, RFC 2928", ""),
    ("2001:db8::/32", AddressRefusal.DOCUMENTATION, "documentation, RFC 3849", ""),
    ("3fff::/20", AddressRefusal.DOCUMENTATION, "documentation, RFC 9637", ""),
    ("100::/64", AddressRefusal.RESERVED, "discard only, RFC 6666", ""),
    ("100:0:0:1::/64", AddressRefusal.RESERVED, "dummy prefix, RFC 9780", ""),
    ("5f00::/16", AddressRefusal.RESERVED, "segment routing, RFC 9602", ""),
    ("fc00::/7", AddressRefusal.PRIVATE, "unique local, RFC 4193", ""),
    ("fe80::/10", AddressRefusal.LINK_LOCAL, "link-local, RFC 4291", ""),
    ("fec0::/10", AddressRefusal.PRIVATE, "former site-local, RFC 3879", ""),
    ("ff00::/8", AddressRefusal.MULTICAST, "multicast, RFC 4291", ""),
    ("::/3", AddressRefusal.NOT_GLOBAL, "not global unicast, IANA's IPv6 address space", ""),
    ("4000::/2", AddressRefusal.NOT_GLOBAL, "not global unicast, IANA's IPv6 address space", ""),
    ("8000::/1", AddressRefusal.NOT_GLOBAL, "not global unicast, IANA's IPv6 address space", ""),
)

BLOCKS = tuple(Block(ipaddress.ip_network(text), reason, source, hides) for text, reason, source, hides in _ROWS)
"""All blocks. Where they overlap, the first that covers an address counts."""

_ISATAP = (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")
"""Bytes 8 to 11 of an ISATAP address (RFC 5214); an IPv4 address follows."""

SERVICE_PORTS: dict[int, str] = {
    1: "tcpmux",
    7: "echo",
    9: "discard",
    11: "systat",
    13: "daytime",
    15: "netstat",
    17: "qotd",
    19: "chargen",
    20: "FTP data",
    21: "FTP",
    22: "SSH",
    23: "Telnet",
    25: "SMTP",
    37: "time",
    42: "nameserver",
    43: "whois",
    53: "DNS",
    69: "TFTP",
    79: "finger",
    88: "Kerberos",
    109: "POP2",
    110: "POP3",
    111: "rpcbind",
    113: "ident",
    115: "SFTP",
    119: "NNTP",
    123: "NTP",
    135: "RPC",
    137: "NetBIOS",
    138: "NetBIOS",
    139: "NetBIOS",
    143: "IMAP",
    161: "SNMP",
    162: "SNMP",
    179: "BGP",
    389: "LDAP",
    427: "SLP",
    445: "SMB",
    464: "Kerberos",
    465: "SMTP",
    512: "rexec",
    513: "rlogin",
    514: "rsh",
    515: "printer",
    543: "klogin",
    544: "kshell",
    548: "AFP",
    554: "RTSP",
    563: "NNTP",
    587: "SMTP",
    631: "IPP",
    636: "LDAP",
    873: "rsync",
    989: "FTP data",
    990: "FTP",
    992: "Telnet",
    993: "IMAP",
    995: "POP3",
    1433: "SQL Server",
    1434: "SQL Server",
    1521: "Oracle",
    1719: "H.323",
    1720: "H.323",
    1723: "PPTP",
    2049: "NFS",
    2181: "ZooKeeper",
    2375: "Docker",
    2376: "Docker",
    2379: "etcd",
    2380: "etcd",
    3306: "MySQL",
    3389: "RDP",
    3690: "Subversion",
    4045: "lockd",
    4369: "epmd",
    5060: "SIP",
    5061: "SIP",
    5432: "PostgreSQL",
    5672: "AMQP",
    5900: "VNC",
    5984: "CouchDB",
    6000: "X11",
    6379: "Redis",
    6443: "Kubernetes",
    6566: "SANE",
    6665: "IRC",
    6666: "IRC",
    6667: "IRC",
    6668: "IRC",
    6669: "IRC",
    6697: "IRC",
    8500: "Consul",
    9042: "Cassandra",
    9092: "Kafka",
    9200: "Elasticsearch",
    9300: "Elasticsearch",
    10250: "kubelet",
    11211: "memcached",
    27017: "MongoDB",
    27018: "MongoDB",
    27019: "MongoDB",
}
"""Ports of services that are not receivers, and what listens there: from IANA's port registry and the ports that browsers block
(https://fetch.spec.whatwg.org/#port-blocking), plus data stores and orchestrators, the usual targets of attacks from inside."""

METADATA_NAMES = frozenset(
    (
        *("metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"),
        *("metadata.tencentyun.com", "metadata.azure.internal", "metadata.packet.net", "metadata.platformequinix.com"),
    )
)
"""Names of clouds' metadata services."""

LOOPBACK_NAMES = frozenset(
    ("localhost", "ip6-localhost", "ip6-loopback", "localhost.localdomain", "localhost6.localdomain6")
)
"""Names of this machine, besides everything under .localhost (RFC 6761)."""

LOCAL_ENDINGS = (
    *(".local", ".localdomain", ".internal", ".home.arpa", ".lan", ".intranet", ".private", ".corp", ".home"),
    *(".in-addr.arpa", ".ip6.arpa"),
)
"""Suffixes that no public resolver knows: RFC 6762, RFC 8375, ICANN's .internal and the names it withheld; and reverse names."""


def packed_address(address: str | bytes) -> bytes | None:
    """Return the 4 or 16 bytes of an address, given as text or bytes; None if it is not an address in the usual notation."""
    if isinstance(address, bytes):
        return address if len(address) in (4, 16) else None
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    except (OSError, ValueError):  # ValueError: NUL or non-ASCII characters
        return None


def block_of(packed: bytes) -> Block | None:
    """Return the first block that covers an address of 4 or 16 bytes; None: it is public."""
    return next((block for block in BLOCKS if block.covers(packed)), None)


def hidden_address(packed: bytes, block: Block | None) -> bytes | None:
    """Return the IPv4 address embedded in an IPv6 address, as its block says or by ISATAP; None if there is none."""
    match block.hides if block is not None else "":
        case "tail":
            return packed[12:]
        case "6to4":
            return packed[2:6]
        case "teredo":
            return bytes(byte ^ 0xFF for byte in packed[12:])
    return packed[12:] if len(packed) == 16 and packed[8:12] in _ISATAP else None
