"""The reader of pages: what it finds, and what it does not mistake."""

import pytest

from tests.web.panel.page import Form, Link, Page

HTML = """<!doctype html><html><head><title>Offer · Clickloop</title></head><body><a href="/panel">Clickloop</a>
<main><p class="said">Saved.</p><h1>Gift  <em>card</em></h1><div class="notice warn"><p>Look<b>!</b></p><p>Now.</p></div>
<form action="/panel/offers/1"><input type="hidden" name="active" value=""><input type="checkbox" name="active" value="on" checked>
<input type="checkbox" name="other"><textarea name="url">
https://a.example/?a=1&amp;b</textarea><p class="fault" id="fault-url">Too long.</p><p class="fault">Row 3.</p>
<select name="network_id"><option value="">none</option><option value="1" selected>One</option></select>
<select name="currency"><option>EUR</option><option>USD</option></select>
<button name="save">Save</button><button class="unseen">Save</button></form>
<table><thead><tr><th>№</th><th>Name</th></tr></thead>
<tbody><tr><td>1</td><td><a href="/panel/offers/1">Al<code>p</code>ha</a></td></tr></tbody></table>
<textarea id="c1" readonly>&lt;img&gt;</textarea><button data-copy="c1">Copy</button></main></body></html>"""


def test_a_page_is_read_as_a_person_reads_it() -> None:
    page = Page(HTML)
    assert (page.title, page.heading, page.flash) == ("Offer · Clickloop", "Gift card", "Saved.")
    assert page.notices == ["Look! Now."]
    assert page.errors == {"url": ["Too long."], "": ["Row 3."]}
    assert (page.table.columns, page.table.rows, page.table.column("Name")) == (
        ["№", "Name"],
        [["1", "Alpha"]],
        ["Alpha"],
    )
    assert page.links == [Link("Alpha", "/panel/offers/1")]
    assert page.link("Alpha") == "/panel/offers/1"
    assert page.buttons == ["Save", "Copy"]
    assert page.to_copy == {"c1": "<img>"}


def test_fields_are_what_a_browser_would_send() -> None:
    page = Page(HTML)
    sent = {"active": "on", "url": "https://a.example/?a=1&b", "network_id": "1", "currency": "EUR"}
    assert page.fields == sent
    assert page.values("active") == ["", "on"]
    assert page.options("network_id") == {"": "none", "1": "One"}
    assert page.forms == [Form("/panel/offers/1", [("active", ""), *sent.items()])]


def test_what_is_not_there_is_no_link_column_or_field() -> None:
    page = Page(HTML)
    for look in (lambda: page.link("Clickloop"), lambda: page.table.column("Payout"), lambda: page.field("name")):
        with pytest.raises(ValueError):
            look()


def test_a_page_whose_elements_are_not_closed_in_order_is_not_read() -> None:
    for html in ("<main><p>a</main>", "<main><div>a</p></div></main>", "<main>"):
        with pytest.raises(AssertionError, match="close"):
            Page(html)
