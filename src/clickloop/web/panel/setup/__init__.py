"""Pages of the setup: lists and editors."""
