"""Marks given after a click was counted: late ones, and those that a rerun judges anew."""
