"""Changing the set-up: checks against the ledger, version, audit entry and publication, in one transaction per change."""
