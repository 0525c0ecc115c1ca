"""Small bases in MaxMind's format, in the forms of several makers."""

import ipaddress
from typing import Any

from clickloop.click.geo.mmdb_writer import MmdbWriter

BUILT_AT_SECONDS = 1_790_000_000
GEOLITE_CITY = {
    "continent": {"code": "NA", "names": {"en": "North America"}},
    "country": {"iso_code": "US", "names": {"en": "United States"}},
    "subdivisions": [{"iso_code": "CA", "names": {"en": "California"}}],
    "city": {"names": {"en": "Los Angeles", "de": "Los Angeles (Stadt)"}},
}
GEOLITE_ASN = {"autonomous_system_number": 21928, "autonomous_system_organization": "T-MOBILE-AS21928"}
GEOIP_ISP = {"isp": "T-Mobile USA", "organization": "T-Mobile", "autonomous_system_number": 21928}
GEOIP_CONNECTION = {"connection_type": "Cellular"}
GEOIP_ANONYMOUS = {"is_anonymous": True, "is_anonymous_vpn": True}
DBIP_CITY = {
    "continent": {"code": "EU", "names": {"en": "Europe"}},
    "country": {"iso_code": "DE", "names": {"en": "Germany"}},
    "subdivisions": [{"names": {"en": "Bavaria"}}],
    "city": {"names": {"en": "Munich"}},
}
FLAT_CITY = {"city": "Munich", "country_code": "DE", "state1": "Bavaria", "state2": "", "postcode": "", "timezone": ""}
IPINFO_LITE = {
    "asn": "AS3215",
    "as_name": "Orange S.A.",
    "as_domain": "orange.com",
    "country": "France",
    "country_code": "FR",
    "continent": "Europe",
    "continent_code": "EU",
}


def base(
    records: dict[str, Any], kind: str = "Tests-Country", *, ip_version: int = 6, built_at: int = BUILT_AT_SECONDS
) -> bytes:
    """Return the bytes of a base with a record for each network."""
    writer = MmdbWriter(kind, built_at, ip_version=ip_version)
    for text, record in records.items():
        network = ipaddress.ip_network(text)
        writer.add(int(network.network_address), network.prefixlen, record, ip_version=network.version)
    return writer.encode()


def base_of(record: object, kind: str = "Tests-City", **options: Any) -> bytes:
    """Return the bytes of a base with one record for every IPv4 address."""
    return base({"0.0.0.0/1": record, "128.0.0.0/1": record}, kind, **options)


def country_base(code: str) -> bytes:
    """Return the bytes of a base with the country ``code`` for every IPv4 address."""
    return base_of({"country": {"iso_code": code}}, "Tests-Country", ip_version=4, built_at=1)
