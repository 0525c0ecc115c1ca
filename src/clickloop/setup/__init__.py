"""The records that users set up, one per module, with limits and checks; and the catalog, the snapshot for the hot path."""
