"""Upload a table of costs: preview what each line would do, and enter it. Lines of the same segment are added up.

An entry of an upload has a key made of its segment. So a table that is uploaded again, after a kill in the middle or with corrected
amounts, replaces what it said before, and what it says again changes nothing.
"""

import enum
import hashlib
from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Connection

from clickloop.clock import DAY_MS
from clickloop.report.cost.entry import CostEntry
from clickloop.report.cost.entry_input import CostDefaults
from clickloop.report.cost.overlap import EntryIndex
from clickloop.report.cost.segment import CostFilter, CostKind, CostSegment, SpreadOver
from clickloop.report.cost.span import LocalTime
from clickloop.report.cost.table import CostLine, CostTable, UnreadableCostLine, read_cost_table
from clickloop.report.cost.zone_fit import ZoneFit, zone_fits
from clickloop.report.period import zone_of
from clickloop.report.query import Dimension
from clickloop.setup.fault import FaultCode, invalid
from clickloop.store.facts.cost_facts import CostReader
from clickloop.store.ledger.jobs.cost_entries import live_entries
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.audit_entry import ActorContext, record_change
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.ledger.setup.names import RecordKind, numbers_by_name
from clickloop.store.ledger.setup.report_names import parameter_dimensions, parameters_of_owners
from clickloop.tracking.costs.entering import NOUN, store_entries

ENTRIES_PER_TRANSACTION = 500
"""Entries stored in one transaction: others wait for it."""


class LineVerdict(enum.StrEnum):
    """The effect that a line would have."""

    MATCHED = "matched"
    WITHOUT_CLICKS = "without_clicks"
    UNKNOWN_CAMPAIGN = "unknown_campaign"
    UNREADABLE = "unreadable"


class CostUploadOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options for reading a table."""

    zone: str = ""
    over: SpreadOver = SpreadOver.CLICKS
    campaign_id: int = 0
    """Of lines that name no campaign."""
    source_id: int = 0
    partial: bool = False
    """Enter what can be read, although some lines cannot."""
    name: str = ""


class LineResult(msgspec.Struct, frozen=True, kw_only=True):
    """A line and what it would do."""

    number: int
    verdict: LineVerdict
    sentence: str = ""
    clicks: int = 0
    """Clicks that would bear its amount."""
    overlaps: tuple[int, ...] = ()
    """Entries in effect that may cover clicks of its segment, except the one that it replaces."""


class UploadResult(msgspec.Struct, frozen=True, kw_only=True):
    """The effect of a table, before or after it is entered."""

    lines: tuple[LineResult, ...]
    entries: tuple[CostEntry, ...]
    unused: tuple[str, ...]
    repeated: int = 0
    """Entries that change nothing, since an equal one is in effect."""
    replaced: int = 0
    """Entries that replace an earlier amount of an upload for the same segment."""
    zones: tuple[ZoneFit, ...] = ()
    """Time zones that fit the file's clicks per hour, the best first. Empty if it has none."""

    def count(self, verdict: LineVerdict) -> int:
        """Return the number of lines with a verdict."""
        return sum(1 for line in self.lines if line.verdict is verdict)


class _Owner(msgspec.Struct, frozen=True):
    source_id: int
    campaign_id: int


def preview_table(
    ledger: Ledger, facts: CostReader, data: bytes, options: CostUploadOptions, defaults: CostDefaults
) -> UploadResult:
    """Return what each line of a table would do. Raise InvalidInputError."""
    with ledger.read() as tx:
        table, owners = _read(tx, data, options)
        made = _entries(table, owners, options, defaults)
        entries, of_line = made.entries, made.of_line
        bounds = (
            (min(e.segment.from_at for e in entries), max(e.segment.until_at for e in entries)) if entries else (0, 0)
        )
        live = live_entries(tx, *bounds) if entries else []
    clicks: list[int] = [0] * len(entries)
    for group in _of_one_shape(entries):
        counts = facts.count_each([entries[place].segment for place in group], options.over)
        for entry_place, count in zip(group, counts, strict=True):
            clicks[entry_place] = count
    index = EntryIndex(live)
    overlaps = [tuple(one.entry_id for one in index.overlapping(entry)) for entry in entries]
    known = {one.key: one for one in live}
    same_key = [(entry, known[entry.key]) for entry in entries if entry.key in known]
    repeated = sum(1 for entry, one in same_key if one.same_cost(entry))
    at_fault = {line.number for line in made.faults}
    lines = [
        LineResult(
            number=line.number,
            verdict=LineVerdict.MATCHED if clicks[place] else LineVerdict.WITHOUT_CLICKS,
            clicks=clicks[place],
            overlaps=overlaps[place],
        )
        if (place := of_line.get(line.number)) is not None
        else LineResult(number=line.number, verdict=LineVerdict.UNKNOWN_CAMPAIGN, sentence=_unknown(line))
        for line in table.lines
        if line.number not in at_fault
    ]
    return UploadResult(
        lines=_in_order(lines, [*table.unreadable, *made.faults]),
        entries=tuple(entries),
        unused=table.unused,
        repeated=repeated,
        replaced=len(same_key) - repeated,
        zones=tuple(_zones(facts, table, entries, options, defaults)),
    )


def enter_table(
    context: ActorContext, data: bytes, options: CostUploadOptions, defaults: CostDefaults, upload_id: str
) -> UploadResult:
    """Enter the costs of a table, and return its entries. Raise InvalidInputError for a line at fault unless ``partial``."""
    with context.ledger.read() as tx:
        table, owners = _read(tx, data, options)
    made = _entries(table, owners, options, defaults)
    entries, of_line = made.entries, made.of_line
    unreadable = sorted([*table.unreadable, *made.faults])
    unknown = [line for line in table.lines if line.number not in owners]
    if not options.partial:
        if unreadable:
            first = unreadable[0]
            raise invalid("", FaultCode.WRONG_TYPE, f"Line {first.number}: {first.sentence}")
        if unknown:
            raise invalid("", FaultCode.NOT_FOUND, f"Line {unknown[0].number}: {_unknown(unknown[0])}")
    if not entries:
        raise invalid("", FaultCode.REQUIRED, "No line of the table can be entered.")
    stored: list[CostEntry] = []
    repeated = replaced = 0
    named = [msgspec.structs.replace(entry, upload_id=upload_id, note=options.name[:500]) for entry in entries]
    for start in range(0, len(named), ENTRIES_PER_TRANSACTION):
        with context.ledger.write() as tx:
            found = store_entries(tx, context, named[start : start + ENTRIES_PER_TRANSACTION])
        stored += found.entries
        repeated += found.repeated
        replaced += found.replaced
    with context.ledger.write() as tx:
        after = {"name": options.name, "entries": len(stored), "repeated": repeated, "replaced": replaced}
        record_change(tx, context, f"{NOUN}/uploads", upload_id, after=after, action=Action.UPLOADED)
    lines = [
        LineResult(number=line.number, verdict=LineVerdict.UNKNOWN_CAMPAIGN, sentence=_unknown(line))
        for line in unknown
    ]
    lines += [LineResult(number=number, verdict=LineVerdict.MATCHED) for number in of_line]
    return UploadResult(
        lines=_in_order(lines, unreadable),
        entries=tuple(stored),
        unused=table.unused,
        repeated=repeated,
        replaced=replaced,
    )


def _in_order(lines: Sequence[LineResult], unreadable: Sequence[UnreadableCostLine]) -> tuple[LineResult, ...]:
    at_fault = [
        LineResult(number=line.number, verdict=LineVerdict.UNREADABLE, sentence=line.sentence) for line in unreadable
    ]
    return tuple(sorted([*lines, *at_fault], key=lambda line: line.number))


def _unknown(line: CostLine) -> str:
    return f"There is no campaign or traffic source {(line.campaign or line.source)[:80]!r}."


def _read(tx: Connection, data: bytes, options: CostUploadOptions) -> tuple[CostTable, dict[int, _Owner]]:
    """Return a table, and the owner of each line that names one that exists. Raise InvalidInputError."""
    names = parameter_dimensions(tx, options.source_id, options.campaign_id)
    has_owner = bool(options.campaign_id or options.source_id)
    table = read_cost_table(data, names, needs_owner=not has_owner)
    owners = _owners(tx, table, options)
    if not has_owner and table.unused:
        # The lines' own campaigns and sources tell what else the header means.
        of_lines = set(owners.values())
        known = parameters_of_owners(
            tx, {one.source_id for one in of_lines} - {0}, {one.campaign_id for one in of_lines} - {0}
        )
        for header in table.unused:
            if len(known.get(header.lower(), ())) > 1:
                numbers = " and ".join(sorted(one.value.upper() for one in known[header.lower()]))
                sentence = f"The column {header} is {numbers} of different traffic sources. Choose one, and upload its lines alone."
                raise invalid("", FaultCode.NOT_ALLOWED, sentence)
        table = read_cost_table(data, {name: next(iter(found)) for name, found in known.items()})
    return table, owners


def _owners(tx: Connection, table: CostTable, options: CostUploadOptions) -> dict[int, _Owner]:
    """Return the owner of each line that names one that exists, by the line's number."""
    campaigns = numbers_by_name(tx, RecordKind.CAMPAIGN)
    sources = numbers_by_name(tx, RecordKind.SOURCE)
    owners: dict[int, _Owner] = {}
    for line in table.lines:
        campaign_id = campaigns.get(line.campaign.lower()) if line.campaign else options.campaign_id
        source_id = sources.get(line.source.lower()) if line.source else options.source_id
        if campaign_id is not None and source_id is not None and (campaign_id or source_id):
            owners[line.number] = _Owner(source_id, campaign_id)
    return owners


class _TableEntries(msgspec.Struct, frozen=True):
    """The entries of a table, the place of each line's entry by the line's number, and the lines that cannot be entered."""

    entries: list[CostEntry]
    of_line: dict[int, int]
    faults: list[UnreadableCostLine]


def _entries(
    table: CostTable, owners: Mapping[int, _Owner], options: CostUploadOptions, defaults: CostDefaults
) -> _TableEntries:
    """Return the entries of a table. Raise InvalidInputError for an unknown time zone."""
    zone_name = options.zone or defaults.zone
    zone = zone_of(zone_name)
    if zone is None:
        sentence = "Enter the name of a time zone, such as Europe/Berlin or UTC."
        raise invalid("zone", FaultCode.NOT_FOUND, sentence)
    sums: dict[CostSegment, int] = {}
    currencies: dict[CostSegment, str] = {}
    found: dict[int, CostSegment] = {}
    faults: list[UnreadableCostLine] = []
    order = sorted(range(len(table.filters)), key=lambda place: table.filters[place])
    for line in table.lines:
        owner = owners.get(line.number)
        if owner is None:
            continue
        from_at, until_at = line.time.begins_at(zone), line.time.ends_at(zone, 60)
        if until_at <= from_at:
            faults.append(UnreadableCostLine(line.number, f"The clock in {zone_name} skips this hour."))
            continue
        filters = tuple(
            CostFilter(table.filters[place], (_value(table.filters[place], line.values[place]),)) for place in order
        )
        segment = CostSegment(
            source_id=owner.source_id,
            campaign_id=owner.campaign_id,
            filters=filters,
            from_at=from_at,
            until_at=until_at,
        )
        currency = line.currency or defaults.currency
        if currencies.setdefault(segment, currency) != currency:
            # A click has one cost: the second entry would cover the first one.
            sentence = f"Another line with the same campaign, time and filters is in {currencies[segment]}."
            faults.append(UnreadableCostLine(line.number, sentence))
            continue
        sums[segment] = sums.get(segment, 0) + line.micros
        found[line.number] = segment
    places = {segment: place for place, segment in enumerate(sums)}
    entries = [
        CostEntry(
            kind=CostKind.UPLOAD,
            key=_key(segment),
            segment=segment,
            zone=zone_name,
            micros=micros,
            currency=currencies[segment],
            over=options.over,
        )
        for segment, micros in sums.items()
    ]
    return _TableEntries(entries, {number: places[segment] for number, segment in found.items()}, faults)


def _value(dimension: Dimension, value: str) -> str:
    return str(int(value or "0")) if dimension.is_number else value


def _key(segment: CostSegment) -> str:
    text = msgspec.json.encode(segment)
    return f"{CostKind.UPLOAD}:segment {hashlib.blake2s(text, digest_size=16).hexdigest()}"


def _of_one_shape(entries: Sequence[CostEntry]) -> list[list[int]]:
    """Return the places of entries, those together that have the same owners and dimensions set."""
    groups: dict[tuple[bool, bool], list[int]] = {}
    for place, entry in enumerate(entries):
        shape = (bool(entry.segment.source_id), bool(entry.segment.campaign_id))
        groups.setdefault(shape, []).append(place)
    return list(groups.values())


def _zones(
    facts: CostReader,
    table: CostTable,
    entries: Sequence[CostEntry],
    options: CostUploadOptions,
    defaults: CostDefaults,
) -> list[ZoneFit]:
    """Return the zones that fit the file's clicks per hour, compared with those of its campaigns."""
    in_file: dict[LocalTime, int] = {}
    for line in table.lines:
        if line.clicks is not None and line.time.minute is not None:
            in_file[line.time] = in_file.get(line.time, 0) + line.clicks
    if not in_file or not entries:
        return []
    from_at = min(entry.segment.from_at for entry in entries) - DAY_MS
    until_at = max(entry.segment.until_at for entry in entries) + DAY_MS
    ours: dict[int, int] = {}
    for owner in {(entry.segment.source_id, entry.segment.campaign_id) for entry in entries}:
        segment = CostSegment(source_id=owner[0], campaign_id=owner[1], from_at=from_at, until_at=until_at)
        for at, clicks in facts.quarters(segment).items():
            ours[at] = ours.get(at, 0) + clicks
    return zone_fits(in_file, ours, [options.zone or defaults.zone, defaults.zone])[:5]
