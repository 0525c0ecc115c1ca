"""The facts: everything that is counted."""
