"""A reader of panel pages: headings, fields, errors by field, messages, tables, links, buttons."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import NamedTuple

_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
_INLINE = frozenset(
    {"a", "abbr", "b", "code", "del", "em", "i", "ins", "kbd", "mark", "q", "small", "span", "strong", "time"}
)
_BLOCKS = frozenset({"figure", "name", "tile"})
"""Classes that display an inline element as a block."""
_NOT_RENDERED = frozenset({"script", "style", "template", "datalist", "option", "title"})
_FAULT = "fault-"


class Element:
    """An element with its children."""

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.children: list[Element | str] = []

    def __repr__(self) -> str:
        return f"<{self.tag} {self.attributes}>"

    def get(self, attribute: str) -> str:
        """Return an attribute; empty if absent or without a value."""
        return self.attributes.get(attribute, "")

    @property
    def classes(self) -> list[str]:
        """The element's classes."""
        return self.get("class").split()

    @property
    def text(self) -> str:
        """The rendered text, with single spaces."""
        return re.sub(r"\s+", " ", "".join(self._pieces())).strip()

    @property
    def raw_text(self) -> str:
        """The text with its white space, as of a textarea."""
        return "".join(child if isinstance(child, str) else child.raw_text for child in self.children)

    def _pieces(self) -> Iterator[str]:
        if self.tag in _NOT_RENDERED:
            return
        edge = "" if self.tag in _INLINE and _BLOCKS.isdisjoint(self.classes) else " "
        yield edge
        for child in self.children:
            if isinstance(child, str):
                yield child
            else:
                yield from child._pieces()
        yield edge

    def walk(self) -> Iterator["Element"]:
        """Return all descendants, in document order."""
        for child in self.children:
            if isinstance(child, Element):
                yield child
                yield from child.walk()

    def all(self, *tags: str, class_: str = "") -> list["Element"]:
        """Return the descendants with one of the tags (none: any) and the class."""
        return [one for one in self.walk() if (not tags or one.tag in tags) and (not class_ or class_ in one.classes)]


class Link(NamedTuple):
    """A link: its text and target."""

    text: str
    address: str


class Table(NamedTuple):
    """A table: column titles, and the text of each body cell."""

    columns: list[str]
    rows: list[list[str]]

    def column(self, title: str) -> list[str]:
        """Return the cells of a column. Raise ValueError if there is none with this title."""
        index = self.columns.index(title)
        return [row[index] for row in self.rows]


class Form(NamedTuple):
    """A form: its action, and the fields it sends if nothing is changed."""

    action: str
    fields: list[tuple[str, str]]


class Page:
    """A page, or a part of one as scripts fetch it, without the layout's menu and top bar."""

    def __init__(self, html: str) -> None:
        self.html = html
        self.root = _tree(html)
        self.main = next(iter(self.root.all("main")), self.root)

    @property
    def text(self) -> str:
        """The rendered text."""
        return self.main.text

    @property
    def title(self) -> str:
        """The window title."""
        return next((one.raw_text for one in self.root.all("title")), "")

    @property
    def heading(self) -> str:
        """The only h1."""
        (heading,) = self.main.all("h1")
        return heading.text

    @property
    def menu(self) -> list[str]:
        """The entries of the sidebar; none without sign-in."""
        return [link.text for side in self.root.all("aside", class_="side") for link in side.all("a")]

    @property
    def flash(self) -> str:
        """The flash message, or an empty text."""
        return next((one.text for one in self.main.all(class_="said")), "")

    @property
    def notices(self) -> list[str]:
        """The texts of notice boxes."""
        return [one.text for one in self.main.all(class_="notice")]

    @property
    def errors(self) -> dict[str, list[str]]:
        """Error sentences by field; under "" those without a field."""
        errors: dict[str, list[str]] = {}
        for one in self.main.all(class_="fault"):
            errors.setdefault(one.get("id").removeprefix(_FAULT), []).append(one.text)
        return errors

    @property
    def forms(self) -> list[Form]:
        """The forms, with what each would send without a button."""
        return [Form(one.get("action"), list(_fields(one))) for one in self.main.all("form")]

    @property
    def fields(self) -> dict[str, str]:
        """The values that the forms would send, by name; of repeated names the last, since a checkbox follows its hidden field."""
        return dict(_fields(self.main))

    def values(self, name: str) -> list[str]:
        """Return every value that would be sent under a name."""
        return [value for field, value in _fields(self.main) if field == name]

    def field(self, name: str) -> Element:
        """Return the only visible field with a name. Raise ValueError if there is not exactly one."""
        fields = [one for one in self.main.all("input", "textarea", "select") if one.get("name") == name]
        (field,) = [one for one in fields if one.get("type") != "hidden"]
        return field

    def options(self, name: str) -> dict[str, str]:
        """Return the labels of a field's options, by value."""
        return {_value_of(one): one.raw_text.strip() for one in self.field(name).all("option")}

    @property
    def to_copy(self) -> dict[str, str]:
        """The texts with a copy button, by ID."""
        ids = {one.get("data-copy") for one in self.main.all("button")} - {""}
        return {one.get("id"): one.raw_text for one in self.main.walk() if one.get("id") in ids}

    @property
    def buttons(self) -> list[str]:
        """The labels of visible buttons."""
        return [one.text for one in self.main.all("button") if "unseen" not in one.classes]

    @property
    def links(self) -> list[Link]:
        """The links."""
        return [Link(one.text, one.get("href")) for one in self.main.all("a")]

    @property
    def addresses(self) -> list[str]:
        """The targets of the links."""
        return [link.address for link in self.links]

    def link(self, text: str) -> str:
        """Return the target of the link with this text. Raise ValueError if there is none, or if several have different targets."""
        (address,) = {link.address for link in self.links if link.text == text}
        return address

    @property
    def tables(self) -> list[Table]:
        """The tables."""
        return [_table(one) for one in self.main.all("table")]

    @property
    def table(self) -> Table:
        """The only table."""
        (table,) = self.tables
        return table

    @property
    def refreshes(self) -> list[str]:
        """The URLs that scripts fetch again while a job runs, and the refresh headers for browsers without scripts."""
        scripts = [one.get("data-refresh") for one in self.main.walk() if "data-refresh" in one.attributes]
        metas = [one for one in self.root.all("meta") if one.get("http-equiv").lower() == "refresh"]
        return scripts + [one.get("content") for one in metas]

    def form(self, action: str) -> Form:
        """Return the form with an action. Raise ValueError if there is not exactly one."""
        (form,) = [one for one in self.forms if one.action == action]
        return form

    @property
    def hints(self) -> list[str]:
        """The texts shown on hover."""
        return [one.get("title") for one in self.main.walk() if one.get("title")]


def _table(element: Element) -> Table:
    heads = [row for head in element.all("thead") for row in head.all("tr")]
    columns = [cell.text for cell in heads[-1].all("th", "td")] if heads else []
    bodies = element.all("tbody") or [element]
    rows = [[cell.text for cell in row.all("td", "th")] for body in bodies for row in body.all("tr")]
    return Table(columns, rows)


def _fields(element: Element) -> Iterator[tuple[str, str]]:
    """Return what the fields in an element would send if nothing is changed, without buttons."""
    for one in element.all("input", "textarea", "select"):
        name, kind = one.get("name"), one.get("type").lower()
        if not name or "disabled" in one.attributes or kind in ("file", "submit", "image", "button"):
            continue
        if one.tag == "textarea":
            yield name, one.raw_text.removeprefix("\n")
        elif one.tag == "select":
            yield from _chosen(name, one)
        elif kind not in ("checkbox", "radio"):
            yield name, one.get("value")
        elif "checked" in one.attributes:
            yield name, one.attributes.get("value", "on")


def _chosen(name: str, select: Element) -> Iterator[tuple[str, str]]:
    options = select.all("option")
    chosen = [one for one in options if "selected" in one.attributes]
    if "multiple" not in select.attributes:
        chosen = chosen[-1:] or options[:1]
    for one in chosen:
        yield name, _value_of(one)


def _value_of(option: Element) -> str:
    return option.attributes.get("value", option.raw_text.strip())


def _tree(html: str) -> Element:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert len(reader.open) == 1, f"unclosed elements: {reader.open[1:]}"
    return reader.open[0]


class _Reader(HTMLParser):
    """A parser that builds the element tree. Every element that is not void has to be closed, in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        if tag == "option" and self.open[-1].tag == "option":
            self.open.pop()  # HTML lets options in a datalist stay open
        self.open[-1].children.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag != "option" and self.open[-1].tag == "option":
            self.open.pop()
        assert self.open[-1].tag == tag, f"</{tag}> closes {self.open[-1]} at {self.getpos()}"
        self.open.pop()
