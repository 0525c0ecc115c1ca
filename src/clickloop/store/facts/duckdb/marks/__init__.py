"""Marks of clicks and their corrections."""
