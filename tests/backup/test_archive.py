"""An archive can only be read complete and unchanged: every flipped byte and every truncation is noticed."""

import io
import tarfile
from pathlib import Path

import pytest

from clickloop.backup.archive import BLOCK, Archive, ArchiveWriter, is_safe_name
from clickloop.backup.manifest import FORMAT, BackupError, BackupMarks, Counts, Manifest, version_key

VERSION = "1.2.3"
MADE_AT = 1_800_000_000_123
FILES = {
    "click_id.key": b"k" * 32,
    "ledger.sqlite": bytes(range(256)) * 5,
    "empty": b"",
    "journal/clicks/0001-edge1-7-ab/00000001.ndjson": b'{"a":1,"crc":2}\n',
    "block": b"x" * BLOCK,
}


def _unmoved(_bytes: int) -> None:
    """Do nothing."""


def written(files: dict[str, bytes] = FILES, version: str = VERSION, form: int = FORMAT) -> bytes:
    out = io.BytesIO()
    writer = ArchiveWriter(out, version, MADE_AT, _unmoved)
    for name, data in files.items():
        writer.add_bytes(name, data)
    writer.finish(
        Manifest(
            format=form,
            clickloop=version,
            made_at=MADE_AT,
            ledger_schema="0001",
            folder="/data",
            counts=Counts(clicks=3),
            marks=BackupMarks(),
            files=writer.entries,
        )
    )
    return out.getvalue()


def opened(data: bytes, version: str = VERSION) -> Archive:
    return Archive(io.BytesIO(data), len(data), version)


def contents(data: bytes) -> dict[str, bytes]:
    """Return the contents of an archive that is read to the end."""
    return {entry.name: b"".join(pieces) for entry, pieces in opened(data).read(_unmoved)}


WHOLE = written()


def test_what_was_written_is_read_again() -> None:
    found = contents(WHOLE)
    assert {name: found[name] for name in FILES} == FILES
    assert list(found) == ["clickloop-backup.json", *FILES]
    assert opened(WHOLE).manifest.counts.clicks == 3


def test_any_tar_lists_and_unpacks_it(tmp_path: Path) -> None:
    path = tmp_path / "backup.tar"
    path.write_bytes(WHOLE)
    with tarfile.open(path) as tar:
        assert tar.getnames() == ["clickloop-backup.json", *FILES, "manifest.json"]
        for name, data in FILES.items():
            file = tar.extractfile(name)
            assert file is not None
            assert file.read() == data


def test_a_file_of_the_disk_is_the_same_as_its_bytes(tmp_path: Path) -> None:
    big = bytes(range(251)) * 20_000
    (tmp_path / "big").write_bytes(big)
    out = io.BytesIO()
    writer = ArchiveWriter(out, VERSION, MADE_AT, _unmoved)
    writer.add_file("big", tmp_path / "big")
    assert out.getvalue() == written({"big": big})[: len(out.getvalue())]


def test_each_flipped_byte_is_noticed() -> None:
    for at in range(len(WHOLE)):
        for flip in (0x01, 0x80):
            damaged = bytearray(WHOLE)
            damaged[at] ^= flip
            with pytest.raises(BackupError):
                contents(bytes(damaged))


def test_each_cut_is_noticed() -> None:
    for end in range(len(WHOLE)):
        with pytest.raises(BackupError):
            opened(WHOLE[:end])


@pytest.mark.parametrize("more", [b"\0", b"x", bytes(BLOCK), bytes(20 * BLOCK)])
def test_what_follows_the_end_is_noticed(more: bytes) -> None:
    with pytest.raises(BackupError):
        opened(WHOLE + more)


def test_two_swapped_blocks_are_noticed() -> None:
    blocks = [WHOLE[at : at + BLOCK] for at in range(0, len(WHOLE), BLOCK)]
    for first in range(len(blocks) - 1):
        if blocks[first] != blocks[first + 1]:
            swapped = [*blocks[:first], blocks[first + 1], blocks[first], *blocks[first + 2 :]]
            with pytest.raises(BackupError):
                contents(b"".join(swapped))


def test_a_file_left_out_and_a_file_put_in_are_noticed() -> None:
    at = WHOLE.index(b"empty" + bytes(95))
    with pytest.raises(BackupError, match="manifest lists"):
        opened(WHOLE[:at] + WHOLE[at + BLOCK :])
    with pytest.raises(BackupError, match="manifest lists"):
        opened(WHOLE[:at] + _member("other") + WHOLE[at:])


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.mtime, info.size = kind, link, 0o600, MADE_AT // 1000, size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    "member",
    [
        _member("../escape"),
        _member("/etc/passwd"),
        _member("journal/../../escape"),
        _member("journal//x"),
        _member(".hidden"),
        _member("a/b/c/d/e"),
        _member("link", tarfile.SYMTYPE, "/etc/passwd"),
        _member("link", tarfile.LNKTYPE, "click_id.key"),
        _member("folder", tarfile.DIRTYPE),
        _member("device", tarfile.CHRTYPE),
        _member("pipe", tarfile.FIFOTYPE),
        _member("x" * 200),
        _member("sparse", tarfile.GNUTYPE_SPARSE),
        _member("pax", tarfile.XHDTYPE, size=10),
        _member("huge", size=1 << 50),
        _member("click_id.key"),
        _member("back\\slash"),
        _member("new\nline"),
    ],
)
def test_a_member_that_no_backup_has_is_refused_before_anything_is_read(member: bytes) -> None:
    at = WHOLE.index(b"empty" + bytes(95))
    with pytest.raises(BackupError):
        opened(WHOLE[:at] + member + WHOLE[at:])


@pytest.mark.parametrize(
    "foreign", [b"", b"x", b"SQLite format 3\0" * 100, bytes(4 * BLOCK), b"\x1f\x8b" + bytes(2 * BLOCK), _member("a")]
)
def test_a_foreign_file_is_said_to_be_none_of_ours(foreign: bytes) -> None:
    with pytest.raises(BackupError, match="not a Clickloop backup"):
        opened(foreign)


@pytest.mark.parametrize("newer", ["1.2.4", "1.3", "2.0.0", "1.10.0"])
def test_a_backup_of_a_newer_version_names_the_version_to_install(newer: str) -> None:
    with pytest.raises(BackupError, match=f"install Clickloop {newer} or newer"):
        opened(written(version=newer))


@pytest.mark.parametrize("older", ["1.2.3", "1.2", "0.9.9", "1.2.2.dev4"])
def test_a_backup_of_this_or_an_older_version_is_read(older: str) -> None:
    assert opened(written(version=older)).head.clickloop == older


def test_head_and_manifest_have_to_tell_of_the_same_backup() -> None:
    with pytest.raises(BackupError, match="belong to different backups"):
        opened(written(form=FORMAT - 1))


@pytest.mark.parametrize("name", ["", ".", "..", "a/..", "a/./b", "/a", "a/", "~x", "a b", "ä", "x" * 101, "a\0b"])
def test_names_that_could_lead_elsewhere_are_not_safe(name: str) -> None:
    assert not is_safe_name(name)


def test_versions_compare_by_number() -> None:
    assert version_key("0.10.1") > version_key("0.9.12")
    assert version_key("9" * 1_000_000) == ()
