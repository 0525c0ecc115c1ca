"""Statements of the self-audit, and checksums of rows."""
