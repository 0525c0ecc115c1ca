"""Postbacks: which are due, what they contain, and delivering them with retries."""
