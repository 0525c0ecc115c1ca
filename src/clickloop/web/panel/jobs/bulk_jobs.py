"""Jobs over many records in the panel: a filter taken over from the log, what the job would do, and then the job."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from litestar import Response
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from clickloop.log_filter import PERIOD, LogFilter
from clickloop.logs.page import Page
from clickloop.setup.fault import Fault, InvalidInputError
from clickloop.tracking.jobs.bulk import BulkView
from clickloop.web.api.context import ApiContext
from clickloop.web.api.once import view_in
from clickloop.web.api.problem import AnyRequest
from clickloop.web.panel.frame.form import Form
from clickloop.web.panel.frame.page import Answer, page
from clickloop.web.panel.frame.viewer import VisitFacts
from clickloop.web.panel.logs.log_page import Asked, form_of

JOBS = 20
"""Jobs that are listed below the form."""

FormParameter = NamedDependency[SkipValidation[Form]]
B = TypeVar("B", bound=LogFilter)
V = TypeVar("V", bound=BulkView)


class BulkPage(msgspec.Struct, Generic[B, V], frozen=True, kw_only=True):
    """The page that starts jobs of one kind. ``body`` and ``view`` are what the API takes and returns, ``more`` the page's own parts."""

    template: str
    filters: type[LogFilter]
    body: type[B]
    view: type[V]
    start: Callable[[ApiContext, AnyRequest, B, str], Response[Any]]
    list_jobs: Callable[[ApiContext, int], Page[V]]
    path_of: Callable[[V], str]
    more: Callable[[ApiContext, Asked, V | None], dict[str, Any]]
    settled: Callable[[Asked], dict[str, str]] = lambda asked: {}
    """Fields of the body that follow from the others, whatever the form says."""

    def show(self, visit: VisitFacts, request: AnyRequest, context: ApiContext) -> Answer:
        """Return the form, filled in as the log was narrowed."""
        return self._form(visit, context, Asked(request, visit.zone, context.clock()))

    def ask(self, visit: VisitFacts, request: AnyRequest, context: ApiContext, form: Form) -> Answer:
        """Return what the job would do, or start it."""
        asked = Asked(request, visit.zone, context.clock(), form.pairs)
        try:
            since, until = asked.period()
            settled = self.settled(asked)
            pairs = [(name, value) for name, value in form.pairs if value and name not in {*PERIOD, *settled}]
            given = Form([*pairs, *settled.items()])
            preview = not form.has("start")
            body = given.read(self.body, preview=preview, since=since, until=until)
            answer = self.start(context, request, body, "" if preview else form.text("key"))
        except InvalidInputError as error:
            return self._form(visit, context, asked, error.faults)
        if preview:
            return self._form(visit, context, asked, preview=answer.content)
        return visit.go(self.path_of(view_in(answer, self.view)))

    def _form(
        self,
        visit: VisitFacts,
        context: ApiContext,
        asked: Asked,
        faults: tuple[Fault, ...] = (),
        preview: V | None = None,
    ) -> Answer:
        return page(
            visit,
            self.template,
            422 if faults else 200,
            faults,
            filters=form_of(context, self.filters, asked),
            preview=preview,
            key=context.record_ids(),
            jobs=self.list_jobs(context, JOBS).items,
            path_of=self.path_of,
            **self.more(context, asked, preview),
        )
