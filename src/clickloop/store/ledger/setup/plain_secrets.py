"""Secrets of the set-up that are stored in plain text, from before encryption. ``tx`` is an open transaction."""

from sqlalchemy import ColumnElement, Connection, Text, and_, cast, func, select, update

from clickloop.machine.secret_box import SEALED
from clickloop.store.ledger.row_count import expect_rows
from clickloop.store.ledger.schema.tables import networks, postback_rules

_PLAIN_TOKEN = and_(cast(networks.c.token, Text) != "", ~cast(networks.c.token, Text).startswith(SEALED))
_PLAIN_REQUEST: ColumnElement[bool] = ~cast(postback_rules.c.request, Text).startswith(f'"{SEALED}')


def count_plain_secrets(tx: Connection) -> int:
    """Return the number of network tokens and rule requests that are not encrypted."""
    tokens = select(func.count()).select_from(networks).where(_PLAIN_TOKEN)
    requests = select(func.count()).select_from(postback_rules).where(_PLAIN_REQUEST)
    return (tx.scalar(tokens) or 0) + (tx.scalar(requests) or 0)


def seal_plain_secrets(tx: Connection) -> None:
    """Encrypt them by reading and writing back: reading accepts plain values, writing encrypts."""
    for number, token in tx.execute(select(networks.c.id, networks.c.token).where(_PLAIN_TOKEN)).all():
        sealed = tx.execute(update(networks).where(networks.c.id == number).values(token=token))
        expect_rows(sealed, 1, f"network {number}")
    rules = select(postback_rules.c.id, postback_rules.c.request).where(_PLAIN_REQUEST)
    for number, request in tx.execute(rules).all():
        sealed = tx.execute(update(postback_rules).where(postback_rules.c.id == number).values(request=request))
        expect_rows(sealed, 1, f"postback rule {number}")
