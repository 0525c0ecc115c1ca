"""Fragments of a click's JSON in the journal, encoded once when many clicks share them."""

import msgspec


def click_json(**fields: str | int) -> bytes:
    """Return fields as a fragment of a JSON object, with a comma before each. Empty texts, the defaults, are omitted."""
    filled = {name: value for name, value in fields.items() if value != ""}
    return b"," + msgspec.json.encode(filled)[1:-1] if filled else b""
