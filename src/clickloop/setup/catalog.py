"""The catalog: an immutable snapshot of the set-up, with everything that the edge needs to redirect visitors.

The core writes it to ``catalog.json`` in the data folder whenever the set-up changes. Edges read it from there, so they start and
serve with every database down. A second copy is read while the first is missing or damaged.
"""

import contextlib
import hashlib
import os
import pathlib
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from clickloop.machine.sealed_file import SealedFileError, unseal, write_sealed
from clickloop.setup.flow import FlowParts, OfferShare, Path
from clickloop.setup.instance import InstanceSettings
from clickloop.setup.mark import MarkSetting
from clickloop.setup.redirect import PassQuery, RedirectMode
from clickloop.setup.returning import DEFAULT_UNIQUE_SECONDS, Bind, Rotation, UniqueBy

FILE_NAME = "catalog.json"
COPY_NAME = "catalog.copy.json"

AnyCatalog = TypeVar("AnyCatalog", bound="Catalog")


class CatalogRow(msgspec.Struct, frozen=True):
    """A parameter row of a traffic source. ``number``: −1 external id, 0 cost, 1…30 for V1…V30.

    A row that is not ``tracked`` is included so that its macro is empty; its values are not stored.
    """

    number: int
    parameter: str
    tracked: bool = True


class CatalogOffer(msgspec.Struct, frozen=True):
    """An offer, with the names that macros need. ``url`` is a template."""

    id: int
    name: str
    url: str
    network_id: int
    network_name: str
    alternative_id: int = 0
    """The offer that takes its visitors once its cap is reached; 0: none."""


class CatalogLanding(msgspec.Struct, frozen=True):
    """A landing. ``url`` is a template."""

    id: int
    name: str
    url: str
    append_click_id: bool = True


class CatalogList(msgspec.Struct, frozen=True):
    """A named list, for conditions."""

    id: int
    entries: tuple[str, ...]


class CatalogFlow(msgspec.Struct, frozen=True):
    """A flow, a campaign's own or shared."""

    id: int
    version: int
    parts: FlowParts
    name: str = ""
    """Of a shared flow; empty: a campaign's own."""


class CatalogCampaign(msgspec.Struct, frozen=True):
    """A campaign with its source. ``cost_micros``: per click, for any cost model; None: the cost in the link."""

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
    flow_id: int
    redirect: RedirectMode = RedirectMode.FOUND
    redirect_domain: str = ""
    """Host of a double meta refresh's second page; empty: the link's own."""
    pass_query: PassQuery = PassQuery.NONE
    unique_within_seconds: int = DEFAULT_UNIQUE_SECONDS
    """0: for ever."""
    unique_by: UniqueBy = UniqueBy.CAMPAIGN
    unique_epoch: int = 0
    bind: Bind = Bind.NONE
    rotation: Rotation = Rotation.RANDOM
    marks: tuple[MarkSetting, ...] = ()
    """Those that differ from the instance's."""
    cost_rule: str = ""
    """Travels on each click, see ``setup.cost_rule``; empty: the cost in the link."""
    unique_cost_only: bool = False
    loss_percent: int = 0
    """Already in ``cost_micros``."""


class Catalog(msgspec.Struct, frozen=True):
    """Everything that is not archived, in no order. ``own_hosts``: hosts of this tracker, lower case, with port if any.

    ``instance`` None: use the settings that the tracker was started with.
    """

    campaigns: tuple[CatalogCampaign, ...] = ()
    offers: tuple[CatalogOffer, ...] = ()
    own_hosts: tuple[str, ...] = ()
    instance: InstanceSettings | None = None
    installation: str = ""
    """Id of the installation that it belongs to."""
    key: str = ""
    """Fingerprint of the click ids' key."""
    setup_change: int = 0
    """The newest entry of the ledger's audit log when this was read."""
    landings: tuple[CatalogLanding, ...] = ()
    flows: tuple[CatalogFlow, ...] = ()
    lists: tuple[CatalogList, ...] = ()


def flows_by_campaign(catalog: Catalog) -> dict[int, CatalogFlow]:
    """Return the flow that each campaign's visitors follow, by campaign id; an empty one if it is missing."""
    flows = {flow.id: flow for flow in catalog.flows}
    return {
        campaign.id: flows.get(campaign.flow_id) or CatalogFlow(campaign.flow_id, 0, FlowParts())
        for campaign in catalog.campaigns
    }


class _Share(msgspec.Struct, frozen=True):
    offer_id: int
    weight: int


class _EarlierCampaign(CatalogCampaign, frozen=True, kw_only=True):
    shares: tuple[_Share, ...]
    flow_id: int = 0


class _EarlierCatalog(Catalog, frozen=True, kw_only=True):
    """A catalog from before campaigns had flows. After an update, edges may start before the core has written a new one."""

    campaigns: tuple[_EarlierCampaign, ...]

    def with_flows(self) -> Catalog:
        """Return it with a flow for each campaign, of one path to the campaign's offers. Its negative id is nobody's."""
        flows = tuple(CatalogFlow(-one.id, 0, _flow_to(one.shares)) for one in self.campaigns)
        campaigns = tuple(
            msgspec.convert(replace(one, flow_id=-one.id), CatalogCampaign, from_attributes=True)
            for one in self.campaigns
        )
        return msgspec.convert(replace(self, campaigns=campaigns, flows=flows), Catalog, from_attributes=True)


def _flow_to(shares: tuple[_Share, ...]) -> FlowParts:
    offers = tuple(OfferShare(share.offer_id, share.weight) for share in shares)
    return FlowParts(default_paths=(Path(offers=offers),)) if offers else FlowParts()


def write_catalog(folder: pathlib.Path, catalog: Catalog) -> None:
    """Write both copies of the catalog, each atomically, so that readers see either the old or the new one."""
    write_sealed(folder / FILE_NAME, catalog)
    write_sealed(folder / COPY_NAME, catalog)


def read_catalog_file(path: pathlib.Path) -> Catalog:
    """Return the catalog in a file. Raise SealedFileError or OSError."""
    return _catalog_in(path.read_bytes(), path)


def _catalog_in(data: bytes, path: pathlib.Path) -> Catalog:
    try:
        return _decoded(data, Catalog, path)
    except SealedFileError:
        if b'"shares":' not in data:
            raise
        return _decoded(data, _EarlierCatalog, path).with_flows()


def _decoded(data: bytes, kind: type[AnyCatalog], path: pathlib.Path) -> AnyCatalog:
    if data.startswith(
        b'{"campaigns"'
    ):  # from before catalogs had a checksum; the core writes a new one when it starts
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.DecodeError as error:
            raise SealedFileError(f"{path} cannot be read: {error}") from error
    return unseal(data, kind, str(path))


class CatalogFile:
    """Watches the catalog file of a data folder. ``installation``: the installation it must belong to; empty: any."""

    def __init__(self, folder: pathlib.Path, installation: str = "") -> None:
        self._path = folder / FILE_NAME
        self._copy = folder / COPY_NAME
        self._installation = installation
        self._seen: tuple[int, int, int] | None = None
        self._taken = b""

    def key(self) -> str:
        """Return the fingerprint of the click ids' key from the first readable copy; empty if there is none."""
        for path in (self._path, self._copy):
            with contextlib.suppress(OSError, SealedFileError):
                return self._ours(read_catalog_file(path), path).key
        return ""

    def fallback(self) -> Catalog | None:
        """Return the second copy, for an edge that starts while the first is missing or damaged; None if it is, too."""
        try:
            return self._ours(read_catalog_file(self._copy), self._copy)
        except (OSError, SealedFileError):
            return None

    def _ours(self, catalog: Catalog, path: pathlib.Path) -> Catalog:
        if catalog.installation and self._installation and catalog.installation != self._installation:
            raise SealedFileError(f"{path} belongs to installation {catalog.installation}, not to {self._installation}")
        return catalog

    def changed(self) -> Catalog | None:
        """Return the catalog if it has changed since the last call, or this is the first. Otherwise, and without a file, None."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return None
        stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
        if stamp == self._seen:
            return None
        data = self._path.read_bytes()
        catalog = self._ours(_catalog_in(data, self._path), self._path)
        self._seen = stamp
        digest = hashlib.blake2b(data).digest()
        if digest == self._taken:  # rewritten unchanged, for instance by a restarted core
            return None
        self._taken = digest
        return catalog
