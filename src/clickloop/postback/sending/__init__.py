"""Sending: the HTTP client, name resolution and the address guard."""
