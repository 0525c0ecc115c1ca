"""The partner of the tests of notices: an empty tracker, and what networks send it."""

from collections.abc import Collection
from pathlib import Path
from urllib.parse import urlencode

import msgspec
from sqlalchemy import insert

from clickloop.click.click import Click
from clickloop.click_id import ClickIds
from clickloop.clock import MINUTE_MS
from clickloop.conversion.conversion import Conversion
from clickloop.conversion.notice import Channel, RawNotice, RefusalReason
from clickloop.conversion.notice_log import NoticeOutcome
from clickloop.record_id import RecordIds
from clickloop.report.fact import ConversionFact
from clickloop.store.ledger.logs.conversions import (
    conversions_of_click,
)
from clickloop.store.ledger.logs.outbox import oldest_facts
from clickloop.store.ledger.schema.tables import networks
from clickloop.text import escape_bytes
from clickloop.tracking.notices import Intake, take_notices
from tests.empty_stores import open_ledger

NOW = 1_772_366_400_000  # 2026-03-01T12:00:00Z


class Clicks:
    """The facts, as far as notices need them."""

    def __init__(self) -> None:
        self.arrived: dict[str, Click] = {}
        self.asked = 0

    def find_clicks(self, click_ids: Collection[str]) -> dict[str, Click]:
        self.asked += 1
        return {click_id: self.arrived[click_id] for click_id in click_ids if click_id in self.arrived}


class Partner:
    """A network whose visitors click, and which tells us of their conversions."""

    def __init__(self, path: Path) -> None:
        self.clicks = Clicks()
        self.click_ids = ClickIds(b"k" * 32)
        self.new_id = RecordIds(lambda: NOW)
        self.intake = Intake(open_ledger(path / "ledger.sqlite"), self.clicks, self.click_ids, self.new_id, "USD")

    def click(self, at: int = NOW - MINUTE_MS, *, arrived: bool = True) -> str:
        click_id = self.click_ids.new(at)
        if arrived:
            self.arrives(click_id, at)
        return click_id

    def arrives(self, click_id: str, at: int = NOW - MINUTE_MS) -> None:
        self.clicks.arrived[click_id] = Click(
            click_id=click_id,
            at=at,
            campaign_id=3,
            source_id=5,
            offer_id=7,
            network_id=9,
            external_id="source click",
        )

    def notice(self, cid: str | None = None, at: int = NOW, **said: str) -> RawNotice:
        query = urlencode(({} if cid is None else {"cid": cid}) | said)
        return RawNotice(
            notice_id=self.new_id(), at=at, channel=Channel.S2S, query=escape_bytes(query.encode()), ip="198.51.100.7"
        )

    def set_up_network(self, **settings: object) -> None:
        values = {
            "id": 9,
            "name": "N",
            "postback_parameters": {},
            "addresses": [],
            "refuse_duplicates": False,
            "test_only": False,
            "created_at": 0,
            "updated_at": 0,
        }
        with self.intake.ledger.write() as tx:
            tx.execute(insert(networks).values(**(values | settings)))

    def outcomes(self, *raws: RawNotice, now: int = NOW) -> list[NoticeOutcome | RefusalReason]:
        return [result.reason or result.outcome for result in take_notices(self.intake, raws, now)]

    def conversions(self, click_id: str) -> list[Conversion]:
        with self.intake.ledger.read() as tx:
            return conversions_of_click(tx, click_id)

    def facts(self) -> list[ConversionFact]:
        with self.intake.ledger.read() as tx:
            return [msgspec.json.decode(line, type=ConversionFact) for _, line in oldest_facts(tx, 10_000)]
