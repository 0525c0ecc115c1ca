"""The routing state: caps in force and learned weights. The core publishes it beside the catalog, since it changes more often.

It is written to ``routing.json`` in the data folder. Each version is kept in the ledger, so that past clicks can be explained.
"""

import os
import pathlib
from collections.abc import Mapping

import msgspec

from clickloop.machine.sealed_file import unseal, write_sealed
from clickloop.setup.catalog import Catalog
from clickloop.setup.flow import FlowParts, Path
from clickloop.setup.learning import ItemKind

FILE_NAME = "routing.json"


class CappedOffer(msgspec.Struct, frozen=True, array_like=True):
    """An offer whose cap is reached. ``instead_id``: where its visitors go, after all further caps; 0: it is out of the rotation."""

    offer_id: int
    instead_id: int = 0


class LearnedWeights(msgspec.Struct, frozen=True, array_like=True):
    """The learned weights of a path's landings or offers: pairs of id and weight."""

    path_id: int
    kind: ItemKind
    weights: tuple[tuple[int, int], ...]


class RoutingState(msgspec.Struct, frozen=True):
    """The caps in force and the learned weights."""

    version: int = 0
    capped: tuple[CappedOffer, ...] = ()
    learned: tuple[LearnedWeights, ...] = ()
    installation: str = ""
    """Id of the installation that it belongs to."""

    def instead(self) -> dict[int, int]:
        """Return the offer that takes the visitors of each capped one; 0: none does."""
        return {one.offer_id: one.instead_id for one in self.capped}

    def affects(self, parts: FlowParts) -> bool:
        """Return whether it changes where a flow's visitors go."""
        if not self.capped and not self.learned:
            return False
        capped = {one.offer_id for one in self.capped}
        learned = {one.path_id for one in self.learned}
        return any(
            path.id in learned or any(share.offer_id in capped for share in path.offers) for _, path in parts.paths()
        )


NO_STATE = RoutingState()


def has_room(path: Path, instead: Mapping[int, int]) -> bool:
    """Return whether caps leave a path an offer, or it has none that they could take. ``instead``: as ``RoutingState.instead``."""
    if not instead:
        return True
    weighted = [share.offer_id for share in path.offers if share.weight]
    return not weighted or any(instead.get(offer_id, offer_id) for offer_id in weighted)


def with_learned_weights(parts: FlowParts, state: RoutingState) -> FlowParts:
    """Return a flow with the learned weights of its learning paths. Items without a learned weight keep the user's."""
    if not state.learned:
        return parts
    learned = {(one.path_id, one.kind): dict(one.weights) for one in state.learned}

    def weighted(path: Path) -> Path:
        if path.learning is None:
            return path
        landings, offers = learned.get((path.id, ItemKind.LANDINGS), {}), learned.get((path.id, ItemKind.OFFERS), {})
        return msgspec.structs.replace(
            path,
            # An item that the user switched off stays off.
            landings=tuple(
                msgspec.structs.replace(share, weight=landings.get(share.landing_id, share.weight))
                if share.weight
                else share
                for share in path.landings
            ),
            offers=tuple(
                msgspec.structs.replace(share, weight=offers.get(share.offer_id, share.weight))
                if share.weight
                else share
                for share in path.offers
            ),
        )

    return FlowParts(
        rules=tuple(
            msgspec.structs.replace(rule, paths=tuple(weighted(path) for path in rule.paths)) for rule in parts.rules
        ),
        default_paths=tuple(weighted(path) for path in parts.default_paths),
    )


def with_learned_flows(catalog: Catalog, state: RoutingState) -> Catalog:
    """Return a catalog whose flows have the learned weights."""
    if not state.learned:
        return catalog
    flows = (msgspec.structs.replace(flow, parts=with_learned_weights(flow.parts, state)) for flow in catalog.flows)
    return msgspec.structs.replace(catalog, flows=tuple(flows))


def write_routing_state(folder: pathlib.Path, state: RoutingState) -> None:
    """Write the state atomically. Raise OSError."""
    write_sealed(folder / FILE_NAME, state)


def read_routing_state(path: pathlib.Path) -> RoutingState:
    """Return the state in a file. Raise SealedFileError or OSError."""
    return unseal(path.read_bytes(), RoutingState, str(path))


class RoutingStateFile:
    """Watches the file of the routing state. ``installation``: the installation it must belong to; empty: any."""

    def __init__(self, folder: pathlib.Path, installation: str = "") -> None:
        self._path = folder / FILE_NAME
        self._installation = installation
        self._seen: tuple[int, int, int] | None = None

    def changed(self) -> RoutingState | None:
        """Return the state if it has changed since the last call, or this is the first. Otherwise, and without a file, None.

        Raise SealedFileError or OSError.
        """
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return None
        stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
        if stamp == self._seen:
            return None
        data = self._path.read_bytes()
        # Not before: a process short of descriptors reads the file later.
        self._seen = stamp
        state = unseal(data, RoutingState, str(self._path))
        # A file that was copied here from another installation names other offers.
        return state if state.installation in ("", self._installation) or not self._installation else None
