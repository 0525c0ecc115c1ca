"""Changing the set-up: the checks that need the ledger, version, audit entry and publication, in one transaction for every record."""
