"""The part of a network's editor that says what its words for statuses mean: rows, words it sent lately, and what to run again."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from clickloop.conversion.status import OTHER, word_key
from clickloop.setup.fault import Fault, FaultCode
from clickloop.setup.preset.preset import NetworkPreset
from clickloop.store.ledger.logs.notices import words_of_network
from clickloop.store.ledger.setup.statuses import status_rows, status_table, unmapped_words
from clickloop.text import readable
from clickloop.web.api.context import ApiContext
from clickloop.web.panel.frame.form import Form

NEWEST_NOTICES = 1_000  # words sent before are mapped, or no longer sent
MAX_SENT_WORDS = 30  # a list to choose from
FIELD = "status_words"
SHOWN_FIELD = "has_status_words"
"""Hidden in the form: it shows the words, so that none sent means that all were removed."""


class SentWord(msgspec.Struct, frozen=True):
    """A word that a network sent lately (empty: none), in how many notices, and the name of our status for it (empty: none)."""

    word: str
    notices: int
    status: str
    waiting: int = 0
    """Conversions that still count as other because of it, though it has a status by now."""


class WordsView(msgspec.Struct, frozen=True):
    """The part of a network's editor about its words."""

    rows: tuple[dict[str, str], ...]
    """``name`` and ``value``: a word and the key of its status; a row with ``offered`` came from us and may stay empty."""
    statuses: tuple[tuple[str, str], ...]
    sent: tuple[SentWord, ...]
    missing: tuple[tuple[str, str], ...]
    """Words of the preset that mean something else here, with the name of the status that the preset has for them."""
    newest_notices: int = NEWEST_NOTICES


def words_view(
    context: ApiContext,
    network_id: int | None,
    rows: Sequence[dict[str, str]],
    saved: Mapping[str, str],
    preset: NetworkPreset | None,
) -> WordsView:
    """Return what to show for the rows of a form. ``saved``: the words that the network has now."""
    with context.ledger.read() as tx:
        known = status_rows(tx)
        table = status_table(tx)
        found = words_of_network(tx, network_id, NEWEST_NOTICES)[:MAX_SENT_WORDS] if network_id else []
        stuck = unmapped_words(tx, MAX_SENT_WORDS, network_id=network_id) if network_id else []
    waiting = {one.word: one.conversions for one in stuck}
    sent = []
    for one in found:
        status = table.of_word(one.word, saved)
        name = readable(status.name) if status else ""
        sent.append(SentWord(readable(one.word), one.notices, name, waiting.get(one.word, 0) if status else 0))
    written = {word_key(row["name"]) for row in rows}
    unknown = dict.fromkeys([one.word for one in stuck] + [one.word for one in found])
    offered = tuple(
        {"name": readable(word), "value": "", "offered": "1"}
        for word in unknown
        if word and word not in written and table.of_word(word, saved) is None
    )
    meant = {word_key(row["name"]): row["value"] for row in rows}
    names = {row.status.key: readable(row.status.name) for row in known}
    return WordsView(
        rows=(*rows, *offered),
        statuses=tuple((key, name) for key, name in names.items() if key != OTHER.key),
        sent=tuple(sent),
        missing=tuple(
            (word, names.get(key, key))
            for word, key in (preset.status_words.items() if preset else ())
            if meant.get(word_key(word)) != key
        ),
    )


def rows_of_words(given: Any) -> list[dict[str, str]]:
    """Return words as rows, from a dict of the API or from rows of a form."""
    if isinstance(given, dict):
        return [{"name": word, "value": key, "offered": ""} for word, key in given.items()]
    return [
        {name: str(row.get(name, "")).strip() for name in ("name", "value", "offered")}
        for row in (given if isinstance(given, list) else [])
        if isinstance(row, dict)
    ]


def given_words(form: Form) -> tuple[dict[str, dict[str, str]], list[Fault]]:
    """Return the words of a form as the API takes them, under their field's name; nothing where the form did not show them."""
    if not form.has(SHOWN_FIELD):
        return {}, []
    found: dict[str, str] = {}
    faults = []
    for row in rows_of_words(form.tree.get(FIELD)):
        word, key = row["name"], row["value"]
        if not key and (not word or row["offered"]):
            continue
        if not word:
            faults.append(
                Fault(FIELD, FaultCode.REQUIRED, "A status is chosen, but the word is missing: enter the word.")
            )
        elif not key:
            faults.append(Fault(FIELD, FaultCode.REQUIRED, f"Choose what {word[:100]!r} means, or remove its row."))
        elif word_key(word) in {word_key(other) for other in found}:
            faults.append(Fault(FIELD, FaultCode.DUPLICATE, f"{word[:100]!r} is in two rows: give it one status."))
        found[word] = key
    return {FIELD: found}, faults
