"""Witnesses: copies of the stores' marks beside the journal's parts, which nobody puts back together with the stores.

``installation.json`` has the same marks, but whoever puts back ledger and facts by hand takes it from the same copy: then only what
lies elsewhere knows how far the stores were. They are not synced: after a power cut a witness is older, or damaged and says nothing.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from clickloop.machine.replacing_file import replace_file
from clickloop.machine.sealed_file import SealedFileError, sealed, unsealed
from clickloop.store.identity import Installation, Marks

FILE_NAME = "stores.json"
FOLDERS = ("journal", "marks", "settled")


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """Whose stores these are, and how far they were."""

    id: str
    marks: Marks


def write_witnesses(folder: Path, installation: Installation) -> None:
    """Write how far the stores are beside each part of the journal. A disk that refuses it costs the witness alone."""
    data = sealed(Witness(id=installation.id, marks=installation.marks))
    for path in _paths(folder):
        with contextlib.suppress(OSError):  # also where the part is not there yet
            replace_file(path, data, durable=False)


def known_marks(folder: Path, installation: Installation) -> Marks:
    """Return how far the stores were at least, by ``installation.json`` and all witnesses."""
    found = [installation.marks]
    for path in _paths(folder):
        # One that cannot be read tells nothing: there are several for that.
        with contextlib.suppress(OSError, SealedFileError):
            witness = unsealed(path.read_bytes(), Witness, str(path))
            if witness.id == installation.id:
                found.append(witness.marks)
    return Marks(**{name: max(getattr(marks, name) for marks in found) for name in Marks.__struct_fields__})


def forget_witnesses(folder: Path) -> None:
    """Remove all witnesses: somebody means the stores as they are."""
    for path in _paths(folder):
        path.unlink(missing_ok=True)


def _paths(folder: Path) -> Iterator[Path]:
    for name in FOLDERS:
        yield folder / name / FILE_NAME
