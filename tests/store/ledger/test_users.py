"""Users, sessions, one-time links, tokens and the audit log in the ledger."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from sqlalchemy.exc import IntegrityError

from clickloop.people.user import THIS_MACHINE, Role, User
from clickloop.setup.fault import InvalidInputError
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.audit_log import (
    CHANGED_SECRET,
    Action,
    ChangesFilter,
    changes_before,
    insert_change,
)
from clickloop.store.ledger.people.sessions import (
    delete_old_sessions,
    delete_sessions_of_user,
    find_link,
    find_session,
    insert_link,
    insert_session,
    note_link_use,
    note_session_use,
    sessions_of_user,
)
from clickloop.store.ledger.people.tokens import find_valid_token, insert_token
from clickloop.store.ledger.people.users import (
    active_owners,
    find_user_named,
    has_owner_with_password,
    note_rehash,
    save_user,
)
from tests.empty_stores import open_ledger

NOW = 1_772_366_400_000


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


def added(ledger: Ledger, name: str, role: Role = Role.OWNER, password_hash: str | None = None) -> User:
    with ledger.write() as tx:
        return save_user(tx, User(name=name, role=role, password_hash=password_hash), NOW)


def test_a_name_is_the_same_in_any_case_and_spelling(ledger: Ledger) -> None:
    anna = added(ledger, "Ännä")
    with ledger.read() as tx:
        assert find_user_named(tx, "äNNÄ") == anna
        assert find_user_named(tx, "A\u0308nna\u0308") == anna
    with pytest.raises(InvalidInputError) as refused:
        added(ledger, "ÄNNÄ")
    assert refused.value.faults[0].code == "taken"


@pytest.mark.parametrize("name", ["", " ", " anna", "an\0na", "x" * 101, "\u200d\ud800"])
def test_an_odd_name_is_refused(ledger: Ledger, name: str) -> None:
    with pytest.raises(InvalidInputError):
        added(ledger, name)


def test_a_user_may_keep_their_name_in_another_case(ledger: Ledger) -> None:
    anna = added(ledger, "anna")
    with ledger.write() as tx:
        assert save_user(tx, replace(anna, name="Anna"), NOW + 1).updated_at == NOW + 1


@pytest.mark.parametrize("changes", [{"role": Role.ADMIN}, {"disabled_at": NOW}])
def test_the_last_active_owner_stays_one(ledger: Ledger, changes: dict[str, object]) -> None:
    anna, ben = added(ledger, "anna"), added(ledger, "ben")
    with ledger.write() as tx:
        save_user(tx, replace(ben, **changes), NOW)
    with pytest.raises(InvalidInputError) as refused, ledger.write() as tx:
        save_user(tx, replace(anna, **changes), NOW)
    assert refused.value.faults[0].code == "in_use"
    with ledger.read() as tx:
        assert [owner.name for owner in active_owners(tx)] == ["anna"]


def test_an_owner_without_a_password_does_not_count_as_set_up(ledger: Ledger) -> None:
    anna = added(ledger, "anna")
    added(ledger, "ben", Role.ADMIN, "hash")
    with ledger.write() as tx:
        assert not has_owner_with_password(tx)
        save_user(tx, replace(anna, password_hash="hash"), NOW)
        assert has_owner_with_password(tx)


def test_a_new_hash_of_an_old_password_does_not_undo_a_change(ledger: Ledger) -> None:
    anna = added(ledger, "anna", password_hash="new")
    with ledger.write() as tx:
        note_rehash(tx, anna.id, "old", "old with new parameters")
        assert find_user_named(tx, "anna") == anna


def test_only_hashes_of_secrets_are_stored(ledger: Ledger, tmp_path: Path) -> None:
    anna = added(ledger, "anna")
    with ledger.write() as tx:
        insert_session(tx, "the secret itself", anna.id, NOW, NOW + 10, "192.0.2.1", "Firefox")
        insert_link(tx, "the link itself", anna.id, NOW, NOW + 10)
    with ledger.read() as tx:
        found = find_session(tx, "the secret itself")
        assert found is not None
        assert (found.user_id, found.address) == (anna.id, "192.0.2.1")
        assert find_session(tx, "another") is None
    ledger.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("ledger.sqlite*"))
    assert b"itself" not in stored


def test_the_use_of_a_session_is_stored_to_the_minute(ledger: Ledger) -> None:
    anna = added(ledger, "anna")
    with ledger.write() as tx:
        number = insert_session(tx, "s", anna.id, NOW, NOW + 10**9, "", "")
        note_session_use(tx, number, NOW + 59_999)
        assert sessions_of_user(tx, anna.id, 9)[0].last_seen_at == NOW
        note_session_use(tx, number, NOW + 60_000)
        assert sessions_of_user(tx, anna.id, 9)[0].last_seen_at == NOW + 60_000


def test_sessions_of_a_user_end_together_except_the_one_to_keep(ledger: Ledger) -> None:
    anna, ben = added(ledger, "anna"), added(ledger, "ben")
    with ledger.write() as tx:
        kept = insert_session(tx, "1", anna.id, NOW, NOW + 10, "", "")
        insert_session(tx, "2", anna.id, NOW, NOW + 10, "", "")
        insert_session(tx, "3", ben.id, NOW, NOW + 10, "", "")
        assert delete_sessions_of_user(tx, anna.id, keep_id=kept) == 1
        assert [session.id for session in sessions_of_user(tx, anna.id, 9)] == [kept]
        assert len(sessions_of_user(tx, ben.id, 9)) == 1


def test_expired_and_idle_sessions_are_deleted(ledger: Ledger) -> None:
    anna = added(ledger, "anna")
    with ledger.write() as tx:
        insert_session(tx, "over", anna.id, NOW - 10, NOW, "", "")
        insert_session(tx, "idle", anna.id, NOW - 100, NOW + 10, "", "")
        insert_session(tx, "live", anna.id, NOW - 10, NOW + 1, "", "")
        assert delete_old_sessions(tx, NOW, NOW - 50) == 2
        assert find_session(tx, "live") is not None


def test_a_link_works_once_and_a_newer_one_replaces_it(ledger: Ledger) -> None:
    anna = added(ledger, "anna")
    with ledger.write() as tx:
        insert_link(tx, "first owner", None, NOW, NOW + 10)
        insert_link(tx, "older", anna.id, NOW, NOW + 10)
        insert_link(tx, "newer", anna.id, NOW, NOW + 10)
        assert find_link(tx, "older") is None
        assert find_link(tx, "first owner") is not None
        assert [note_link_use(tx, "newer", NOW), note_link_use(tx, "newer", NOW)] == [True, False]


def test_a_token_can_never_do_more_than_its_user(ledger: Ledger) -> None:
    added(ledger, "owner")
    anna = added(ledger, "anna", Role.ADMIN)
    with ledger.write() as tx:
        insert_token(tx, "script", "s", NOW, Role.ADMIN, anna.id)
        insert_token(tx, "machine", "m", NOW)
        anna = save_user(tx, replace(anna, role=Role.VIEWER), NOW)
        hers, machines = find_valid_token(tx, "s"), find_valid_token(tx, "m")
        assert hers is not None
        assert (hers.actor.role, hers.actor.name, hers.actor.user_id) == (Role.VIEWER, "anna, token script", anna.id)
        assert machines is not None
        assert (machines.actor.role, machines.actor.user_id) == (Role.OWNER, 0)
        save_user(tx, replace(anna, disabled_at=NOW), NOW)
        assert find_valid_token(tx, "s") is None


class AView(msgspec.Struct):
    """A view with secrets."""

    name: str
    token: str
    url: str
    warnings: tuple[str, ...] = ("left out",)


def logged(ledger: Ledger, before: object, after: object) -> list[dict[str, object] | None]:
    with ledger.write() as tx:
        insert_change(tx, THIS_MACHINE, NOW, noun="n", record_id="1", action=Action.CHANGED, before=before, after=after)
        line = changes_before(tx, ChangesFilter(), None, 1)[0]
    return [line.before, line.after]


def test_the_log_masks_secrets_and_shows_that_one_changed(ledger: Ledger) -> None:
    before = AView("a", "old", "https://x.example/?api_key=old&a=1")
    after = AView("b", "new", "https://x.example/?api_key=new&a=1")
    assert logged(ledger, before, after) == [
        {"name": "a", "token": "•••", "url": "https://x.example/?api_key=•••&a=1"},
        {"name": "b", "token": CHANGED_SECRET, "url": f"https://x.example/?api_key={CHANGED_SECRET}&a=1"},
    ]
    assert logged(ledger, None, after)[1] == {
        "name": "b",
        "token": "•••",
        "url": "https://x.example/?api_key=•••&a=1",
    }
    assert logged(ledger, before, before)[1] == logged(ledger, before, before)[0]


def test_the_log_is_narrowed_and_paged_by_number(ledger: Ledger) -> None:
    with ledger.write() as tx:
        for number, noun in enumerate(("offers", "offers", "networks", "offers")):
            insert_change(tx, THIS_MACHINE, NOW + number, noun=noun, record_id=str(number % 2), action=Action.CREATED)
        assert [line.id for line in changes_before(tx, ChangesFilter(noun="offers"), None, 9)] == [4, 2, 1]
        assert [line.id for line in changes_before(tx, ChangesFilter(noun="offers", record_id="1"), None, 9)] == [4, 2]
        assert [line.id for line in changes_before(tx, ChangesFilter(), 3, 1)] == [2]
        assert changes_before(tx, ChangesFilter(user_id=7), None, 9) == []
        assert len(changes_before(tx, ChangesFilter(actor="command line", action=Action.CREATED), None, 9)) == 4


def test_a_session_needs_its_user(ledger: Ledger) -> None:
    with pytest.raises(IntegrityError), ledger.write() as tx:
        insert_session(tx, "s", 77, NOW, NOW, "", "")
