"""The geo bases, as the API and the page Health show them."""

from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.click.geo.check import MAX_AGE_DAYS, GeoBaseReport, fields_without_base
from clickloop.click.geo.mmdb import GeoField
from clickloop.clock import Moment, optional_iso_text
from clickloop.web.api.context import ApiContext


class AttributionView(msgspec.Struct, kw_only=True):
    """A credit that a base's licence requires."""

    text: str
    url: str


class GeoBaseView(msgspec.Struct, kw_only=True):
    """A geo base, or a file that should be one."""

    path: Annotated[str, Meta(description="The file, or included for the base that comes with Clickloop.")]
    kind: Annotated[
        str, Meta(description="The maker's name for it. Empty if it cannot be read.", examples=["GeoLite2-City"])
    ]
    built_at: Annotated[Moment | None, Meta(description="When it was made; null if unknown.")]
    age_days: int | None
    is_old: Annotated[bool, Meta(description=f"Whether it is older than {MAX_AGE_DAYS} days.")]
    provides: Annotated[list[GeoField], Meta(description="Fields that it provides.")]
    fault: Annotated[str, Meta(description="Why the file is not in use, or only as it was before. Empty if it is.")]
    attributions: list[AttributionView]


class GeoView(msgspec.Struct, kw_only=True):
    """Where the places of visitors come from."""

    bases: Annotated[list[GeoBaseView], Meta(description="In order of preference.")]
    unknown: Annotated[
        list[GeoField], Meta(description="Fields that no base provides, which are unknown for new visitors.")
    ]


def geo_view(context: ApiContext) -> GeoView:
    """Return the geo bases and the fields that none provides."""
    reports, now_ms = context.geo_bases(), context.clock()
    lacking = fields_without_base(reports)
    return GeoView(
        bases=[_base_view(report, now_ms) for report in reports],
        unknown=[field for field in GeoField if field in lacking] if reports else [],
    )


def _base_view(report: GeoBaseReport, now_ms: int) -> GeoBaseView:
    return GeoBaseView(
        path=report.path,
        kind=report.kind,
        built_at=optional_iso_text(report.built_at or None),
        age_days=report.age_days(now_ms),
        is_old=report.is_old(now_ms),
        provides=list(report.provides),
        fault=report.fault,
        attributions=[AttributionView(text=one.text, url=one.url) for one in report.attributions],
    )
