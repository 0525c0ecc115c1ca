"""The ledger: everything that needs transactions."""
