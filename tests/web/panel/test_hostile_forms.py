"""Every form of the panel, submitted with hostile values: the response is a page, never an internal error."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from clickloop.people.user import Role
from clickloop.saving.access import csrf_token
from clickloop.web.panel.frame.form import CSRF_FIELD
from clickloop.web.panel.frame.streamed_form import STREAMED
from tests.web.api.ending import converted, ended
from tests.web.panel.forms import forms_of

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

Pairs = list[tuple[str, str]]

ENDINGS = ("remove", "archive", "disable", "sign-out", "end", "end-others", "revoke", "stop", "cancel")
"""Paths that remove something, tested last."""
SIGNING_OUT = ("/sign-out", "/end", "/end-others", "/disable", "/password", "/users/1")
"""Paths that may end the test's session."""
VALUES = (
    "x",
    "-1",
    "9" * 400,
    "1e9",
    "x" * 30_000,
    "\0",
    "\ud800",
    "{payout}",
    "2026-02-30",
    "=1+1",
    "\u0663",
    " ",
    "a\nb",
    "a." + "9" * 5_000,
)


def addresses(panel: "Panel", method: str) -> list[str]:
    """Return the paths of all pages that take this method and are read before they are answered."""
    found = [
        route.path
        for route in panel.instance.app.routes
        for handler in getattr(route, "route_handlers", ())
        if route.path.startswith("/panel") and method in handler.http_methods and not handler.opt.get(STREAMED)
    ]
    return sorted(found, key=lambda path: (path.rpartition("/")[2] in ENDINGS, path))


def set_up(instance: "Instance") -> dict[str, str]:
    """Return, by the beginning of a path, what stands in its parameter for a record that is there."""
    instance.set_up()
    failed = converted(instance)
    ended(instance, failed)
    waiting = converted(instance)
    conversion = instance.got("conversions")["items"][0]
    instance.made("tokens", {"name": "script"})
    instance.made("landings", {"name": "Landing", "url": "https://pages.example/"})
    instance.made("lists", {"name": "List", "entries": ["1"]})
    rule = {"conditions": [{"field": "country", "values": ["DE"]}], "paths": [{"offers": [{"offer_id": 1}]}]}
    instance.api.patch("/api/v1/campaigns/1", json={"flow": {"rules": [rule]}})
    return {
        "number": "1",
        "currency": "EUR",
        "day": "2026-03-01",
        "key": "hold",
        "receiver": "source.example:443",
        "notice_id": instance.got("notices")["items"][0]["notice_id"],
        "conversion_id": conversion["conversion_id"],
        "postback_id": waiting["postback_id"],
        "upload_id": waiting["postback_id"],
        "export_id": waiting["postback_id"],
        "click_id": conversion["click_id"],
        "of": "offer",
    }


def filled(path: str, known: dict[str, str]) -> str:
    """Return a path with its parameters filled in; numbers are those of the first record."""
    parts = path.split("/")
    for at, part in enumerate(parts):
        if part.startswith("{"):
            name = part.strip("{}").partition(":")[0]
            parts[at] = quote(known.get(name, "x"), safe="")
    return "/".join(parts)


def forms(panel: "Panel", known: dict[str, str]) -> dict[str, Pairs]:
    """Return what each address would be sent by the pages that are there."""
    found: dict[str, Pairs] = {}
    for path in addresses(panel, "GET"):
        if "static" in path or path.endswith("curl"):
            continue
        page = filled(path, known)
        answer = panel.client.get(page)
        assert answer.status_code < 500, page
        if answer.headers["content-type"].startswith("text/html"):
            for form in forms_of(answer.text, page):
                found[form.action] = found.get(form.action, []) + form.fields
    return found


def variants(pairs: Pairs) -> Iterator[Pairs]:
    """Yield hostile variants of a form's fields."""
    names = list(dict.fromkeys(name for name, _ in pairs))
    yield []
    yield pairs + pairs
    yield [*pairs, ("unexpected", "x"), ("", "x"), ("[0]", "x"), ("csrf.x", "y"), ("seen", "x"), ("seen", "{}")]
    for value in VALUES:
        yield [(name, value) for name in names]
    for change in (".x", "[0]", "[0].x", "[x]", ".amount", ".amount.x", "[0][0]", "[9999]"):
        changed = [(name + change, "x") for name in names]
        yield changed
        yield [*pairs, *changed]
        yield [*changed, *pairs]
    for value in ("x", ""):
        yield [(_parent(name), value) for name in names]
    for parent in dict.fromkeys(map(_parent, names)):
        others = [pair for pair in pairs if _parent(pair[0]) != parent]
        yield [*others, (parent, "x")]
        yield [*others, (parent, "")]
        yield [*others, (f"{parent}.x", "y")]
        yield [*others, (f"{parent}[0]", "x"), (f"{parent}[1].x", "y")]
    for name in names:
        yield [pair for pair in pairs if pair[0] != name]
        yield [pair if pair[0] != name else (name, "9" * 30) for pair in pairs]
        yield [pair if pair[0] != name else (name, "\0x") for pair in pairs]


def _parent(name: str) -> str:
    return re.split(r"[.\[]", name)[0]


def send(panel: "Panel", path: str, pairs: Pairs) -> Any:
    body = urlencode([(CSRF_FIELD, csrf_token(panel.secret)), *pairs], errors="surrogatepass")
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return panel.client.post(path, content=body, headers=headers)


def test_no_form_breaks_a_page_and_what_is_at_fault_is_said(panel: "Panel", instance: "Instance") -> None:
    known = set_up(instance)
    by_path = forms(panel, known)
    targets = [filled(path, known) for path in addresses(panel, "POST")]
    targets += [path for path in by_path if path not in targets and not path.startswith("/panel/uploads")]
    broken = []
    sent = 0
    for path in targets:
        fields = [pair for pair in by_path.get(path, []) if pair[0] != CSRF_FIELD]
        for pairs in {repr(pairs): pairs for pairs in variants(fields)}.values():
            answer = send(panel, path, pairs)
            sent += 1
            page = answer.text if answer.status_code == 422 else ""
            if answer.status_code >= 500 or (page and 'class="fault"' not in page and 'role="alert"' not in page):
                broken.append((path, answer.status_code, str(pairs)[:300]))
            if path.endswith(SIGNING_OUT):
                instance.now += 1
                panel.become(Role.OWNER)
    assert sent > 1_000, "the forms of the pages were not found"
    assert broken == []


def test_a_wrong_payout_of_an_offer_is_a_fault_beside_its_field(panel: "Panel") -> None:
    answer = panel.post("/panel/offers/new", {"payout": "x", "payout_kind": "fixed", "seen": "1"})
    assert answer.status_code == 422
    field = answer.text.partition('aria-label="Fixed payout"')[2]
    assert 'class="fault"' in field[:500]
