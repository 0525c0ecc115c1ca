"""The facts: everything that must be counted."""
