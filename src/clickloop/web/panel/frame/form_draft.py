"""Drafts: a form submitted after the session ended is carried through the sign-in page, and the user can then send it.

This is no way around CSRF protection: only a form sent by a page of this host becomes a draft, the user sees it before it is
sent, it then carries the new session's token, and it can only go to a form handler of the panel.
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

DRAFT_PATH = "kept_path"
DRAFT_PAIRS = "kept"
MAX_FORM_BYTES = 64 * 1024  # it is sent to the sign-in page and back

_NEVER = tuple(f"{HOME}/{page}" for page in ("users", "profile", "sign-", "welcome", "theme"))
"""Pages with passwords or access rights, and the theme switch, which is not worth a question."""
_PASSWORD = re.compile(r"password|^current$|^again$", re.IGNORECASE)


class FormDraft(msgspec.Struct, frozen=True):
    """A submitted form without its passwords, and the path it was sent to."""

    path: str
    pairs: tuple[tuple[str, str], ...]

    def packed(self) -> str:
        """Return the pairs as the value of one hidden field."""
        return msgspec.json.encode(self.pairs).decode()


class SignedOut(Exception):  # noqa: N818 – control flow, not an error
    """A form was submitted without a session. ``draft`` None: it cannot be carried over."""

    def __init__(self, draft: FormDraft | None) -> None:
        super().__init__()
        self.draft = draft


async def draft_of_request(request: AnyRequest, handler: BaseRouteHandler, host: str) -> FormDraft | None:
    """Return the submitted form as a draft, or None; a form that may not become one is not even read."""
    path = request.scope["path"]
    if not is_of_this_host(request, host) or not _is_draftable(handler, path):
        return None
    return _draft(path, await form_pairs(request))


def draft_in_form(request: AnyRequest, form: Form, host: str) -> FormDraft | None:
    """Return the draft in a submitted sign-in form; None if there is none, or one that the panel would not have made."""
    path, packed = form.text(DRAFT_PATH), form.raw(DRAFT_PAIRS)
    handler = _handler_of(request.app, path) if packed and is_of_this_host(request, host) else None
    if handler is None or len(packed) > 2 * MAX_FORM_BYTES or not _is_draftable(handler, path):
        return None
    try:
        return _draft(path, msgspec.json.decode(packed, type=list[tuple[str, str]]))
    except msgspec.DecodeError:
        return None


def is_of_this_host(request: AnyRequest, host: str) -> bool:
    """Return whether the browser says that a page of this host sent the request; missing headers are not enough."""
    if request.headers.get("sec-fetch-site", "") == "same-origin":
        return True
    origin = request.headers.get("origin", "")
    return bool(origin) and urlsplit(origin).netloc.lower() == host


def _draft(path: str, pairs: Iterable[tuple[str, str]]) -> FormDraft | None:
    """Return the draft; None if it is empty or too large."""
    typed = tuple((name, value) for name, value in pairs if name != CSRF_FIELD and not _PASSWORD.search(name))
    size = sum(len(name.encode("utf-8", "replace")) + len(value.encode("utf-8", "replace")) for name, value in typed)
    return FormDraft(path, typed) if typed and len(typed) <= MAX_FIELDS and size <= MAX_FORM_BYTES else None


def _is_draftable(handler: BaseRouteHandler, path: str) -> bool:
    is_plain = path.isprintable() and "\\" not in path and not {".", ".."} & {*path.split("/")}
    return is_plain and path.startswith(f"{HOME}/") and not path.startswith(_NEVER) and not handler.opt.get(STREAMED)


def _handler_of(app: Litestar, path: str) -> HTTPRouteHandler | None:
    """Return the POST handler of a path of the panel, or None."""
    for route in app.routes:
        pattern = re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(route.path_format))
        if route.path_format.startswith(HOME) and re.fullmatch(pattern, path):
            for handler in getattr(route, "route_handlers", ()):
                if "POST" in handler.http_methods:
                    return handler  # type: ignore[no-any-return]  # untyped in Litestar
    return None
