"""The manifest of a backup: what is in it, with a checksum for each file, how much that is, and up to which moment."""

import hashlib
from typing import Annotated

import msgspec
from msgspec import Meta

FORMAT = 1
HEAD_NAME = "clickloop-backup.json"
MANIFEST_NAME = "manifest.json"


Moment = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]
"""Milliseconds since 1970, as far as a date goes."""


class BackupError(Exception):
    """A backup cannot be made, read or restored; the text says what was found, what was expected and what to do."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first file of an archive: enough to refuse one that this version cannot read."""

    format: int
    clickloop: str
    made_at: Moment


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the archive. ``size`` in bytes; ``sha256`` in hexadecimal digits."""

    name: str
    size: Annotated[int, Meta(ge=0)]
    sha256: str


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of records. Those in journal segments are settled when the restored folder is started."""

    clicks: int = 0
    clicks_in_journal: int = 0
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


class Marks(msgspec.Struct, frozen=True, kw_only=True):
    """The newest of each kind in the stores; 0 or empty: there is none."""

    click_id: str = ""
    notice_id: str = ""
    conversion_change: int = 0
    outbox_taken: int = 0
    segments: dict[str, int] = {}
    """By stream and writer, the number of the newest journal segment."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of an archive."""

    format: int
    clickloop: str
    made_at: Moment
    """Everything that was acknowledged before this moment is in the backup."""
    ledger_schema: str
    folder: str
    counts: Counts
    marks: Marks
    files: tuple[FileEntry, ...]
    """In the order of the archive, without the manifest itself."""


def manifest_bytes(manifest: Manifest) -> bytes:
    """Return the manifest as the archive has it: a line of JSON, and a line with the checksum of that line."""
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
        raise BackupError(f"The manifest of the backup cannot be read: {error}.") from error


def check_version(head: Head, version: str) -> None:
    """Raise BackupError for a backup that was made by a version newer than ``version``."""
    if head.format > FORMAT or version_key(head.clickloop) > version_key(version):
        raise BackupError(
            f"The backup was made by Clickloop {head.clickloop} (format {head.format}), this is {version} (format {FORMAT}): "
            f"install Clickloop {head.clickloop} or newer to restore it."
        )


def version_key(version: str) -> tuple[int, ...]:
    """Return the numbers at the beginning of a version, for comparing: 0.10.2.dev3 is (0, 10, 2)."""
    numbers: list[int] = []
    for part in version.split("."):
        # The bound keeps a stranger's million digits from becoming a number.
        if not (part.isascii() and part.isdigit() and len(part) <= 9):
            break
        numbers.append(int(part))
    return tuple(numbers)
