"""Reads a page of the panel as a person does: headings, fields, errors by field, what it says, tables, links, buttons."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import NamedTuple

_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
_INLINE = frozenset(
    {"a", "abbr", "b", "code", "del", "em", "i", "ins", "kbd", "mark", "q", "small", "span", "strong", "time"}
)
_BLOCKS = frozenset({"figure", "name", "tile"})
"""Classes whose style sets an inline element apart."""
_UNREAD = frozenset({"script", "style", "template", "datalist", "option", "title"})
_FAULT = "fault-"


class Element:
    """An element of a page, with what is in it."""

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.children: list[Element | str] = []

    def __repr__(self) -> str:
        return f"<{self.tag} {self.attributes}>"

    def get(self, attribute: str) -> str:
        """Return an attribute; empty if it has no value or is not there."""
        return self.attributes.get(attribute, "")

    @property
    def classes(self) -> list[str]:
        """The words of its class."""
        return self.get("class").split()

    @property
    def text(self) -> str:
        """The text that can be read, with single spaces."""
        return re.sub(r"\s+", " ", "".join(self._pieces())).strip()

    @property
    def raw_text(self) -> str:
        """The text as it stands, as of a textarea."""
        return "".join(child if isinstance(child, str) else child.raw_text for child in self.children)

    def _pieces(self) -> Iterator[str]:
        if self.tag in _UNREAD:
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
        """Return the elements in it, in their order."""
        for child in self.children:
            if isinstance(child, Element):
                yield child
                yield from child.walk()

    def all(self, *tags: str, class_: str = "") -> list["Element"]:
        """Return the elements in it with one of the tags, if any are given, and with the class."""
        return [one for one in self.walk() if (not tags or one.tag in tags) and (not class_ or class_ in one.classes)]


class Link(NamedTuple):
    """A link as it is read, and where it leads."""

    text: str
    address: str


class Table(NamedTuple):
    """A table: its column titles, and the text of each cell of its body."""

    columns: list[str]
    rows: list[list[str]]

    def column(self, title: str) -> list[str]:
        """Return the cells below a title. Raise ValueError if there is no such column."""
        at = self.columns.index(title)
        return [row[at] for row in self.rows]


class Form(NamedTuple):
    """A form: where it goes, and the fields that it sends if nothing is changed in it."""

    action: str
    fields: list[tuple[str, str]]


class Page:
    """A page, or a part of one as scripts fetch it. What the frame holds is left out: the menu, the search, one's own name."""

    def __init__(self, html: str) -> None:
        self.html = html
        self.root = _tree(html)
        self.main = next(iter(self.root.all("main")), self.root)

    @property
    def text(self) -> str:
        """All that can be read."""
        return self.main.text

    @property
    def title(self) -> str:
        """The title of the window."""
        return next((one.raw_text for one in self.root.all("title")), "")

    @property
    def heading(self) -> str:
        """The one heading of the page."""
        (heading,) = self.main.all("h1")
        return heading.text

    @property
    def menu(self) -> list[str]:
        """The entries of the menu beside the page; none where nobody is signed in."""
        return [link.text for side in self.root.all("aside", class_="side") for link in side.all("a")]

    @property
    def flash(self) -> str:
        """The message about what was just done; empty: there is none."""
        return next((one.text for one in self.main.all(class_="said")), "")

    @property
    def notices(self) -> list[str]:
        """The boxes with remarks, warnings and faults."""
        return [one.text for one in self.main.all(class_="notice")]

    @property
    def errors(self) -> dict[str, list[str]]:
        """By field, the sentences that stand beside it; by "" those that name no field."""
        found: dict[str, list[str]] = {}
        for one in self.main.all(class_="fault"):
            found.setdefault(one.get("id").removeprefix(_FAULT), []).append(one.text)
        return found

    @property
    def forms(self) -> list[Form]:
        """The forms, each with what it would send, buttons apart."""
        return [Form(one.get("action"), list(_fields(one))) for one in self.main.all("form")]

    @property
    def fields(self) -> dict[str, str]:
        """By name, the values that the forms would send; of fields with one name the last: a box stands behind its hidden field."""
        return dict(_fields(self.main))

    def values(self, name: str) -> list[str]:
        """Return every value that would be sent under a name."""
        return [value for given, value in _fields(self.main) if given == name]

    def field(self, name: str) -> Element:
        """Return the only visible field of a name. Raise ValueError if there is none or more."""
        fields = [one for one in self.main.all("input", "textarea", "select") if one.get("name") == name]
        (field,) = [one for one in fields if one.get("type") != "hidden"]
        return field

    def options(self, name: str) -> dict[str, str]:
        """Return what can be chosen in a field, by value."""
        return {_value_of(one): one.raw_text.strip() for one in self.field(name).all("option")}

    @property
    def to_copy(self) -> dict[str, str]:
        """By id, the texts that have a button to copy them."""
        ids = {one.get("data-copy") for one in self.main.all("button")} - {""}
        return {one.get("id"): one.raw_text for one in self.main.walk() if one.get("id") in ids}

    @property
    def buttons(self) -> list[str]:
        """The buttons that can be seen."""
        return [one.text for one in self.main.all("button") if "unseen" not in one.classes]

    @property
    def links(self) -> list[Link]:
        """The links."""
        return [Link(one.text, one.get("href")) for one in self.main.all("a")]

    @property
    def addresses(self) -> list[str]:
        """Where the links lead."""
        return [link.address for link in self.links]

    def link(self, text: str) -> str:
        """Return where the link with that text leads. Raise ValueError if there is none, or several lead to different places."""
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
        """The addresses from which scripts of ours look again for what is under way, and from which the browser does without them."""
        scripts = [one.get("data-refresh") for one in self.main.walk() if "data-refresh" in one.attributes]
        metas = [one for one in self.root.all("meta") if one.get("http-equiv").lower() == "refresh"]
        return scripts + [one.get("content") for one in metas]

    def form(self, action: str) -> Form:
        """Return the form that goes to an address. Raise ValueError if there is none or more."""
        (form,) = [one for one in self.forms if one.action == action]
        return form

    @property
    def hints(self) -> list[str]:
        """What is shown when the pointer rests on something."""
        return [one.get("title") for one in self.main.walk() if one.get("title")]


def _table(element: Element) -> Table:
    heads = [row for head in element.all("thead") for row in head.all("tr")]
    columns = [cell.text for cell in heads[-1].all("th", "td")] if heads else []
    bodies = element.all("tbody") or [element]
    rows = [[cell.text for cell in row.all("td", "th")] for body in bodies for row in body.all("tr")]
    return Table(columns, rows)


def _fields(element: Element) -> Iterator[tuple[str, str]]:
    """Return what the fields in an element would send if nothing is changed, buttons apart."""
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
    assert len(reader.open) == 1, f"these are not closed: {reader.open[1:]}"
    return reader.open[0]


class _Reader(HTMLParser):
    """Builds the tree of a page. Every element that is not void has to be closed, in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        if tag == "option" and self.open[-1].tag == "option":
            self.open.pop()  # HTML lets these stay open, in a list of suggestions
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
