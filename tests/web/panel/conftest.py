"""The panel on real stores, with a signed-in user."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from clickloop.people.user import Role, User
from clickloop.saving.access import csrf_token
from clickloop.store.ledger.people.sessions import insert_session
from clickloop.store.ledger.people.users import save_user
from clickloop.web.api.context import ApiContext
from clickloop.web.panel.frame.form import CSRF_FIELD
from clickloop.web.panel.frame.session_cookie import COOKIE
from clickloop.web.site import create_site
from tests.web.conftest import application
from tests.web.panel.page import Page

if TYPE_CHECKING:
    from tests.web.conftest import Instance

Pairs = dict[str, str] | Sequence[tuple[str, str]]


class Panel:
    """A browser without scripts, signed in as an owner until ``become`` is called."""

    def __init__(self, instance: "Instance", app: Litestar) -> None:
        self.instance = instance
        self.client: TestClient[Any] = TestClient(app, raise_server_exceptions=False)
        self.client.follow_redirects = False
        self.secret = ""
        self.become(Role.OWNER)

    def become(self, role: Role) -> None:
        """Sign in as a user of a role."""
        now = self.instance.now
        self.secret = f"session-of-{role}-{now}"
        with self.instance.ledger.write() as tx:
            user = save_user(tx, User(name=f"{role} {now}", role=role, password_hash="unused"), now)
            insert_session(tx, self.secret, user.id, now, now + 86_400_000, "127.0.0.1", "tests")
        self.client.cookies.set(COOKIE, self.secret)

    def get(self, path: str, status: int = 200) -> str:
        """Return a page's HTML."""
        response = self.client.get(path)
        assert response.status_code == status, response.text
        return str(response.text)

    def page(self, path: str, status: int = 200) -> Page:
        """Return a parsed page."""
        return Page(self.get(path, status))

    def words(self, html: str) -> str:
        """Return the text of a page, without markup."""
        return Page(html).text

    def sent(self, path: str, fields: Pairs = (), status: int = 200) -> Page:
        """Submit a form and return the parsed response."""
        response = self.post(path, fields)
        assert response.status_code == status, response.text
        return Page(response.text)

    def post(self, path: str, fields: Pairs = (), **more: Any) -> Any:
        """Submit a form with its CSRF token and return the response."""
        pairs = list(fields.items()) if isinstance(fields, dict) else list(fields)
        data: dict[str, list[str]] = {CSRF_FIELD: [csrf_token(self.secret)]}
        for name, value in pairs:
            data.setdefault(name, []).append(value)
        return self.client.post(path, data=data, **more)

    def done(self, path: str, fields: Pairs = ()) -> str:
        """Submit a form and return the target of the redirect that follows."""
        response = self.post(path, fields)
        assert response.status_code == 303, response.text
        return str(response.headers["location"])


@contextmanager
def _opened(instance: "Instance", app: Litestar) -> Iterator[Panel]:
    opened = Panel(instance, app)
    with opened.client:
        yield opened


@pytest.fixture
def make_app() -> Callable[[ApiContext], Litestar]:
    """Return a factory of the whole site: API and panel."""
    return create_site


@pytest.fixture
def panel_of() -> Callable[["Instance"], AbstractContextManager[Panel]]:
    """Return a function that opens the panel of an instance with its current context."""
    return lambda instance: _opened(instance, application(create_site, instance.context))


@pytest.fixture
def panel(instance: "Instance") -> Iterator[Panel]:
    with _opened(instance, instance.app) as opened:
        yield opened
