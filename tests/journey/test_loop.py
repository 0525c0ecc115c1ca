"""The loop as a user lives it, over HTTP alone: from the campaign link to the postback at the traffic source."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote_from_bytes, urlsplit

import pytest

from tests.journey.running import Answer, Campaign, Connection, Received, Receiver, Tracker, eventually, running

pytestmark = pytest.mark.journey

POSTBACK = "/pb?id={externalid}&payout={payout}&cid={clickid}&pid={postback_id}&status={status}&zone={zone}"


class Stage(NamedTuple):
    """A running tracker, its traffic source, and a campaign between the two."""

    tracker: Tracker
    receiver: Receiver
    campaign: Campaign

    def visit(self, external_id: bytes, rest: bytes = b"") -> str:
        """Follows the campaign link with this id, percent-encoded; answers the click id."""
        encoded = quote_from_bytes(external_id, safe="").encode()
        return self.tracker.click(self.campaign.key, b"external_id=" + encoded + rest)

    def received(self, click_id: str) -> Received:
        """The one postback of a click at the source; waits for it."""
        eventually(lambda: self.receiver.those("cid", click_id.encode()), told=self.tracker.log_text)
        (only,) = self.receiver.those("cid", click_id.encode())
        return only

    def notice_of(self, click_id: str) -> Any:
        """The one notice of a click in Conversions - In; waits for it."""
        eventually(lambda: self.tracker.all_of("notices", click_id=click_id), told=self.tracker.log_text)
        (only,) = self.tracker.all_of("notices", click_id=click_id)
        return only

    def skipped(self, click_id: str) -> Any:
        """The one postback of a click in Conversions - Out, which was skipped; waits for it."""
        eventually(lambda: self.tracker.all_of("postbacks", click_id=click_id, state="skipped"))
        (only,) = self.tracker.all_of("postbacks", click_id=click_id)
        return only


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    receiver = Receiver()
    with running(tmp_path_factory.mktemp("loop") / "data", edges=2, geo_base="") as tracker:
        yield Stage(tracker, receiver, tracker.set_up(receiver.url + POSTBACK))
    receiver.close()


def test_a_new_user_sees_his_conversion_arrive_at_the_source(stage: Stage) -> None:
    token = stage.tracker.command_line("token", "create", "me").stdout.strip()
    api = HTTPConnection("127.0.0.1", stage.tracker.api_port, timeout=10)

    def create(noun: str, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        api.request("POST", f"/api/v1/{noun}", json.dumps(body), headers)
        answer = api.getresponse()
        told = json.loads(answer.read())
        assert answer.status == 201, told
        return told

    row = {"parameter": "external_id", "placeholder": "${SUBID}"}
    source = create("traffic-sources", name="Src", postback_url=stage.receiver.url + POSTBACK, parameters=[row])
    network = create("networks", name="Net", postback_parameters={"cid": "{sub1}", "payout": "{payout}"})
    url = "https://network.example/click?sub1={clickid}"
    offer = create("offers", name="Offer", network_id=network["id"], url=url)
    made = create("campaigns", name="Campaign", source_id=source["id"], offers=[{"offer_id": offer["id"]}])
    link = urlsplit(made["link"])

    opened = stage.tracker.ask("GET", f"{link.path}?{link.query.replace('${SUBID}', 'w9Xk2-7fA')}")
    assert opened.status == 302
    click_id = dict(parse_qsl(urlsplit(opened.headers["location"]).query))["sub1"]
    told = urlsplit(network["postback_url"].replace("{sub1}", click_id).replace("{payout}", "12.5"))
    assert stage.tracker.ask("GET", f"{told.path}?{told.query}").body == b"OK\n"
    assert stage.received(click_id).value("id") == b"w9Xk2-7fA"


def test_a_campaign_link_works_as_soon_as_the_api_has_answered(stage: Stage) -> None:
    body = {"source_id": stage.campaign.source_id, "offers": [{"offer_id": stage.campaign.offer_id}]}
    for number in range(20):
        made = stage.tracker.made("campaigns", body | {"name": f"At once {number}"})
        assert stage.tracker.ask("GET", f"/c/{made['key']}").status == 302


NASTY_IDS = {
    "an injected parameter": b"a&payout=9999&id=b",
    "a lone percent sign": b"100%",
    "an escape that is text": b"%41%2B",
    "plus signs": b"a+b/c==",
    "an emoji": "😀é".encode(),
    "bytes that are not UTF-8": b"\xff\xfe\x80id",
    "a lone surrogate": b"\xed\xa0\x80",
    "overlong UTF-8": b"\xc0\xaf",
    "our own stand-ins": "\U0010ff41".encode(),
    "a NUL": b"a\0b",
    "a line break": b"a\r\nX-Evil: 1",
    "a path": b"../../etc/passwd",
    "a fragment": b"a#b",
    "markup": b"\"'><script>alert(1)</script>",
    "a macro within": b"id-{payout}-{clickid}",
    "spaces around": b"  a  ",
    "every byte": bytes(range(256)),
    "1,024 characters": b"x" * 1024,
    "1,024 wide characters": "ä".encode() * 1024,
}


def test_the_source_gets_exactly_the_bytes_of_its_click_id(stage: Stage) -> None:
    clicks = {name: stage.visit(external_id) for name, external_id in NASTY_IDS.items()}
    for click_id in clicks.values():
        assert stage.tracker.notify(f"cid={click_id}&payout=1").status == 200
    got = {name: stage.received(click_id) for name, click_id in clicks.items()}
    assert {name: request.value("id") for name, request in got.items()} == NASTY_IDS
    assert {request.value("payout") for request in got.values()} == {b"1"}


UNESCAPED = {
    b"a+b": b"a+b",
    b"100%": b"100%",
    b"%zz": b"%zz",
    b"a%00b": b"a\0b",
    b"{x": b"{x",
    "ä€".encode(): "ä€".encode(),
    b"\xff\xfe": b"\xff\xfe",
}


def test_a_click_id_that_the_source_pasted_unescaped_comes_back_as_it_was(stage: Stage) -> None:
    clicks = {sent: stage.tracker.click(stage.campaign.key, b"external_id=" + sent) for sent in UNESCAPED}
    for click_id in clicks.values():
        stage.tracker.notify(f"cid={click_id}")
    assert {sent: stage.received(click_id).value("id") for sent, click_id in clicks.items()} == UNESCAPED


def test_without_a_query_the_link_works_and_nothing_is_sent_for_want_of_an_external_id(stage: Stage) -> None:
    click_id = stage.tracker.click(stage.campaign.key)
    stage.tracker.notify(f"cid={click_id}&payout=2")
    assert stage.skipped(click_id)["reason"] == "no_external_id"


def test_a_macro_that_the_source_did_not_replace_is_flagged_and_not_reported(stage: Stage) -> None:
    macros = [b"${SUBID}", b"{clickid}", b"[CID]", b"__CLICKID__", b"{{id}}", b"%CID%"]
    clicks = [stage.visit(macro) for macro in macros]
    for click_id in clicks:
        stage.tracker.notify(f"cid={click_id}&payout=2")
    for click_id in clicks:
        assert stage.skipped(click_id)["reason"] == "unreplaced_external_id"
        assert "unreplaced_external_id" in stage.tracker.got(f"clicks/{click_id}")["flags"]


def _s2s(tracker: Tracker, click_id: str) -> Answer:
    return tracker.notify(f"cid={click_id}&payout=12.5&status=sale")


def _form(tracker: Tracker, click_id: str) -> Answer:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return tracker.ask("POST", "/postback", headers, f"clickid={click_id}&revenue=12,5&status=sale".encode())


def _json(tracker: Tracker, click_id: str) -> Answer:
    body = json.dumps({"subid": click_id, "amount": "12.50", "type": "sale"}).encode()
    return tracker.ask("POST", "/postback?amount=3", {"Content-Type": "application/json"}, body)


def _pixel(tracker: Tracker, click_id: str) -> Answer:
    cookie = {"Cookie": f"other=1; clickloop={click_id}; last=2"}
    return tracker.ask("GET", "/pixel.gif?payout=12.5&status=sale", cookie)


def _by_hand(tracker: Tracker, click_id: str) -> Answer:
    told = tracker.command_line("convert", click_id.upper(), "--payout", "12.5", "--status", "sale")
    assert told.returncode == 0, told
    return Answer(200, {}, told.stdout.encode())


def _api(tracker: Tracker, click_id: str) -> Answer:
    answer = tracker.api("POST", "conversions", {"click_id": click_id, "payout": "12.5", "status": "sale"})
    return Answer(200 if answer.status in {201, 202} else answer.status, {}, answer.body)


DOORS = {"s2s": _s2s, "s2s as a form": _form, "s2s as JSON": _json, "pixel": _pixel, "hand": _by_hand, "api": _api}


@pytest.mark.parametrize("channel", DOORS)
def test_every_door_registers_the_conversion_and_reports_it_to_the_source(stage: Stage, channel: str) -> None:
    click_id = stage.visit(b"door-1", b"&zone=77&cost=0.004")
    assert DOORS[channel](stage.tracker, click_id).status == 200
    got = stage.received(click_id)
    assert (got.value("id"), got.value("payout"), got.value("status")) == (b"door-1", b"12.5", b"sale")
    assert got.value("zone") == b"77"
    (conversion,) = stage.tracker.all_of("conversions", click_id=click_id)
    assert conversion["payout"] == {"amount": "12.5", "currency": "USD"}
    assert stage.notice_of(click_id)["channel"] == channel.split()[0]


def test_the_pixel_with_a_cookie_of_the_visit_finds_its_click(stage: Stage) -> None:
    with Connection(stage.tracker.port) as browser:
        opened = browser.ask("GET", f"/c/{stage.campaign.key}?external_id=cookie-1")
        cookie = opened.headers["set-cookie"].partition(";")[0]
        seen = browser.ask("GET", "/pixel.gif?payout=3", {"Cookie": cookie})
    assert (seen.status, seen.headers["content-type"], seen.body[:6]) == (200, "image/gif", b"GIF89a")
    assert stage.received(cookie.partition("=")[2]).value("id") == b"cookie-1"


def test_logs_and_trace_tell_the_whole_story(stage: Stage) -> None:
    click_id = stage.visit(b"story-1")
    stage.tracker.notify(f"cid={click_id}&payout=4&txid=T-1")
    postback_id = stage.received(click_id).value("pid").decode()
    eventually(lambda: stage.tracker.all_of("postbacks", click_id=click_id, state="delivered"))
    (postback,) = stage.tracker.all_of("postbacks", click_id=click_id)
    assert (postback["postback_id"], postback["attempts"], postback["last_status_code"]) == (postback_id, 1, 200)
    assert stage.notice_of(click_id)["outcome"] == "new"
    kinds = [event["kind"] for event in stage.tracker.got(f"clicks/{click_id.upper()}/trace")["events"]]
    assert kinds[:2] == ["click", "redirect"]
    assert sorted(kinds[2:]) == ["attempt", "conversion", "notice", "postback"]
    assert "delivered" in stage.tracker.command_line("trace", click_id).stdout


def _forged(click_id: str) -> str:
    return click_id[:-1] + ("0" if click_id[-1] != "0" else "1")


REFUSALS: dict[str, Callable[[str], str]] = {
    "no_click_id": lambda click_id: "payout=1",
    "malformed_click_id": lambda click_id: f"cid={click_id[:-1]}&payout=1",
    "forged_click_id": lambda click_id: f"cid={_forged(click_id)}&payout=1",
    "unreplaced_macro": lambda click_id: "cid={sub1}&payout=1",
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_a_refused_notice_is_answered_200_with_its_reason_and_kept(stage: Stage, reason: str) -> None:
    mark = f"param20={reason}"
    answer = stage.tracker.notify(f"{REFUSALS[reason](stage.visit(b'refused'))}&{mark}")
    assert (answer.status, answer.headers["x-clickloop-outcome"]) == (200, f"refused; reason={reason}")

    def kept() -> list[Any]:
        return [notice for notice in stage.tracker.all_of("notices", reason=reason) if mark in notice["query"]]

    eventually(kept)
    assert [notice["reason_text"] + "\n" for notice in kept()] == [answer.body.decode()]


def test_an_accepted_notice_is_answered_ok(stage: Stage) -> None:
    answer = stage.tracker.notify(f"cid={stage.visit(b'a').upper()}")
    assert (answer.status, answer.headers["x-clickloop-outcome"], answer.body) == (200, "accepted", b"OK\n")


@pytest.mark.parametrize("accepted", [True, False])
def test_the_network_reads_the_text_that_it_insists_on(stage: Stage, accepted: bool) -> None:
    click_id = stage.visit(b"a") if accepted else "nonsense"
    assert stage.tracker.notify(f"cid={click_id}&return=SUCCESS%3D1").body == b"SUCCESS=1"


def test_what_is_unknown_is_answered_404_and_not_reflected(stage: Stage) -> None:
    for path in ("/", "/c/", "/c/zzzzzz", "/evil", "/postback/x", "/api/v1/campaigns", f"/c/{stage.campaign.key}x"):
        answer = stage.tracker.ask("GET", path)
        assert (answer.status, answer.body) == (404, b"There is nothing here.\n"), path


@pytest.mark.parametrize(
    ("status", "target", "headers", "body"),
    [
        (413, "/postback", {}, b"x" * 300_000),
        (413, "/postback", {"Content-Length": "50000000"}, b""),
        (414, "/postback?a=" + "x" * 140_000, {}, b""),
        (431, "/postback", {"X-Long": "x" * 70_000}, b""),
    ],
)
def test_what_is_too_large_is_refused_and_not_stored(
    stage: Stage, status: int, target: str, headers: dict[str, str], body: bytes
) -> None:
    with Connection(stage.tracker.port) as connection:
        assert connection.ask("POST", target, headers, body).status == status


def test_a_notice_that_comes_before_its_click_is_settled_is_matched(stage: Stage) -> None:
    with Connection(stage.tracker.port) as connection:
        for number in range(3):
            opened = connection.ask("GET", f"/c/{stage.campaign.key}?external_id=early-{number}")
            click_id = dict(parse_qsl(urlsplit(opened.headers["location"]).query))["sub1"]
            assert (
                connection.ask("GET", f"/postback?cid={click_id}&payout=1").headers["x-clickloop-outcome"] == "accepted"
            )
            assert stage.received(click_id).value("id") == b"early-%d" % number
            assert stage.notice_of(click_id)["outcome"] == "new"


def test_the_same_notice_200_times_at_once_is_one_conversion_and_one_postback(stage: Stage) -> None:
    click_id = stage.visit(b"at-once")
    together = threading.Barrier(12)

    def knock(number: int) -> list[int]:
        together.wait()
        channel = (_s2s, _pixel, _api)[number % 3]
        times = 17 if number < 8 else 16
        return [channel(stage.tracker, click_id).status for _ in range(times)]

    with ThreadPoolExecutor(12) as knocking:
        statuses = [status for found in knocking.map(knock, range(12)) for status in found]
    assert statuses == [200] * 200

    def settled() -> bool:
        notices = stage.tracker.all_of("notices", click_id=click_id)
        return len(notices) == 200 and not any(notice["outcome"] == "waiting" for notice in notices)

    eventually(settled, told=stage.tracker.log_text)
    assert stage.received(click_id).value("payout") == b"12.5"
    outcomes = [notice["outcome"] for notice in stage.tracker.all_of("notices", click_id=click_id)]
    assert sorted(set(outcomes)) == ["new", "repeated"]
    assert outcomes.count("new") == 1
    (conversion,) = stage.tracker.all_of("conversions", click_id=click_id)
    assert conversion["version"] == 1
    assert len(stage.tracker.all_of("postbacks", click_id=click_id)) == 1
