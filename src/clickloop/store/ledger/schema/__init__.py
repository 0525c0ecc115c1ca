"""The ledger's tables, defined once for all engines."""
