"""Sending postbacks again, all that match a filter: counted first; the job goes on when the page is closed."""

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from clickloop.campaign.fault import Fault, InvalidInputError
from clickloop.postback.owing import SkipReason
from clickloop.store.ledger.names import Named
from clickloop.store.ledger.statuses import status_rows
from clickloop.tracking.resending import Mode, NotResent
from clickloop.web.api import resends as api
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.once import view_in
from clickloop.web.api.paging import RecordIdPath
from clickloop.web.api.postback_choice import AskedState
from clickloop.web.api.problem import AnyRequest
from clickloop.web.panel.form import Form
from clickloop.web.panel.logs import Asked, Filter, choices, in_words, of_named, of_period, of_words
from clickloop.web.panel.page import Answer, page
from clickloop.web.panel.postbacks import of_statuses
from clickloop.web.panel.visit import Visit, VisitFacts

PATH = "/panel/postbacks/resends"
JOBS = 20

_FormParameter = NamedDependency[SkipValidation[Form]]
_FIELDS = frozenset(
    {
        "request",
        "state",
        "reason",
        "status",
        "source_id",
        "campaign_id",
        "rule_id",
        "click_id",
        "conversion_id",
    }
)


def show_form(visit: Visit, request: AnyRequest, context: Context) -> Answer:
    """The filter, taken over from the log."""
    return _form(visit, context, Asked(request, visit.zone, context.clock()))


def ask(visit: Visit, request: AnyRequest, context: Context, form: _FormParameter) -> Answer:
    """Counts what matches, or starts the job."""
    asked = Asked(request, visit.zone, context.clock(), form.pairs)
    try:
        since, until = asked.period()
        pairs = [(name, value) for name, value in form.pairs if name in _FIELDS and value and name != "request"]
        kept = Form([*pairs, ("request", _mode(asked))])
        body = kept.read(api.BulkResend, preview=not form.has("start"), since=since, until=until)
        answer = api.resend_postbacks(context, request, body, "" if body.preview else form.text("key"))
    except InvalidInputError as error:
        return _form(visit, context, asked, error.faults)
    if body.preview:
        return _form(visit, context, asked, preview=answer.content)
    started = view_in(answer, api.BulkResendView)
    return visit.go(f"{PATH}/{started.resend_id}")


def show_job(visit: Visit, context: Context, resend_id: RecordIdPath) -> Answer:
    """How far a job is."""
    return page(visit, "resend_job.html", job=api.read_resend(context, resend_id), why=_why)


def _form(
    visit: VisitFacts,
    context: ApiContext,
    asked: Asked,
    faults: tuple[Fault, ...] = (),
    preview: api.BulkResendView | None = None,
) -> Answer:
    names = choices(context, (Named.CAMPAIGN, Named.SOURCE, Named.RULE), asked)
    with context.ledger.read() as tx:
        statuses = status_rows(tx)
    return page(
        visit,
        "resend.html",
        422 if faults else 200,
        faults,
        filters=[
            of_words("state", "State", AskedState, asked),
            of_words("reason", "Reason", SkipReason, asked),
            of_named(Named.CAMPAIGN, "Campaign", names, asked),
            of_named(Named.SOURCE, "Source", names, asked),
            of_named(Named.RULE, "Rule", names, asked),
            of_statuses(statuses, asked),
            Filter(name="click_id", label="Click id", value=asked.text("click_id")),
            Filter(name="conversion_id", label="Conversion id", value=asked.text("conversion_id")),
            *of_period(asked),
        ],
        mode=_mode(asked),
        preview=preview,
        left_out=sum(preview.left_out.values()) if preview else 0,
        why=_why,
        key=context.record_ids(),
        jobs=api.list_resends(context, JOBS).items,
    )


def _mode(asked: Asked) -> str:
    """How to resend: unchanged unless it is chosen otherwise. Of what was skipped there is no request to repeat."""
    is_skipped = asked.text("state") == AskedState.SKIPPED or bool(asked.text("reason"))
    return Mode.ANEW.value if is_skipped else asked.text("request") or Mode.AS_IT_WAS.value


def _why(word: str) -> str:
    """Why some are left out, for people: ``still_skipped: below_minimum`` as both sentences."""
    kind, _, detail = word.partition(": ")
    told = NotResent(kind).sentence if kind in {known.value for known in NotResent} else in_words(kind)
    reasons = {known.value: known.sentence for known in SkipReason}
    return f"{told} {reasons[detail]}" if detail in reasons else told


routes = [
    get("/postbacks/resend", sync_to_thread=True)(show_form),
    post("/postbacks/resend", sync_to_thread=True)(ask),
    get("/postbacks/resends/{resend_id:str}", sync_to_thread=True)(show_job),
]
