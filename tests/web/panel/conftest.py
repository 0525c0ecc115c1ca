"""The panel on a real ledger and real facts, with somebody signed in."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from clickloop.people.user import Role, User
from clickloop.saving.access import csrf_of
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
    """A browser without scripts, as a user of some role; at first as an owner."""

    def __init__(self, instance: "Instance", app: Litestar) -> None:
        self.instance = instance
        self.client: TestClient[Any] = TestClient(app, raise_server_exceptions=False)
        self.client.follow_redirects = False
        self.secret = ""
        self.become(Role.OWNER)

    def become(self, role: Role) -> None:
        """Signs in as a user of that role."""
        now = self.instance.now
        self.secret = f"session-of-{role}-{now}"
        with self.instance.ledger.write() as tx:
            user = save_user(tx, User(name=f"{role} {now}", role=role, password_hash="unused"), now)
            insert_session(tx, self.secret, user.id, now, now + 86_400_000, "127.0.0.1", "tests")
        self.client.cookies.set(COOKIE, self.secret)

    def get(self, path: str, status: int = 200) -> str:
        """A page's HTML."""
        answer = self.client.get(path)
        assert answer.status_code == status, answer.text
        return str(answer.text)

    def page(self, path: str, status: int = 200) -> Page:
        """A page, read."""
        return Page(self.get(path, status))

    def words(self, html: str) -> str:
        """The text of a page, without its markup."""
        return Page(html).text

    def sent(self, path: str, fields: Pairs = (), status: int = 200) -> Page:
        """The page that comes of sending a form, read."""
        answer = self.post(path, fields)
        assert answer.status_code == status, answer.text
        return Page(answer.text)

    def post(self, path: str, fields: Pairs = (), **more: Any) -> Any:
        """What a form comes to, sent with its word."""
        pairs = list(fields.items()) if isinstance(fields, dict) else list(fields)
        data: dict[str, list[str]] = {CSRF_FIELD: [csrf_of(self.secret)]}
        for name, value in pairs:
            data.setdefault(name, []).append(value)
        return self.client.post(path, data=data, **more)

    def done(self, path: str, fields: Pairs = ()) -> str:
        """Sends a form that does something; answers where the browser is sent then."""
        answer = self.post(path, fields)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])


@contextmanager
def _opened(instance: "Instance", app: Litestar) -> Iterator[Panel]:
    made = Panel(instance, app)
    with made.client:
        yield made


@pytest.fixture
def make_app() -> Callable[[ApiContext], Litestar]:
    """What an instance serves: API and panel."""
    return create_site


@pytest.fixture
def panel_of() -> Callable[["Instance"], AbstractContextManager[Panel]]:
    """Opens the panel of an instance whose context a test has changed."""
    return lambda instance: _opened(instance, application(create_site, instance.context))


@pytest.fixture
def panel(instance: "Instance") -> Iterator[Panel]:
    with _opened(instance, instance.app) as made:
        yield made
