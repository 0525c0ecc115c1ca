"""The manifest of a backup: its files with their checksums, the numbers of records, and the time it was made."""

import hashlib
from typing import Annotated

import msgspec
from msgspec import Meta

FORMAT = 1
HEAD_NAME = "clickloop-backup.json"
MANIFEST_NAME = "manifest.json"

Moment = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]
"""Unix milliseconds within the range of ``datetime``."""


class BackupError(Exception):
    """A backup cannot be made, read or restored; the message says what was found, what was expected and what to do."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first file of an archive, which tells whether this version can read it."""

    format: int
    clickloop: str
    made_at: Moment


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the archive: its size in bytes, and its SHA-256 in hexadecimal digits."""

    name: str
    size: Annotated[int, Meta(ge=0)]
    sha256: str


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of records. Those in the journal are settled when the restored folder is started."""

    clicks: int = 0
    clicks_in_journal: int = 0
    page_events_in_journal: int = 0
    notices: int = 0
    notices_in_journal: int = 0
    conversions: int = 0
    postbacks: int = 0
    postbacks_waiting: int = 0
    campaigns: int = 0
    offers: int = 0
    networks: int = 0
    traffic_sources: int = 0
    postback_rules: int = 0
    users: int = 0


class BackupMarks(msgspec.Struct, frozen=True, kw_only=True):
    """The newest record of each kind; 0 or empty if there is none."""

    click_id: str = ""
    notice_id: str = ""
    conversion_change: int = 0
    outbox_taken: int = 0
    segments: dict[str, int] = {}
    """Number of the newest journal segment, by ``stream/writer``."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of an archive."""

    format: int
    clickloop: str
    made_at: Moment
    """Everything acknowledged before this time is in the backup."""
    ledger_schema: str
    folder: str
    counts: Counts
    marks: BackupMarks
    files: tuple[FileEntry, ...]
    """In the order of the archive, without the manifest itself."""


def manifest_bytes(manifest: Manifest) -> bytes:
    """Return the contents of the manifest's file: a line of JSON, and a line with its checksum."""
    line = msgspec.json.encode(manifest)
    return line + b"\n" + hashlib.sha256(line).hexdigest().encode() + b"\n"


def read_manifest(data: bytes) -> Manifest:
    """Return the manifest of an archive. Raise BackupError for anything but what ``manifest_bytes`` wrote."""
    line, _, checksum = data.partition(b"\n")
    if checksum != hashlib.sha256(line).hexdigest().encode() + b"\n":
        raise BackupError("The backup is damaged: its manifest does not match its checksum. Use another backup.")
    try:
        return msgspec.json.decode(line, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BackupError(f"The backup's manifest cannot be read: {error}.") from error


def check_version(head: Head, version: str) -> None:
    """Raise BackupError for a backup of a newer version than ``version``."""
    if head.format > FORMAT or version_key(head.clickloop) > version_key(version):
        raise BackupError(
            f"The backup was made by Clickloop {head.clickloop} (format {head.format}), this is {version} (format {FORMAT}): "
            f"install Clickloop {head.clickloop} or newer to restore it."
        )


def version_key(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, for comparison: 0.10.2.dev3 is (0, 10, 2)."""
    numbers: list[int] = []
    for part in version.split("."):
        # Bounded, because converting a million digits takes long.
        if not (part.isascii() and part.isdigit() and len(part) <= 9):
            break
        numbers.append(int(part))
    return tuple(numbers)
