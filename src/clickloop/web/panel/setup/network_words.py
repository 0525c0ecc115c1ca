"""A network's status words in its editor: mapping rows, recently sent words and conversions to reprocess."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from clickloop.conversion.status import OTHER, word_key
from clickloop.setup.fault import FaultCode, FieldFault
from clickloop.setup.preset.preset import NetworkPreset
from clickloop.store.ledger.logs.notices import words_of_network
from clickloop.store.ledger.setup.statuses import status_rows, status_table, unmapped_words
from clickloop.text import readable
from clickloop.web.api.context import ApiContext
from clickloop.web.panel.frame.form import Form

NEWEST_NOTICES = 1_000  # earlier words are mapped or no longer sent
MAX_SENT_WORDS = 30  # a list to choose from
FIELD = "status_words"
SHOWN_FIELD = "has_status_words"
"""Hidden field of a form that shows the words: without rows, it means that all were removed."""


class SentWordRow(msgspec.Struct, frozen=True):
    """A word that a network sent recently. Empty ``word``: no status was sent; empty ``status``: not mapped."""

    word: str
    notices: int
    status: str
    waiting: int = 0
    """Number of conversions that still count as other, though the word has been mapped since."""


class WordsView(msgspec.Struct, frozen=True):
    """The status words in a network's editor."""

    rows: tuple[dict[str, str], ...]
    """``name``: a word; ``value``: its status; ``offered``: not empty for a suggested row, which may stay unmapped."""
    statuses: tuple[tuple[str, str], ...]
    sent: tuple[SentWordRow, ...]
    missing: tuple[tuple[str, str], ...]
    """Words that the preset maps differently, with the name of the preset's status."""
    newest_notices: int = NEWEST_NOTICES


def words_view(
    context: ApiContext,
    network_id: int | None,
    rows: Sequence[dict[str, str]],
    saved: Mapping[str, str],
    preset: NetworkPreset | None,
) -> WordsView:
    """Return the status words to show. ``rows``: those of the form; ``saved``: the network's saved mapping."""
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
        sent.append(SentWordRow(readable(one.word), one.notices, name, waiting.get(one.word, 0) if status else 0))
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


def rows_of_words(value: Any) -> list[dict[str, str]]:
    """Return a mapping as rows, from a dict of the API or from rows of a form."""
    if isinstance(value, dict):
        return [{"name": word, "value": key, "offered": ""} for word, key in value.items()]
    return [
        {name: str(row.get(name, "")).strip() for name in ("name", "value", "offered")}
        for row in (value if isinstance(value, list) else [])
        if isinstance(row, dict)
    ]


def submitted_words(form: Form) -> tuple[dict[str, dict[str, str]], list[FieldFault]]:
    """Return the mapping of a form under the API's field name, and its faults; nothing if the form did not show the words."""
    if not form.has(SHOWN_FIELD):
        return {}, []
    mapping: dict[str, str] = {}
    faults = []
    for row in rows_of_words(form.tree.get(FIELD)):
        word, key = row["name"], row["value"]
        if not key and (not word or row["offered"]):
            continue
        if not word:
            faults.append(FieldFault(FIELD, FaultCode.REQUIRED, "Enter the word for the chosen status."))
        elif not key:
            faults.append(
                FieldFault(FIELD, FaultCode.REQUIRED, f"Choose a status for {word[:100]!r}, or remove its row.")
            )
        elif word_key(word) in {word_key(other) for other in mapping}:
            faults.append(FieldFault(FIELD, FaultCode.DUPLICATE, f"{word[:100]!r} is in two rows. Keep one of them."))
        mapping[word] = key
    return {FIELD: mapping}, faults
