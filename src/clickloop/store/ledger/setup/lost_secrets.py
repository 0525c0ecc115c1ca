"""Secrets of the set-up that cannot be decrypted, after a lost key or damage, and replacing them at the user's request.

``tx`` is an open transaction.
"""

import secrets
from collections.abc import Callable
from typing import TypeVar

import msgspec
from sqlalchemy import Connection, Dialect, LargeBinary, Text, cast, func, literal, select, type_coerce, update

from clickloop.machine.secret_box import SEALED, SecretError
from clickloop.postback.rule import RequestTemplate
from clickloop.postback.state import UNFINISHED
from clickloop.store.ledger.audit.row_checks import accept_postbacks
from clickloop.store.ledger.row_count import expect_rows
from clickloop.store.ledger.schema.sealing import opened, opened_bytes, opened_json
from clickloop.store.ledger.schema.tables import networks, postback_rules, postbacks
from clickloop.store.ledger.setup.versions import later_version

PLACEHOLDER_URL = "https://enter-the-request-again.invalid/"
"""Nothing is ever sent there: the rule is switched off, and the top-level domain is reserved (RFC 2606)."""
_TOKEN_BYTES = 24
_ROWS_PER_BATCH = 500  # each is read and decrypted: keeps memory flat

_Stored = TypeVar("_Stored", str, bytes)


class LostSecrets(msgspec.Struct, frozen=True):
    """Records whose secrets have to be entered again: names by number."""

    networks: dict[int, str] = {}
    rules: dict[int, str] = {}

    @property
    def sentence(self) -> str:
        """Return a phrase that names them for users; empty if none."""
        found = []
        if self.networks:
            found.append(f"the tokens of the networks {', '.join(self.networks.values())}")
        if self.rules:
            found.append(f"the requests of the postback rules {', '.join(self.rules.values())}")
        return " and ".join(found)


def find_lost_secrets(tx: Connection) -> LostSecrets:
    """Return what the ledger's key cannot decrypt. Read as text, since reading with the columns' own types would fail."""
    tokens = tx.execute(select(networks.c.id, networks.c.name, cast(networks.c.token, Text)))
    requests = tx.execute(select(postback_rules.c.id, postback_rules.c.name, cast(postback_rules.c.request, Text)))
    return LostSecrets(
        {number: name for number, name, stored in tokens if not _opens(opened, tx, stored)},
        {number: name for number, name, stored in requests if not _opens(opened_json, tx, stored)},
    )


def replace_lost_secrets(tx: Connection, now_ms: int) -> LostSecrets:
    """Replace what the ledger's key cannot decrypt, and return which secrets those were.

    A network gets an unknown token, so that it does not accept forged notices: its notices are refused as ``wrong_token`` and can
    be reprocessed. A rule is switched off: its postbacks are skipped as ``rule_off`` and can be sent later.
    """
    lost = find_lost_secrets(tx)
    for number in lost.networks:
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        values = {"token": token, "updated_at": now_ms, "version": later_version(networks, now_ms)}
        replaced = tx.execute(update(networks).where(networks.c.id == number).values(**values))
        expect_rows(replaced, 1, f"network {number}")
    request = msgspec.to_builtins(RequestTemplate(url=PLACEHOLDER_URL))
    for number in lost.rules:
        values = {"request": request, "active": False, "updated_at": now_ms, "request_changed_at": now_ms}
        values |= {"version": later_version(postback_rules, now_ms)}
        replaced = tx.execute(update(postback_rules).where(postback_rules.c.id == number).values(**values))
        expect_rows(replaced, 1, f"postback rule {number}")
    return lost


class LostRequests(msgspec.Struct, frozen=True):
    """The number of postbacks whose request cannot be decrypted any more, and how many of them are unfinished."""

    postbacks: int = 0
    unfinished: int = 0


def accept_lost_requests(tx: Connection) -> LostRequests:
    """Make the self-audit accept postbacks whose request was encrypted under a lost key, and count them.

    Their checksum is over the plain request and cannot be verified any more. Unfinished ones fail at their next attempt, with an
    error that says why.
    """
    lost = unfinished = 0
    after = ""
    # As raw bytes: the column's own type would decrypt, and turn what it cannot decrypt into None.
    query = select(postbacks.c.postback_id, postbacks.c.state, type_coerce(postbacks.c.request, LargeBinary))
    begins = literal(SEALED.encode(), LargeBinary)
    is_sealed = func.substr(type_coerce(postbacks.c.request, LargeBinary), 1, len(SEALED)) == begins
    query = query.where(is_sealed).order_by(postbacks.c.postback_id).limit(_ROWS_PER_BATCH)
    while rows := tx.execute(query.where(postbacks.c.postback_id > after)).all():
        failing = [row for row in rows if not _opens(opened_bytes, tx, row[2])]
        accept_postbacks(tx, [row[0] for row in failing])
        lost += len(failing)
        unfinished += sum(row[1] in UNFINISHED for row in failing)
        after = rows[-1][0]
    return LostRequests(lost, unfinished)


def _opens(open_with: Callable[[Dialect, _Stored], object], tx: Connection, stored: _Stored) -> bool:
    try:
        open_with(tx.dialect, stored)
    except (SecretError, msgspec.DecodeError, UnicodeError):
        return False
    return True
