"""Paths that learn: the core counts what they earned each minute and publishes their weights."""
