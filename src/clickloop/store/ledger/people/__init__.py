"""Users, sessions and tokens in the ledger."""
