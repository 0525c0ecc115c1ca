"""Saving a record of any kind: version, checks, rows, audit log and publication belong together."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.people.user import Actor, Role, Via
from clickloop.saving import networks, offers
from clickloop.saving.record import SavingContext, UnknownRecordError, archive, change, create, restore
from clickloop.setup.fault import FaultCode, InvalidInputError
from clickloop.setup.network import Network
from clickloop.setup.offer import Offer
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.audit_log import Action, ChangesFilter, LoggedChange, changes_before
from clickloop.store.ledger.setup.versions import Expectation, StaleRecordError
from tests.empty_stores import open_ledger

NOW = 1_772_366_400_000
URL = "https://offer.example/?sub1={clickid}"


class Scene:
    """A ledger with a network and an offer; counts how often a change is published."""

    def __init__(self, ledger: Ledger) -> None:
        self.published: list[str] = []
        self.now_ms = NOW
        self.context = SavingContext(
            ledger=ledger,
            actor=Actor(user_id=7, name="anna", role=Role.WORKER, via=Via.TOKEN),
            clock=lambda: self.now_ms,
            on_setup_changed=lambda: self.published.append(self.name()),
        )

    def name(self) -> str:
        """Return the offer's name as another thread reads it."""
        with self.context.ledger.read() as tx:
            found = offers.NOUN.find(tx, 1)
        return found.name if found else ""

    def lines(self) -> list[LoggedChange]:
        """Return the audit log, oldest entry first."""
        with self.context.ledger.read() as tx:
            return changes_before(tx, ChangesFilter(), None, 100)[::-1]

    def actions(self) -> list[tuple[str, Action]]:
        return [(line.noun, line.action) for line in self.lines()]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    scene = Scene(ledger)
    create(scene.context, networks.NOUN, lambda _tx: Network(name="Network"), shown)
    create(scene.context, offers.NOUN, lambda _tx: Offer(name="Offer", url=URL, network_id=1), shown)
    yield scene
    ledger.close()


def shown(_tx: Connection, record: Network | Offer) -> object:
    return {"name": record.name, "archived_at": record.archived_at}


def renamed(_tx: Connection, offer: Offer) -> Offer:
    return replace(offer, name="Renamed")


def test_a_new_record_is_logged_and_published_after_the_commit(scene: Scene) -> None:
    assert scene.published == ["", "Offer"]
    assert scene.actions() == [("networks", Action.CREATED), ("offers", Action.CREATED)]
    line = scene.lines()[1]
    assert (line.actor, line.user_id, line.record_id, line.at) == ("anna", 7, "1", NOW)
    assert (line.before, line.after) == (None, {"name": "Offer", "archived_at": None})


def test_a_change_is_logged_with_the_previous_values(scene: Scene) -> None:
    scene.now_ms += 5
    saved = change(scene.context, offers.NOUN, 1, renamed, shown)
    assert (saved.name, saved.updated_at, saved.created_at) == ("Renamed", NOW + 5, NOW)
    assert scene.published[-1] == "Renamed"
    line = scene.lines()[-1]
    assert (line.action, line.before, line.after) == (
        Action.CHANGED,
        {"name": "Offer", "archived_at": None},
        {"name": "Renamed", "archived_at": None},
    )


def test_saving_an_unchanged_record_adds_no_audit_entry(scene: Scene) -> None:
    before = scene.actions()
    saved = change(scene.context, offers.NOUN, 1, lambda _tx, offer: offer, shown)
    assert scene.actions() == before
    assert saved.version > NOW, "the form that was open meanwhile is told"


def test_a_change_that_the_view_hides_adds_an_audit_entry(scene: Scene) -> None:
    change(scene.context, networks.NOUN, 1, lambda _tx, network: replace(network, token="another"), shown)
    line = scene.lines()[-1]
    assert (line.noun, line.action, line.before == line.after) == ("networks", Action.CHANGED, True)


def test_an_unexpected_version_is_stale_and_nothing_is_saved(scene: Scene) -> None:
    before, published = scene.actions(), list(scene.published)
    context = dataclasses.replace(scene.context, expected=Expectation(frozenset({NOW - 1})))
    with pytest.raises(StaleRecordError):
        change(context, offers.NOUN, 1, renamed, shown)
    with pytest.raises(StaleRecordError):
        archive(context, offers.NOUN, 1, shown)
    with pytest.raises(StaleRecordError):
        restore(context, offers.NOUN, 1, shown)
    assert (scene.name(), scene.actions(), scene.published) == ("Offer", before, published)


def test_every_fault_is_reported_and_nothing_is_saved(scene: Scene) -> None:
    before, published = scene.actions(), list(scene.published)
    with pytest.raises(InvalidInputError) as raised:
        change(scene.context, offers.NOUN, 1, lambda _tx, offer: replace(offer, name="", network_id=9, url="x:"), shown)
    assert {fault.field for fault in raised.value.faults} == {"name", "network_id", "url"}
    assert (scene.name(), scene.actions(), scene.published) == ("Offer", before, published)


def test_a_record_in_use_is_not_archived(scene: Scene) -> None:
    with pytest.raises(InvalidInputError) as raised:
        archive(scene.context, networks.NOUN, 1, shown)
    assert [(fault.code, fault.message) for fault in raised.value.faults] == [
        (FaultCode.IN_USE, "The offer 'Offer' still uses it. Change or archive that first.")
    ]
    archive(scene.context, offers.NOUN, 1, shown)
    assert archive(scene.context, networks.NOUN, 1, shown).is_archived


def test_archiving_an_archived_record_changes_nothing(scene: Scene) -> None:
    first = archive(scene.context, offers.NOUN, 1, shown)
    scene.now_ms += 5
    again = archive(scene.context, offers.NOUN, 1, shown)
    assert (again.archived_at, again.version) == (first.archived_at, first.version)
    assert [action for noun, action in scene.actions() if noun == "offers"] == [Action.CREATED, Action.ARCHIVED]


def test_restoring_runs_the_checks_of_saving(scene: Scene) -> None:
    archive(scene.context, offers.NOUN, 1, shown)
    archive(scene.context, networks.NOUN, 1, shown)
    with pytest.raises(InvalidInputError) as raised:
        restore(scene.context, offers.NOUN, 1, shown)
    assert [(fault.field, fault.code) for fault in raised.value.faults] == [("network_id", FaultCode.ARCHIVED)]
    restore(scene.context, networks.NOUN, 1, shown)
    assert not restore(scene.context, offers.NOUN, 1, shown).is_archived
    assert scene.actions()[-2:] == [("networks", Action.RESTORED), ("offers", Action.RESTORED)]


def test_an_unknown_record_is_named(scene: Scene) -> None:
    with pytest.raises(UnknownRecordError, match=r"^offer 9$"):
        change(scene.context, offers.NOUN, 9, renamed, shown)
