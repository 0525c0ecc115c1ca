"""The demo's set-up: source, network, offers, campaign and rules, created over the HTTP API as any user would."""

import msgspec

from clickloop.demo.plan import OFFER_CENTS, WEIGHTS
from clickloop.demo.tracker import Tracker

SOURCE_PRESET = "mgid"
NETWORK_PRESET = "affise"
WAITS_SECONDS = (1, 1, 1, 2)
"""Retry delays of the demo's rules. The default schedule takes 75 hours."""


class DemoSetup(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of the set-up that the partners need."""

    link: str
    """The campaign link, with the source's macros."""
    notice_url: str
    """The postback URL for the network, with the network's macros."""
    source_id: int
    network_id: int
    offer_address: str
    """The address of the network's offers, without their number."""
    source_rule_id: int
    own_rule_id: int
    offer_ids: tuple[int, ...]
    campaign_id: int


class _SourcePreset(msgspec.Struct):
    name: str
    postback_url: str


class _NetworkPreset(msgspec.Struct):
    name: str
    offer_url_addition: str
    click_id_parameter: str
    status_words: dict[str, str]


class Created(msgspec.Struct):
    id: int
    postback_rule_id: int = 0
    postback_url: str = ""
    link: str = ""


class _StatusWords(msgspec.Struct):
    words: list[str]


async def click_id_parameter(tracker: Tracker) -> str:
    """Return the parameter in which the network takes our click id."""
    preset = await tracker.request("GET", f"/presets/networks/{NETWORK_PRESET}", None, _NetworkPreset)
    return preset.click_id_parameter


async def set_up(tracker: Tracker, source_url: str, network_url: str) -> DemoSetup:
    """Create everything, with the simulated partners in place of real ones."""
    source = await _make_source(tracker, source_url)
    preset = await tracker.request("GET", f"/presets/networks/{NETWORK_PRESET}", None, _NetworkPreset)
    network = await tracker.request("POST", "/networks", {"name": preset.name, "preset": NETWORK_PRESET}, Created)
    await _map_words(tracker, preset.status_words)
    address = f"{network_url}/click?{preset.offer_url_addition}"
    offers = [
        await make_offer(tracker, network.id, address, number, f"Gift card {number}")
        for number in range(1, len(WEIGHTS) + 1)
    ]
    campaign = {
        "name": "Sweepstakes, all countries",
        "source_id": source.id,
        "offers": [{"offer_id": offer.id, "weight": weight} for offer, weight in zip(offers, WEIGHTS, strict=True)],
    }
    made = await tracker.request("POST", "/campaigns", campaign, Created)
    own = await tracker.request("POST", "/postback-rules", _own_rule(source_url), Created)
    return DemoSetup(
        link=made.link,
        notice_url=network.postback_url,
        source_id=source.id,
        network_id=network.id,
        offer_address=address,
        source_rule_id=source.postback_rule_id,
        own_rule_id=own.id,
        offer_ids=tuple(offer.id for offer in offers),
        campaign_id=made.id,
    )


async def _make_source(tracker: Tracker, source_url: str) -> Created:
    """Create the source from its preset, with the simulated source's host, postbacks for sales only, and short retry delays."""
    preset = await tracker.request("GET", f"/presets/traffic-sources/{SOURCE_PRESET}", None, _SourcePreset)
    query = preset.postback_url.partition("?")[2].replace("EVENT_NAME", "sale")
    body = {
        "name": preset.name,
        "preset": SOURCE_PRESET,
        "cost_currency": "USD",
        "postback_url": f"{source_url}/postback?{query}&id={{postback_id}}",
    }
    source = await tracker.request("POST", "/traffic-sources", body, Created)
    rule = {"conditions": {"statuses": ["sale"]}, "waits_seconds": WAITS_SECONDS}
    await tracker.request("PATCH", f"/postback-rules/{source.postback_rule_id}", rule, Created)
    return source


async def make_offer(tracker: Tracker, network_id: int, address: str, number: int, name: str) -> Created:
    """Create an offer. ``number``: the network's own, which its simulation records."""
    body = {
        "name": name,
        "network_id": network_id,
        "url": f"{address}&offer={number}&sub2={{externalid}}&sub3={{country}}&sub4={{token1}}",
        "payout": {"amount": f"{OFFER_CENTS // 100}.{OFFER_CENTS % 100:02d}", "currency": "USD"},
    }
    return await tracker.request("POST", "/offers", body, Created)


async def _map_words(tracker: Tracker, words: dict[str, str]) -> None:
    """Map the network's status words to our statuses, as in its preset."""
    for key in sorted(set(words.values())):
        status = await tracker.request("GET", f"/statuses/{key}", None, _StatusWords)
        new = [word for word, of_key in words.items() if of_key == key and word not in status.words]
        await tracker.request("PATCH", f"/statuses/{key}", {"words": [*status.words, *new]}, _StatusWords)


def _own_rule(source_url: str) -> dict[str, object]:
    """Return a global rule that sends every status to the user's own system, as JSON."""
    fields = ("postback_id", "clickid", "txid", "conversion.key", "payout")
    names = ("postback_id", "click_id", "txid", "status", "payout")
    body = ", ".join(f'"{name}": "{{{field}}}"' for name, field in zip(names, fields, strict=True))
    return {
        "name": "Own system",
        "request": {"method": "POST", "url": f"{source_url}/own", "body_kind": "json", "body": f"{{{body}}}"},
        "conditions": {"statuses": ["hold", "sale", "rejected", "other"], "trigger": "status"},
        "waits_seconds": WAITS_SECONDS,
    }
