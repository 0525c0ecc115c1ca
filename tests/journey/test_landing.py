"""A visitor comes over a landing: views, presses and the conversion, from the campaign link to reports and trace, over HTTP alone."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.edge.landing_process import cookie_header, cookies_of, parameters_of
from tests.journey.running import Receiver, Tracker, eventually, running

pytestmark = pytest.mark.journey
POSTBACK = "/pb?cid={clickid}&offer={offer.name}&landing={landing.name}&payout={payout}"


class Stage(NamedTuple):
    """A running tracker, its traffic source, and a campaign with a landing of two offers."""

    tracker: Tracker
    receiver: Receiver
    key: str
    second: Any
    """The second offer."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    receiver = Receiver()
    with running(tmp_path_factory.mktemp("landing") / "data", geo_base="") as tracker:
        direct = tracker.set_up(receiver.url + POSTBACK)
        landing = tracker.made("landings", {"name": "Quiz", "url": "https://landing.example/quiz", "buttons": 2})
        network = tracker.made("networks", {"name": "Second network"})
        url = "https://second.example/o?sub1={clickid}"
        second = tracker.made("offers", {"name": "Second", "network_id": network["id"], "url": url})
        path = {
            "target": "landing_and_offer",
            "landings": [{"landing_id": landing["id"]}],
            "offers": [{"offer_id": direct.offer_id}, {"offer_id": second["id"]}],
        }
        body = {"name": "With a landing", "source_id": direct.source_id, "flow": {"default_paths": [path]}}
        yield Stage(tracker, receiver, tracker.made("campaigns", body)["key"], second)
    receiver.close()


def figures(stage: Stage, dimension: str, name: str) -> Any:
    rows = stage.tracker.got(f"reports?period=today&group_by={dimension}")["rows"]
    return next((row["figures"] for row in rows if row["keys"][0]["name"] == name), {})


def test_the_conversion_belongs_to_the_offer_of_the_pressed_button(stage: Stage) -> None:
    tracker = stage.tracker
    landed = tracker.ask("GET", f"/c/{stage.key}?external_id=w9Xk2")
    click_id, cookies = parameters_of(landed)["cid"], cookies_of(landed)
    for _ in range(2):
        pressed = tracker.ask("GET", "/click/2", cookie_header(cookies))
        assert parameters_of(pressed)["sub1"] == click_id
        cookies |= cookies_of(pressed)
    assert tracker.notify(f"cid={click_id}&payout=4").status == 200
    eventually(lambda: stage.receiver.those("cid", click_id.encode()), told=tracker.log_text)
    (postback,) = stage.receiver.those("cid", click_id.encode())
    assert (postback.value("offer"), postback.value("landing"), postback.value("payout")) == (b"Second", b"Quiz", b"4")
    (conversion,) = tracker.all_of("conversions", click_id=click_id)
    assert (conversion["offer_id"], conversion["flags"]) == (stage.second["id"], [])
    eventually(lambda: figures(stage, "offer", "Second").get("conversions") == 1, told=tracker.log_text)
    offer = figures(stage, "offer", "Second")
    assert (offer["offer_visits"], offer["landing_clicks"], offer["cr_offer"], offer["epc_offer"]["amount"]) == (
        1,
        1,
        "100",
        "4",
    )
    landing = figures(stage, "landing", "Quiz")
    assert (landing["clicks"], landing["landing_visits"], landing["landing_clicks"], landing["lp_ctr"]) == (
        1,
        1,
        1,
        "100",
    )
    events = tracker.got(f"clicks/{click_id}/trace")["events"]
    kinds = [event["kind"] for event in events]
    assert kinds[:4] == ["click", "redirect", "landing_click", "landing_click"]
    assert "not counted: repeated" in events[3]["sentence"]


def test_a_conversion_without_a_press_has_no_offer_and_is_flagged(stage: Stage) -> None:
    click_id = parameters_of(stage.tracker.ask("GET", f"/c/{stage.key}?external_id=none"))["cid"]
    stage.tracker.notify(f"cid={click_id}&payout=4")
    eventually(lambda: stage.tracker.all_of("conversions", click_id=click_id), told=stage.tracker.log_text)
    (conversion,) = stage.tracker.all_of("conversions", click_id=click_id)
    assert (conversion["offer_id"], conversion["flags"]) == (0, ["no_landing_click"])


def test_a_bound_visitor_gets_their_landing_and_offer_again_and_the_trace_says_why(stage: Stage) -> None:
    tracker = stage.tracker
    offers = [tracker.made("offers", {"name": f"Offer {n}", "url": f"https://o{n}.example/"})["id"] for n in range(4)]
    landings = [
        tracker.made("landings", {"name": f"Page {n}", "url": f"https://p{n}.example/", "buttons": 1})["id"]
        for n in range(4)
    ]
    path = {
        "target": "landing_and_offer",
        "landings": [{"landing_id": number} for number in landings],
        "offers": [{"offer_id": number} for number in offers],
    }
    body = {"name": "Bound", "source_id": 1, "bind": "offer", "flow": {"default_paths": [path]}}
    campaign = tracker.made("campaigns", body)
    cookies: dict[str, str] = {}
    sites = []
    for _ in range(4):
        landed = tracker.ask("GET", f"/c/{campaign['key']}", cookie_header(cookies))
        click_id = parameters_of(landed)["cid"]
        cookies |= cookies_of(landed)
        pressed = tracker.ask("GET", f"/click?cid={click_id}", cookie_header(cookies))
        cookies |= cookies_of(pressed)
        sites.append((landed.headers["location"][:20], pressed.headers["location"][:20]))
    assert len(set(sites)) == 1
    assert tracker.api("PATCH", f"campaigns/{campaign['id']}", {"bind": "none"}).status == 200
    eventually(lambda: len(tracker.all_of("clicks", campaign_id=campaign["id"])) == 4, told=tracker.log_text)
    route = tracker.got(f"clicks/{click_id}/route")
    assert [one["part"] for one in route["flows"][0]["recalls"]] == ["path", "landing"]
    assert (route["agrees"], route["flows"][0]["recalls"][1]["sentence"]) == (
        True,
        "Returning visitor: same landing as on their previous visit.",
    )
    eventually(lambda: len(tracker.got(f"clicks/{click_id}/trace")["events"]) >= 3, told=tracker.log_text)
    events = tracker.got(f"clicks/{click_id}/trace")["events"]
    assert "Returning visitor: the same offer as before." in str(events[2])
