"""The self-audit's statements and the checksums of rows."""
