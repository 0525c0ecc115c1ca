"""An edge's journal of clicks, page events and notices, and a core that settles them. Real stores, a passed-in clock."""

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
from sqlalchemy import insert

from clickloop.click.click import Click
from clickloop.click.page.page_event import PageEvent, PageEventKind
from clickloop.click_id import ClickIds
from clickloop.clock import SECOND_MS
from clickloop.conversion.conversion import Conversion
from clickloop.conversion.notice import Channel, RawNotice
from clickloop.record_id import RecordIds
from clickloop.report.measure import Sums
from clickloop.report.query import Dimension, Report, ReportQuery
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.journal.reader import JournalReader
from clickloop.store.journal.segment import PAGE_EVENTS_STREAM, Damage
from clickloop.store.journal.writer import JournalWriter
from clickloop.store.ledger.logs.conversions import conversions_of_click
from clickloop.store.ledger.schema.tables import networks, offers
from clickloop.tracking.click_progress import ClickProgress, LandingClicks
from clickloop.tracking.notices import Intake
from clickloop.tracking.pages.settling_page_events import WaitingPageEvents, settle_page_events
from clickloop.tracking.settle import settle_clicks, settle_facts, settle_notices
from clickloop.tracking.waiting import WaitingNotices
from tests.empty_stores import open_facts, open_ledger
from tests.partner import NOW

encode = msgspec.json.Encoder().encode
LANDING = 4


class Machine:
    """``now`` is both clocks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = NOW
        self.click_ids = ClickIds(b"k" * 32)
        self.new_id = RecordIds(lambda: self.now)
        self.journal = folder / "journal"
        self.clicks = self._writer("clicks")
        self.page_events = self._writer(PAGE_EVENTS_STREAM)
        self.notices = self._writer("notices")
        self.ledger = open_ledger(folder / "ledger.sqlite")
        self.facts: DuckDbFacts = open_facts(folder / "facts.duckdb")
        self.start_core()

    def _writer(self, stream: str) -> JournalWriter:
        return JournalWriter.open(self.journal, stream, "edge1", lambda: self.now)

    def start_core(self) -> None:
        """Start a core without the state of the previous one."""
        clock, monotonic = (lambda: self.now), (lambda: self.now / 1000)
        self.progress = ClickProgress(self.journal, clock, monotonic)
        self.landing_clicks = LandingClicks(self.facts, self.journal, clock, monotonic)
        self.waiting_notices = WaitingNotices(monotonic)
        self.waiting_page_events = WaitingPageEvents(monotonic)
        self.readers = [JournalReader(self.journal, self.folder / "settled", clock) for _ in range(3)]
        self.damages: list[Damage] = []
        self.intake = Intake(
            self.ledger,
            self.facts,
            self.click_ids,
            self.new_id,
            "USD",
            progress=self.progress,
            landing_clicks=self.landing_clicks,
        )

    def visit(self, *, recorded: bool = True, **fields: Any) -> str:
        """Let a visitor follow the campaign link to a landing."""
        usual = {"campaign_id": 3, "source_id": 5, "landing_id": LANDING, "path_id": 8, "country": "DE"}
        click_id = self.click_ids.new(self.now)
        click = msgspec.convert(usual | fields | {"click_id": click_id, "at": self.now}, Click)
        if recorded:
            self.clicks.append(encode(click))
            self.clicks.close_segment()
        return click_id

    def press(
        self, click_id: str, offer_id: int = 7, network_id: int = 9, *, closed: bool = True, **fields: Any
    ) -> None:
        """Let the visitor press a button of the landing."""
        usual = {
            "kind": PageEventKind.LANDING_CLICK,
            "button": 1,
            "found_by": "cid",
            "target": "https://offer.example/",
        }
        self.happen(click_id, closed=closed, offer_id=offer_id, network_id=network_id, **(usual | fields))

    def happen(self, click_id: str, *, closed: bool = True, **fields: Any) -> None:
        """Record a page event."""
        event = {"event_id": self.new_id(), "at": self.now, "click_id": click_id} | fields
        self.page_events.append(encode(msgspec.convert(event, PageEvent)))
        if closed:
            self.page_events.close_segment()

    def view(self, click_id: str, **fields: Any) -> None:
        self.happen(click_id, kind=PageEventKind.LANDING_VIEW, loaded_ms=900, **fields)

    def notify(self, click_id: str, channel: Channel = Channel.S2S, **said: str) -> None:
        """Let a network report a conversion."""
        query = urlencode({"cid": click_id} | said)
        raw = RawNotice(notice_id=self.new_id(), at=self.now, channel=channel, query=query, ip="198.51.100.7")
        self.notices.append(encode(raw))
        self.notices.close_segment()

    def settle_clicks(self) -> None:
        if settle_clicks(self.readers[0], self.facts).clicks:
            self.progress.clicks_settled()

    def settle_page_events(self) -> None:
        batch = settle_page_events(self.readers[1], self.facts, self.now)
        self.damages += batch.damages
        self.waiting_page_events.step(self.facts, self.progress, self.now)

    def settle_notices(self) -> None:
        settle_notices(self.readers[2], self.intake, self.now)
        self.progress.look()
        self.landing_clicks.progress.look()
        self.waiting_notices.step(self.intake, self.now)
        settle_facts(self.ledger, self.facts)

    def settle(self) -> None:
        """Run a round of all workers."""
        self.settle_clicks()
        self.settle_page_events()
        self.settle_notices()

    def run(self, ms: int = 5 * SECOND_MS, step_ms: int = 200) -> None:
        """Let time pass while all workers work."""
        until = self.now + ms
        while self.now < until:
            self.settle()
            self.now += step_ms

    def sums(self) -> Sums:
        return self.report().totals

    def report(self, *group_by: Dimension) -> Report:
        query = ReportQuery(from_at=0, until_at=4_102_444_800_000, currency="USD", group_by=group_by)
        return self.facts.report(query, ())

    def conversions(self, click_id: str) -> list[Conversion]:
        with self.ledger.read() as tx:
            return conversions_of_click(tx, click_id)

    def set_up_network(self, number: int, **settings: object) -> None:
        values = {"name": f"N{number}", "postback_parameters": {}, "addresses": [], "refuse_duplicates": False}
        values |= {"id": number, "test_only": False, "created_at": 0, "updated_at": 0}
        with self.ledger.write() as tx:
            tx.execute(insert(networks).values(**(values | settings)))

    def set_up_offer(self, number: int, **settings: object) -> None:
        values = {"id": number, "name": f"O{number}", "url": "https://offer.example/", "tags": []}
        values |= {"created_at": 0, "updated_at": 0}
        with self.ledger.write() as tx:
            tx.execute(insert(offers).values(**(values | settings)))
