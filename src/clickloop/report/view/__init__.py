"""Saved views of reports: their record, address and schedule."""
