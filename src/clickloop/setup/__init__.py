"""What the user sets up: a record per file, with its limits and checks; the catalog, the snapshot of it all for the hot path."""
