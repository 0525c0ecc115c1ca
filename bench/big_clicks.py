"""The clicks of the big data: genuine click ids, made by several processes, and rows that DuckDB generates for them."""

import hashlib
import math
import multiprocessing
import random
from collections.abc import Iterator
from pathlib import Path

import duckdb
import msgspec

from bench.big_setup import BigSetup
from clickloop.click.geo.geo_base import FixedPlace
from clickloop.click.visitor import Visitors
from clickloop.clock import DAY_MS
from clickloop.demo.browsers import BROWSERS
from clickloop.record_id import base32_tail, base32_time

_COUNTRY_CODES = "US IN BR DE ID GB FR MX PH TR NG VN ES IT PK TH CA PL CO EG ZA AR BD UA MY RO NL JP KE PE SA AU CL AE PT GR CZ SE MA HU"
COUNTRIES = tuple(_COUNTRY_CODES.split())
CARDINALITIES = (5_000, 300, 2_000, 20_000, 60, 12, 800, 40, 8, 3, 100, 15)
"""Number of distinct values of V1, V2 …"""
PART_ROWS = 300_000
_SWING = 0.1
"""Spread of clicks around the busy hours, in days."""


class ClickPlan(msgspec.Struct, frozen=True):
    """The number of clicks, their days up to a moment in Unix milliseconds, and the random seed."""

    count: int
    days: int
    until_at: int
    seed: int

    @property
    def from_at(self) -> int:
        """Return the moment of the first click."""
        return self.until_at - self.days * DAY_MS

    def moment(self, number: int) -> int:
        """Return the moment of click ``number``. Moments ascend, and some hours of the day are busier than others."""
        day = number / self.count * self.days
        swung = day + _SWING * math.sin(2 * math.pi * day) * min(1.0, self.days - day, day)
        return self.from_at + int(swung * DAY_MS)

    @property
    def parts(self) -> int:
        """Return the number of parts. Each has several row groups, which the engine writes without its log."""
        return max(1, self.count // PART_ROWS)

    def part_range(self, part: int) -> range:
        """Return the numbers of a part's clicks."""
        return range(self.count * part // self.parts, self.count * (part + 1) // self.parts)


def key_of(seed: int) -> bytes:
    """Return the key of the click ids, which is not secret here."""
    return hashlib.sha256(b"big data %d" % seed).digest()


def id_files(clicks: ClickPlan, folder: Path) -> Iterator[Path]:
    """Yield for each part a CSV file with number, id and moment of its clicks, written by one process per core."""
    jobs = [(clicks, part, folder / f"{part}.csv") for part in range(clicks.parts)]
    with multiprocessing.get_context("spawn").Pool() as pool:
        yield from pool.imap(_write_ids, jobs)


def _write_ids(job: tuple[ClickPlan, int, Path]) -> Path:
    clicks, part, path = job
    numbers = clicks.part_range(part)
    chance = random.Random(clicks.seed * 1_000 + part)
    tagger = hashlib.blake2s(key=key_of(clicks.seed), digest_size=3)
    lines = []
    for number in numbers:
        at = clicks.moment(number)
        drawn = chance.getrandbits(36) | (number & 0xFFFFF) << 36
        tag = tagger.copy()
        tag.update(at.to_bytes(6, "big") + drawn.to_bytes(7, "big"))
        tail = base32_tail(drawn << 24 | int.from_bytes(tag.digest(), "big"))
        lines.append(f"{number},{base32_time(at)}{tail},{at}\n")
    path.write_text("".join(lines))
    return path


def prepare(database: duckdb.DuckDBPyConnection, setup: BigSetup, seed: int) -> None:
    """Create what rows are drawn from: campaigns, offers, browsers, and ``chance``, a hash of number and purpose."""
    database.execute(
        "CREATE TEMP MACRO chance(n, k) AS "
        f"(hash(n * 101 + k * 7919 + {seed} * 1000003) >> 11)::DOUBLE / 9007199254740992"
    )
    database.execute(
        "CREATE TEMP TABLE big_campaigns (slot INT, campaign_id BIGINT, source_id BIGINT, offer_ids BIGINT[], "
        "cost_currency VARCHAR, n_rows INT)"
    )
    campaigns = [
        [
            slot,
            campaign.campaign_id,
            campaign.source_id,
            list(campaign.offer_ids),
            campaign.cost_currency,
            campaign.rows,
        ]
        for slot, campaign in enumerate(setup.campaigns)
    ]
    database.executemany("INSERT INTO big_campaigns VALUES (?, ?, ?, ?, ?, ?)", campaigns)
    database.execute("CREATE TEMP TABLE big_offers (offer_id BIGINT, network_id BIGINT)")
    offers = [[offer.offer_id, offer.network_id] for offer in setup.offers]
    database.executemany("INSERT INTO big_offers VALUES (?, ?)", offers)
    texts = ", ".join(f"{name} VARCHAR" for name in _BROWSER_COLUMNS)
    database.execute(f"CREATE TEMP TABLE big_browsers (slot INT, {texts})")
    database.executemany("INSERT INTO big_browsers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", _browsers())


def insert_part(database: duckdb.DuckDBPyConnection, ids: Path, browsers: int, campaigns: int) -> None:
    """Insert the clicks of a part in ascending order, as settling would."""
    columns = {**_drawn_columns(), **_parameter_columns()}
    database.execute(
        f"""
        INSERT INTO facts ({", ".join(f'"{name}"' for name in columns)})
        SELECT {", ".join(columns.values())}
        FROM (
            SELECT *, offer_ids[1 + floor(len(offer_ids) * chance(n, 3))::INT] AS chosen_id
            FROM read_csv($ids, header = false, columns = {{'n': 'BIGINT', 'id': 'VARCHAR', 'ms': 'BIGINT'}}) AS hits
            JOIN big_campaigns ON big_campaigns.slot = floor({campaigns} * pow(chance(n, 1), 1.8))::INT
        ) AS drawn
        JOIN big_browsers ON big_browsers.slot = floor({browsers} * chance(n, 2))::INT
        JOIN big_offers ON big_offers.offer_id = chosen_id
        ORDER BY id
        """,
        {"ids": str(ids)},
    )


_BROWSER_COLUMNS = ("useragent", "device", "brand", "model", "os", "os_version", "browser", "browser_version")


def _drawn_columns() -> dict[str, str]:
    """Return an expression for each column of the facts. NULL stands for the field's default."""
    country = f"list_extract({list(COUNTRIES)}, 1 + floor({len(COUNTRIES)} * pow(chance(n, 4), 2.2))::INT)"
    screening = "CASE WHEN chance(n, 5) < 0.012 THEN 'prefetch' WHEN chance(n, 5) < 0.018 THEN 'preview_bot' "
    screening += "WHEN chance(n, 5) < 0.0205 THEN 'head_request' WHEN chance(n, 5) < 0.0206 THEN 'test' END"
    return {
        "click_id": "id",
        "click_at": "ms",
        "campaign_id": "campaign_id",
        "source_id": "source_id",
        "offer_id": "big_offers.offer_id",
        "network_id": "network_id",
        "external_id": "CASE WHEN chance(n, 6) < 0.004 THEN NULL WHEN chance(n, 6) < 0.006 THEN '{clickid}' ELSE md5(n::VARCHAR) END",
        "flags": "CASE WHEN chance(n, 6) BETWEEN 0.004 AND 0.006 THEN 'unreplaced_external_id' END",
        "cost_micros": "1000 + floor(60000 * pow(chance(n, 7), 3))::BIGINT",
        "cost_currency": "cost_currency",
        "currency": "cost_currency",
        "target": "'https://offers.network' || network_id || '.example/' || big_offers.offer_id || '?sub1=' || id",
        "domain": "CASE WHEN campaign_id % 4 = 0 THEN 'go.trk-two.example' ELSE 'trk.example' END",
        "ip": "(10 + hash(n) % 200) || '.' || hash(n + 1) % 256 || '.' || hash(n + 2) % 256 || '.' || hash(n + 3) % 256",
        "country": country,
        "language": "list_extract(['en-us', 'en', 'de', 'es', 'pt-br', 'hi', 'fr', 'id', 'tr', 'vi', 'th', 'ru', 'ar'], "
        "1 + floor(13 * pow(chance(n, 8), 2))::INT)",
        **{name: name for name in _BROWSER_COLUMNS},
        "unique": "CASE WHEN chance(n, 9) < 0.82 THEN true END",
        "screening": screening,
        "kind": "'click'",
        "fact_at": "ms",
        "clicks": "CASE WHEN chance(n, 5) < 0.0206 THEN 0 ELSE 1 END",
    }


def _parameter_columns() -> dict[str, str]:
    """Return expressions for V1 and on, as far as the click's source has rows. A few values have most of the clicks."""
    words = ("1{}", "{}", "creative-{}", "site{}.example", "keyword {}", "ad-{}")
    columns = {}
    for number, values in enumerate(CARDINALITIES, 1):
        before, after = words[(number - 1) % len(words)].split("{}")
        value = f"'{before}' || floor({values} * pow(chance(n, {20 + number}), 2.5))::BIGINT || '{after}'"
        columns[f"v{number}"] = f"CASE WHEN n_rows >= {number} THEN {value} END"
    return columns


def browser_rows() -> int:
    """Return the number of slots for browsers."""
    return len(_browsers())


def _browsers() -> list[list[object]]:
    """Return common browsers in several versions, parsed as the edge parses them. Phones have three slots each."""
    visitors = Visitors(FixedPlace())
    rows: list[list[object]] = []
    for older in range(8):
        for useragent in BROWSERS:
            text = useragent.replace("Chrome/131", f"Chrome/{131 - older}")
            text = text.replace("Version/18.1", f"Version/{18 - older // 3}.{older % 3}")
            device = visitors.device_of(text.encode()).device
            device_fields = (device.kind, device.brand, device.model, device.os, device.os_version)
            row = [value or None for value in (text, *device_fields, device.browser, device.browser_version)]
            rows += [[len(rows) + again, *row] for again in range(3 if device.kind == "mobile" else 1)]
    return rows
