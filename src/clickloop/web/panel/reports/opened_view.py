"""The saved view that the report page shows or begins with."""

from clickloop.report.view.view import may_open
from clickloop.saving.record import UnknownRecordError
from clickloop.store.ledger.people.users import find_user
from clickloop.store.ledger.setup.views import VIEWS
from clickloop.web.api.context import ApiContext
from clickloop.web.api.reports import views as api


def opened_view(context: ApiContext, number: str) -> api.ViewView | None:
    """Return the view with a number if the user may open it, else None: the report's address is complete without it."""
    if not number:
        return None
    try:
        return api.read_view(context, int(number))
    except UnknownRecordError:
        return None


def home_view(context: ApiContext) -> api.ViewView | None:
    """Return the view with which the user's reports begin, if there is one that is live and may be opened."""
    with context.ledger.read() as tx:
        user = find_user(tx, context.actor.user_id)
        view = VIEWS.find(tx, user.home_view_id) if user is not None and user.home_view_id is not None else None
    if view is None or view.is_archived or not may_open(context.actor, view):
        return None
    return opened_view(context, str(view.id))
