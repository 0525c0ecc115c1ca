"""Witnesses: copies of the stores' marks beside the parts of the journal, which are rarely put back together with the stores.

``installation.json`` has the same marks, but users who put ledger and facts back by hand often copy it along; then only the
witnesses know the stores' progress. They are not synced: after a power cut a witness may be older, or damaged and ignored.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from clickloop.machine.replacing_file import replace_file
from clickloop.machine.sealed_file import SealedFileError, seal, unseal
from clickloop.store.identity import Installation, StoreMarks

FILE_NAME = "stores.json"
FOLDERS = ("journal", "marks", "settled")


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """The installation's id and the marks of its stores."""

    id: str
    marks: StoreMarks


def write_witnesses(folder: Path, installation: Installation) -> None:
    """Write the stores' marks beside each part of the journal, as far as the disk allows."""
    data = seal(Witness(id=installation.id, marks=installation.marks))
    for path in _paths(folder):
        with contextlib.suppress(OSError):  # such as a part that does not exist yet
            replace_file(path, data, durable=False)


def known_marks(folder: Path, installation: Installation) -> StoreMarks:
    """Return the highest marks of ``installation.json`` and all witnesses."""
    all_marks = [installation.marks]
    for path in _paths(folder):
        # An unreadable witness is ignored; the others remain.
        with contextlib.suppress(OSError, SealedFileError):
            witness = unseal(path.read_bytes(), Witness, str(path))
            if witness.id == installation.id:
                all_marks.append(witness.marks)
    return StoreMarks(
        **{name: max(getattr(marks, name) for marks in all_marks) for name in StoreMarks.__struct_fields__}
    )


def delete_witnesses(folder: Path) -> None:
    """Delete all witnesses, when the user has accepted the stores as they are."""
    for path in _paths(folder):
        path.unlink(missing_ok=True)


def _paths(folder: Path) -> Iterator[Path]:
    for name in FOLDERS:
        yield folder / name / FILE_NAME
