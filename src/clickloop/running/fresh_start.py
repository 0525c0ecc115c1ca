"""``clickloop serve --new``: start with a new store on purpose. Old files are moved aside, never deleted.

Runs before anything else has the folder open. If killed at any point, it can be run again.
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
from sqlalchemy import Connection, delete, select

from clickloop.click_id import KEY_FILE
from clickloop.clock import iso_text
from clickloop.conversion.conversion import Change
from clickloop.machine.sealed_file import SealedFileError
from clickloop.machine.secret_box import secret_box_of
from clickloop.plural import pluralize
from clickloop.report.fact import facts_of_change
from clickloop.setup.catalog import COPY_NAME, write_catalog
from clickloop.setup.catalog import FILE_NAME as CATALOG_FILE
from clickloop.setup.routing_state import FILE_NAME as ROUTING_FILE
from clickloop.store.delivery_hold import hold_deliveries
from clickloop.store.directory import make_directories, sync_directory
from clickloop.store.facts.facts import FactsDamagedError, FactsError
from clickloop.store.file_fault import fault_sentence
from clickloop.store.identity import (
    FACTS_FILE,
    FILE_NAME,
    LEDGER_FILE,
    STAND_IN_FILE,
    Installation,
    StoreMarks,
    draw_key,
    fingerprint_of,
    new_id,
    prepare_folder,
    read_installation,
    write_installation,
)
from clickloop.store.journal.marks import delete_mark, mark_settled
from clickloop.store.journal.segment import CLICKS_STREAM, CLOSED_SUFFIX, NOTICES_STREAM, PAGE_EVENTS_STREAM
from clickloop.store.ledger.installation import LedgerStamp, read_progress, read_stamp, write_stamp
from clickloop.store.ledger.ledger import Ledger, LedgerDamagedError
from clickloop.store.ledger.logs.conversions import changes_of_conversions
from clickloop.store.ledger.logs.outbox import insert_facts
from clickloop.store.ledger.schema.tables import conversions, fact_outbox
from clickloop.store.ledger.setup.lost_secrets import (
    LostRequests,
    LostSecrets,
    accept_lost_requests,
    replace_lost_secrets,
)
from clickloop.store.witnesses import delete_witnesses
from clickloop.stores import (
    StoresProblem,
    StoresRefusedError,
    installation_of,
    open_facts,
    open_stores,
    own_catalog,
)

_OF_THE_LEDGER = (
    LEDGER_FILE,
    LEDGER_FILE + "-wal",
    LEDGER_FILE + "-shm",
    FACTS_FILE,
    FACTS_FILE + ".wal",
    CATALOG_FILE,
    COPY_NAME,
    ROUTING_FILE,
    FILE_NAME,
    "journal",
    "settled",
    "marks",
    "uploads",
    "exports",
)
"""Everything that refers to the ledger's rows by ids, which start from 1 in a new ledger. The key stays: old click ids are valid."""
_OF_THE_FACTS = (FACTS_FILE, FACTS_FILE + ".wal", FACTS_FILE + ".loading")
_CHUNK = 500
_FRESH_LEDGER = frozenset({StoresProblem.LEDGER_LOST, StoresProblem.LEDGER_FOREIGN})
_FRESH_FACTS = frozenset({StoresProblem.FACTS_LOST, StoresProblem.FACTS_FOREIGN})
_OLDER_LEDGER = frozenset({StoresProblem.LEDGER_OLDER, StoresProblem.STORES_OLDER})
_MAX_PROBLEMS = 4  # ledger, facts, key and secrets may each have one


def start_anew(folder: Path, now_ms: int) -> tuple[str, ...]:
    """Make the folder startable, and return sentences about what was done; none if nothing was wrong.

    Raise StoresRefusedError, LedgerError or FactsError for what only the user can fix, such as permissions.
    """
    done: list[str] = []
    # Each fix may reveal another problem; more than these would be an endless loop.
    for _ in range(_MAX_PROBLEMS):
        try:
            opened = open_stores(folder, facts_memory_mb=256)
        except StoresRefusedError as refused:
            done.append(_fix(folder, refused, now_ms))
        except LedgerDamagedError:
            done.append(_fresh_ledger(folder, now_ms))
        except FactsDamagedError:
            done.append(_fresh_facts(folder, now_ms))
        else:
            opened.facts.close()
            opened.ledger.close()
            return tuple(done)
    raise RuntimeError(f"{folder} does not start after: {' '.join(done)}")


def _fix(folder: Path, refused: StoresRefusedError, now_ms: int) -> str:
    if refused.problem in _FRESH_LEDGER:
        return _fresh_ledger(folder, now_ms)
    if refused.problem in _FRESH_FACTS:
        return _fresh_facts(folder, now_ms)
    if refused.problem in _OLDER_LEDGER or refused.problem is StoresProblem.FACTS_OLDER:
        return _catch_up(folder, now_ms, is_ledger_older=refused.problem in _OLDER_LEDGER)
    if refused.problem is StoresProblem.KEY_LOST:
        return _fresh_key(folder, now_ms)
    if refused.problem is StoresProblem.SECRETS_DAMAGED:
        return _fresh_secrets(folder, now_ms)
    raise refused


def _fresh_ledger(folder: Path, now_ms: int) -> str:
    aside = _move_aside(folder, _OF_THE_LEDGER, now_ms)
    prepare_folder(folder)
    return f"Started with an empty ledger and empty facts. The old files are in {aside}."


def _fresh_facts(folder: Path, now_ms: int) -> str:
    """Start with empty facts: conversions come from the ledger, the rest from the settled segments that are still there."""
    aside = _move_aside(folder, _OF_THE_FACTS, now_ms)
    segments = _refill(folder)
    return (
        f"Started with empty facts. All conversions of the ledger and the clicks and page events of "
        f"{pluralize(segments, 'journal segment')} will be added; older clicks are missing in reports. The old files are in {aside}."
    )


def _catch_up(folder: Path, now_ms: int, *, is_ledger_older: bool) -> str:
    """Continue with an older copy of a store: later records that are still in the journal are processed again, each once."""
    aside = _copy_aside(folder, (FACTS_FILE, FACTS_FILE + ".wal"), now_ms)
    if is_ledger_older:
        # First: conversions that are registered again create postbacks that may have been sent before.
        hold_deliveries(folder, "the ledger is an older copy, so some of these may have been sent before", now_ms)
    notices = _unsettle(folder, NOTICES_STREAM) if is_ledger_older else 0
    segments = _refill(folder) + notices
    if not is_ledger_older:
        return (
            f"Continued with the older facts: their clicks stay, those of {pluralize(segments, 'journal segment')} are added, and "
            f"all conversions are copied from the ledger. A copy of the old file is in {aside}."
        )
    return (
        f"Continued with the older ledger: {pluralize(segments, 'journal segment')} will be processed again, and nothing is "
        "counted twice. Enter again what was entered since the copy was made: set-up, users, manual conversions and uploads. All "
        "postbacks are held: cancel those that have been sent before, then release the rest (clickloop release). A copy of the "
        f"old facts is in {aside}."
    )


def _refill(folder: Path) -> int:
    """Refill the facts with all conversions of the ledger, and put settled segments of clicks and page events back into the journal.

    Return the number of segments. Clicks and page events that are in the facts stay.
    """
    ledger = Ledger.open(folder / LEDGER_FILE)
    try:
        with ledger.write() as tx:
            stamp = read_stamp(tx)
            taken = read_progress(tx).outbox
            tx.execute(delete(fact_outbox))
            for lines in _facts_of_ledger(tx):
                insert_facts(tx, lines)
            if stamp is not None:
                write_stamp(tx, msgspec.structs.replace(stamp, facts_loads=0))
            progress = read_progress(tx)
    finally:
        ledger.close()
    installation = _known_installation(folder, stamp)
    if installation is None:  # a folder from before installations had an id
        installation = Installation(id=new_id(), key="")
    segments = _unsettle(folder, CLICKS_STREAM) + _unsettle(folder, PAGE_EVENTS_STREAM)
    facts = open_facts(folder / FACTS_FILE)
    facts.stamp(installation.id)
    facts.forget_conversions(outbox_taken=taken, refilled_to=progress.outbox)
    facts.close()
    # Last: if killed before, the folder is still refused, and the next call does everything again.
    for name in (CATALOG_FILE, COPY_NAME):
        if (catalog := own_catalog(folder, installation, name)) is not None:
            write_catalog(folder, msgspec.structs.replace(catalog, setup_change=progress.setup_change))
            break
    delete_witnesses(folder)
    write_installation(folder, msgspec.structs.replace(installation, marks=StoreMarks()))
    return segments


def _facts_of_ledger(tx: Connection) -> Iterator[list[bytes]]:
    """Yield the facts of all changes of all conversions, oldest first."""
    ids = list(tx.scalars(select(conversions.c.conversion_id).order_by(conversions.c.conversion_id)))
    for start in range(0, len(ids), _CHUNK):
        changes = changes_of_conversions(tx, ids[start : start + _CHUNK])
        copied = [Change(before=c.before, after=c.after, at=c.at, notice_id=c.notice_id) for c in changes]
        yield [msgspec.json.encode(fact) for change in copied for fact in facts_of_change(change)]


def _unsettle(folder: Path, stream: str) -> int:
    """Move the settled segments of a stream back into the journal, to be processed again, and return their number."""
    journal = folder / "journal"
    count = 0
    for writer in sorted((folder / "settled" / stream).glob("*")):
        paths = sorted(writer.glob("*" + CLOSED_SUFFIX))
        if not paths:
            continue
        target = journal / stream / writer.name
        make_directories(target)
        # Without a mark the segments are doubtful, so that records that are in the stores already are skipped.
        delete_mark(journal, stream, writer.name)
        # Earlier segments have expired; they must not be reported as missing.
        mark_settled(journal, stream, writer.name, int(paths[0].stem) - 1)
        for path in paths:
            path.rename(target / path.name)
            count += 1
    return count


def _fresh_key(folder: Path, now_ms: int) -> str:
    aside = _move_aside(folder, (KEY_FILE,), now_ms)
    with contextlib.suppress(FileNotFoundError):
        # Edges have made click ids with it since the key was lost; as the new key it keeps them verifiable.
        (folder / STAND_IN_FILE).rename(folder / KEY_FILE)
        sync_directory(folder)
    key = fingerprint_of(draw_key(folder / KEY_FILE))
    ledger = Ledger.open(folder / LEDGER_FILE, secret_box_of(folder))
    try:
        with ledger.write() as tx:
            stamp = read_stamp(tx)
            # First: if killed before the new key counts, the next call finds nothing left to replace and does the rest.
            lost = replace_lost_secrets(tx, now_ms)
            requests = accept_lost_requests(tx)
        installation = _known_installation(folder, stamp)
        if installation is not None:
            write_installation(folder, msgspec.structs.replace(installation, key=key, unchecked_before=now_ms))
        if stamp is not None:
            with ledger.write() as tx:
                write_stamp(tx, msgspec.structs.replace(stamp, key=key, unchecked_before=now_ms))
    finally:
        ledger.close()
    return (
        "Started with a new click ID key. Click IDs from before now are accepted without verification, so that earlier clicks "
        f"can still convert. The old files are in {aside}.{_lost_sentence(lost)}{_requests_sentence(requests)}"
    )


def _requests_sentence(lost: LostRequests) -> str:
    if not lost.postbacks:
        return ""
    have = pluralize(lost.postbacks, "postback has", "postbacks have")
    unfinished = (
        f" Not sent yet: {lost.unfinished}. They will fail: once their rules are correct again, rebuild and resend them "
        "(clickloop resend --state failed --anew)."
        if lost.unfinished
        else ""
    )
    return f" {have} a request with a secret that can no longer be decrypted.{unfinished}"


def _lost_sentence(lost: LostSecrets) -> str:
    return (
        f" Enter {lost.sentence} again, which cannot be decrypted, and switch those rules on. Until then incoming postbacks of "
        "those networks are refused as wrong_token (afterwards, run: clickloop rerun --reason wrong_token), and postbacks of those "
        "rules are logged as rule_off."
        if lost.sentence
        else ""
    )


def _fresh_secrets(folder: Path, now_ms: int) -> str:
    ledger = Ledger.open(folder / LEDGER_FILE, secret_box_of(folder))
    try:
        with ledger.write() as tx:
            lost = replace_lost_secrets(tx, now_ms)
    finally:
        ledger.close()
    return f"Replaced the secrets that could not be decrypted; everything else is unchanged.{_lost_sentence(lost)}"


def _known_installation(folder: Path, stamp: LedgerStamp | None) -> Installation | None:
    with contextlib.suppress(SealedFileError):
        installation = read_installation(folder)
        if installation is not None:
            return installation
    return None if stamp is None else installation_of(stamp)


def _aside_folder(folder: Path, now_ms: int) -> Path:
    return folder / "aside" / iso_text(now_ms).replace(":", "").replace(".", "-")


def _move_aside(folder: Path, names: tuple[str, ...], now_ms: int) -> Path:
    """Move files with these names into ``aside/<time>``. If killed in between, the next call moves the rest."""
    aside = _aside_folder(folder, now_ms)
    make_directories(aside)
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            (folder / name).rename(aside / name)
    # The target first: after a power cut a file may be in both folders, never in neither.
    sync_directory(aside)
    sync_directory(folder)
    return aside


def _copy_aside(folder: Path, names: tuple[str, ...], now_ms: int) -> Path:
    """Copy files with these names into ``aside/<time>``. Raise FactsError if they cannot be copied."""
    aside = _aside_folder(folder, now_ms)
    for name in names:
        if not (folder / name).exists():
            continue
        try:
            make_directories(aside)
            shutil.copy2(folder / name, aside / name)
        except OSError as error:
            with contextlib.suppress(OSError):
                (aside / name).unlink(missing_ok=True)  # half a copy only takes up space
            reason = fault_sentence(error, aside / name)
            raise FactsError(f"{folder / name} cannot be copied aside, so nothing was changed. {reason}") from error
    return aside
