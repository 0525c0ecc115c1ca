"""The user commands: listing, adding and disabling users, and links to set a password."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from clickloop.cli import app
from clickloop.clock import wall_clock
from clickloop.machine.core_client import CoreAddress, write_core_address
from clickloop.people.user import Role, User
from clickloop.saving.access import Access, Invitation, find_invitation
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.audit_log import ChangesFilter, changes_before
from clickloop.store.ledger.people.users import find_user_named, save_user
from tests.empty_stores import open_ledger


@pytest.fixture(autouse=True)
def ledger(tmp_path: Path) -> None:
    """Use the data folder first, since the commands refuse an unused one."""
    open_ledger(tmp_path / "ledger.sqlite").close()


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [*arguments, "--data", str(folder)])
    return result.exit_code, result.stdout, result.stderr


def welcomed(folder: Path, link: str) -> Invitation | None:
    """Return the use of a printed link."""
    assert link.count("\n") == 1
    ledger = Ledger.open(folder / "ledger.sqlite")
    found = find_invitation(Access(ledger=ledger), link.strip().partition("?key=")[2])
    ledger.close()
    return found


def create_user(folder: Path, name: str, role: Role = Role.OWNER, password_hash: str | None = "hash") -> None:
    ledger = Ledger.open(folder / "ledger.sqlite")
    with ledger.write() as tx:
        save_user(tx, User(name=name, role=role, password_hash=password_hash), wall_clock())
    ledger.close()


def test_the_link_of_a_new_user_is_printed_alone(tmp_path: Path) -> None:
    status, out, err = run(tmp_path, "user", "add", "anna", "--role", "owner")
    assert (status, out.startswith("http://127.0.0.1:8081/panel/welcome?key=")) == (0, True)
    assert "Added user 1 as owner" in err
    found = welcomed(tmp_path, out)
    assert found is not None
    assert found.user is not None
    assert (found.user.name, found.user.role) == ("anna", Role.OWNER)


def test_links_lead_to_the_server_of_the_data_folder(tmp_path: Path) -> None:
    write_core_address(tmp_path, CoreAddress("http://127.0.0.1:9999", "clk_local"))
    assert run(tmp_path, "user", "link")[1].startswith("http://127.0.0.1:9999/panel/welcome?key=")


def test_before_there_is_an_owner_a_link_creates_one(tmp_path: Path) -> None:
    status, out, err = run(tmp_path, "user", "link")
    assert (status, welcomed(tmp_path, out)) == (0, Invitation(None))
    assert "the first owner" in err


def test_without_a_name_the_link_is_for_the_only_owner(tmp_path: Path) -> None:
    create_user(tmp_path, "anna")
    found = welcomed(tmp_path, run(tmp_path, "user", "link")[1])
    assert found is not None
    assert found.user is not None
    assert found.user.name == "anna"
    create_user(tmp_path, "ben")
    status, _, err = run(tmp_path, "user", "link")
    assert (status, "anna, ben" in err) == (1, True)


def test_a_forgotten_password_can_be_replaced(tmp_path: Path) -> None:
    create_user(tmp_path, "anna")
    first, second = run(tmp_path, "user", "link", "ANNA")[1], run(tmp_path, "user", "link", "anna")[1]
    assert welcomed(tmp_path, first) is None
    assert welcomed(tmp_path, second) is not None


@pytest.mark.parametrize(
    "arguments",
    [
        ("user", "link", "nobody"),
        ("user", "disable", "nobody"),
        ("user", "add", "anna"),
        ("user", "add", ""),
        ("user", "add", "ben", "--role", "king"),
        ("user", "disable", "anna"),
        ("token", "create", "x", "--role", "king"),
    ],
)
def test_an_impossible_request_is_reported_and_exits_with_1(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    create_user(tmp_path, "anna")
    status, out, err = run(tmp_path, *arguments)
    assert (status, out) == (1, "")
    assert len(err.splitlines()) == 1


def test_users_are_listed_and_disabled(tmp_path: Path) -> None:
    create_user(tmp_path, "anna")
    create_user(tmp_path, "[bold]ben", Role.VIEWER, None)
    assert run(tmp_path, "user", "disable", "[bold]ben")[0] == 0
    _, out, _ = run(tmp_path, "user", "list")
    assert "[bold]ben" in out
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    with ledger.read() as tx:
        ben = find_user_named(tx, "[bold]ben")
        lines = changes_before(tx, ChangesFilter(noun="users"), None, 9)
    ledger.close()
    assert ben is not None
    assert ben.disabled_at is not None
    assert [(line.actor, line.action, line.record_id) for line in lines] == [("command line", "disabled", "2")]


def test_tokens_created_by_a_command_are_in_the_change_log(tmp_path: Path) -> None:
    run(tmp_path, "token", "create", "script", "--role", "viewer")
    run(tmp_path, "token", "revoke", "1")
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    with ledger.read() as tx:
        lines = changes_before(tx, ChangesFilter(noun="tokens"), None, 9)
    ledger.close()
    assert [line.action for line in lines] == ["revoked", "created"]
    assert lines[1].after == {"name": "script", "role": "viewer"}
