"""Sending: the one HTTP client, name resolution and the address guard."""
