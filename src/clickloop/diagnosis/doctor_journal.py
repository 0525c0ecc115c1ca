"""The doctor's checks of the journal: its backlog, its damage, and the originals of damaged segments."""

from collections.abc import Iterator
from pathlib import Path

from clickloop.diagnosis.doctor_finding import DoctorFinding, DoctorVerdict
from clickloop.plural import pluralize
from clickloop.store.identity import installation_id
from clickloop.store.journal.listing import journal_lag
from clickloop.store.journal.segment import (
    CLOSED_SUFFIX,
    DAMAGED_SUFFIX,
    NOTICES_STREAM,
    PAGE_EVENTS_STREAM,
    STREAMS,
    Segment,
    damages_of,
    origin_of,
    quick_count,
    salvage,
)

MAX_LAG_SECONDS = 60.0  # settling takes a second
MAX_SHOWN = 5  # findings per kind; more add nothing


def journal_findings(folder: Path, now_ms: int) -> Iterator[DoctorFinding]:
    journal = folder / "journal"
    for stream in STREAMS:
        lag = journal_lag(journal, stream, now_ms)
        seconds = lag.oldest_age_ms / 1000
        records = {NOTICES_STREAM: "incoming postbacks", PAGE_EVENTS_STREAM: "page events"}.get(stream, stream)
        if not lag.segments:
            yield DoctorFinding("journal", DoctorVerdict.WELL, f"No {records} are waiting to be processed.")
            continue
        size = f"{pluralize(lag.segments, 'segment')} ({pluralize(lag.size, 'byte')})"
        sentence = f"{size} of {records} to be processed, the oldest {seconds:.0f} s old."
        if seconds > MAX_LAG_SECONDS:
            remedy = "Start the server, or check its log for why it is not processing them."
            yield DoctorFinding("journal", DoctorVerdict.WARNING, sentence, remedy)
        else:
            yield DoctorFinding("journal", DoctorVerdict.WELL, sentence)
    damages = [damage for path in sorted(journal.glob(f"*/*/*{CLOSED_SUFFIX}")) for damage in _damages(path)]
    for sentence in damages[:MAX_SHOWN]:
        yield DoctorFinding(
            "journal",
            DoctorVerdict.FAULT,
            sentence,
            "The server skips the damaged part and keeps the original file. Check the disk.",
        )
    if not damages:
        yield DoctorFinding("journal", DoctorVerdict.WELL, "No closed segments are damaged.")
    originals = sum(1 for _ in (folder / "settled").glob(f"*/*/*{DAMAGED_SUFFIX}"))
    if originals:
        sentence = (
            f"{pluralize(originals, 'damaged segment was', 'damaged segments were')} processed without the unreadable part. "
            "The original files are in the folder named settled."
        )
        yield DoctorFinding(
            "journal",
            DoctorVerdict.WARNING,
            sentence,
            "Check the disk. Delete the original files when you no longer need them.",
        )


def _damages(path: Path) -> list[str]:
    """Return the damage to a closed segment; none if it has been settled meanwhile."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        return [f"{path} cannot be read: {error.strerror}."]
    number = int(path.stem) if path.stem.isdecimal() else 0
    stream, writer = path.parent.parent.name, path.parent.name
    origin = origin_of(installation_id(path.parents[3]), stream, writer)
    if quick_count(data, number, origin) is not None:
        return []
    segment = Segment(path, stream, writer, number, len(data))
    return [damage.sentence for damage in damages_of(data, salvage(data), segment, closed=True, origin=origin)]
