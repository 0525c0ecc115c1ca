"""Pages of the logs."""
