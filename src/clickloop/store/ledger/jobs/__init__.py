"""Jobs over many records, in the ledger."""
