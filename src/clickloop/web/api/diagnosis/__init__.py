"""Endpoints that explain: check, dry run, health, receivers."""
