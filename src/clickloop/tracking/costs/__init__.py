"""Entering cost: entries, uploads, previews, undo, and the worker that spreads amounts over clicks."""
