"""Tables of address ranges and their autonomous systems (CSV), as a base in MaxMind's format."""

import csv
import ipaddress
from collections.abc import Iterable, Iterator

from clickloop.click.geo.mmdb_writer import MmdbWriter

ASN_KIND = "ASN (RouteViews, DB-IP)"
MAX_NAME_LENGTH = 100


def asn_base(lines: Iterable[str], built_at_seconds: int) -> bytes:
    """Return a base of the lines ``first address,last address,number,name``. Raise ValueError for a line of another form."""
    writer = MmdbWriter(ASN_KIND, built_at_seconds)
    for position, row in enumerate(csv.reader(lines), 1):
        try:
            first, last, number, name = row
            networks = _networks(ipaddress.ip_address(first), ipaddress.ip_address(last))
            record = {"autonomous_system_number": int(number), "autonomous_system_organization": name[:MAX_NAME_LENGTH]}
        except (ValueError, TypeError) as fault:
            raise ValueError(f"line {position} is no range of addresses with an AS number: {fault}") from fault
        version = 6 if ":" in first else 4
        for start, length in networks:
            writer.add(start, length, record, ip_version=version)
    return writer.encode()


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _networks(first: _Address, last: _Address) -> Iterator[tuple[int, int]]:
    """Return the networks that a range consists of, each as its first address and prefix length."""
    if first.version != last.version or int(first) > int(last):
        raise ValueError(f"{first} to {last} is no range")
    return _split(int(first), int(last), first.max_prefixlen)


def _split(start: int, last: int, bits: int) -> Iterator[tuple[int, int]]:
    while start <= last:
        # The largest network that begins here and does not go beyond the end.
        size = min((start & -start).bit_length() - 1 if start else bits - 1, (last - start + 1).bit_length() - 1)
        yield start, bits - size
        start += 1 << size
