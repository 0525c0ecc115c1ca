"""The conformance suite of stores of facts, each a parameter of ``facts``; DuckDB's files are tested below."""

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clickloop.click.click import Click
from clickloop.click.click_log import ClickFilter
from clickloop.click_id import ClickIds
from clickloop.clock import DAY_MS, iso_text
from clickloop.record_id import RecordIds, base32_tail, base32_time
from clickloop.report.evidence import ClickEvidence
from clickloop.report.fact import ConversionFact
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.facts.facts import FactsDamagedError, FactsError, FactsInUseError, FactsStore, SegmentRefusedError
from clickloop.store.journal.reader import JournalReader
from clickloop.store.journal.segment import DamageKind, Segment, SegmentContents, closed_segment_bytes
from clickloop.store.journal.writer import JournalWriter
from clickloop.text import escape_bytes, unescape_bytes
from clickloop.tracking.settle import settle_clicks
from tests.empty_stores import open_facts
from tests.store.counting import sums_of

OPENERS: dict[str, Callable[[Path], FactsStore]] = {"duckdb": lambda folder: open_facts(folder / "facts.duckdb")}
NOON = 1_760_000_000_000


class Store:
    """A store of facts in a folder, which can be reopened, and segments to load."""

    def __init__(self, folder: Path, opener: Callable[[Path], FactsStore]) -> None:
        self.folder = folder
        self._opener = opener
        self.facts = opener(folder)
        self._number = 0

    def reopen(self) -> None:
        self.facts.close()
        self.facts = self._opener(self.folder)

    def segment(self, *records: bytes) -> SegmentContents:
        """Write a segment of these records."""
        self._number += 1
        path = self.folder / f"{self._number:08d}.ndjson"
        path.write_bytes(closed_segment_bytes(self._number, [record[:-1] + b',"crc":1}' for record in records]))
        segment = Segment(path, "clicks", "writer", self._number, path.stat().st_size)
        return SegmentContents(segment, len(records))

    def load(self, *clicks: Click) -> int:
        return self.facts.load_clicks([self.segment(*map(msgspec.json.encode, clicks))])


@pytest.fixture(params=list(OPENERS))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path, OPENERS[request.param])
    yield opened
    opened.facts.close()


_ids = ClickIds(b"k" * 32)


def a_click(moment: int = NOON, **fields: object) -> Click:
    return msgspec.convert(
        {"click_id": _ids.new(moment), "at": moment, "campaign_id": 1, "source_id": 2} | fields, Click
    )


def a_fact(click: Click, conversions: int = 1, **fields: object) -> ConversionFact:
    known = {
        "conversion_id": "c1",
        "at": NOON,
        "recorded_at": NOON,
        "status_key": "sale",
        "counts_as": "confirmed",
        "currency": "USD",
        "conversions": conversions,
    }
    return msgspec.convert(msgspec.to_builtins(known | {"click": click} | fields), ConversionFact)


def test_a_loaded_click_is_found_with_every_field(store: Store) -> None:
    values = {str: "x", int: 7, bool: True}
    click = a_click(
        NOON,
        **{
            field.name: values[field.type]
            for field in msgspec.structs.fields(Click)
            if field.name not in ("click_id", "at")
        },
    )
    store.load(click)
    assert store.facts.find_clicks([click.click_id]) == {click.click_id: click}


def test_a_click_of_defaults_is_found_with_its_defaults(store: Store) -> None:
    click = a_click()
    store.load(click)
    assert store.facts.find_clicks([click.click_id]) == {click.click_id: click}


def test_absent_ids_are_absent(store: Store) -> None:
    store.load(a_click())
    assert store.facts.find_clicks([RecordIds()()]) == {}
    assert store.facts.find_clicks([]) == {}


def test_many_clicks_are_found_at_once(store: Store) -> None:
    clicks = [a_click(NOON + number) for number in range(300)]
    store.load(*clicks)
    wanted = clicks[::3]
    assert store.facts.find_clicks([click.click_id for click in wanted]) == {click.click_id: click for click in wanted}


def test_a_segment_is_loaded_once_even_when_it_is_given_twice_and_after_reopening(store: Store) -> None:
    contents = store.segment(msgspec.json.encode(a_click()))
    assert store.facts.load_clicks([contents, contents]) == 1
    assert store.facts.load_clicks([contents]) == 0
    store.reopen()
    assert store.facts.load_clicks([contents]) == 0
    assert len(store.facts.clicks_page(ClickFilter(), 10)) == 1


def test_a_forgotten_segment_stays_loaded_once(store: Store) -> None:
    contents = store.segment(msgspec.json.encode(a_click()))
    store.facts.load_clicks([contents])
    store.facts.forget_segments([contents.segment.name])
    store.load(a_click())
    store.reopen()
    assert len(store.facts.clicks_page(ClickFilter(), 10)) == 2


def test_several_segments_and_an_empty_one_are_loaded_together(store: Store) -> None:
    segments = [
        store.segment(msgspec.json.encode(a_click())),
        store.segment(),
        store.segment(*[msgspec.json.encode(a_click())] * 1),
    ]
    assert store.facts.load_clicks(segments) == 2
    assert store.facts.load_clicks([]) == 0


@pytest.mark.parametrize(
    "record",
    [
        b'{"at":1}',
        b'{"click_id":"x","at":"noon","campaign_id":1,"source_id":1}',
        b'{"click_id":"x","at":99999999999999999999,"campaign_id":1,"source_id":1}',
        b'{"click_id":"x","at":1,"campaign_id":1,"source_id":1',
        b'{"click_id":"x","at":1,"campaign_id":1,"source_id":1,"v1":"\xff"}',
    ],
)
def test_a_record_that_is_no_click_is_refused_with_its_segment_and_nothing_of_it_is_loaded(
    store: Store, record: bytes
) -> None:
    good = store.segment(msgspec.json.encode(a_click()))
    bad = store.segment(msgspec.json.encode(a_click()), record)
    with pytest.raises(SegmentRefusedError) as refusal:
        store.facts.load_clicks([good, bad])
    assert (refusal.value.segment_name, refusal.value.loaded) == (bad.segment.name, 1)
    assert len(store.facts.clicks_page(ClickFilter(), 10)) == 1
    assert not store.facts.accepts_click(record)


def test_a_click_is_accepted(store: Store) -> None:
    assert store.facts.accepts_click(msgspec.json.encode(a_click(v1='"\U0010ff00')))


def test_pages_go_from_the_newest_to_the_oldest_without_gap_or_repeat(store: Store) -> None:
    clicks = [a_click(NOON + number // 3) for number in range(20)]
    store.load(*clicks[10:])
    store.load(*clicks[:10])
    seen: list[Click] = []
    while page := store.facts.clicks_page(ClickFilter(), 7, seen[-1].click_id if seen else ""):
        seen += page
    assert seen == clicks[::-1]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        (ClickFilter(campaign_id=2), [3, 2]),
        (ClickFilter(source_id=9), [3]),
        (ClickFilter(external_id="a b"), [1]),
        (ClickFilter(external_id=""), [3, 2, 0]),
        (ClickFilter(since=iso_text(NOON + 1), until=iso_text(NOON + 3)), [2, 1]),
        (ClickFilter(campaign_id=2, source_id=2), [2]),
    ],
)
def test_pages_are_narrowed(store: Store, query: ClickFilter, numbers: list[int]) -> None:
    clicks = [
        a_click(NOON),
        a_click(NOON + 1, external_id="a b"),
        a_click(NOON + 2, campaign_id=2),
        a_click(NOON + 3, campaign_id=2, source_id=9),
    ]
    store.load(*clicks)
    assert store.facts.clicks_page(query, 10) == [clicks[number] for number in numbers]


def test_a_click_whose_id_is_ahead_of_its_moment_is_found(store: Store) -> None:
    click = msgspec.structs.replace(a_click(NOON), click_id=base32_time(NOON + 3_600_000) + base32_tail(5))
    store.load(click)
    assert store.facts.find_clicks([click.click_id]) == {click.click_id: click}


def test_screened_clicks_are_recorded_and_not_counted(store: Store) -> None:
    store.load(
        a_click(cost_micros=5, cost_currency="USD"), a_click(cost_micros=2, cost_currency="USD", screening="prefetch")
    )
    sums = sums_of(store.facts)
    assert (sums.clicks, sums.clicks_recorded, sums.cost_micros) == (1, 2, 7)


def test_recent_clicks_are_the_last_that_count_of_each_campaign(store: Store) -> None:
    store.load(
        a_click(NOON - 40 * DAY_MS, external_id="a"),
        a_click(NOON - 3, flags="cost_unreadable"),
        a_click(NOON - 2, external_id="{b}", flags="fallback,unreplaced_external_id"),
        a_click(NOON - 1, external_id="c"),
        a_click(NOON, screening="prefetch"),
        a_click(NOON - 9, campaign_id=2, external_id="d"),
    )
    assert store.facts.recent_clicks(10) == {
        1: ClickEvidence(recent=3, without_external_id=1, unreplaced=1, cost_unreadable=1, last_at=NOON - 1),
        2: ClickEvidence(recent=1, last_at=NOON - 9),
    }
    assert store.facts.recent_clicks(2, 1) == {1: ClickEvidence(recent=2, unreplaced=1, last_at=NOON - 1)}
    assert store.facts.recent_clicks(2, 3) == {}


def test_corrections_add_up(store: Store) -> None:
    click = a_click(cost_micros=5, cost_currency="USD")
    store.load(click)
    facts = [
        a_fact(click, +1, revenue_micros=30),
        a_fact(click, -1, revenue_micros=-30),
        a_fact(click, +1, status_key="hold", counts_as="pending", pending_micros=40),
        a_fact(click, +1, status_key="rejected", counts_as="rejected", currency="EUR", rejected_micros=1),
    ]
    assert store.facts.load_facts(list(enumerate(map(msgspec.json.encode, facts), 1))) == 4
    sums = sums_of(store.facts)
    assert (sums.clicks, sums.cost_micros, sums.revenue_micros, sums.pending_micros) == (1, 5, 0, 40)
    assert (sums.confirmed, sums.pending, sums.rejected) == (0, 1, 1)
    assert [(other.currency, other.rejected_micros) for other in sums.not_converted] == [("EUR", 1)]


def test_sums_of_a_period_leave_out_its_end(store: Store) -> None:
    store.load(a_click(NOON), a_click(NOON + 10))
    assert sums_of(store.facts, from_at=NOON, until_at=NOON + 10).clicks == 1


def test_old_clicks_are_deleted_a_day_at_a_time_and_what_they_earned_stays(store: Store) -> None:
    days = [a_click(NOON + number * DAY_MS) for number in range(4)]
    store.load(*days)
    store.facts.load_facts([(1, msgspec.json.encode(a_fact(days[0], revenue_micros=30)))])
    before_at = NOON + 2 * DAY_MS
    assert [store.facts.delete_clicks(before_at) for _ in range(3)] == [1, 1, 0]
    store.reopen()
    assert store.facts.clicks_page(ClickFilter(), 10) == [days[3], days[2]]
    assert store.facts.find_clicks([days[0].click_id]) == {}
    assert sums_of(store.facts).revenue_micros == 30


def test_nothing_is_deleted_from_empty_facts(store: Store) -> None:
    assert store.facts.delete_clicks(NOON) == 0


def test_conversion_facts_are_no_clicks(store: Store) -> None:
    click = a_click()
    store.facts.load_facts([(1, msgspec.json.encode(a_fact(click)))])
    assert store.facts.find_clicks([click.click_id]) == {}
    assert store.facts.clicks_page(ClickFilter(), 10) == []


def test_outbox_rows_are_taken_once_whatever_the_order_of_their_ids(store: Store) -> None:
    rows = [(number, msgspec.json.encode(a_fact(a_click()))) for number in (3, 4, 7, 1, 6)]
    assert store.facts.load_facts(rows[:3]) == 3
    store.reopen()
    assert store.facts.load_facts(rows[1:]) == 2
    assert store.facts.load_facts(rows) == 0
    assert sums_of(store.facts).confirmed == 5


_TEXTS = [field.name for field in msgspec.structs.fields(Click) if field.type is str and field.name != "click_id"]


@pytest.mark.parametrize("opener", OPENERS.values(), ids=OPENERS)
def test_any_bytes_in_any_field_survive_the_way_from_the_journal_into_the_facts(
    opener: Callable[[Path], FactsStore], tmp_path: Path
) -> None:
    root = tmp_path / "journal"
    facts = opener(tmp_path)
    reader = JournalReader(root, tmp_path / "settled")
    writer = JournalWriter.open(root, "clicks", "edge-0")

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.lists(st.dictionaries(st.sampled_from(_TEXTS), st.binary(max_size=300), max_size=8), min_size=1, max_size=4)
    )
    def check(values: list[dict[str, bytes]]) -> None:
        clicks = [a_click(NOON, **{name: escape_bytes(value) for name, value in fields.items()}) for fields in values]
        for click in clicks:
            writer.append(msgspec.json.encode(click))
        writer.close_segment()
        assert settle_clicks(reader, facts).clicks == len(clicks)
        found = facts.find_clicks([click.click_id for click in clicks])
        assert [found[click.click_id] for click in clicks] == clicks
        for click, fields in zip(clicks, values, strict=True):
            assert all(unescape_bytes(getattr(found[click.click_id], name)) == value for name, value in fields.items())

    check()
    writer.close()
    facts.close()


def test_settling_cuts_out_what_is_no_click_and_goes_on(store: Store) -> None:
    root = store.folder / "journal"
    writer = JournalWriter.open(root, "clicks", "edge-0")
    clicks = [a_click() for _ in range(3)]
    for record in (msgspec.json.encode(clicks[0]), b'{"at":"no"}', msgspec.json.encode(clicks[1])):
        writer.append(record)
    writer.close_segment()
    writer.append(msgspec.json.encode(clicks[2]))
    writer.close()
    reader = JournalReader(root, store.folder / "settled")
    batch = settle_clicks(reader, store.facts)
    assert (batch.clicks, batch.segments, [damage.kind for damage in batch.damages]) == (3, 2, [DamageKind.UNREADABLE])
    assert settle_clicks(reader, store.facts).segments == 0
    assert set(store.facts.find_clicks([click.click_id for click in clicks])) == {click.click_id for click in clicks}


def test_a_duckdb_file_that_is_no_database_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "facts.duckdb"
    path.write_bytes(b"not a database" * 1_000)
    with pytest.raises(FactsDamagedError, match="backup"):
        DuckDbFacts.open(path)


def test_a_duckdb_log_without_its_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "facts.duckdb.wal").write_bytes(b"clicks that were loaded")
    with pytest.raises(FactsDamagedError, match="log"):
        DuckDbFacts.open(tmp_path / "facts.duckdb")


@pytest.mark.parametrize("seed", [2, 3, 5])
def test_what_was_closed_well_opens_again_whatever_was_done_before(tmp_path: Path, seed: int) -> None:
    """The engine cuts free blocks off the end of its file but still counts them: such a file is intact."""
    chance = random.Random(seed)
    store, facts = Store(tmp_path, OPENERS["duckdb"]), 0
    for turn in range(14):
        match chance.choice(["load", "load", "fact", "forget", "checkpoint", "reopen"]):
            case "load":
                store.load(*[a_click(NOON + turn * 1000 + number) for number in range(chance.randint(1, 12))])
            case "fact":
                facts += 1
                store.facts.load_facts([(facts, msgspec.json.encode(a_fact(a_click())))])
            case "forget":
                store.facts.forget_segments([f"clicks/writer/{number:08d}" for number in range(1, store._number + 1)])
            case "checkpoint":
                assert isinstance(store.facts, DuckDbFacts)
                store.facts.checkpoint()
            case _:
                store.reopen()
    store.reopen()
    store.facts.close()


@pytest.mark.parametrize("share", [0.0005, 0.1, 0.5, 0.9])
def test_a_truncated_duckdb_file_is_told(tmp_path: Path, share: float) -> None:
    path = tmp_path / "facts.duckdb"
    store = Store(tmp_path, lambda folder: DuckDbFacts.open(path))
    store.load(*[a_click(target=RecordIds()() * 20) for _ in range(5_000)])
    store.facts.close()
    del store
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(FactsDamagedError):
        DuckDbFacts.open(path)


def test_a_second_process_on_one_duckdb_file_is_refused(tmp_path: Path) -> None:
    facts = DuckDbFacts.open(tmp_path / "facts.duckdb")
    code = "import sys, pathlib, clickloop.store.facts.duckdb.facts as store; store.DuckDbFacts.open(pathlib.Path(sys.argv[1]))"
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "facts.duckdb")], capture_output=True, text=True, check=False
    )
    assert FactsInUseError.__name__ in told.stderr
    facts.close()


def test_a_row_of_the_outbox_that_is_no_fact_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path, OPENERS["duckdb"])
    with pytest.raises(FactsError, match="row 7"):
        store.facts.load_facts([(7, b'{"conversions":"one"}')])
    assert store.facts.load_facts([(7, msgspec.json.encode(a_fact(a_click())))]) == 1
    store.facts.close()


def test_a_folder_with_pattern_characters_in_its_name_is_no_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "we[i]rd*dir"
    folder.mkdir()
    store = Store(folder, OPENERS["duckdb"])
    assert store.load(a_click()) == 1
    store.facts.close()


def test_a_campaigns_counted_clicks_are_read_as_rows_of_the_columns_that_are_asked_for(store: Store) -> None:
    clicks = [
        a_click(
            NOON + n,
            country="US" if n % 2 else "",
            draw=n,
            cost_micros=5 * (n % 2),
            cost_currency="USD" if n % 2 else "",
        )
        for n in range(4)
    ]
    store.load(
        *clicks, a_click(NOON, campaign_id=9), a_click(NOON, screening="test"), a_click(NOON - 1), a_click(NOON + 4)
    )
    assert store.facts.count_clicks(1, NOON, NOON + 4) == 4
    batches = list(store.facts.click_rows(1, NOON, NOON + 4, ["country", "unique"]))
    rows = {row[0]: row for batch in batches for row in batch}
    assert rows.keys() == {click.click_id for click in clicks}
    empty = (None,) * 6
    assert rows[clicks[3].click_id] == (clicks[3].click_id, NOON + 3, 3, *empty, 5, "USD", "US", None)
    assert rows[clicks[2].click_id][:3] == (clicks[2].click_id, NOON + 2, 2)
    with pytest.raises(ValueError, match="nonsense"):
        list(store.facts.click_rows(1, NOON, NOON + 4, ["nonsense"]))


def test_what_clicks_earned_is_summed_by_click_and_currency(store: Store) -> None:
    first, second, late = a_click(NOON), a_click(NOON + 1), a_click(NOON + 9)
    store.load(first, second, late)
    facts = [
        a_fact(first, revenue_micros=5),
        a_fact(first, 0, revenue_micros=2, pending_micros=1, conversion_id="c2"),
        a_fact(first, currency="EUR", revenue_micros=7, conversion_id="c3"),
        a_fact(late, conversion_id="c4"),
    ]
    store.facts.load_facts([(number, msgspec.json.encode(fact)) for number, fact in enumerate(facts, start=1)])
    found = store.facts.earned(1, NOON, NOON + 9)
    assert {click_id: sorted(sums) for click_id, sums in found.items()} == {
        first.click_id: [("EUR", 1, 7, 0), ("USD", 1, 7, 1)]
    }


def test_rows_are_read_while_clicks_are_loaded_and_reading_may_end_early(store: Store) -> None:
    store.load(*[a_click(NOON + n) for n in range(50)])
    reading = store.facts.click_rows(1, NOON, NOON + 100, [])
    first = next(reading)
    store.load(a_click(NOON + 60))
    reading.close()  # type: ignore[attr-defined]
    store.facts.checkpoint()
    assert len(first) <= 50
    assert store.facts.count_clicks(1, NOON, NOON + 100) == 51
