"""Reports: figures, queries and periods. Numbers only."""
