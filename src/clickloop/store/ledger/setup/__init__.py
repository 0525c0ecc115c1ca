"""What the user sets up, in the ledger: one statement per function."""
