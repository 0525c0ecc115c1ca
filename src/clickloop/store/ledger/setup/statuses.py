"""Statuses in the ledger. One statement per function; ``tx`` is an open transaction."""

from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import Connection, delete, func, insert, select

from clickloop.conversion.status import OTHER, CountsAs, Status, StatusTable, StatusWords, word_key
from clickloop.store.ledger.schema.tables import conversions, status_words, statuses
from clickloop.store.ledger.setup.versions import update_record


class UnmappedWord(msgspec.Struct, frozen=True):
    """A word that networks sent and no status has, and the number of conversions with it."""

    word: str
    conversions: int


def status_rows(tx: Connection) -> list[StatusWords]:
    """Return all statuses in the user's order, each with its words in alphabetical order."""
    words: dict[str, list[str]] = {}
    for word, key in tx.execute(select(status_words.c.word, status_words.c.status_key).order_by(status_words.c.word)):
        words.setdefault(key, []).append(word)
    columns = (statuses.c.key, statuses.c.name, statuses.c.counts_as, statuses.c.version)
    rows = tx.execute(select(*columns).order_by(statuses.c.position, statuses.c.key))
    return [
        StatusWords(Status(key, name, CountsAs(counts_as)), tuple(words.get(key, ())), version)
        for key, name, counts_as, version in rows
    ]


def status_table(tx: Connection) -> StatusTable:
    """Return the table that maps words to statuses."""
    return StatusTable(status_rows(tx))


def insert_status(tx: Connection, status: Status, version: int = 1) -> None:
    """Insert a status after the last one. Raise IntegrityError for a key that is taken."""
    position = select(func.coalesce(func.max(statuses.c.position) + 1, 0)).scalar_subquery()
    values = {"name": status.name, "counts_as": status.counts_as.value, "version": version}
    tx.execute(insert(statuses).values(key=status.key, position=position, **values))


def update_status(tx: Connection, status: Status, version: int, now_ms: int) -> int:
    """Update the name of a status and how it counts from now on. Return the new version. Raise StaleRecordError."""
    values: dict[str, object] = {"name": status.name, "counts_as": status.counts_as.value}
    return update_record(tx, statuses, status.key, version, now_ms, values)


def delete_status(tx: Connection, key: str, version: int) -> bool:
    """Delete a status at that version. Return whether there was one. Raise IntegrityError if it still has words."""
    return tx.execute(delete(statuses).where(statuses.c.key == key, statuses.c.version == version)).rowcount > 0


def is_status_used(tx: Connection, key: str) -> bool:
    """Return whether any conversion has the status."""
    return tx.scalar(select(conversions.c.conversion_id).where(conversions.c.status_key == key).limit(1)) is not None


def delete_words_of(tx: Connection, key: str) -> None:
    """Delete all words of a status."""
    tx.execute(delete(status_words).where(status_words.c.status_key == key))


def insert_words(tx: Connection, key: str, words: Sequence[str]) -> None:
    """Insert words of a status. Raise IntegrityError for a word of another status, or for an unknown status."""
    keys = dict.fromkeys(word_key(word) for word in words if word_key(word))
    if keys:
        tx.execute(insert(status_words), [{"word": word, "status_key": key} for word in keys])


def unmapped_words(
    tx: Connection, limit: int, campaign_id: int | None = None, network_id: int | None = None
) -> list[UnmappedWord]:
    """Return words of conversions (all, or of a campaign or network) that count as ``other``, most frequent first."""
    word = func.lower(func.trim(conversions.c.status_word))
    count = func.count()
    query = (
        select(word, count)
        .where(conversions.c.status_key == OTHER.key, conversions.c.status_word != "")
        .group_by(word)
        .order_by(count.desc(), word)
        .limit(limit)
    )
    if campaign_id is not None:
        query = query.where(conversions.c.campaign_id == campaign_id)
    if network_id is not None:
        query = query.where(conversions.c.network_id == network_id)
    rows = tx.execute(query)
    return [UnmappedWord(found, number) for found, number in rows]


def networks_of_unmapped_words(tx: Connection, words: Collection[str]) -> dict[str, tuple[int, ...]]:
    """Return by word the networks whose conversions with it count as ``other``; 0: without a network."""
    word = func.lower(func.trim(conversions.c.status_word))
    rows = tx.execute(
        select(word, conversions.c.network_id)
        .where(conversions.c.status_key == OTHER.key, word.in_(words))
        .group_by(word, conversions.c.network_id)
        .order_by(word, conversions.c.network_id)
    )
    found: dict[str, tuple[int, ...]] = {}
    for sent, network_id in rows:
        found[sent] = (*found.get(sent, ()), network_id)
    return found
