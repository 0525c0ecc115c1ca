"""Running notices again, all that match a filter: what would change is shown first; the job goes on when the page is closed."""

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from clickloop.campaign.fault import Fault, InvalidInputError
from clickloop.conversion.notice_log import NoticeFilter
from clickloop.log_filter import PERIOD
from clickloop.web.api import reruns as api
from clickloop.web.api.columns import CONVERSION_COLUMNS, names_for
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.once import view_in
from clickloop.web.api.paging import RecordIdPath
from clickloop.web.api.problem import AnyRequest
from clickloop.web.panel.form import Form
from clickloop.web.panel.logs import Asked, form_of
from clickloop.web.panel.page import Answer, page
from clickloop.web.panel.visit import Visit, VisitFacts

PATH = "/panel/notices/reruns"
JOBS = 20

_FormParameter = NamedDependency[SkipValidation[Form]]


def show_form(visit: Visit, request: AnyRequest, context: Context) -> Answer:
    """The filter, taken over from the log."""
    return _form(visit, context, Asked(request, visit.zone, context.clock()))


def ask(visit: Visit, request: AnyRequest, context: Context, form: _FormParameter) -> Answer:
    """Shows what would change, or starts the job."""
    asked = Asked(request, visit.zone, context.clock(), form.pairs)
    try:
        since, until = asked.period()
        kept = Form((name, value) for name, value in form.pairs if value and name not in PERIOD)
        body = kept.read(api.BulkRerun, preview=not form.has("start"), since=since, until=until)
        answer = api.rerun_notices(context, request, body, "" if body.preview else form.text("key"))
    except InvalidInputError as error:
        return _form(visit, context, asked, error.faults)
    if body.preview:
        return _form(visit, context, asked, preview=answer.content)
    started = view_in(answer, api.RerunView)
    return visit.go(f"{PATH}/{started.rerun_id}")


def show_job(visit: Visit, context: Context, rerun_id: RecordIdPath) -> Answer:
    """How far a job is."""
    return page(visit, "rerun_job.html", job=api.read_rerun(context, rerun_id))


def _form(
    visit: VisitFacts,
    context: ApiContext,
    asked: Asked,
    faults: tuple[Fault, ...] = (),
    preview: api.RerunView | None = None,
) -> Answer:
    with context.ledger.read() as tx:
        names = names_for(tx, CONVERSION_COLUMNS, [change.after for change in preview.conversions] if preview else [])
    return page(
        visit,
        "rerun.html",
        422 if faults else 200,
        faults,
        filters=form_of(context, NoticeFilter, asked),
        preview=preview,
        names=names,
        key=context.record_ids(),
        jobs=api.list_reruns(context, JOBS).items,
    )


routes = [
    get("/notices/rerun", sync_to_thread=True)(show_form),
    post("/notices/rerun", sync_to_thread=True)(ask),
    get("/notices/reruns/{rerun_id:str}", sync_to_thread=True)(show_job),
]
