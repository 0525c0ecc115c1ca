"""The ledger: everything that must be transacted."""
