"""The set-up: source, network, offers, campaign and rules, made over the HTTP API as any user would."""

import msgspec

from clickloop.demo.plan import OFFER_CENTS, WEIGHTS
from clickloop.demo.tracker import Tracker

SOURCE_PRESET = "mgid"
NETWORK_PRESET = "affise"
WAITS_SECONDS = (1, 1, 1, 2)
"""The quick schedule of the demo's rules; the default one takes 75 hours."""


class SetUp(msgspec.Struct, frozen=True, kw_only=True):
    """What was made, as far as the partners need it."""

    link: str
    """The campaign link, with the source's macros in it."""
    notice_url: str
    """The postback URL for the network, with the network's macros in it."""
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


class _Made(msgspec.Struct):
    id: int
    postback_rule_id: int = 0
    postback_url: str = ""
    link: str = ""


class _Words(msgspec.Struct):
    words: list[str]


async def click_id_parameter(tracker: Tracker) -> str:
    """The parameter in which the network takes our click id."""
    preset = await tracker.ask("GET", f"/presets/networks/{NETWORK_PRESET}", None, _NetworkPreset)
    return preset.click_id_parameter


async def set_up(tracker: Tracker, source_url: str, network_url: str) -> SetUp:
    """Makes everything, with the stand-ins in the places of the real partners."""
    source = await _make_source(tracker, source_url)
    preset = await tracker.ask("GET", f"/presets/networks/{NETWORK_PRESET}", None, _NetworkPreset)
    network = await tracker.ask("POST", "/networks", {"name": preset.name, "preset": NETWORK_PRESET}, _Made)
    await _map_words(tracker, preset.status_words)
    offers = [
        await _make_offer(
            tracker, network.id, f"{network_url}/click?offer={number}&{preset.offer_url_addition}", number
        )
        for number in range(1, len(WEIGHTS) + 1)
    ]
    campaign = {
        "name": "Sweepstakes, all countries",
        "source_id": source.id,
        "offers": [{"offer_id": offer.id, "weight": weight} for offer, weight in zip(offers, WEIGHTS, strict=True)],
    }
    made = await tracker.ask("POST", "/campaigns", campaign, _Made)
    own = await tracker.ask("POST", "/postback-rules", _own_rule(source_url), _Made)
    return SetUp(
        link=made.link,
        notice_url=network.postback_url,
        source_rule_id=source.postback_rule_id,
        own_rule_id=own.id,
        offer_ids=tuple(offer.id for offer in offers),
        campaign_id=made.id,
    )


async def _make_source(tracker: Tracker, source_url: str) -> _Made:
    """The source from its preset, its postback URL with the stand-in's host; sent for sales only, tried again soon."""
    preset = await tracker.ask("GET", f"/presets/traffic-sources/{SOURCE_PRESET}", None, _SourcePreset)
    query = preset.postback_url.partition("?")[2].replace("EVENT_NAME", "sale")
    body = {
        "name": preset.name,
        "preset": SOURCE_PRESET,
        "cost_currency": "USD",
        "postback_url": f"{source_url}/postback?{query}&id={{postback_id}}",
    }
    source = await tracker.ask("POST", "/traffic-sources", body, _Made)
    rule = {"conditions": {"statuses": ["sale"]}, "waits_seconds": WAITS_SECONDS}
    await tracker.ask("PATCH", f"/postback-rules/{source.postback_rule_id}", rule, _Made)
    return source


async def _make_offer(tracker: Tracker, network_id: int, url: str, number: int) -> _Made:
    body = {
        "name": f"Gift card {number}",
        "network_id": network_id,
        "url": f"{url}&sub2={{externalid}}&sub3={{country}}&sub4={{token1}}",
        "payout": {"amount": f"{OFFER_CENTS // 100}.{OFFER_CENTS % 100:02d}", "currency": "USD"},
    }
    return await tracker.ask("POST", "/offers", body, _Made)


async def _map_words(tracker: Tracker, words: dict[str, str]) -> None:
    """Gives the network's words for statuses to our statuses, as its preset has them."""
    for key in sorted(set(words.values())):
        status = await tracker.ask("GET", f"/statuses/{key}", None, _Words)
        new = [word for word, of_key in words.items() if of_key == key and word not in status.words]
        await tracker.ask("PATCH", f"/statuses/{key}", {"words": [*status.words, *new]}, _Words)


def _own_rule(source_url: str) -> dict[str, object]:
    """A rule of the whole instance: the user's own system is told of every status, in JSON."""
    fields = ("postback_id", "clickid", "txid", "conversion.key", "payout")
    names = ("postback_id", "click_id", "txid", "status", "payout")
    body = ", ".join(f'"{name}": "{{{field}}}"' for name, field in zip(names, fields, strict=True))
    return {
        "name": "Own system",
        "request": {"method": "POST", "url": f"{source_url}/own", "body_kind": "json", "body": f"{{{body}}}"},
        "conditions": {"statuses": ["hold", "sale", "rejected", "other"], "trigger": "status"},
        "waits_seconds": WAITS_SECONDS,
    }
