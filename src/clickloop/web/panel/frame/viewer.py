"""The viewer of a page: the signed-in user, with the request and settings that pages show."""

import dataclasses
from typing import Any
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from litestar.response import Redirect

from clickloop.click.geo.attribution import Attribution
from clickloop.people.user import Actor, Right
from clickloop.setup.instance import NOTHING_SAVED, SavedSettings
from clickloop.web.panel.frame.flash import FlashMessage

HOME = "/panel"

AnyRequest = Request[Any, Any, Any]


def redirect(path: str) -> Response[None]:
    """Return a redirect that is followed with GET."""
    return Redirect(path, status_code=303)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Viewer:
    """The signed-in user and the current request."""

    actor: Actor
    zone: ZoneInfo
    csrf: str
    """CSRF token, required in every form that changes something."""
    path: str
    query: str
    """Query of the request without ``said``, for links that keep filters."""
    theme: str
    """``light``, ``dark``, or empty for the system's."""
    flash: FlashMessage | None
    """Flash message of the previous page."""
    ignored: frozenset[str] = frozenset()
    """Parameters dropped from the URL as unreadable."""
    saved: SavedSettings = NOTHING_SAVED
    """Saved settings of the instance."""
    session_id: int = 0
    """ID of the user's session."""
    alarms: int = 0
    """Number of current alarms."""
    attributions: tuple[Attribution, ...] = ()
    """What the licences of the geo bases want shown where their data are."""
    is_new_instance: bool = False
    """Whether there is no campaign yet; the menu then folds most sections."""
    is_posted: bool = False
    """Whether this page is the answer to a form, whose values may be unsaved."""

    def may(self, right: str) -> bool:
        """Return whether the user has a right, which templates name by its value."""
        return self.actor.role.may(Right(right))

    def parameter(self, name: str) -> str:
        """Return a parameter of the query; empty if it is not there."""
        return dict(parse_qsl(self.query)).get(name, "")

    def go(self, path: str, flash: FlashMessage | None = None, **query: str) -> Response[None]:
        """Return a redirect after a change, so that reloading the page does not repeat it."""
        words = {**query, **({"said": flash.value} if flash else {})}
        return redirect(f"{path}?{urlencode(words)}" if words else path)


CurrentViewer = NamedDependency[SkipValidation[Viewer]]
"""The parameter ``viewer`` of a page's function."""
