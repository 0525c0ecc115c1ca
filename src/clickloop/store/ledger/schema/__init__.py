"""The ledger's tables. One definition for all engines."""
