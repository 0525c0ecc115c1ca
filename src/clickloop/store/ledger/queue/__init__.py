"""Postbacks that are due or being sent."""
