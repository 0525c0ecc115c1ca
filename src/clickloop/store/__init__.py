"""The stores: journal, ledger and facts."""
