"""An API on a real ledger and real facts in a temporary folder."""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import argon2
import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from clickloop.click.click import Click
from clickloop.click_id import ClickIds
from clickloop.people.passwords import Passwords
from clickloop.people.user import Role, User
from clickloop.postback.sending.address_guard import AddressGuard, Policy
from clickloop.record_id import RecordIds
from clickloop.saving.access import Access
from clickloop.setup.instance import InstanceSettings
from clickloop.store.export_files import ExportFiles
from clickloop.store.journal.segment import Segment, SegmentContents, closed_segment_bytes, record_line
from clickloop.store.ledger.people.tokens import insert_token
from clickloop.store.ledger.people.users import save_user
from clickloop.store.upload_files import UploadFiles
from clickloop.web.api.application import create_api
from clickloop.web.api.context import ApiContext
from tests.empty_stores import FactsOnUse, open_ledger

NOW = 1_772_366_400_000  # 2026-03-01T12:00:00Z
SECRET = "clk_secret_of_the_tests"
PASSWORD = "a few long words"
QUICK_PASSWORDS = Passwords(argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


MakeApp = Callable[[ApiContext], Litestar]

_applications: dict[MakeApp, Litestar] = {}


def application(make: MakeApp, context: ApiContext) -> Litestar:
    """The application that ``make`` makes, serving this context and no longer the one before.

    Each is made once: that takes longer than most tests, and what differs between two is their state alone.
    """
    if make not in _applications:
        _applications[make] = make(context)
    _applications[make].state.context = context
    return _applications[make]


class _SetUp(NamedTuple):
    """A ledger after a set-up, and the number of changes that were made."""

    ledger: sqlite3.Connection
    changes: int


MAX_SET_UPS = 32
_set_ups: dict[tuple[str, int, bytes], _SetUp] = {}
"""By name, moment and the ledger before."""


class Instance:
    """A tracker without doors: its stores, its API, and how often it was told of changes."""

    def __init__(self, folder: Path, make_app: MakeApp = create_api) -> None:
        self.folder = folder
        self.now = NOW
        self.ledger = open_ledger(folder / "ledger.sqlite")
        self.facts = FactsOnUse(folder / "facts.duckdb")
        self.click_ids = ClickIds(b"k" * 32)
        self.setup_changes = 0
        self.owed = 0
        self.asked = 0
        self.segments = 0
        with self.ledger.write() as tx:
            insert_token(tx, "tests", SECRET, NOW)
        self.context = ApiContext(
            ledger=self.ledger,
            access=Access(ledger=self.ledger, clock=lambda: self.now, passwords=QUICK_PASSWORDS),
            facts=self.facts,
            click_ids=self.click_ids,
            started=InstanceSettings(public_url="https://go.example.com"),
            clock=lambda: self.now,
            record_ids=RecordIds(lambda: self.now),
            guard=AddressGuard(Policy(own_hosts=frozenset({"go.example.com"}))),
            uploads=UploadFiles(folder / "uploads", max_bytes=4 * 1024 * 1024),
            exports=ExportFiles(folder / "exports", min_free_bytes=0),
            local_token="clk_local",
            on_setup_changed=self._setup_changed,
            on_postbacks_owed=self._postbacks_owed,
            on_receiver_command=self._receiver_command,
        )
        self.app = application(make_app, self.context)
        self.api: TestClient[Any] = TestClient(self.app, raise_server_exceptions=False)

    def user(self, role: Role, name: str = "", password: str = PASSWORD) -> User:
        """A user with that role and a password, under the role's name unless another is given."""
        with self.ledger.write() as tx:
            hashed = QUICK_PASSWORDS.hash(password)
            return save_user(tx, User(name=name or role.value, role=role, password_hash=hashed), self.now)

    def token_of(self, role: Role, user_id: int | None = None) -> dict[str, str]:
        """The header of a new token with that role."""
        secret = f"clk_{role.value}_{user_id}"
        with self.ledger.write() as tx:
            insert_token(tx, role.value, secret, self.now, role, user_id)
        return {"authorization": f"Bearer {secret}"}

    def visit(self, **fields: Any) -> str:
        """A click that has arrived in the facts; answers its id."""
        usual = {"at": self.now - 60_000, "campaign_id": 1, "source_id": 1, "offer_id": 1, "network_id": 1}
        click_id = self.click_ids.new(self.now - 60_000)
        click = Click(**usual | {"click_id": click_id, "external_id": "w9Xk2-7fA"} | fields)
        self.segments += 1
        path = self.folder / f"{self.segments:08d}.ndjson"
        path.write_bytes(closed_segment_bytes(self.segments, [record_line(msgspec.json.encode(click)).rstrip(b"\n")]))
        self.facts.load_clicks(
            [SegmentContents(Segment(path, "clicks", "tests", self.segments, path.stat().st_size), 1)]
        )
        return click_id

    def once(self, make: Callable[[], object]) -> None:
        """Bring the ledger into the state that ``make`` leaves behind, by a copy if it began with the same ledger before.

        The requests of a set-up take longer than most tests.
        """
        connection = self.ledger.engine.raw_connection()
        database = connection.driver_connection
        assert isinstance(database, sqlite3.Connection)
        try:
            key = f"{make.__module__}.{make.__qualname__}", self.now, hashlib.sha256(database.serialize()).digest()
            if key in _set_ups:
                _set_ups[key].ledger.backup(database)
                self.setup_changes += _set_ups[key].changes
                return
            before = self.setup_changes, self.owed, self.asked, self.segments
            make()
            assert before[1:] == (self.owed, self.asked, self.segments), "more than the set-up was made"
            if len(_set_ups) < MAX_SET_UPS:
                copy = sqlite3.connect(":memory:", check_same_thread=False)
                database.backup(copy)
                _set_ups[key] = _SetUp(copy, self.setup_changes - before[0])
        finally:
            connection.close()

    def set_up(self) -> None:
        """Create a source with a postback URL, a network, an offer and a campaign, each with number 1."""
        self.once(self._set_up)

    def _set_up(self) -> None:
        url = "https://source.example/postback?id={externalid}&payout={payout}"
        rows = [{"parameter": "external_id", "placeholder": "${SUBID}"}, {"parameter": "zone", "placeholder": "{zone}"}]
        self.made("traffic-sources", {"name": "Source", "postback_url": url, "parameters": rows})
        self.made("networks", {"name": "Network", "postback_parameters": {"cid": "{sub1}", "payout": "{payout}"}})
        self.made("offers", {"name": "Offer", "network_id": 1, "url": "https://network.example/?sub1={clickid}"})
        self.made("campaigns", {"name": "Campaign", "source_id": 1, "offers": [{"offer_id": 1}]})

    def made(self, noun: str, body: dict[str, Any]) -> Any:
        """The record that a POST made."""
        answer = self.api.post(f"/api/v1/{noun}", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def got(self, path: str) -> Any:
        """Return the response to a GET."""
        answer = self.api.get(f"/api/v1/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def faults(self, answer: Any) -> dict[str, str]:
        """By field, the code of its fault in a 422."""
        assert answer.status_code == 422, answer.text
        assert answer.headers["content-type"].startswith("application/problem+json")
        return {fault["field"]: fault["code"] for fault in answer.json()["errors"]}

    def _setup_changed(self) -> None:
        self.setup_changes += 1

    def _receiver_command(self) -> None:
        self.asked += 1

    def _postbacks_owed(self) -> None:
        self.owed += 1


@pytest.fixture
def make_app() -> MakeApp:
    """The ASGI application of an instance: the API alone."""
    return create_api


@pytest.fixture
def instance(tmp_path: Path, make_app: MakeApp) -> Iterator[Instance]:
    made = Instance(tmp_path, make_app)
    with made.api:
        made.api.headers["authorization"] = f"Bearer {SECRET}"
        yield made
    made.facts.close()
    made.ledger.close()
