"""Where things are kept: the journal, the ledger, the facts."""
