"""Page events in DuckDB: loading them with the dimensions of their clicks, those that wait for their click, and finding them."""

from collections.abc import Collection, Sequence
from typing import Any

import duckdb
import msgspec

from clickloop.click.page.page_event import PageEvent, PageEventFlag, PageEventKind
from clickloop.report.page_event_fact import PageEventFact
from clickloop.store.facts.duckdb.columns import insert_of_page_events
from clickloop.store.facts.facts import FactsError, KnownOfPageEvents, WaitingPageEvent

_INSERT = insert_of_page_events()
# The range in addition to the list: the engine skips row groups by ranges, but not by lists.
_OF_CLICKS = "of_click_id = ANY($ids) AND of_click_id BETWEEN $first AND $last"
_CLICKS = """
SELECT click_id, coalesce(screening, '') FROM facts WHERE click_id = ANY($ids) AND click_id BETWEEN $first AND $last
"""
_PRESSED = f"SELECT DISTINCT of_click_id, coalesce(button, 0) FROM facts WHERE landing_clicks = 1 AND {_OF_CLICKS}"  # noqa: S608
_KNOWN_IDS = f"""
SELECT DISTINCT event_id FROM facts WHERE event_id = ANY($event_ids) AND landing_views IS NOT NULL AND {_OF_CLICKS}
UNION ALL SELECT event_id FROM waiting_page_events WHERE event_id = ANY($event_ids)
"""  # noqa: S608 – names are ours, values are bound
_FIND = f"""
SELECT of_click_id, event_id, fact_at, kind, button, offer_id, network_id, target, found_by, flags, screening, loaded_ms, instead_of,
       event_number, event_micros
FROM facts WHERE landing_views IS NOT NULL AND correction IS NULL AND {_OF_CLICKS} AND ($kind = '' OR kind = $kind)
QUALIFY row_number() OVER (PARTITION BY of_click_id ORDER BY fact_at DESC, event_id DESC) <= $most
ORDER BY fact_at, event_id, event_number NULLS FIRST
"""  # noqa: S608 – names are ours, values are bound
_FIND_WAITING = "SELECT line FROM waiting_page_events WHERE click_id = ANY($ids)"
_UNKNOWN = """
SELECT count(DISTINCT event_id) FROM facts WHERE landing_views IS NOT NULL AND campaign_id IS NULL AND contains(flags, $flag)
"""
_encode = msgspec.json.Encoder().encode


def load(
    writer: duckdb.DuckDBPyConnection,
    facts: Sequence[PageEventFact],
    waiting: Sequence[WaitingPageEvent],
    no_longer_waiting: Collection[str],
) -> None:
    """Add rows, and change which events wait. Call it in a transaction. Raise FactsError if a row would be lost."""
    if no_longer_waiting:
        writer.execute("DELETE FROM waiting_page_events WHERE event_id = ANY($ids)", {"ids": list(no_longer_waiting)})
    if waiting:
        writer.execute(
            "INSERT INTO waiting_page_events SELECT unnest($event_ids::VARCHAR[]), unnest($click_ids::VARCHAR[]), "
            "unnest($first_looks::BIGINT[]), unnest($lines::VARCHAR[])",
            {
                "event_ids": [one.event.event_id for one in waiting],
                "click_ids": [one.event.click_id for one in waiting],
                "first_looks": [one.first_look_at for one in waiting],
                "lines": [_encode(one.event).decode() for one in waiting],
            },
        )
    if facts:
        lines = [_encode(fact).decode() for fact in facts]
        # A single list as parameter: executemany takes milliseconds per row.
        row = writer.execute(_INSERT, {"lines": lines} | _ids({fact.click_id for fact in facts})).fetchone()
        added = int(row[0]) if row else 0
        if added != len(facts):
            raise FactsError(f"{added} rows of page events were added where {len(facts)} were expected")


def known_of(reader: duckdb.DuckDBPyConnection, events: Sequence[PageEvent]) -> KnownOfPageEvents:
    """Return what is known of these events, of their clicks and of the buttons that were pressed before."""
    if not events:
        return KnownOfPageEvents()
    ids = _ids({event.click_id for event in events})
    event_ids = {"event_ids": [event.event_id for event in events]}
    return KnownOfPageEvents(
        screenings={str(click_id): str(word) for click_id, word in reader.execute(_CLICKS, ids).fetchall()},
        pressed=frozenset((str(id_), int(button)) for id_, button in reader.execute(_PRESSED, ids).fetchall()),
        event_ids=frozenset(str(row[0]) for row in reader.execute(_KNOWN_IDS, ids | event_ids).fetchall()),
    )


def waiting_events(reader: duckdb.DuckDBPyConnection, after_id: str, limit: int) -> list[WaitingPageEvent]:
    """Return events that wait for their click, in the order of their ids."""
    query = "SELECT line, first_look_at FROM waiting_page_events WHERE event_id > $after ORDER BY event_id LIMIT $limit"
    rows = reader.execute(query, {"after": after_id, "limit": limit}).fetchall()
    return [WaitingPageEvent(_event_of(line), int(first_look_at)) for line, first_look_at in rows]


def find_events(
    reader: duckdb.DuckDBPyConnection, click_ids: Collection[str], kind: PageEventKind | None, most: int
) -> dict[str, tuple[PageEvent, ...]]:
    """Return the newest events by click id, oldest first, including those that wait for their click."""
    if not click_ids:
        return {}
    ids = _ids(click_ids)
    rows = reader.execute(_FIND, ids | {"kind": kind.value if kind else "", "most": most}).fetchall()
    by_id: dict[str, PageEvent] = {}
    for row in rows:
        event = _event_of_row(row)
        before = by_id.get(event.event_id)
        by_id[event.event_id] = event if before is None else _with_events(before, event.events)
    for (line,) in reader.execute(_FIND_WAITING, {"ids": ids["ids"]}).fetchall():
        event = _event_of(line)
        if kind is None or event.kind is kind:
            by_id.setdefault(event.event_id, event)
    found: dict[str, list[PageEvent]] = {}
    for event in sorted(by_id.values(), key=lambda event: (event.at, event.event_id)):
        found.setdefault(event.click_id, []).append(event)
    return {click_id: tuple(events[-most:]) for click_id, events in found.items()}


def count_unknown(reader: duckdb.DuckDBPyConnection) -> int:
    """Return the number of events whose click is unknown."""
    row = reader.execute(_UNKNOWN, {"flag": PageEventFlag.UNKNOWN_CLICK.value}).fetchone()
    return int(row[0]) if row else 0


def _ids(click_ids: Collection[str]) -> dict[str, object]:
    return {"ids": list(click_ids), "first": min(click_ids), "last": max(click_ids)}


def _event_of(line: str) -> PageEvent:
    return msgspec.json.decode(line, type=PageEvent)


_NAMES = (
    *("click_id", "event_id", "at", "kind", "button", "offer_id", "network_id", "target", "found_by", "flags"),
    *("screening", "loaded_ms", "instead_of"),
)


def _event_of_row(row: tuple[Any, ...]) -> PageEvent:
    """Return the event in a row; NULL stands for a field's default."""
    *fields, number, micros = row
    present = {name: value for name, value in zip(_NAMES, fields, strict=True) if value is not None}
    return msgspec.convert(present | {"events": {number: micros or 0} if number else {}}, PageEvent)


def _with_events(event: PageEvent, events: dict[int, int]) -> PageEvent:
    return msgspec.structs.replace(event, events=event.events | events)
