"""The catalog: an immutable snapshot of the set-up, all that the edge needs to send a visitor on.

The core writes it to ``catalog.json`` in the data folder whenever the set-up changes; edges read it from there, so that they
start and serve with every database down.
"""

import hashlib
import os
from pathlib import Path

import msgspec

from clickloop.campaign.instance import InstanceSettings

FILE_NAME = "catalog.json"


class CatalogRow(msgspec.Struct, frozen=True):
    """A parameter row of a traffic source. ``number``: −1 external id, 0 cost, 1…30 for V1…V30.

    A row that is not ``tracked`` is known so that its macro is empty; what arrives for it is not kept.
    """

    number: int
    parameter: str
    tracked: bool = True


class CatalogOffer(msgspec.Struct, frozen=True):
    """An offer with the names its macros need; ``url`` is a template."""

    id: int
    name: str
    url: str
    network_id: int
    network_name: str


class CatalogShare(msgspec.Struct, frozen=True):
    """An offer's weight in a campaign; 0 switches it off there."""

    offer_id: int
    weight: int


class CatalogCampaign(msgspec.Struct, frozen=True):
    """A campaign with its source. ``cost_micros``: of one click, whatever the model; None: the cost is what the link says."""

    id: int
    key: str
    name: str
    source_id: int
    source_name: str
    active: bool
    domain: str
    fallback_url: str
    cost_micros: int | None
    cost_currency: str
    rows: tuple[CatalogRow, ...]
    shares: tuple[CatalogShare, ...]


class Catalog(msgspec.Struct, frozen=True):
    """Everything that is live, in no order. ``own_hosts``: hosts that reach this tracker, lower case, with port if any.

    ``instance`` None: what the tracker was started with.
    """

    campaigns: tuple[CatalogCampaign, ...] = ()
    offers: tuple[CatalogOffer, ...] = ()
    own_hosts: tuple[str, ...] = ()
    instance: InstanceSettings | None = None


_decoder = msgspec.json.Decoder(Catalog)


def write_catalog(folder: Path, catalog: Catalog) -> None:
    """Puts the catalog into the data folder in one step: a reader sees the old one or the new one."""
    fresh = folder / f"{FILE_NAME}.{os.getpid()}"
    with fresh.open("wb") as file:
        file.write(msgspec.json.encode(catalog))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / FILE_NAME)


class CatalogFile:
    """Watches the catalog file of a data folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._seen: tuple[int, int, int] | None = None
        self._taken = b""

    def changed(self) -> Catalog | None:
        """The catalog if another one is there than at the last call (or this is the first), else None. A missing file: None."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return None
        stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
        if stamp == self._seen:
            return None
        octets = self._path.read_bytes()
        catalog = _decoder.decode(octets)
        self._seen = stamp
        digest = hashlib.blake2b(octets).digest()
        if digest == self._taken:  # written again as it was, by a core that was started again, say
            return None
        self._taken = digest
        return catalog
