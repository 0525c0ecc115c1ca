"""Statements for postbacks that are due or being sent."""
