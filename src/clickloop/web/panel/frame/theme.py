"""The colours: light, dark, or as the system wishes; kept in a cookie of this browser."""

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from litestar.response import Redirect

from clickloop.web.panel.frame.auth_guard import NEEDS, THEME_COOKIE
from clickloop.web.panel.frame.form import Form
from clickloop.web.panel.frame.viewer import HOME

_YEAR_SECONDS = 365 * 24 * 3600


def choose(form: NamedDependency[SkipValidation[Form]]) -> Response[None]:
    """Keeps the choice and goes back to the page."""
    back = form.text("back")
    answer = Redirect(back if back.startswith(f"{HOME}") and "//" not in back else HOME, status_code=303)
    theme = form.text("theme")
    answer.set_cookie(
        THEME_COOKIE,
        theme if theme in ("light", "dark") else "",
        max_age=_YEAR_SECONDS,
        path="/panel",
        samesite="lax",
    )
    return answer


routes = [post("/theme", sync_to_thread=False, opt={NEEDS: None})(choose)]
