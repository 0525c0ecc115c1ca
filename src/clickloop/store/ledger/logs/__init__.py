"""Notices, conversions, postbacks and changes, in the ledger: one statement per function."""
