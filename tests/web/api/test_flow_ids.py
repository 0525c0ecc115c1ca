"""Ids of rules and paths over several saves."""

from typing import TYPE_CHECKING

from clickloop.store.ledger.setup.flows import own_flow_id, parts_of_flow

if TYPE_CHECKING:
    from tests.web.conftest import Instance


def removed(instance: "Instance") -> set[int]:
    """Return the ids of the rules and paths that campaign 1 has no more."""
    with instance.ledger.read() as tx:
        return {part.id for part in parts_of_flow(tx, own_flow_id(tx, 1) or 0) if part.is_removed}


def test_a_path_that_was_removed_is_back_when_an_earlier_state_is_saved_again(instance: "Instance") -> None:
    instance.set_up()
    before = instance.got("campaigns/1")["flow"]
    (path,) = before["default_paths"]
    instance.api.patch("/api/v1/campaigns/1", json={"flow": {"default_paths": [path | {"id": 0}]}})
    assert removed(instance) == {path["id"]}
    after = instance.api.patch("/api/v1/campaigns/1", json={"flow": before}).json()["flow"]
    assert after == before
    assert path["id"] not in removed(instance)
    assert len(removed(instance)) == 1
