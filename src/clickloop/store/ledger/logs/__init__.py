"""Notices, conversions, postbacks and the audit log in the ledger. One statement per function."""
