"""Facts of visits and what they earned, for tests of learning paths."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from clickloop.click.click import Click
from clickloop.click.page.page_event import PageEvent, PageEventKind
from clickloop.click_id import ClickIds
from clickloop.report.fact import ConversionFact
from clickloop.report.page_event_fact import page_event_facts
from clickloop.store.facts.facts import FactsStore
from clickloop.store.journal.segment import Segment, SegmentContents, closed_segment_bytes
from tests.empty_stores import open_facts

PATH = 5
_ids = ClickIds(b"k" * 32)


class Earnings:
    """Facts to load clicks, landing clicks and conversions into."""

    def __init__(self, folder: Path, facts: FactsStore | None = None) -> None:
        self.folder = folder
        self.facts = facts or open_facts(folder / "facts.duckdb")
        self._number = 0  # of files, events and rows of the outbox

    def click(self, at: int, **fields: object) -> Click:
        """Load a visit of the path and return its click."""
        return self.clicks(at, 1, **fields)[0]

    def clicks(self, at: int, count: int, **fields: object) -> list[Click]:
        """Load visits of the path at the same moment."""
        known = {"at": at, "campaign_id": 1, "source_id": 2, "path_id": PATH}
        clicks = [msgspec.convert(known | fields | {"click_id": _ids.new(at)}, Click) for _ in range(count)]
        self._number += 1
        path = self.folder / f"{self._number:08d}.ndjson"
        lines = [msgspec.json.encode(click)[:-1] + b',"crc":1}' for click in clicks]
        path.write_bytes(closed_segment_bytes(self._number, lines))
        segment = Segment(path, "clicks", "writer", self._number, path.stat().st_size)
        self.facts.load_clicks([SegmentContents(segment, count)])
        return clicks

    def press(self, click: Click, offer_id: int, button: int = 1, after_ms: int = 0) -> None:
        self._number += 1
        event = PageEvent(
            event_id=f"e{self._number}",
            at=click.at + after_ms,
            kind=PageEventKind.LANDING_CLICK,
            click_id=click.click_id,
            button=button,
            offer_id=offer_id,
        )
        self.facts.load_page_events(page_event_facts(event, "", is_repeated=False), (), ())

    def convert(self, click: Click, dollars: int, after_ms: int = 0, **fields: object) -> None:
        self.facts.load_facts([self._conversion(click, dollars, after_ms, fields)])

    def convert_each(self, clicks: Sequence[Click], dollars: int) -> None:
        """Load a conversion of each of these clicks, in one transaction."""
        self.facts.load_facts([self._conversion(click, dollars, 0, {}) for click in clicks])

    def _conversion(self, click: Click, dollars: int, after_ms: int, fields: Mapping[str, object]) -> tuple[int, bytes]:
        """Return a row of the outbox."""
        self._number += 1
        known = {
            "click": click,
            "conversion_id": f"c{self._number}",
            "at": click.at + after_ms,
            "recorded_at": click.at + after_ms,
            "status_key": "sale",
            "counts_as": "confirmed",
            "currency": "USD",
            "conversions": 1,
            "revenue_micros": dollars * 1_000_000,
        }
        fact = msgspec.convert(msgspec.to_builtins({**known, **fields}), ConversionFact)
        return self._number, msgspec.json.encode(fact)
