"""Secrets of the set-up whose key is lost: replaced, so that the tracker runs and the user can enter them again. ``tx`` is open."""

import secrets

import msgspec
from sqlalchemy import Connection, Text, cast, select, update

from clickloop.postback.rule import RequestTemplate
from clickloop.secret_box import SecretError
from clickloop.store.ledger.sealing import opened, opened_json
from clickloop.store.ledger.tables import networks, postback_rules

PLACEHOLDER_URL = "https://enter-the-request-again.invalid/"
"""Nothing is ever sent there: its rule is off, and the top-level domain is reserved (RFC 2606)."""
_TOKEN_BYTES = 24


class LostSecrets(msgspec.Struct, frozen=True):
    """Names of what has to be entered again."""

    networks: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


def replace_lost_secrets(tx: Connection, now_ms: int) -> LostSecrets:
    """Replace what this ledger's key does not open, and return what that was.

    A network gets a token that nobody knows, so that it does not become open to forged notices: what it sends is refused as
    ``wrong_token`` and can be run again. A rule is switched off: what it would owe is skipped as ``rule_off`` and can be sent
    later. The rows are read as text, because reading them as what they are is what fails.
    """
    lost_networks, lost_rules = [], []
    for number, name, stored in tx.execute(select(networks.c.id, networks.c.name, cast(networks.c.token, Text))).all():
        try:
            opened(tx.dialect, stored)
        except SecretError:
            values = {"token": secrets.token_urlsafe(_TOKEN_BYTES), "updated_at": now_ms}
            tx.execute(update(networks).where(networks.c.id == number).values(**values))
            lost_networks.append(name)
    requests = select(postback_rules.c.id, postback_rules.c.name, cast(postback_rules.c.request, Text))
    for number, name, stored in tx.execute(requests).all():
        try:
            opened_json(tx.dialect, stored)
        except SecretError:
            request = msgspec.to_builtins(RequestTemplate(url=PLACEHOLDER_URL))
            values = {"request": request, "active": False, "updated_at": now_ms, "request_changed_at": now_ms}
            tx.execute(update(postback_rules).where(postback_rules.c.id == number).values(**values))
            lost_rules.append(name)
    return LostSecrets(tuple(lost_networks), tuple(lost_rules))
