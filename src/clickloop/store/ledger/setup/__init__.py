"""The set-up in the ledger. One statement per function."""
