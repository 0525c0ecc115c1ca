"""Clicks: who the visitor is, whether the click counts, and where it is redirected."""
