"""The theme: light, dark or the system's, stored in a cookie."""

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from litestar.response import Redirect

from clickloop.web.panel.frame.auth_guard import NEEDS, THEME_COOKIE
from clickloop.web.panel.frame.form import Form
from clickloop.web.panel.frame.viewer import HOME

_YEAR_SECONDS = 365 * 24 * 3600


def choose(form: NamedDependency[SkipValidation[Form]]) -> Response[None]:
    """Store the choice and return to the page."""
    back = form.text("back")
    response = Redirect(back if back.startswith(HOME) and "//" not in back else HOME, status_code=303)
    theme = form.text("theme")
    response.set_cookie(
        THEME_COOKIE,
        theme if theme in ("light", "dark") else "",
        max_age=_YEAR_SECONDS,
        path="/panel",
        samesite="lax",
    )
    return response


routes = [post("/theme", sync_to_thread=False, opt={NEEDS: None})(choose)]
