"""Views of the check as JSON and as text. Pure."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.clock import iso_text
from clickloop.diagnosis.check.check import CheckedCampaign, CheckResult
from clickloop.diagnosis.check.finding import CheckCode, CheckFinding, CheckPlace, CheckPlaceKind
from clickloop.diagnosis.trace.text import one_line
from clickloop.macro import Severity
from clickloop.plural import pluralize
from clickloop.text import readable


class CheckPlaceView(msgspec.Struct, frozen=True, kw_only=True):
    """The place of a finding."""

    kind: CheckPlaceKind
    id: Annotated[int, Meta(description="0 if the record has no number.")]
    name: str
    field: Annotated[str, Meta(description="Empty for the whole record.")]


class CheckFindingView(msgspec.Struct, frozen=True, kw_only=True):
    """A problem found by the check."""

    severity: Annotated[Severity, Meta(description="error: the chain is broken there. warning: it probably is.")]
    code: CheckCode
    place: CheckPlaceView
    sentence: str
    remedy: str
    moments: Annotated[tuple[str, ...], Meta(description="The exact times in sentence and remedy. ISO 8601, UTC.")] = ()


class CheckCampaignView(msgspec.Struct, frozen=True, kw_only=True):
    """The recent traffic of a campaign."""

    campaign_id: int
    name: str
    recent_clicks: Annotated[int, Meta(description="Number of newest counted clicks examined, at most 1,000.")]
    without_external_id: Annotated[int, Meta(description="How many of them came without the source's click ID.")]
    unreplaced_external_id: Annotated[int, Meta(description="How many of them came with an unreplaced macro instead.")]
    unreadable_cost: Annotated[int, Meta(description="How many of them came with an unreadable cost.")]
    last_click_at: Annotated[str | None, Meta(description="ISO 8601, like all times.")]
    last_conversion_at: Annotated[str | None, Meta(description="Within 30 days.")]
    last_delivered_at: Annotated[str | None, Meta(description="When a postback was last delivered, within 30 days.")]


class CheckView(msgspec.Struct, frozen=True, kw_only=True):
    """The result of the check, with the worst findings first."""

    fine: Annotated[bool, Meta(description="Whether there are no errors.")]
    errors: int
    warnings: int
    notes: int
    findings: tuple[CheckFindingView, ...]
    campaigns: tuple[CheckCampaignView, ...]


def check_view(result: CheckResult) -> CheckView:
    return CheckView(
        fine=not result.count(Severity.ERROR),
        errors=result.count(Severity.ERROR),
        warnings=result.count(Severity.WARNING),
        notes=result.count(Severity.NOTE),
        findings=tuple(check_finding_view(finding) for finding in result.findings),
        campaigns=tuple(_campaign_view(campaign) for campaign in result.campaigns),
    )


def check_text(view: CheckView) -> str:
    lines = [f"{one_line(campaign.name)} ({campaign.campaign_id}): {_traffic(campaign)}" for campaign in view.campaigns]
    if lines:
        lines.append("")
    for finding in view.findings:
        lines += _finding_lines(finding)
    counts = ((view.errors, "error"), (view.warnings, "warning"), (view.notes, "note"))
    lines.append(", ".join(f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts) + ".")
    return "\n".join(lines) + "\n"


def check_finding_view(finding: CheckFinding) -> CheckFindingView:
    place = finding.place
    return CheckFindingView(
        severity=finding.severity,
        code=finding.code,
        place=CheckPlaceView(kind=place.kind, id=place.id, name=readable(place.name), field=readable(place.field)),
        sentence=readable(finding.sentence),
        remedy=readable(finding.remedy),
        moments=tuple(iso_text(moment) for moment in finding.moments),
    )


def _campaign_view(campaign: CheckedCampaign) -> CheckCampaignView:
    evidence = campaign.evidence
    return CheckCampaignView(
        campaign_id=evidence.campaign_id,
        name=readable(campaign.name),
        recent_clicks=evidence.clicks.recent,
        without_external_id=evidence.clicks.without_external_id,
        unreplaced_external_id=evidence.clicks.unreplaced,
        unreadable_cost=evidence.clicks.cost_unreadable,
        last_click_at=_moment(evidence.clicks.last_at),
        last_conversion_at=_moment(evidence.last_conversion_at),
        last_delivered_at=_moment(evidence.last_delivered_at),
    )


def _moment(at: int | None) -> str | None:
    return None if at is None else iso_text(at)


def _finding_lines(finding: CheckFindingView) -> Iterator[str]:
    place = CheckPlace(kind=finding.place.kind, id=finding.place.id, name=finding.place.name, field=finding.place.field)
    yield f"{finding.severity:<8} {one_line(place.text)}: {one_line(finding.sentence, 500)} [{finding.code}]"
    yield f"{'':8} → {one_line(finding.remedy, 500)}"


def _traffic(campaign: CheckCampaignView) -> str:
    moments = (
        ("click", campaign.last_click_at),
        ("conversion", campaign.last_conversion_at),
        ("delivered postback", campaign.last_delivered_at),
    )
    last = ", ".join(f"last {what} {at or 'none'}" for what, at in moments)
    if not campaign.recent_clicks:
        return f"no clicks; {last}"
    return (
        f"{pluralize(campaign.recent_clicks, 'recent click')}, {campaign.without_external_id} without external ID, "
        f"{campaign.unreplaced_external_id} with an unreplaced macro, "
        f"{campaign.unreadable_cost} with an unreadable cost; {last}"
    )
