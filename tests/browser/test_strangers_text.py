"""Whatever visitors, networks, receivers and users write is shown as text: nothing of it runs, nothing of it is fetched."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import quote

import pytest
from playwright.sync_api import Page

from tests.browser.looking import Cookies, Troubles, every_page
from tests.journey.running import Tracker, eventually

pytestmark = pytest.mark.journey

GROUPS = (
    (
        "javascript:alert(4)//",
        '"><img src=x onerror=alert(2)>',
        "{{7*7}}{% for x in y %}${7*7}<%= 7*7 %>#{7*7}",
        "<iframe srcdoc='<script>parent.alert(7)</script>'>",
    ),
    (
        "<script>alert(1)</script>",
        "</textarea></title><script>alert(5)</script>",
        "<link rel=stylesheet href=//evil.example/a.css><style>*{display:none}</style>",
        "<template><script>alert(11)</script></template>__n__",
    ),
    (
        "'--></style></script><svg/onload=alert(3)>",
        '"autofocus onfocus=alert(6) x="',
        "<details open ontoggle=alert(9)><math><mi xlink:href=javascript:alert(10)>",
    ),
    (
        "<a href='javascript:alert(8)'>a</a><base href=//evil.example/>",
        "\u202e<!--<meta http-equiv=refresh content=0;url=//evil.example/>",
    ),
)
"""The corpus. Each record holds the texts of a group, one behind the other, so that there are few pages to look at.

The first text of a group is one that has to be at the beginning. What swallows the text behind it, such as a comment, is the last.
"""
CORPUS = tuple(text for group in GROUPS for text in group)
JOINED = tuple("".join(group) for group in GROUPS)
NOUNS = (
    "clicks",
    "notices",
    "conversions",
    "postbacks",
    "campaigns",
    "offers",
    "landings",
    "lists",
    "flows",
    "networks",
    "traffic-sources",
)


@pytest.fixture(scope="module")
def base(shared_tracker: Tracker) -> str:
    return f"http://127.0.0.1:{shared_tracker.api_port}"


@pytest.fixture
def owner(window: tuple[Page, Troubles], session: Cookies) -> Page:
    """The owner's page, signed in."""
    window[0].context.add_cookies(session)  # type: ignore[arg-type]  # they are as cookies() returned them
    return window[0]


@pytest.fixture
def receiver() -> Iterator[str]:
    """A receiver whose answers are pages with scripts in them."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = "".join(CORPUS).encode()
            self.send_response(418 if "fail" in self.path else 200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args: object) -> None:
            """Is silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def fill_with_corpus(tracker: Tracker, receiver: str) -> None:
    """Create one of everything for each group of the corpus, with its texts in every field."""
    for number, text in enumerate(JOINED):
        rows = [
            {"parameter": "external_id", "placeholder": "${SUBID}", "name": text},
            {"parameter": "zone", "name": text},
        ]
        url = f"{receiver}/{'fail' if number % 2 else 'good'}?id={{externalid}}&z={{zone}}&w={{conversion}}"
        source = tracker.made("traffic-sources", {"name": f"{text} {number}", "parameters": rows, "postback_url": url})
        network = tracker.made("networks", {"name": f"{text} {number}", "postback_parameters": {text: text}})
        offer_url = f"https://network.example/?sub1={{clickid}}&q={quote(text)}"
        offer = tracker.made("offers", {"name": f"{text} {number}", "network_id": network["id"], "url": offer_url})
        shares = [{"offer_id": offer["id"]}]
        campaign = {"name": f"{text} {number}", "source_id": source["id"], "offers": shares}
        made = tracker.made("campaigns", campaign)
        key = made["key"]
        word = quote(text.encode())
        headers = {"User-Agent": ascii(text), "Referer": f"https://x.example/{text!a}", "Accept-Language": "a;<b>"}
        click_id = tracker.click(key, f"external_id={word}&zone={word}&cost={word}", headers)
        said = f"cid={click_id}&payout={word}&status={word}&txid={word}&param1={word}&{word}={word}&currency={word}"
        assert tracker.notify(said).status == 200
        tracker.notify(f"cid={word}&payout=1")
        tracker.made("landings", {"name": text, "url": f"https://pages.example/?q={quote(text)}", "tags": [text[:50]]})
        named = tracker.made("lists", {"name": text, "entries": [text, *CORPUS], "notes": text})
        conditions = [{"field": field, "op": "contains", "values": [text]} for field in ("v1", "isp", "useragent")]
        conditions.append({"field": "query.<img/src>", "list_id": named["id"]})
        path = {"name": text, "offers": shares, "target": "offer"}
        parts = {"rules": [{"name": text, "conditions": conditions, "paths": [path, path]}], "default_paths": [path]}
        flow = tracker.made("flows", {"name": text, "tags": [text[:50]]} | parts)
        rule = {
            "name": text,
            "request": {"method": "POST", "url": f"{receiver}/own", "body_kind": "text", "body": text},
        }
        tracker.made("postback-rules", rule | {"campaign_id": made["id"]})
        for change in ({"flow": parts}, {"flow_id": flow["id"]} if number % 2 else {}):
            assert tracker.api("PATCH", f"campaigns/{made['id']}", change).status == 200
    for number, text in enumerate(CORPUS):  # a name is shorter here
        tracker.made(
            "statuses", {"key": f"s{number}", "name": text, "words": [f"{text} {number}"], "counts_as": "pending"}
        )
        tracker.made("users", {"name": f"{number} {text}", "role": "viewer"})
        tracker.made("tokens", {"name": text, "role": "viewer"})

    def is_tried() -> bool:
        tried = [one for one in tracker.all_of("postbacks") if one["attempts"] or one["state"] == "skipped"]
        return len(tried) >= 2 * len(JOINED)

    eventually(is_tried)


def test_nothing_that_strangers_write_runs_on_any_page(
    owner: Page, window: tuple[Page, Troubles], shared_tracker: Tracker, receiver: str, base: str
) -> None:
    fill_with_corpus(shared_tracker, receiver)
    troubles = window[1]
    examined = 0
    for path in every_page(owner):
        examined += 1
        assert_harmless(owner, path)
    assert examined > 20
    for noun in NOUNS:
        for record in shared_tracker.all_of(noun):
            number = record.get("id") or record[f"{noun.removesuffix('s')}_id"]
            answer = owner.goto(f"/panel/{noun}/{number}")
            assert answer is not None
            assert answer.status == 200, f"{noun} {number}"
            assert_harmless(owner, f"{noun} {number}")
            if noun in ("campaigns", "flows"):
                owner.goto(f"/panel/campaigns/{number}/flow" if noun == "campaigns" else f"/panel/flows/{number}")
                for button in owner.get_by_role("button", name="Edit ").all()[:1]:
                    button.click()
                    owner.get_by_role("button", name="Close ").first.wait_for()
                assert_harmless(owner, f"the flow of {noun} {number}")
    assert troubles.found == []
    assert [url for url in troubles.asked if not url.startswith((base, "data:"))] == []


def test_nothing_runs_that_is_typed_into_an_editor(owner: Page, window: tuple[Page, Troubles], base: str) -> None:
    owner.goto("/panel/traffic-sources/new")
    field = owner.get_by_label("Postback URL", exact=True)
    for text in CORPUS:
        with owner.expect_response("**/macro-preview/**"):
            field.fill(f"https://source.example/?a={{externalid}}&b={text}")
        assert_harmless(owner, text)
    owner.get_by_label("Name", exact=True).fill(CORPUS[1])
    owner.get_by_role("button", name="Save").last.click()
    assert_harmless(owner, "the editor after saving")
    assert window[1].found == []
    assert [url for url in window[1].asked if not url.startswith(base)] == []


def assert_harmless(page: Page, where: str) -> None:
    """Assert that a page contains no element injected by untrusted text."""
    assert page.title().endswith("Clickloop"), where
    strange = (
        "iframe, base, link[href*=evil], meta[http-equiv=refresh], img[onerror], [onload], [onfocus], [ontoggle], math"
    )
    assert page.locator(strange).count() == 0, where
    assert page.locator("a[href^='javascript:' i]").count() == 0, where
    assert page.locator("script:not([src^='/panel/static/'])").count() == 0, where
    assert page.locator("main").is_visible(), where
