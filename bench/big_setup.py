"""The set-up of the big data: sources and networks from presets, offers, campaigns and rules, created over the API."""

import random
from typing import Any

import msgspec
from litestar.testing import TestClient

from clickloop.report.rate_text import day_text
from clickloop.setup.preset.preset import source_presets
from clickloop.web.api.application import create_api
from clickloop.web.api.context import ApiContext

SOURCE_KEYS = (
    *("mgid", "richads", "clickadu", "adcash", "kadam", "trafficstars"),
    *("propellerads", "exoclick", "taboola", "pushground", "ezmob", "tiktok"),
)
NETWORK_KEYS = ("affise", "everflow", "cake", "trackier", "adcombo", "terraleads", "buygoods", "traffic-company")
VERTICALS = ("Sweepstakes", "Nutra", "Dating", "Finance", "Gaming", "Utilities", "Casino", "Crypto")
REGIONS = ("US", "DACH", "LATAM", "India", "SEA", "Tier 1", "Tier 2", "Worldwide")
MAX_ROWS = 12
EURO_SOURCES = frozenset({"kadam", "adcash"})
OWN_RULES_OF = 0.75
"""Share of campaigns with their own postback rule."""


class BigCampaign(msgspec.Struct, frozen=True):
    """The parts of a campaign that clicks need."""

    campaign_id: int
    source_id: int
    offer_ids: tuple[int, ...]
    cost_currency: str
    rows: int
    """Number of parameter rows of its source, V1 and on."""


class BigOffer(msgspec.Struct, frozen=True):
    """The parts of an offer that notices need."""

    offer_id: int
    network_id: int
    token: str
    """Token of its network; empty for none."""
    currency: str
    payout_cents: int


class BigSetup(msgspec.Struct, frozen=True):
    """The campaigns and offers of the set-up."""

    campaigns: tuple[BigCampaign, ...]
    offers: tuple[BigOffer, ...]


def set_up(context: ApiContext, chance: random.Random, days: range, campaigns: int, offers: int) -> BigSetup:
    """Create 12 sources, 8 networks, offers, campaigns, and exchange rates for ``days`` (since 1970-01-01).

    Hosts end in .example, so that nothing can ever be sent.
    """
    with TestClient(create_api(context)) as client:
        client.headers["authorization"] = f"Bearer {context.local_token}"
        sources = [_source(client, key) for key in SOURCE_KEYS]
        networks = [_network(client, key, number) for number, key in enumerate(NETWORK_KEYS)]
        made_offers = tuple(_offer(client, networks[n % len(networks)], n, chance) for n in range(offers))
        made = tuple(_campaign(client, sources[n % len(sources)], made_offers, n, chance) for n in range(campaigns))
        _rates(client, days, chance)
        _rules(client, made[: round(len(made) * OWN_RULES_OF)])
    return BigSetup(made, made_offers)


def _made(client: TestClient[Any], noun: str, body: dict[str, Any]) -> Any:
    answer = client.post(f"/api/v1/{noun}", json=body)
    if answer.status_code != 201:
        raise RuntimeError(f"POST {noun} was answered {answer.status_code}: {answer.text}")
    return answer.json()


def _source(client: TestClient[Any], key: str) -> Any:
    body = {
        "name": source_presets()[key].name,
        "preset": key,
        "cost_currency": "EUR" if key in EURO_SOURCES else "USD",
        "postback_url": f"https://postback.{key}.example/conversion?id={{externalid}}&payout={{payout}}&t={{txid}}",
    }
    return _made(client, "traffic-sources", body)


def _network(client: TestClient[Any], key: str, number: int) -> tuple[int, str, str]:
    """Create a network and return its number, token and parameter for our click id. The last one has no token, as some have."""
    token = "" if number == len(NETWORK_KEYS) - 1 else f"network-token-{number}"
    body = {"name": key.replace("-", " ").title(), "preset": key, "token": token, "click_id_parameter": "sub1"}
    return _made(client, "networks", body)["id"], token, "sub1"


def _offer(client: TestClient[Any], network: tuple[int, str, str], number: int, chance: random.Random) -> BigOffer:
    network_id, token, parameter = network
    currency = "EUR" if number % 7 == 3 else "GBP" if number % 19 == 5 else "USD"
    cents = chance.choice((90, 140, 220, 350, 600, 1_200, 2_500, 4_000))
    body: dict[str, Any] = {
        "name": f"{VERTICALS[number % len(VERTICALS)]} {REGIONS[number // 3 % len(REGIONS)]} #{number + 1}",
        "network_id": network_id,
        "url": f"https://offers.network{network_id}.example/{number + 1}?{parameter}={{clickid}}&sub2={{externalid}}",
        "currency": currency,
    }
    if number % 3 == 0:
        body["payout"] = {"amount": f"{cents // 100}.{cents % 100:02d}", "currency": currency}
    made = _made(client, "offers", body)
    return BigOffer(made["id"], network_id, token, currency, cents)


def _campaign(
    client: TestClient[Any], source: Any, offers: tuple[BigOffer, ...], number: int, chance: random.Random
) -> BigCampaign:
    chosen = chance.sample(offers, min(len(offers), 1 + number % 3))
    body = {
        "name": f"{source['name']} – {VERTICALS[number % len(VERTICALS)]} {REGIONS[number % 5]} {number + 1}",
        "source_id": source["id"],
        "offers": [{"offer_id": offer.offer_id, "weight": chance.choice((50, 100))} for offer in chosen],
        "fallback_url": "https://fallback.example/",
    }
    made = _made(client, "campaigns", body)
    rows = min(MAX_ROWS, sum(1 for row in source["parameters"] if row["number"] > 0))
    offer_ids = tuple(offer.offer_id for offer in chosen)
    return BigCampaign(made["id"], source["id"], offer_ids, source["cost_currency"], rows)


def _rates(client: TestClient[Any], days: range, chance: random.Random) -> None:
    rates = [
        {"currency": currency, "day": day_text(day), "rate": f"{usual + chance.randrange(400) / 10_000:.4f}"}
        for currency, usual in (("EUR", 1.06), ("GBP", 1.25))
        for day in days
    ]
    answer = client.post("/api/v1/rates", json={"rates": rates})
    if answer.status_code != 200:
        raise RuntimeError(f"POST rates was answered {answer.status_code}: {answer.text}")


def _rules(client: TestClient[Any], campaigns: tuple[BigCampaign, ...]) -> None:
    own: dict[str, Any] = {
        "name": "Own system",
        "request": {
            "method": "POST",
            "url": "https://crm.example/clickloop",
            "body_kind": "json",
            "body": '{"id": "{postback_id}", "click": "{clickid}", "status": "{conversion.key}", "payout": "{payout}"}',
        },
        "conditions": {"statuses": ["hold", "sale", "rejected", "other"], "trigger": "status"},
    }
    _made(client, "postback-rules", own)
    for campaign in campaigns:
        number = campaign.campaign_id
        url = f"https://hooks{number % 5}.example/{number}?p={{payout}}&c={{country}}&s={{conversion.group}}"
        body = {
            "name": f"Hook of campaign {number}",
            "campaign_id": number,
            "request": {"url": url},
            "conditions": {"minimum_payout": "1"} if number % 2 else {},
        }
        _made(client, "postback-rules", body)
