"""Pieces of a click's line in the journal, encoded once for what is the same on many clicks."""

import msgspec


def click_json(**fields: str | int) -> bytes:
    """Fields of a click as the middle of its JSON object: a comma before each; empty texts, which say nothing, are left out."""
    told = {name: value for name, value in fields.items() if value != ""}
    return b"," + msgspec.json.encode(told)[1:-1] if told else b""
