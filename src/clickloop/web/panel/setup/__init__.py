"""Pages of what the user sets up."""
