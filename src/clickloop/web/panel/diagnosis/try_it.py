"""Try it: a dry run that shows where a visitor would go and what each postback rule would do, condition by condition."""

from typing import Annotated, Any

import msgspec
from litestar import get, post
from litestar.exceptions import HTTPException
from litestar.params import QueryParameter

from clickloop.clock import SECOND_MS, iso_text
from clickloop.conversion.notice import MAX_EVENTS, MAX_PARAMS
from clickloop.diagnosis.simulation_input import SimulationBody
from clickloop.diagnosis.trial_link import example_parameters
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.store.ledger.setup.campaigns import CAMPAIGNS, campaigns_after
from clickloop.store.ledger.setup.offers import OFFERS
from clickloop.store.ledger.setup.statuses import status_rows
from clickloop.store.ledger.setup.traffic_sources import SOURCES
from clickloop.text import readable
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.diagnosis import simulate as api
from clickloop.web.api.problem import AnyRequest
from clickloop.web.panel.frame.auth_guard import NEEDS
from clickloop.web.panel.frame.form import Form, FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.logs.log_page import flag_sentence
from clickloop.web.panel.reports.walkthrough import first_undone
from clickloop.web.panel.setup.setup_choices import OptionalId, only

PATH = "/panel/try"
MAX_CAMPAIGNS = 1_000  # in the list to choose from
RecordParameter = Annotated[str, QueryParameter(max_length=100)]


class NamedRecord(msgspec.Struct, frozen=True):
    """A record to choose."""

    number: int
    name: str


class DryRunSubject(msgspec.Struct, frozen=True, kw_only=True):
    """The subject of a dry run: a campaign with its source and offers, a recorded click, or a stored conversion."""

    campaign: NamedRecord | None = None
    source: NamedRecord | None = None
    offers: tuple[NamedRecord, ...] = ()
    parameters: tuple[tuple[str, str, str], ...] = ()
    """Name in the link, example value, and placeholder of the source."""
    click_id: str = ""
    conversion_id: str = ""


def show(
    viewer: CurrentViewer,
    context: Context,
    request: AnyRequest,
    campaign_id: OptionalId = None,
    click_id: RecordParameter = "",
    conversion_id: RecordParameter = "",
) -> PageResponse:
    """Return the choice of subjects, or the form for the chosen one; by default, the only campaign."""
    if not (campaign_id or click_id.strip() or conversion_id.strip()):
        campaign_id = only(live_campaigns(context))
    subject = _subject(context, campaign_id, click_id.strip(), conversion_id.strip())
    return _show(viewer, context, subject, _defaults(subject, request))


def try_it(viewer: CurrentViewer, context: Context, request: AnyRequest, form: FormParameter) -> PageResponse:
    """Return the dry run of the form. Nothing is sent or stored."""
    number = form.text("campaign_id")
    is_number = number.isdecimal() and len(number) < 10
    subject = _subject(context, int(number) if is_number else None, form.text("click_id"), form.text("conversion_id"))
    if subject.conversion_id and not any(value for name, value in form.pairs if name.startswith("conversion.")):
        form = Form((name, value) for name, value in form.pairs if not name.startswith("conversion."))
    defaults = _defaults(subject, request)
    submitted = form.redisplay_values(SimulationBody)
    values = {
        name: {**value, **submitted.get(name, {})} if isinstance(value, dict) else submitted.get(name, value)
        for name, value in defaults.items()
    }
    if not isinstance(values["parameters"], list):
        values["parameters"] = defaults["parameters"]
    try:
        view = api.simulation_view(api.dry_run(context, form.read(SimulationBody)))
    except InvalidInputError as error:
        return _show(viewer, context, subject, values, error.faults)
    except HTTPException as error:
        field = next((name for name in ("click_id", "conversion_id") if form.text(name)), "campaign_id")
        return _show(viewer, context, subject, values, (FieldFault(field, FaultCode.NOT_FOUND, error.detail),))
    return _show(viewer, context, subject, values, result=view)


def _show(
    viewer: Viewer,
    context: ApiContext,
    subject: DryRunSubject,
    values: dict[str, Any],
    faults: tuple[FieldFault, ...] = (),
    result: api.SimulationView | None = None,
) -> PageResponse:
    campaigns = live_campaigns(context)
    is_chosen = bool(subject.campaign or subject.click_id or subject.conversion_id)
    return page(
        viewer,
        "try_it.html",
        faults,
        subject=subject if is_chosen else None,
        v=values,
        campaigns=campaigns,
        first=None if campaigns else first_undone(context),
        statuses=_statuses(context),
        result=result,
        params=MAX_PARAMS,
        events=MAX_EVENTS,
        flag_sentence=flag_sentence,
        soon=iso_text(context.clock() + SECOND_MS),
    )


def live_campaigns(context: ApiContext) -> list[tuple[int, str]]:
    """Return the number and name of live campaigns."""
    with context.ledger.read() as tx:
        return [(campaign.id, readable(campaign.name)) for campaign in campaigns_after(tx, 0, MAX_CAMPAIGNS)]


def _statuses(context: ApiContext) -> list[str]:
    """Return the keys of all statuses, as suggestions."""
    with context.ledger.read() as tx:
        return [row.status.key for row in status_rows(tx)]


def _subject(context: ApiContext, campaign_id: int | None, click_id: str, conversion_id: str) -> DryRunSubject:
    if campaign_id is None:
        return DryRunSubject(click_id=click_id, conversion_id=conversion_id)
    with context.ledger.read() as tx:
        campaign = CAMPAIGNS.find(tx, campaign_id)
        source = SOURCES.find(tx, campaign.source_id) if campaign else None
        if campaign is None or source is None or campaign.archived_at is not None:
            return DryRunSubject()
        offers = [OFFERS.find(tx, share.offer_id) for share in campaign.offers]
    examples = example_parameters(source)
    return DryRunSubject(
        campaign=NamedRecord(campaign.id, readable(campaign.name)),
        source=NamedRecord(source.id, readable(source.name)),
        offers=tuple(NamedRecord(offer.id, readable(offer.name)) for offer in offers if offer is not None),
        parameters=tuple(
            (row.parameter, examples.get(row.parameter, ""), row.placeholder)
            for row in source.parameters
            if row.tracked
        ),
    )


def _defaults(subject: DryRunSubject, request: AnyRequest) -> dict[str, Any]:
    """Return the initial form: a visitor with the user's own browser, and a conversion with a payout of 1."""
    return {
        "parameters": [{"name": name, "value": value} for name, value, _ in subject.parameters],
        "visitor": {
            "ip": "203.0.113.7",
            "country": "US",
            "useragent": request.headers.get("user-agent", "")[:500],
            "language": request.headers.get("accept-language", "")[:200],
            "referrer": "",
            "host": "",
            "returning": "",
        },
        "offer_id": "",
        "conversion": {
            **dict.fromkeys(("currency", "txid", "at", "conversion_id"), ""),
            "payout": "" if subject.conversion_id else "1",
            "status": "",
            "disable_postback": "",
            "params": [],
            "events": [],
        },
    }


routes = [
    get("/try", sync_to_thread=True)(show),
    post("/try", sync_to_thread=True, status_code=200, opt={NEEDS: None})(try_it),  # it has no effect
]
