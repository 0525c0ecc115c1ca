"""What the user sets up: a module for each kind of record, with its fields, its limits, and the requests that make and change it."""
