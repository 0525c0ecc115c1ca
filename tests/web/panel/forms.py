"""The POST forms of a page, as a browser would send them."""

from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import urlsplit


class PageForm(NamedTuple):
    """A form: its action, and the fields it sends if nothing is changed."""

    action: str
    fields: list[tuple[str, str]]


def forms_of(html: str, path: str) -> list[PageForm]:
    """Return the POST forms of a page at ``path``, once for each URL that a button or script sends them to."""
    reader = _Reader(path)
    reader.feed(html)
    reader.close()
    return reader.forms


class _Reader(HTMLParser):
    def __init__(self, path: str) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[PageForm] = []
        self._path = path
        self._fields: list[tuple[str, str]] = []
        self._actions: list[str] = []
        self._textarea = ""
        self._select = ""
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        name = attributes.get("name", "")
        for script in ("data-live", "data-macro-editor"):
            if self._actions and script in attributes:
                self._actions.append(self._resolved(attributes[script]))
        if tag == "form":
            self._fields = []
            self._actions = (
                [self._resolved(attributes.get("action", ""))] if attributes.get("method", "").lower() == "post" else []
            )
        elif tag == "input" and name and attributes.get("type") != "file":
            if attributes.get("type") not in ("checkbox", "radio") or "checked" in attributes:
                self._fields.append((name, attributes.get("value", "on")))
        elif tag == "textarea":
            self._textarea, self._text = name, ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and "selected" in attributes:
            self._fields.append((self._select, attributes.get("value", "")))
        elif tag == "button":
            if self._actions and "formaction" in attributes:
                self._actions.append(self._resolved(attributes["formaction"]))
            if name:
                self._fields.append((name, attributes.get("value", "")))

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._fields.append((self._textarea, self._text.strip()))
        elif tag == "select":
            self._select = ""
        elif tag == "form":
            self.forms += [PageForm(action, list(self._fields)) for action in dict.fromkeys(self._actions)]
            self._actions = []

    def _resolved(self, action: str) -> str:
        return urlsplit(action).path or self._path
