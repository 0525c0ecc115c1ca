"""The file of the routing state: what edges read of it when something is wrong with it or with them."""

import resource
from pathlib import Path

import pytest

from clickloop.machine.sealed_file import SealedFileError
from clickloop.setup.routing_state import FILE_NAME, CappedOffer, RoutingState, RoutingStateFile, write_routing_state

CAPPED = RoutingState(version=3, capped=(CappedOffer(7, 8),), installation="ours")


def test_a_state_that_could_not_be_read_for_lack_of_descriptors_is_read_later(tmp_path: Path) -> None:
    write_routing_state(tmp_path, CAPPED)
    watched = RoutingStateFile(tmp_path, "ours")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            watched.changed()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert watched.changed() == CAPPED
    assert watched.changed() is None


def test_damage_is_told_once_per_file_and_a_good_one_is_taken(tmp_path: Path) -> None:
    watched = RoutingStateFile(tmp_path, "ours")
    (tmp_path / FILE_NAME).write_bytes(b'{"checksum":"","content":{}}')
    with pytest.raises(SealedFileError, match="checksum"):
        watched.changed()
    assert watched.changed() is None
    write_routing_state(tmp_path, CAPPED)
    assert watched.changed() == CAPPED


def test_the_state_of_another_installation_is_not_taken(tmp_path: Path) -> None:
    write_routing_state(tmp_path, RoutingState(installation="theirs"))
    assert RoutingStateFile(tmp_path, "ours").changed() is None
