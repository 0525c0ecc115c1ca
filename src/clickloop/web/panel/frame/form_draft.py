"""A form that came when its sender was signed out: what was typed goes with him through the sign-in, and is sent again by his click alone.

It weakens nothing: only a form that a page of this very host sent is kept, it is shown before it goes anywhere, it then carries the
word of the new session, and it goes to where forms of the panel go and nowhere else.
"""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

import msgspec
from litestar import Litestar
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler

from clickloop.web.panel.frame.form import CSRF_FIELD, Form
from clickloop.web.panel.frame.form_body import MAX_FIELDS, form_pairs
from clickloop.web.panel.frame.streamed_form import STREAMED
from clickloop.web.panel.frame.viewer import HOME, AnyRequest

KEPT_PATH = "kept_path"
KEPT_PAIRS = "kept"
MAX_FORM_BYTES = 64 * 1024  # it travels through the sign-in page and back

_NEVER = tuple(f"{HOME}/{door}" for door in ("users", "profile", "sign-", "welcome", "theme"))
"""Where passwords are typed and people let in, and what is not worth asking about."""
_PASSWORD = re.compile(r"password|^current$|^again$", re.IGNORECASE)


class KeptForm(msgspec.Struct, frozen=True):
    """What was typed, and where it was to go."""

    path: str
    pairs: tuple[tuple[str, str], ...]

    def packed(self) -> str:
        """The pairs as one hidden field holds them."""
        return msgspec.json.encode(self.pairs).decode()


class SignedOut(Exception):  # noqa: N818 – no error: the way to the door
    """A form came and nobody is signed in. ``kept`` None: it cannot be kept."""

    def __init__(self, kept: KeptForm | None) -> None:
        super().__init__()
        self.kept = kept


async def keep_form(request: AnyRequest, handler: BaseRouteHandler, host: str) -> KeptForm | None:
    """The form that a request brings, if it may be kept. Nothing is read of one that may not."""
    path = request.scope["path"]
    if not is_of_this_host(request, host) or not _keeps(handler, path):
        return None
    return _kept(path, await form_pairs(request))


def kept_in(request: AnyRequest, form: Form, host: str) -> KeptForm | None:
    """The form that the sign-in page carries; None where it carries none, or one that this panel would not have kept."""
    path, packed = form.text(KEPT_PATH), form.raw(KEPT_PAIRS)
    handler = _handler_of(request.app, path) if packed and is_of_this_host(request, host) else None
    if handler is None or len(packed) > 2 * MAX_FORM_BYTES or not _keeps(handler, path):
        return None
    try:
        return _kept(path, msgspec.json.decode(packed, type=list[tuple[str, str]]))
    except msgspec.DecodeError:
        return None


def is_of_this_host(request: AnyRequest, host: str) -> bool:
    """Whether a browser says that a page of this host sent it; that nothing is said is not enough."""
    if request.headers.get("sec-fetch-site", "") == "same-origin":
        return True
    origin = request.headers.get("origin", "")
    return bool(origin) and urlsplit(origin).netloc.lower() == host


def _kept(path: str, pairs: Iterable[tuple[str, str]]) -> KeptForm | None:
    """None for one in which nothing is typed, and for one that is too large."""
    chosen = tuple((name, value) for name, value in pairs if name != CSRF_FIELD and not _PASSWORD.search(name))
    octets = sum(len(name.encode("utf-8", "replace")) + len(value.encode("utf-8", "replace")) for name, value in chosen)
    return KeptForm(path, chosen) if chosen and len(chosen) <= MAX_FIELDS and octets <= MAX_FORM_BYTES else None


def _keeps(handler: BaseRouteHandler, path: str) -> bool:
    is_plain = path.isprintable() and "\\" not in path and not {".", ".."} & {*path.split("/")}
    return is_plain and path.startswith(f"{HOME}/") and not path.startswith(_NEVER) and not handler.opt.get(STREAMED)


def _handler_of(app: Litestar, path: str) -> HTTPRouteHandler | None:
    """What takes forms at a path of the panel."""
    for route in app.routes:
        pattern = re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(route.path_format))
        if route.path_format.startswith(HOME) and re.fullmatch(pattern, path):
            for handler in getattr(route, "route_handlers", ()):
                if "POST" in handler.http_methods:
                    return handler  # type: ignore[no-any-return]  # untyped in Litestar
    return None
