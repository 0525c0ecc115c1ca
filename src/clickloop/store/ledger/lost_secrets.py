"""Secrets of the set-up that cannot be decrypted, for a lost key or damage: found, and replaced when the user asks for it.

``tx`` is an open transaction.
"""

import secrets
from collections.abc import Callable

import msgspec
from sqlalchemy import Connection, Dialect, Text, cast, select, update

from clickloop.postback.rule import RequestTemplate
from clickloop.secret_box import SecretError
from clickloop.store.ledger.sealing import opened, opened_json
from clickloop.store.ledger.tables import networks, postback_rules
from clickloop.store.ledger.versions import later_version

PLACEHOLDER_URL = "https://enter-the-request-again.invalid/"
"""Nothing is ever sent there: its rule is off, and the top-level domain is reserved (RFC 2606)."""
_TOKEN_BYTES = 24


class LostSecrets(msgspec.Struct, frozen=True):
    """What has to be entered again: names by number."""

    networks: dict[int, str] = {}
    rules: dict[int, str] = {}

    @property
    def sentence(self) -> str:
        """Which they are, for people; empty: none."""
        found = []
        if self.networks:
            found.append(f"the tokens of the networks {', '.join(self.networks.values())}")
        if self.rules:
            found.append(f"the requests of the postback rules {', '.join(self.rules.values())}")
        return " and ".join(found)


def find_lost_secrets(tx: Connection) -> LostSecrets:
    """Return what this ledger's key does not open. The rows are read as text: reading them as what they are is what fails."""
    tokens = tx.execute(select(networks.c.id, networks.c.name, cast(networks.c.token, Text)))
    requests = tx.execute(select(postback_rules.c.id, postback_rules.c.name, cast(postback_rules.c.request, Text)))
    return LostSecrets(
        {number: name for number, name, stored in tokens if not _opens(opened, tx, stored)},
        {number: name for number, name, stored in requests if not _opens(opened_json, tx, stored)},
    )


def replace_lost_secrets(tx: Connection, now_ms: int) -> LostSecrets:
    """Replace what this ledger's key does not open, and return what that was.

    A network gets a token that nobody knows, so that it does not become open to forged notices: what it sends is refused as
    ``wrong_token`` and can be run again. A rule is switched off: what it would owe is skipped as ``rule_off`` and can be sent
    later.
    """
    lost = find_lost_secrets(tx)
    for number in lost.networks:
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        values = {"token": token, "updated_at": now_ms, "version": later_version(networks, now_ms)}
        tx.execute(update(networks).where(networks.c.id == number).values(**values))
    request = msgspec.to_builtins(RequestTemplate(url=PLACEHOLDER_URL))
    for number in lost.rules:
        values = {"request": request, "active": False, "updated_at": now_ms, "request_changed_at": now_ms}
        values |= {"version": later_version(postback_rules, now_ms)}
        tx.execute(update(postback_rules).where(postback_rules.c.id == number).values(**values))
    return lost


def _opens(how: Callable[[Dialect, str], str], tx: Connection, stored: str) -> bool:
    try:
        how(tx.dialect, stored)
    except (SecretError, msgspec.DecodeError, UnicodeError):
        return False
    return True
