"""Pages of bulk jobs: a filter taken from the log, a preview, and the job."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from clickloop.log_filter import PERIOD, LogFilter
from clickloop.logs.page import Page
from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.tracking.jobs.bulk import BulkView
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.once import view_in
from clickloop.web.api.problem import AnyRequest
from clickloop.web.panel.frame.form import Form, FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.logs.log_page import LogQuery, form_of

MAX_JOBS = 20
"""Maximum number of earlier jobs listed below the form."""
B = TypeVar("B", bound=LogFilter)
V = TypeVar("V", bound=BulkView)


class BulkPage(msgspec.Struct, Generic[B, V], frozen=True, kw_only=True):
    """The page that starts bulk jobs. ``body``, ``view``: the API's request and response; ``more``: template values."""

    template: str
    filters: type[LogFilter]
    body: type[B]
    view: type[V]
    start: Callable[[ApiContext, AnyRequest, B, str], Response[Any]]
    list_jobs: Callable[[ApiContext, int], Page[V]]
    path_of: Callable[[V], str]
    more: Callable[[ApiContext, LogQuery, V | None], dict[str, Any]]
    derived: Callable[[LogQuery], dict[str, str]] = lambda query: {}
    """Fields of the body that are computed and ignored in the form."""

    def routes(self, path: str) -> list[HTTPRouteHandler]:
        """Return the routes of the page: the form with the filter of the log, and its submission."""

        def show(viewer: CurrentViewer, request: AnyRequest, context: Context) -> PageResponse:
            return self._form(viewer, context, LogQuery(request, viewer.zone, context.clock()))

        def submit(viewer: CurrentViewer, request: AnyRequest, context: Context, form: FormParameter) -> PageResponse:
            return self._submit(viewer, request, context, form)

        return [get(path, sync_to_thread=True)(show), post(path, sync_to_thread=True)(submit)]

    def _submit(self, viewer: Viewer, request: AnyRequest, context: ApiContext, form: Form) -> PageResponse:
        """Return a preview of the job, or start it."""
        query = LogQuery(request, viewer.zone, context.clock(), form.pairs)
        try:
            since, until = query.period()
            derived = self.derived(query)
            pairs = [(name, value) for name, value in form.pairs if value and name not in {*PERIOD, *derived}]
            body_form = Form([*pairs, *derived.items()])
            preview = not form.has("start")
            body = body_form.read(self.body, preview=preview, since=since, until=until)
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
        faults: tuple[FieldFault, ...] = (),
        preview: V | None = None,
    ) -> PageResponse:
        return page(
            viewer,
            self.template,
            faults,
            filters=form_of(context, self.filters, query),
            preview=preview,
            key=context.record_ids(),
            jobs=self.list_jobs(context, MAX_JOBS).items,
            path_of=self.path_of,
            **self.more(context, query, preview),
        )
