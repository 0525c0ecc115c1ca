"""What the user sets up: a record per file, with its limits and checks."""
