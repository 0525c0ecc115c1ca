"""Endpoints of users, tokens and the audit log."""
