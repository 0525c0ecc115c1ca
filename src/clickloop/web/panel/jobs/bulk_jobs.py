"""Jobs over many records in the panel: a filter taken over from the log, what the job would do, and then the job."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from litestar import Response

from clickloop.log_filter import PERIOD, LogFilter
from clickloop.setup.fault import Fault, InvalidInputError
from clickloop.web.api.context import ApiContext
from clickloop.web.api.jobs.bulk import BulkView
from clickloop.web.api.once import view_in
from clickloop.web.api.paging import Page
from clickloop.web.api.problem import AnyRequest
from clickloop.web.panel.frame.form import Form
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import Viewer
from clickloop.web.panel.logs.log_page import LogQuery, form_of

JOBS = 20
"""Jobs that are listed below the form."""
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
    more: Callable[[ApiContext, LogQuery, V | None], dict[str, Any]]
    settled: Callable[[LogQuery], dict[str, str]] = lambda query: {}
    """Fields of the body that follow from the others, whatever the form says."""

    def show(self, viewer: Viewer, request: AnyRequest, context: ApiContext) -> PageResponse:
        """Return the form, filled in as the log was narrowed."""
        return self._form(viewer, context, LogQuery(request, viewer.zone, context.clock()))

    def ask(self, viewer: Viewer, request: AnyRequest, context: ApiContext, form: Form) -> PageResponse:
        """Return what the job would do, or start it."""
        query = LogQuery(request, viewer.zone, context.clock(), form.pairs)
        try:
            since, until = query.period()
            settled = self.settled(query)
            pairs = [(name, value) for name, value in form.pairs if value and name not in {*PERIOD, *settled}]
            given = Form([*pairs, *settled.items()])
            preview = not form.has("start")
            body = given.read(self.body, preview=preview, since=since, until=until)
            response = self.start(context, request, body, "" if preview else form.text("key"))
        except InvalidInputError as error:
            return self._form(viewer, context, query, error.faults)
        if preview:
            return self._form(viewer, context, query, preview=response.content)
        return viewer.go(self.path_of(view_in(response, self.view)))

    def _form(
        self,
        viewer: Viewer,
        context: ApiContext,
        query: LogQuery,
        faults: tuple[Fault, ...] = (),
        preview: V | None = None,
    ) -> PageResponse:
        return page(
            viewer,
            self.template,
            faults,
            filters=form_of(context, self.filters, query),
            preview=preview,
            key=context.record_ids(),
            jobs=self.list_jobs(context, JOBS).items,
            path_of=self.path_of,
            **self.more(context, query, preview),
        )
