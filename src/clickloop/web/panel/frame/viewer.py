"""The visit: who looks at a page, in which time zone, and what guards his forms."""

import dataclasses
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from litestar.response import Redirect

from clickloop.people.user import Actor, Right
from clickloop.setup.instance import NOTHING_SAVED, SavedSettings
from clickloop.web.panel.frame.flash import Said

HOME = "/panel"

AnyRequest = Request[Any, Any, Any]


def redirect(path: str) -> Response[None]:
    """Sends the browser on with a GET."""
    return Redirect(path, status_code=303)


@dataclasses.dataclass(frozen=True, kw_only=True)
class VisitFacts:
    """Everything about one request that each page may show."""

    actor: Actor
    zone: ZoneInfo
    csrf: str
    """What every form that changes something must bring."""
    path: str
    query: str
    """The query as it came, without ``said``, for links that keep filters."""
    theme: str
    """``light``, ``dark``, or empty: as the browser wishes."""
    said: Said | None
    """What the page before did, to be told on this one."""
    ignored: frozenset[str] = frozenset()
    """Parameters of the address before this one that could not be read."""
    saved: SavedSettings = NOTHING_SAVED
    """What the instance is set to, as somebody saved it."""
    session_id: int = 0
    """Of the session that he came by."""
    alarms: int = 0
    """How many alarms the health page has."""
    is_newcomer: bool = False
    """Whether there is no campaign yet, so that most pages have nothing to show."""
    is_posted: bool = False
    """Whether a form was sent: what the page shows of it is not saved."""

    def may(self, right: str) -> bool:
        """Whether the user has that ``Right``; templates name it by its word."""
        return self.actor.role.may(Right(right))

    def go(self, path: str, said: Said | None = None, **query: str) -> Response[None]:
        """Sends the browser on after something was done, so that reloading does not do it again."""
        words = {**query, **({"said": said.value} if said else {})}
        return redirect(f"{path}?{urlencode(words)}" if words else path)


Visit = NamedDependency[SkipValidation[VisitFacts]]
"""The parameter ``visit`` of every page."""
